//! Layers that the caller builds: alone, and in the wrappers `TimeDistributed`, `Bidirectional` and
//! `RNN` of Keras's. What the caller makes of the weights in the file sees them as if the layer
//! weren't wrapped.

use super::arguments::Arguments;
use super::class::{self, Class, SUPPORTED};
use super::custom::{CustomLayer, KerasLayer};
use super::entry::Entry;
use super::messages::excerpt;
use super::recurrent::{self, Flags};
use super::version::Version;
use crate::layer::Recurrent;
use crate::{Bidirectional, Direction, Error, Layer, Result, TimeDistributed};
use ndarray::ArrayD;
use serde_json::Value;

/// Arrays in the file, with their names below the layer's group.
type Named = Vec<(String, ArrayD<f32>)>;

/// How many layers the caller builds of an entry; none where that fails.
pub(super) fn members(entry: &Entry) -> usize {
    custom_layer(entry).map_or(0, |layer| layer.layers.len())
}

/// What the caller builds of an entry.
pub(super) fn custom_layer(entry: &Entry) -> Result<CustomLayer> {
    // None of the arguments that are read here depends on the version of Keras.
    layer(&Arguments::new(entry, Version::Unknown), entry.value)
}

/// Of a layer, whose arguments these are.
fn layer(arguments: &Arguments, value: &Value) -> Result<CustomLayer> {
    match class::of(value) {
        Ok(Class::TimeDistributed) => time_distributed(arguments),
        Ok(Class::Bidirectional) => bidirectional(arguments),
        Ok(Class::Rnn) => rnn(arguments),
        Ok(other) => Err(unsupported(arguments, other.name().to_string())),
        Err(class_name) => of_caller(arguments, value, class_name),
    }
}

/// Of a layer or a cell of a class that birnn hasn't.
fn of_caller(arguments: &Arguments, value: &Value, class_name: String) -> Result<CustomLayer> {
    let path = arguments.layer();
    match arguments.registry().find(value, &class_name, path) {
        Some(builder) => {
            let plain = class::plain_name(value);
            builder.build(&KerasLayer::new(path, plain, arguments.values()))
        }
        None => Err(unsupported(arguments, class_name)),
    }
}

fn unsupported(arguments: &Arguments, class_name: String) -> Error {
    let layer = arguments.layer().to_string();
    Error::UnsupportedLayer { layer, class_name, supported: SUPPORTED }
}

/// The layer that a wrapper has as an argument.
fn inside(arguments: &Arguments, argument: &str) -> Result<CustomLayer> {
    match arguments.get(argument) {
        Some(value) => layer(&arguments.of(argument, value)?, value),
        None => arguments.wrong(argument, "is missing".into()),
    }
}

/// Each of the layers on every timestep.
fn time_distributed(arguments: &Arguments) -> Result<CustomLayer> {
    arguments.check_others(&["layer"])?;
    let inside = inside(arguments, "layer")?;
    let each = |layer: &Layer| Layer::from(TimeDistributed::new(layer.clone()));
    let (layers, masks) = (inside.layers.iter().map(each).collect(), inside.supports_masking);
    let convert = move |arrays| inside.converted(below("layer/", arrays));
    Ok(CustomLayer::converting(layers, masks, convert))
}

/// A recurrent layer in both directions. The backward one is that of the file, or the forward one
/// again, and reads time the other way round in any case: the caller needn't read `go_backwards`.
fn bidirectional(arguments: &Arguments) -> Result<CustomLayer> {
    arguments.check_others(&["layer", "backward_layer", "merge_mode"])?;
    let inside_of = |argument: &str| {
        let own = inside(arguments, argument)?;
        let layer = only_recurrent(arguments, argument, &own)?;
        Ok::<_, Error>((own, layer))
    };
    let (forward, forward_layer) = inside_of("layer")?;
    let (backward, backward_layer) = match arguments.get("backward_layer") {
        Some(_) => inside_of("backward_layer")?,
        None => (forward.clone(), forward_layer.clone()),
    };
    let backward_layer = backward_layer.with_go_backwards(!forward_layer.go_backwards());
    let masks = forward.supports_masking && backward.supports_masking;
    let both = Bidirectional::new(forward_layer)
        .backward_layer(backward_layer)
        .merge_mode(recurrent::merge_mode(arguments)?);
    let convert = move |arrays: Named| {
        let (of_backward, of_forward): (Named, Named) =
            arrays.into_iter().partition(|(name, _)| direction(name) == Direction::Backward);
        let mut weights = forward.converted(below("forward_layer/", of_forward))?;
        weights.extend(backward.converted(below("backward_layer/", of_backward))?);
        Ok(weights)
    };
    Ok(CustomLayer::converting(vec![both.into()], masks, convert))
}

/// The direction of an array by its name: `backward_layer/…` in an archive, and in a legacy file
/// one with the folder `backward_NAME`.
fn direction(name: &str) -> Direction {
    match name.split('/').any(|folder| folder.starts_with("backward_")) {
        true => Direction::Backward,
        false => Direction::Forward,
    }
}

/// An `RNN` of a cell of the caller's. Keras's `RNN` itself sees to masks.
fn rnn(arguments: &Arguments) -> Result<CustomLayer> {
    arguments.check_others(&[&recurrent::OF_THE_LAYER[..], &["cell"]].concat())?;
    let value = arguments.get("cell").unwrap_or(&Value::Null);
    let Err(class_name) = class::cell(value) else {
        return Err(unsupported(arguments, "RNN".to_string()));
    };
    if arguments.registry().find_cell(value, arguments.layer()).is_none() {
        let reason = "several cells of which one is of a class of your own aren't supported; use \
                      one RNN for each cell";
        return arguments.unsupported("cell", value, reason);
    }
    let cell = of_caller(&arguments.of("cell", value)?, value, class_name)?;
    let layer = only_recurrent(arguments, "cell", &cell)?;
    let layer = Flags::of(arguments)?.of_layer(layer);
    let convert = move |arrays| cell.converted(below("cell/", arrays));
    Ok(CustomLayer::converting(vec![layer.into()], true, convert))
}

/// The recurrent layer that the caller builds.
fn only_recurrent(arguments: &Arguments, argument: &str, of: &CustomLayer) -> Result<Recurrent> {
    if let [Layer::Recurrent(layer)] = &of.layers[..] {
        return Ok(layer.clone());
    }
    let built: Vec<_> = of.layers.iter().map(Layer::class_name).collect();
    Err(Error::UnsupportedArgument {
        layer: arguments.layer().to_string(),
        argument: argument.to_string(),
        value: excerpt(arguments.get(argument).unwrap_or(&Value::Null)),
        reason: format!(
            "it has to be one recurrent layer, such as an LSTM, and the function of \
             KerasOptions::custom returned {built:?}"
        ),
    })
}

/// Arrays by their names in this folder, where they stand in it.
fn below(folder: &str, arrays: Named) -> Named {
    let own = |name: String| name.strip_prefix(folder).map(str::to_string).unwrap_or(name);
    arrays.into_iter().map(|(name, array)| (own(name), array)).collect()
}
