//! The list of layers in a model's configuration.

use super::class::{self, Class, SUPPORTED};
use super::messages::malformed;
use crate::{Error, Result};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// One layer of the file.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub name: &'a str,
    pub class: Class,
    /// Its arguments.
    pub config: &'a Map<String, Value>,
    /// The calls of it, in a functional model.
    pub inbound_nodes: Option<&'a Value>,
    /// The shape that it was built for, where the file says it.
    pub built_shape: Option<&'a Value>,
}

/// The layers of a model as they stand in the file.
pub(super) fn listed<'a>(file: &str, model: &'a Value, limit: usize) -> Result<&'a [Value]> {
    // A Sequential of old Keras 2 has the bare list of its layers as configuration.
    let layers = match model.get("config") {
        Some(Value::Array(layers)) => layers,
        Some(config) => match config.get("layers") {
            Some(Value::Array(layers)) => layers,
            _ => return malformed(file, "the model's config has no list of layers"),
        },
        None => return malformed(file, "the model has no config"),
    };
    match layers.len() > limit {
        true => malformed(
            file,
            format!("has {} layers; at most {limit} are read (KerasLimits::layers)", layers.len()),
        ),
        false => Ok(layers),
    }
}

/// The layers of a model, in the order of the file.
pub(super) fn entries<'a>(file: &str, model: &'a Value, limit: usize) -> Result<Vec<Entry<'a>>> {
    class::root(file, model)?;
    let layers = listed(file, model, limit)?;
    let entries: Vec<Entry> = layers
        .iter()
        .enumerate()
        .map(|(index, value)| entry(file, index, value))
        .collect::<Result<_>>()?;
    let mut names = HashSet::new();
    match entries.iter().find(|entry| !names.insert(entry.name)) {
        Some(entry) => malformed(file, format!("two layers are named {:?}", entry.name)),
        None => Ok(entries),
    }
}

/// One of them.
pub(super) fn entry<'a>(file: &str, index: usize, value: &'a Value) -> Result<Entry<'a>> {
    let own = value.get("name").and_then(Value::as_str);
    let configured = value.pointer("/config/name").and_then(Value::as_str);
    let name = own.or(configured).unwrap_or_default();
    let class = class::of(value).map_err(|class_name| Error::UnsupportedLayer {
        layer: if name.is_empty() { format!("number {index}") } else { name.to_string() },
        class_name,
        supported: SUPPORTED,
    })?;
    if name.is_empty() {
        return malformed(file, format!("layer number {index} has no name"));
    }
    if configured.is_some_and(|configured| configured != name) {
        return malformed(file, format!("layer {name:?} is named {configured:?} in its config"));
    }
    let Some(config) = value.get("config").and_then(Value::as_object) else {
        return malformed(file, format!("layer {name:?} has no config"));
    };
    let built_shape = value.pointer("/build_config/input_shape").filter(|shape| shape.is_array());
    Ok(Entry { name, class, config, inbound_nodes: value.get("inbound_nodes"), built_shape })
}
