//! The calls of layers in a functional model, in the forms of Keras 2 and Keras 3.

use super::{malformed, shown};
use crate::error::{Error, Result};
use serde_json::Value;

/// A tensor: output number `tensor` of call number `call` of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference<'a> {
    pub layer: &'a str,
    pub call: usize,
    pub tensor: usize,
}

/// One call of a layer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call<'a> {
    pub input: Reference<'a>,
    pub initial_state: Vec<Reference<'a>>,
}

/// The calls in a layer's `inbound_nodes`.
pub(super) fn calls<'a>(file: &str, layer: &str, inbound_nodes: Option<&'a Value>) -> Result<Vec<Call<'a>>> {
    let nodes = match inbound_nodes {
        Some(Value::Array(nodes)) if !nodes.is_empty() => nodes,
        _ => return malformed(file, format!("layer {layer:?} is never called: it has no inbound_nodes")),
    };
    nodes.iter().map(|node| call(file, layer, node)).collect()
}

fn call<'a>(file: &str, layer: &str, node: &'a Value) -> Result<Call<'a>> {
    let mut tensors = Vec::new();
    match node {
        // Keras 3: {"args": [sequences, initial_state, mask, training], "kwargs": {…}}
        Value::Object(node) => {
            let arguments = node.get("args").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            for (position, value) in arguments.iter().enumerate() {
                let name = ["sequences", "initial_state", "mask", "training"].get(position).unwrap_or(&"(positional)");
                argument(file, layer, name, value, &mut tensors)?;
            }
            keywords(file, layer, node.get("kwargs"), &mut tensors)?;
        }
        // Keras 2: [[layer, call, tensor, kwargs], …], the initial states after the input
        Value::Array(node) => {
            let mut repeated = None;
            for value in node {
                match listed(value) {
                    // The keywords are those of the whole call, repeated with every tensor.
                    Some((reference, kwargs)) if *repeated.get_or_insert(kwargs) == kwargs => tensors.push(reference),
                    _ => return malformed(file, format!("layer {layer:?} is called on {}", shown(value))),
                }
            }
            keywords(file, layer, repeated.flatten(), &mut tensors)?;
        }
        other => return malformed(file, format!("layer {layer:?} is called on {}", shown(other))),
    }
    let mut tensors = tensors.into_iter();
    match tensors.next() {
        Some(input) => Ok(Call { input, initial_state: tensors.collect() }),
        None => malformed(file, format!("layer {layer:?} is called on nothing")),
    }
}

fn keywords<'a>(file: &str, layer: &str, kwargs: Option<&'a Value>, tensors: &mut Vec<Reference<'a>>) -> Result<()> {
    let kwargs = match kwargs {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Object(kwargs)) => kwargs,
        Some(other) => return malformed(file, format!("layer {layer:?} is called with {}", shown(other))),
    };
    // The input first, whatever the order of the names.
    let is_input = |name: &str| ["sequences", "sequence", "inputs"].contains(&name);
    for (_, value) in kwargs.iter().filter(|(name, _)| is_input(name)) {
        argument(file, layer, "sequences", value, tensors)?;
    }
    kwargs
        .iter()
        .filter(|(name, _)| !is_input(name))
        .try_for_each(|(name, value)| argument(file, layer, name, value, tensors))
}

/// Adds the tensors of an argument of a call; refuses one that would change the result.
fn argument<'a>(file: &str, layer: &str, name: &str, value: &'a Value, tensors: &mut Vec<Reference<'a>>) -> Result<()> {
    let reason = match name {
        "sequences" | "initial_state" => {
            let before = tensors.len();
            return match references(value, tensors) {
                true if name == "initial_state" && before == 0 && tensors.len() > before => {
                    malformed(file, format!("layer {layer:?} is called with an initial_state and no input"))
                }
                true => Ok(()),
                false => malformed(file, format!("layer {layer:?} is called with {name} {}", shown(value))),
            };
        }
        _ if value.is_null() => return Ok(()),
        "training" if value == &Value::Bool(false) => return Ok(()),
        "mask" => "run sequences of different lengths one by one",
        "training" => "save the model without training=True in the call",
        _ => "save the model without it in the call",
    };
    Err(Error::UnsupportedArgument {
        layer: layer.to_string(),
        argument: name.to_string(),
        value: shown(value),
        reason: reason.to_string(),
    })
}

/// Adds every tensor in a value, in order (of dicts: by key, as Keras flattens them); false where there
/// is something else.
pub(super) fn references<'a>(value: &'a Value, found: &mut Vec<Reference<'a>>) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => match listed(value) {
            Some((reference, _)) => {
                found.push(reference);
                true
            }
            None => items.iter().all(|item| references(item, found)),
        },
        Value::Object(object) if object.contains_key("class_name") => {
            let history = value.pointer("/config/keras_history").filter(|_| object["class_name"] == "__keras_tensor__");
            let reference = history.and_then(listed).map(|(reference, _)| reference);
            let is_tensor = reference.is_some();
            found.extend(reference);
            is_tensor
        }
        Value::Object(object) => {
            let mut keys: Vec<_> = object.iter().collect();
            keys.sort_by_key(|(key, _)| key.as_str());
            keys.into_iter().all(|(_, item)| references(item, found))
        }
        _ => false,
    }
}

/// `[layer, call, tensor]` or `[layer, call, tensor, kwargs]`.
fn listed(value: &Value) -> Option<(Reference<'_>, Option<&Value>)> {
    let (layer, call, tensor, kwargs) = match value.as_array()?.as_slice() {
        [layer, call, tensor] => (layer, call, tensor, None),
        [layer, call, tensor, kwargs] => (layer, call, tensor, Some(kwargs)),
        _ => return None,
    };
    let index = |value: &Value| usize::try_from(value.as_u64()?).ok();
    Some((Reference { layer: layer.as_str()?, call: index(call)?, tensor: index(tensor)? }, kwargs))
}
