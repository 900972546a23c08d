//! From a layer's arguments to the layer.

use super::arguments::Arguments;
use super::class::{self, Class, Kind, SUPPORTED};
use super::entry::Entry;
use super::file::Version;
use super::shown;
use crate::error::{Error, Result};
use crate::layer::{Bidirectional, Gru, Layer, Lstm, MergeMode, Recurrent, RecurrentBuilder, SimpleRnn};
use serde_json::Value;

/// What an `InputLayer` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InputShape {
    Sequence { timesteps: Option<usize>, features: usize },
    State { features: usize },
}

/// The shape of an `InputLayer`.
pub(super) fn input(entry: &Entry) -> Result<InputShape> {
    let arguments = Arguments::new(entry.name, entry.config);
    arguments.check_others(&[])?;
    match arguments.get("batch_shape").or(arguments.get("batch_input_shape")) {
        Some(shape) => input_shape(&arguments, shape),
        None => arguments.wrong("batch_shape", "is missing".into()),
    }
}

/// From `[batch, timesteps, features]` or `[batch, units]`, where null is any number.
pub(super) fn input_shape(arguments: &Arguments, shape: &Value) -> Result<InputShape> {
    let axis = |value: &Value| match value {
        Value::Null => Ok(None),
        value => match value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| (1..1 << 31).contains(n)) {
            Some(n) => Ok(Some(n)),
            None => arguments.wrong("batch_shape", format!("{} is no shape", shown(shape))),
        },
    };
    let axes = shape.as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(batch) = axes.first() {
        axis(batch)?;
    }
    let fixed = "save the model with a fixed number of features in its input";
    match axes {
        [_, timesteps, features] => match axis(features)? {
            Some(features) => Ok(InputShape::Sequence { timesteps: axis(timesteps)?, features }),
            None => arguments.unsupported("batch_shape", shape, fixed),
        },
        [_, features] => match axis(features)? {
            Some(features) => Ok(InputShape::State { features }),
            None => arguments.unsupported("batch_shape", shape, fixed),
        },
        _ => arguments.unsupported(
            "batch_shape",
            shape,
            "an input must be [batch, timesteps, features], or [batch, units] for an initial state",
        ),
    }
}

/// The layer of an entry that is no `InputLayer`.
pub(super) fn layer(entry: &Entry, kind: Option<Kind>, version: Version) -> Result<Layer> {
    let arguments = Arguments::new(entry.name, entry.config);
    match kind {
        Some(kind) => recurrent(&arguments, kind, version, entry.name).map(Layer::from),
        None => bidirectional(&arguments, version).map(Layer::from),
    }
}

fn recurrent(arguments: &Arguments, kind: Kind, version: Version, name: &str) -> Result<Recurrent> {
    let mut read = vec!["units", "activation", "use_bias", "go_backwards", "return_sequences", "return_state"];
    if kind != Kind::SimpleRnn {
        read.push("recurrent_activation");
    }
    if kind == Kind::Gru {
        read.push("reset_after");
    }
    arguments.check_others(&read)?;
    let units = arguments.units()?;
    Ok(match kind {
        Kind::Lstm => gated(Lstm::new(units), arguments, version)?.named(name).into(),
        Kind::SimpleRnn => common(SimpleRnn::new(units), arguments, version)?.named(name).into(),
        Kind::Gru => {
            // Files without the argument are older than it, and then mean false.
            let reset_after = arguments.flag("reset_after", version == Version::Keras3)?;
            gated(Gru::new(units).reset_after(reset_after), arguments, version)?.named(name).into()
        }
    })
}

fn gated<C>(layer: RecurrentBuilder<C>, arguments: &Arguments, version: Version) -> Result<RecurrentBuilder<C>> {
    let recurrent_activation = arguments.activation("recurrent_activation", version)?;
    Ok(common(layer, arguments, version)?.recurrent_activation(recurrent_activation))
}

fn common<C>(layer: RecurrentBuilder<C>, arguments: &Arguments, version: Version) -> Result<RecurrentBuilder<C>> {
    Ok(layer
        .activation(arguments.activation("activation", version)?)
        .use_bias(arguments.flag("use_bias", true)?)
        .go_backwards(arguments.flag("go_backwards", false)?)
        .return_sequences(arguments.flag("return_sequences", false)?)
        .return_state(arguments.flag("return_state", false)?))
}

fn bidirectional(arguments: &Arguments, version: Version) -> Result<Bidirectional> {
    arguments.check_others(&["layer", "backward_layer", "merge_mode"])?;
    let Some(forward) = wrapped(arguments, "layer", version)? else {
        return arguments.wrong("layer", "is missing".into());
    };
    // A Bidirectional without a backward_layer runs the forward one the other way round.
    let both = match wrapped(arguments, "backward_layer", version)? {
        Some(backward) => {
            check_states(arguments, &forward, &backward, version)?;
            Bidirectional::new(forward).backward_layer(backward)
        }
        None => Bidirectional::new(forward),
    };
    Ok(both.merge_mode(merge_mode(arguments)?).named(arguments.layer()))
}

fn merge_mode(arguments: &Arguments) -> Result<MergeMode> {
    let (mode, value) = match arguments.get("merge_mode") {
        None => return Ok(MergeMode::Concat),
        Some(Value::Null) => return Ok(MergeMode::None),
        Some(value) => (value.as_str().and_then(|name| MergeMode::from_keras_name(Some(name))), value),
    };
    match mode {
        Some(mode) => Ok(mode),
        None => arguments.unsupported("merge_mode", value, "use \"concat\", \"sum\", \"mul\", \"ave\" or None"),
    }
}

fn wrapped(arguments: &Arguments, argument: &'static str, version: Version) -> Result<Option<Recurrent>> {
    let value = match arguments.get(argument) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value,
    };
    let unsupported = |class_name: &str| {
        Err(Error::UnsupportedLayer {
            layer: arguments.layer().to_string(),
            class_name: format!("Bidirectional({class_name})"),
            supported: SUPPORTED,
        })
    };
    let kind = match class::of(value) {
        Ok(Class::Recurrent(kind)) => kind,
        Ok(other) => return unsupported(other.snake_case()),
        Err(class_name) => return unsupported(&class_name),
    };
    let Some(config) = value.get("config").and_then(Value::as_object) else {
        return arguments.wrong(argument, "has no config".into());
    };
    let prefix = if argument == "layer" { "layer." } else { "backward_layer." };
    let inner = Arguments::wrapped(arguments.layer(), prefix, config);
    recurrent(&inner, kind, version, inner.text("name").unwrap_or(argument)).map(Some)
}

/// Keras 3 takes both directions to have as many states: with an LSTM on one side only it saves a model
/// that it can't run, so there is no result to reproduce. Keras 2 returns each direction's own.
fn check_states(arguments: &Arguments, forward: &Recurrent, backward: &Recurrent, version: Version) -> Result<()> {
    let differ = forward.cell().states() != backward.cell().states();
    if differ && forward.return_state() && version != Version::Keras2 {
        let class = Value::from(backward.cell().class_name());
        let reason = "with return_state=True Keras 3 can't run directions of which only one has a cell state; \
                      use the same class on both sides, or return_state=False";
        return arguments.unsupported("backward_layer", &class, reason);
    }
    Ok(())
}
