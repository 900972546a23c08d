//! From an entry of the file to its layers.

use super::arguments::Arguments;
use super::class::Class;
use super::conv_lstm;
use super::entry::Entry;
use super::messages::{excerpt, malformed};
use super::recurrent::{self, Built, Unmasked, Wiring};
use super::stateless::{self, Calling};
use super::version::Version;
use super::wrapped;
use crate::layer::{Concatenate, Recurrent};
use crate::{Error, Layer, Result, TimeDistributed};
use serde_json::{Map, Value};

/// The types of numbers that an input can have: what Keras computes with them is what `f32` gives.
const INPUT_TYPES: [&str; 11] = [
    "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "bool",
];

/// The shape that an `InputLayer` takes: the axes after the batch.
pub(super) fn input(entry: &Entry, version: Version) -> Result<Vec<Option<usize>>> {
    let arguments = Arguments::new(entry, version);
    arguments.check_others(&["dtype"])?;
    if let Some(value) = arguments
        .get("dtype")
        .filter(|value| !value.as_str().is_some_and(|d| INPUT_TYPES.contains(&d)))
    {
        return arguments.unsupported(
            "dtype",
            value,
            "give the input as float32, an integer type or bool",
        );
    }
    match arguments.get("batch_shape").or(arguments.get("batch_input_shape")) {
        Some(shape) => input_shape(&arguments, shape),
        None => arguments.wrong("batch_shape", "is missing".into()),
    }
}

/// The size of the batch, where the file fixes it.
pub(super) fn rows(entry: &Entry) -> Option<usize> {
    let shape = entry.config.get("batch_shape").or(entry.config.get("batch_input_shape"))?;
    usize::try_from(shape.get(0)?.as_u64()?).ok().filter(|rows| (1..1 << 20).contains(rows))
}

/// From `[batch, …]`, where null is any number.
pub(super) fn input_shape(arguments: &Arguments, shape: &Value) -> Result<Vec<Option<usize>>> {
    let axis = |value: &Value| match value {
        Value::Null => Ok(None),
        value => match value
            .as_u64()
            .and_then(|n| usize::try_from(n).ok())
            .filter(|n| (1..1 << 31).contains(n))
        {
            Some(n) => Ok(Some(n)),
            None => arguments.wrong("batch_shape", format!("{} is no shape", excerpt(shape))),
        },
    };
    match shape.as_array().map(Vec::as_slice) {
        Some([batch, axes @ ..]) if !axes.is_empty() && axes.len() <= 16 => {
            axis(batch)?;
            axes.iter().map(axis).collect()
        }
        _ => arguments.unsupported(
            "batch_shape",
            shape,
            "an input needs the batch and one to 16 axes after it",
        ),
    }
}

/// The layers of an entry that is no `InputLayer`; `masks`: whether the model makes masks.
pub(super) fn build(
    label: &str,
    entry: &Entry,
    version: Version,
    calling: Calling,
    masks: bool,
) -> Result<Built> {
    let arguments = Arguments::new(entry, version);
    let mut built = match entry.class {
        Class::Input | Class::Operation(_) | Class::Model(_) => {
            return malformed(
                label,
                format!("{:?} is an {} behind a layer", entry.path, entry.class.name()),
            );
        }
        Class::Recurrent(kind) => Layer::from(recurrent::recurrent(&arguments, kind)?).into(),
        Class::Custom { .. } => custom(&arguments, entry)?,
        Class::Rnn => cells(&arguments, recurrent::rnn(&arguments)?),
        Class::ConvLstm(axes) => conv_lstm::layer(&arguments, axes)?.into(),
        Class::Bidirectional => recurrent::bidirectional(&arguments)?,
        Class::TimeDistributed => time_distributed(&arguments)?,
        Class::Stateless(class_name) => stateless::layer(class_name, &arguments, calling)?.into(),
    };
    if let [layer] = &mut built.layers[..] {
        *layer = layer.clone().named(&entry.path);
    }
    let unmasked = || unmasked(&arguments, &built.layers[0]).map(Unmasked::always);
    built.unmasked = built.unmasked.or_else(unmasked);
    match entry.time_distributed {
        0 => Ok(built),
        _ => on_every_timestep(&arguments, entry, built, masks),
    }
}

/// The layers that join arrays value by value.
pub(super) const MERGES: [&str; 6] =
    ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"];

/// Whether it is a layer that joins arrays.
pub(super) fn joins(entry: &Entry) -> bool {
    MERGES.contains(&entry.class.name()) || entry.class.name() == "Concatenate"
}

/// Those that compute otherwise with a mask.
const READ_MASKS: [&str; 8] = [
    "GlobalAveragePooling1D",
    "Softmax",
    "Multiply",
    "Maximum",
    "Minimum",
    "Attention",
    "AdditiveAttention",
    "MultiHeadAttention",
];

/// Whether a layer of the file makes a mask, or is given one by its calls.
pub(super) fn makes_masks(entry: &Entry) -> bool {
    // The layer that a TimeDistributed or several hold.
    let (mut class, mut config) = (entry.class.name(), entry.config);
    while class == "TimeDistributed" {
        let Some(inside) = config.get("layer") else { break };
        class = inside.get("class_name").and_then(Value::as_str).unwrap_or_default();
        match inside.get("config").and_then(Value::as_object) {
            Some(arguments) => config = arguments,
            None => break,
        }
    }
    class == "Masking"
        || class == "Embedding" && config.get("mask_zero") == Some(&Value::Bool(true))
        || entry.inbound_nodes.is_some_and(|calls| has_mask(calls, 0))
        || entry.model.as_ref().is_some_and(|model| model.entries.iter().any(makes_masks))
}

/// Whether an argument among these is a mask.
fn has_mask(value: &Value, depth: usize) -> bool {
    const MOST_DEPTH: usize = 8;
    let is_mask = |name: &str, value: &Value| {
        name.ends_with("mask") && (value.is_array() || value.is_object())
    };
    match value {
        _ if depth > MOST_DEPTH => false,
        Value::Array(items) => items.iter().any(|item| has_mask(item, depth + 1)),
        Value::Object(items) => {
            items.iter().any(|(name, item)| is_mask(name, item) || has_mask(item, depth + 1))
        }
        _ => false,
    }
}

/// A layer of a model that `TimeDistributed` calls: as each of its layers is called on every
/// timestep, so is the model, and masks are handed on in it. Where nothing makes masks, a layer
/// that joins arrays value by value joins those of all timesteps.
fn on_every_timestep(
    arguments: &Arguments,
    entry: &Entry,
    mut built: Built,
    masks: bool,
) -> Result<Built> {
    let class_name = entry.class.name();
    let axis = if class_name == "Concatenate" { arguments.axis("axis")? } else { -1 };
    let returns_state =
        |layer: &Layer| layer.directions().iter().any(|(_, one)| one.return_state());
    match (class_name, &mut built.layers[..]) {
        ("Concatenate", [layer]) if !masks => {
            let further = if axis > 0 { entry.time_distributed as isize } else { 0 };
            *layer = Concatenate::new().axis(axis + further).named(&entry.path);
        }
        (_, [_]) if joins(entry) && !masks => {}
        (_, [layer]) => {
            let inside = layer.clone().named(entry.name);
            // A Concatenate hands masks on along the last axis only.
            *layer = distributed(inside, &entry.path, entry.time_distributed, masks && axis == -1);
        }
        (_, layers) if built.wiring != Wiring::Row || layers.iter().any(returns_state) => {
            let reason = "it has several cells; use one layer for each cell";
            return Err(in_time_distributed(entry, reason));
        }
        (_, layers) => {
            for layer in layers {
                let name = layer.name().to_string();
                *layer = distributed(layer.clone(), &name, entry.time_distributed, masks);
            }
        }
    }
    if axis != -1 {
        let reason = "its inputs have masks; join them along the last axis";
        built.unmasked = Some(Unmasked::always(in_time_distributed(entry, reason)));
    } else if built.unmasked.is_none()
        && (entry.class.is_recurrent() || READ_MASKS.contains(&class_name))
    {
        let reason = "the timesteps of the TimeDistributed have a mask, which says nothing about \
                      what is in them; mask the sequence behind the TimeDistributed";
        let error = in_time_distributed(entry, reason);
        built.unmasked = Some(Unmasked { error, axes: Some(entry.time_distributed) });
    }
    Ok(built)
}

/// A layer in so many `TimeDistributed`, each of this name.
fn distributed(mut layer: Layer, name: &str, depth: usize, masks: bool) -> Layer {
    for _ in 0..depth {
        layer = TimeDistributed::new(layer).own_masks(masks).named(name);
    }
    layer
}

/// Why a layer can't be in a model that `TimeDistributed` calls.
pub(super) fn in_time_distributed(entry: &Entry, reason: &str) -> Error {
    let class_name = entry.class.name();
    Error::UnsupportedArgument {
        layer: entry.path.clone(),
        argument: "class_name".to_string(),
        value: class_name.to_string(),
        reason: format!(
            "a model in TimeDistributed runs layer by layer on all timesteps, which this \
             {class_name} can't: {reason}"
        ),
    }
}

/// The layers that the caller builds.
fn custom(arguments: &Arguments, entry: &Entry) -> Result<Built> {
    let layer = wrapped::custom_layer(entry)?;
    let mut layers = layer.layers;
    if layers.len() > 1 {
        let named = |(index, layer): (usize, Layer)| layer.named(member_name(&entry.path, index));
        layers = layers.into_iter().enumerate().map(named).collect();
    }
    let reason = "its input has a mask, and CustomLayer::supports_masking isn't set";
    let unmasked =
        (!layer.supports_masking).then(|| Unmasked::always(argument(arguments, "mask", reason)));
    Ok(Built { layers, wiring: Wiring::Chain, unmasked })
}

/// The name of one of the layers that make up a custom one.
pub(super) fn member_name(layer: &str, index: usize) -> String {
    format!("{layer}/layer_{index}")
}

/// The layers of an `RNN`'s cells.
fn cells(arguments: &Arguments, cells: Vec<Recurrent>) -> Built {
    if let [.., last] = &cells[..]
        && cells.len() > 1
        && cells[0].go_backwards()
    {
        // As masks stay in the order of time, so do the arrays up to the last cell: see
        // `recurrent::aligned`.
        let last = last.clone().with_go_backwards(true);
        let before = cells[..cells.len() - 1].iter().cloned().map(recurrent::aligned);
        return row(arguments, before.chain([last.into()]).collect());
    }
    row(arguments, cells)
}

/// `TimeDistributed`, perhaps of several cells.
fn time_distributed(arguments: &Arguments) -> Result<Built> {
    let mut built = row(arguments, recurrent::time_distributed(arguments)?);
    if let [first, _, ..] = &built.layers[..]
        && let Some(first) = first.time_distributed()
        && first.directions().iter().any(|(_, layer)| layer.go_backwards())
    {
        let reason = "several cells that read a masked sequence backwards are not supported; use \
                      one layer for each cell";
        built.unmasked = Some(Unmasked::always(argument(arguments, "layer", reason)));
    }
    Ok(built)
}

/// A layer, or several for the cells of one.
fn row<L: Into<Layer>>(arguments: &Arguments, layers: Vec<L>) -> Built {
    let mut layers: Vec<Layer> = layers.into_iter().map(Into::into).collect();
    if layers.len() > 1 {
        let named =
            |(index, layer): (usize, Layer)| layer.named(cell_name(arguments.layer(), index));
        layers = layers.into_iter().enumerate().map(named).collect();
    }
    Built { layers, wiring: Wiring::Row, unmasked: None }
}

/// The name of the layer of a cell.
pub(super) fn cell_name(layer: &str, cell: usize) -> String {
    format!("{layer}/cell_{cell}")
}

fn argument(arguments: &Arguments, name: &str, reason: &str) -> Error {
    Error::UnsupportedArgument {
        layer: arguments.layer().to_string(),
        argument: name.to_string(),
        value: excerpt(arguments.get(name).unwrap_or(&Value::Null)),
        reason: reason.to_string(),
    }
}

/// Why a layer can't be called with a mask: where Keras does something that isn't done here.
fn unmasked(arguments: &Arguments, layer: &Layer) -> Option<Error> {
    let set = |arguments: &Map<String, Value>| arguments.get("unroll") == Some(&Value::Bool(true));
    let wrapped =
        ["layer", "backward_layer"].map(|name| arguments.get(name)?.get("config")?.as_object());
    let unrolled = arguments.get("unroll") == Some(&Value::Bool(true))
        || wrapped.into_iter().flatten().any(set);
    let zeroed = |(_, layer): &(_, &Recurrent)| {
        layer.go_backwards() && layer.zero_output_for_mask() && layer.return_sequences()
    };
    let reason = "unrolled and backwards Keras zeroes the outputs by the mask in the other order; \
                  save the model with unroll=False";
    let convolves = layer.directions().is_empty() && !layer.state_roles().is_empty();
    let differs = unrolled && (convolves || layer.directions().iter().any(zeroed));
    differs.then(|| argument(arguments, "unroll", reason))
}
