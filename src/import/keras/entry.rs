//! The layers in a model's configuration, with those of the models among them.

use super::class::{self, Class, Root, SUPPORTED};
use super::custom::Registry;
use super::messages::malformed;
use super::operation;
use crate::{Error, Result};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// How deep models may stand in models.
const MAX_DEPTH: usize = 32;

/// One layer of the file.
#[derive(Clone, Debug)]
pub(super) struct Entry<'a> {
    /// Its name among the layers of its own model.
    pub name: &'a str,
    /// Its name in the whole model, behind those of the models around it: `encoder/lstm`.
    pub path: String,
    pub class: Class,
    /// The name of its class in the file, of a custom one without its package.
    pub class_name: &'a str,
    /// What stands in the file.
    pub value: &'a Value,
    /// What the caller builds and names.
    pub registry: &'a Registry,
    /// Its arguments.
    pub config: &'a Map<String, Value>,
    /// The calls of it, in a functional model.
    pub inbound_nodes: Option<&'a Value>,
    /// The shape that it was built for, where the file says it.
    pub built_shape: Option<&'a Value>,
    /// How many `TimeDistributed` its model is in, which call it on every timestep; or how many
    /// axes are merged with the batch where it is called ([`Merged`](super::merged::Merged)).
    pub time_distributed: usize,
    /// The model that it is, or that its `TimeDistributed` calls.
    pub model: Option<Nested<'a>>,
}

/// A model as a layer.
#[derive(Clone, Debug)]
pub(super) struct Nested<'a> {
    /// What stands in the file.
    pub value: &'a Value,
    pub root: Root,
    pub entries: Vec<Entry<'a>>,
}

/// What is around a model.
#[derive(Clone, Default)]
pub(super) struct Around {
    /// What stands before its layers' names: `encoder/`.
    pub prefix: String,
    /// How many `TimeDistributed` it is in.
    pub time_distributed: usize,
    /// How many models it is in.
    pub depth: usize,
}

impl Around {
    pub(super) fn check_depth(&self, file: &str) -> Result<()> {
        match self.depth > MAX_DEPTH {
            true => malformed(file, format!("has models in models over {MAX_DEPTH} deep")),
            false => Ok(()),
        }
    }
}

/// How many layers were found so far, of the most that are read.
pub(super) struct Count {
    found: usize,
    limit: usize,
}

impl Count {
    pub(super) fn new(limit: usize) -> Count {
        Count { found: 0, limit }
    }

    fn add(&mut self, file: &str, layers: usize) -> Result<()> {
        let limit = self.limit;
        self.found = self.found.saturating_add(layers);
        match self.found > limit {
            true => malformed(
                file,
                format!(
                    "has {} layers; at most {limit} are read (KerasLimits::layers)",
                    self.found
                ),
            ),
            false => Ok(()),
        }
    }
}

/// The layers of a model as they stand in the file.
pub(super) fn listed<'a>(file: &str, model: &'a Value, count: &mut Count) -> Result<&'a [Value]> {
    // A Sequential of old Keras 2 has the bare list of its layers as configuration.
    let layers = match model.get("config") {
        Some(Value::Array(layers)) => layers,
        Some(config) => match config.get("layers") {
            Some(Value::Array(layers)) => layers,
            _ => return malformed(file, "the model's config has no list of layers"),
        },
        None => return malformed(file, "the model has no config"),
    };
    count.add(file, layers.len())?;
    Ok(layers)
}

/// The layers of a model, in the order of the file, with those of the models among them.
pub(super) fn entries<'a>(
    file: &str,
    model: &'a Value,
    limit: usize,
    registry: &'a Registry,
) -> Result<Vec<Entry<'a>>> {
    class::root(file, model)?;
    inside(file, model, &Around::default(), &mut Count::new(limit), registry)
}

/// The layers of a model that stands in others.
fn inside<'a>(
    file: &str,
    model: &'a Value,
    around: &Around,
    count: &mut Count,
    registry: &'a Registry,
) -> Result<Vec<Entry<'a>>> {
    around.check_depth(file)?;
    let layers = listed(file, model, count)?;
    let mut entries = Vec::new();
    for (index, value) in layers.iter().enumerate() {
        let mut entry = entry(file, index, value, around, registry)?;
        if let Some((value, root, around)) = model_of(value, &entry.path, around) {
            let entries = inside(file, value, &around, count, registry)?;
            entry.model = Some(Nested { value, root, entries });
        }
        entries.push(entry);
    }
    let mut names = HashSet::new();
    match entries.iter().find(|entry| !names.insert(entry.name)) {
        Some(entry) => malformed(file, format!("two layers are named {:?}", entry.path)),
        None => Ok(entries),
    }
}

/// The model that a layer of this path is or that its `TimeDistributed` calls, and what is around
/// the layers in it; `None` for other layers.
pub(super) fn model_of<'a>(
    mut value: &'a Value,
    path: &str,
    around: &Around,
) -> Option<(&'a Value, Root, Around)> {
    let mut around =
        Around { prefix: format!("{path}/"), depth: around.depth + 1, ..around.clone() };
    while class::of(value) == Ok(Class::TimeDistributed) {
        value = value.pointer("/config/layer")?;
        around.time_distributed += 1;
    }
    match class::of(value) {
        Ok(Class::Model(root)) => Some((value, root, around)),
        _ => None,
    }
}

/// One of them, without the layers of the model that it may be.
pub(super) fn entry<'a>(
    file: &str,
    index: usize,
    value: &'a Value,
    around: &Around,
    registry: &'a Registry,
) -> Result<Entry<'a>> {
    let own = value.get("name").and_then(Value::as_str);
    let configured = value.pointer("/config/name").and_then(Value::as_str);
    let name = own.or(configured).unwrap_or_default();
    let path = format!("{}{name}", around.prefix);
    let of_caller = registry.builds(value, &path);
    let class = match class::of(value) {
        Ok(Class::Bidirectional | Class::Rnn) if of_caller => Class::Custom { recurrent: true },
        _ if of_caller => Class::Custom { recurrent: false },
        Ok(class) => class,
        Err(class_name) => {
            let number = format!("{path}number {index}");
            let layer = if name.is_empty() { number } else { path };
            if let Some(Err(operation)) = operation::of(value) {
                return Err(operation::refused(&layer, operation));
            }
            return Err(Error::UnsupportedLayer { layer, class_name, supported: SUPPORTED });
        }
    };
    if name.is_empty() {
        return malformed(file, format!("layer {path}number {index} has no name"));
    }
    if configured.is_some_and(|configured| configured != name) {
        return malformed(file, format!("layer {path:?} is named {configured:?} in its config"));
    }
    let config = value.get("config");
    // A model's config may be the bare list of its layers.
    let bare = config.filter(|config| config.is_array() && matches!(class, Class::Model(_)));
    let arguments = bare.map_or(config, |_| Some(value)).and_then(Value::as_object);
    let Some(config) = arguments else {
        return malformed(file, format!("layer {path:?} has no config"));
    };
    let class_name = if of_caller { class::plain_name(value) } else { class.name() };
    let built_shape = value.pointer("/build_config/input_shape").filter(|shape| shape.is_array());
    Ok(Entry {
        name,
        path,
        class,
        class_name,
        value,
        registry,
        config,
        inbound_nodes: value.get("inbound_nodes"),
        built_shape,
        time_distributed: around.time_distributed,
        model: None,
    })
}
