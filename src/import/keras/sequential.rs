//! Builds the graph of a `Sequential` model.

use super::arguments::Arguments;
use super::assembly::Assembly;
use super::class::Class;
use super::entry::Entry;
use super::layer;
use super::messages::{malformed, shown};
use super::version::Version;
use crate::{Error, Model, Result};
use serde_json::Value;

/// The model of a row of layers.
pub(super) fn build(
    label: &str,
    version: Version,
    config: &Value,
    entries: &[Entry],
) -> Result<Model> {
    let (first, rest) = match entries {
        [first, rest @ ..] if first.class == Class::Input => (first, rest),
        [first, ..] => (first, entries),
        [] => return malformed(label, "the model has no layers"),
    };
    // Built before the input is looked at: a layer that isn't supported says more than its shape
    // does.
    let layers: Vec<_> = rest
        .iter()
        .map(|entry| layer::build(label, entry, version, false))
        .collect::<Result<_>>()?;
    let mut assembly = Assembly::new(version);
    let (name, axes) = input(label, version, config, first)?;
    let mut outputs = vec![assembly.graph.input(&name, &axes)?];
    for (entry, built) in rest.iter().zip(layers) {
        if outputs.len() != 1 {
            return Err(Error::Graph(format!(
                "layer {:?} of a Sequential follows one that returns {} arrays; only the last \
                 layer may have return_state or merge_mode None",
                entry.name,
                outputs.len()
            )));
        }
        let layer = assembly.add(entry.name, built)?;
        outputs = assembly.call(&layer, &outputs, &[], &[])?;
    }
    assembly.build(outputs)
}

/// The input's name and axes: of the `InputLayer`, otherwise from wherever Keras wrote the shape.
fn input(
    label: &str,
    version: Version,
    config: &Value,
    first: &Entry,
) -> Result<(String, Vec<Option<usize>>)> {
    if first.class == Class::Input {
        return Ok((first.name.to_string(), layer::input(first, version)?));
    }
    let arguments = Arguments::new(first.name, version, first.config);
    let wrapped = first.config.get("layer").and_then(|layer| layer.get("config"));
    let own = ["batch_input_shape", "batch_shape"]
        .iter()
        .find_map(|name| arguments.get(name).or_else(|| wrapped?.get(name)))
        .filter(|shape| shape.is_array());
    let without_batch = arguments.get("input_shape").or_else(|| wrapped?.get("input_shape"));
    let without_batch = without_batch.and_then(Value::as_array).map(|axes| {
        Value::Array(std::iter::once(Value::Null).chain(axes.iter().cloned()).collect())
    });
    let built = [
        config.pointer("/config/build_input_shape"),
        config.pointer("/build_config/input_shape"),
        first.built_shape,
    ]
    .into_iter()
    .flatten()
    .find(|shape| shape.is_array());
    match own.or(without_batch.as_ref()).or(built) {
        // The name that Keras 2 gives to such an input.
        Some(shape) => {
            Ok((format!("{}_input", first.name), layer::input_shape(&arguments, shape)?))
        }
        None => malformed(
            label,
            format!(
                "the file doesn't say what shape layer {:?} reads (found {}): build the model \
                 before saving it, by an Input layer, model.build(...) or a first call",
                first.name,
                shown(config.pointer("/config/build_input_shape").unwrap_or(&Value::Null))
            ),
        ),
    }
}
