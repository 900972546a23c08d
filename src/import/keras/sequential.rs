//! What a `Sequential` model reads, which Keras writes in many places.

use super::arguments::Arguments;
use super::class::{Class, Root};
use super::entry::{Entry, Nested};
use super::layer;
use super::messages::{excerpt, malformed};
use super::version::Version;
use crate::Result;
use serde_json::Value;

/// The input's name and axes: of the `InputLayer`, otherwise from wherever Keras wrote the shape.
pub(super) fn input(
    label: &str,
    version: Version,
    model: &Value,
    entries: &[Entry],
) -> Result<(String, Vec<Option<usize>>)> {
    let Some(first) = entries.first() else {
        return malformed(label, "the model has no layers");
    };
    if first.class == Class::Input {
        return Ok((first.name.to_string(), layer::input(first, version)?));
    }
    let arguments = Arguments::new(first, version);
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
        model.pointer("/config/build_input_shape"),
        model.pointer("/build_config/input_shape"),
        first.built_shape,
    ]
    .into_iter()
    .flatten()
    .find(|shape| shape.is_array());
    // The name that Keras 2 gives to such an input.
    let name = format!("{}_input", first.name);
    match (own.or(without_batch.as_ref()).or(built), &first.model, first.class) {
        (Some(shape), ..) => Ok((name, layer::input_shape(&arguments, shape)?)),
        (None, Some(nested), Class::Model(_)) => Ok((name, inner(label, version, nested)?)),
        _ => malformed(
            label,
            format!(
                "the file doesn't say what shape layer {:?} reads (found {}): build the model \
                 before saving it, by an Input layer, model.build(...) or a first call",
                first.path,
                excerpt(model.pointer("/config/build_input_shape").unwrap_or(&Value::Null))
            ),
        ),
    }
}

/// The axes that a model reads that is the first layer.
fn inner(label: &str, version: Version, nested: &Nested) -> Result<Vec<Option<usize>>> {
    let first = nested.entries.iter().find(|entry| entry.class == Class::Input);
    match (nested.root, first) {
        (Root::Functional, Some(first)) => layer::input(first, version),
        _ => Ok(input(label, version, nested.value, &nested.entries)?.1),
    }
}
