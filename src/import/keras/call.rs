//! The calls of layers in a functional model, in the forms of Keras 2 and Keras 3.

use super::class::{Class, changes_images};
use super::messages::{excerpt, malformed};
use super::operation::{self, Given};
use super::reference::{Reference, listed, references, sorted, tensor};
use super::stateless::Calling;
use crate::{Error, Result};
use serde_json::Value;

/// One call of a layer.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Call<'a> {
    pub inputs: Vec<Reference<'a>>,
    /// Their names, where a model is called on a dict of them.
    pub input_names: Vec<&'a str>,
    pub initial_state: Vec<Reference<'a>>,
    /// For the first inputs the mask that the call gives.
    pub masks: Vec<Option<Reference<'a>>>,
    /// Arguments of it that are the layer's here.
    pub calling: Calling,
    /// All arguments of an operation, whose arrays are the inputs.
    pub operation: Option<Given<'a>>,
}

impl<'a> Call<'a> {
    /// Every tensor that it reads.
    pub(super) fn references(&self) -> impl Iterator<Item = &Reference<'a>> {
        self.inputs.iter().chain(&self.initial_state).chain(self.masks.iter().flatten())
    }

    /// The same, to be changed.
    pub(super) fn references_mut(&mut self) -> impl Iterator<Item = &mut Reference<'a>> {
        let masks = self.masks.iter_mut().flatten();
        self.inputs.iter_mut().chain(&mut self.initial_state).chain(masks)
    }
}

/// The calls in a layer's `inbound_nodes`.
pub(super) fn calls<'a>(
    file: &str,
    layer: &str,
    class: Class,
    inbound_nodes: Option<&'a Value>,
) -> Result<Vec<Call<'a>>> {
    let nodes = match inbound_nodes {
        Some(Value::Array(nodes)) if !nodes.is_empty() => nodes,
        _ => {
            return malformed(
                file,
                format!("layer {layer:?} is never called: it has no inbound_nodes"),
            );
        }
    };
    if let Class::Operation(_) = class {
        return nodes.iter().map(|node| of_operation(file, layer, node)).collect();
    }
    nodes
        .iter()
        .map(|node| Reader { file, layer, class, call: Call::default() }.read(node))
        .collect()
}

fn of_operation<'a>(file: &str, layer: &str, node: &'a Value) -> Result<Call<'a>> {
    match operation::read(node) {
        Some((given, inputs)) => Ok(Call { inputs, operation: Some(given), ..Call::default() }),
        None => malformed(file, format!("operation {layer:?} is called on {}", excerpt(node))),
    }
}

/// What the positional arguments of a class's call are named in Keras 3.
fn positions(class: Class) -> &'static [&'static str] {
    match class {
        Class::Recurrent(_) | Class::Rnn | Class::Bidirectional => {
            &["inputs", "initial_state", "mask", "training"]
        }
        Class::Stateless("MultiHeadAttention") => &[
            "query",
            "value",
            "key",
            "query_mask",
            "value_mask",
            "key_mask",
            "attention_mask",
            "return_attention_scores",
            "training",
            "use_causal_mask",
        ],
        Class::Stateless("Attention" | "AdditiveAttention") => {
            &["inputs", "mask", "training", "return_attention_scores", "use_causal_mask"]
        }
        Class::Stateless("GlobalAveragePooling1D" | "Softmax") => &["inputs", "mask"],
        _ => &["inputs", "training", "mask"],
    }
}

/// Reads one call.
struct Reader<'f, 'a> {
    file: &'f str,
    layer: &'f str,
    class: Class,
    call: Call<'a>,
}

impl<'a> Reader<'_, 'a> {
    fn read(mut self, node: &'a Value) -> Result<Call<'a>> {
        match node {
            // Keras 3: {"args": […], "kwargs": {…}}
            Value::Object(node) => {
                let arguments = node
                    .get("args")
                    .and_then(Value::as_array)
                    .map(Vec::as_slice)
                    .unwrap_or_default();
                for (position, value) in arguments.iter().enumerate() {
                    let name = positions(self.class).get(position).unwrap_or(&"(positional)");
                    self.argument(name, value)?;
                }
                self.keywords(node.get("kwargs"))?;
            }
            // Keras 2: [[layer, call, tensor, kwargs], …], the initial states after the input
            Value::Array(nodes) => {
                let mut repeated = None;
                // A layer that stands for one of TensorFlow's functions is called on the tensor
                // itself.
                let alone = std::slice::from_ref(node);
                for value in if listed(node).is_some() { alone } else { nodes } {
                    match listed(value) {
                        // The keywords are those of the whole call, repeated with every tensor.
                        Some((reference, kwargs)) if *repeated.get_or_insert(kwargs) == kwargs => {
                            self.call.inputs.push(reference);
                        }
                        _ => return self.odd(value),
                    }
                }
                self.keywords(repeated.flatten())?;
            }
            other => return self.odd(other),
        }
        self.finish()
    }

    fn odd<T>(&self, value: &Value) -> Result<T> {
        malformed(self.file, format!("layer {:?} is called on {}", self.layer, excerpt(value)))
    }

    fn finish(mut self) -> Result<Call<'a>> {
        if self.call.inputs.is_empty() {
            let what = if self.call.initial_state.is_empty() {
                "nothing"
            } else {
                "an initial_state and no input"
            };
            return malformed(self.file, format!("layer {:?} is called on {what}", self.layer));
        }
        // Keras 2, and a list in the place of the input, have the states behind the input.
        if self.class.is_recurrent() && self.call.inputs.len() > 1 {
            let mut states = self.call.inputs.split_off(1);
            states.append(&mut self.call.initial_state);
            self.call.initial_state = states;
        }
        Ok(self.call)
    }

    fn keywords(&mut self, kwargs: Option<&'a Value>) -> Result<()> {
        let kwargs = match kwargs {
            None | Some(Value::Null) => return Ok(()),
            Some(Value::Object(kwargs)) => kwargs,
            Some(other) => return self.odd(other),
        };
        // The inputs first and in their order, whatever the order of the names.
        const INPUTS: [&str; 9] =
            ["sequences", "sequence", "inputs", "x", "x1", "x2", "query", "value", "key"];
        for name in INPUTS {
            if let Some(value) = kwargs.get(name) {
                let name = if ["query", "value", "key"].contains(&name) { name } else { "inputs" };
                self.argument(name, value)?;
            }
        }
        kwargs
            .iter()
            .filter(|(name, _)| !INPUTS.contains(&name.as_str()))
            .try_for_each(|(name, value)| self.argument(name, value))
    }

    /// Takes an argument of a call; refuses one that would change the result.
    fn argument(&mut self, name: &str, value: &'a Value) -> Result<()> {
        let attends = matches!(
            self.class,
            Class::Stateless("Attention" | "AdditiveAttention" | "MultiHeadAttention")
        );
        let reason = match name {
            "inputs" | "query" | "value" | "key" => return self.inputs(name, value),
            _ if value.is_null() => return Ok(()),
            "initial_state" if self.class.is_recurrent() => return self.states(value),
            "mask" if self.class == Class::Stateless("Softmax") => {
                "mask the sequence in another way; Softmax takes none"
            }
            "mask" => return self.masks(value),
            "value_mask" => return self.mask_of(1, value),
            "key_mask" => return self.mask_of(2, value),
            "training" | "return_attention_scores" if value == &Value::Bool(false) => return Ok(()),
            "use_causal_mask" if attends && value.is_boolean() => {
                self.call.calling.use_causal_mask = value == &Value::Bool(true);
                return Ok(());
            }
            "return_attention_scores" if attends && value.is_boolean() => {
                self.call.calling.return_attention_scores = value == &Value::Bool(true);
                return Ok(());
            }
            // Layers that change images in training write it, and go by what the model is called
            // with.
            "training" if changes_images(self.class.name()) && value.is_boolean() => return Ok(()),
            "training" => "save the model without training=True in the call",
            "query_mask" | "attention_mask" => {
                "mask the query or the value before the layer, or use use_causal_mask"
            }
            _ => "save the model without it in the call",
        };
        Err(Error::UnsupportedArgument {
            layer: self.layer.to_string(),
            argument: name.to_string(),
            value: excerpt(value),
            reason: reason.to_string(),
        })
    }

    fn wrong<T>(&self, name: &str, value: &Value) -> Result<T> {
        malformed(
            self.file,
            format!("layer {:?} is called with {name} {}", self.layer, excerpt(value)),
        )
    }

    fn inputs(&mut self, name: &str, value: &'a Value) -> Result<()> {
        let dict = value.as_object().filter(|_| matches!(self.class, Class::Model(_)));
        if let Some(dict) = dict.filter(|dict| !dict.contains_key("class_name")) {
            self.call.input_names = dict.keys().map(String::as_str).collect();
            self.call.input_names.sort_unstable();
        }
        match references(value, &mut self.call.inputs) {
            true => Ok(()),
            false => self.wrong(name, value),
        }
    }

    fn states(&mut self, value: &'a Value) -> Result<()> {
        match references(value, &mut self.call.initial_state) {
            true => Ok(()),
            false => self.wrong("initial_state", value),
        }
    }

    /// A mask for each input: one, or a list with None for an input without.
    fn masks(&mut self, value: &'a Value) -> Result<()> {
        if let Some(reference) = tensor(value) {
            self.call.masks = vec![Some(reference)];
            return Ok(());
        }
        let items: Vec<&Value> = match value {
            Value::Array(items) => items.iter().collect(),
            Value::Object(dict) if !dict.contains_key("class_name") => sorted(dict),
            _ => return self.wrong("mask", value),
        };
        let mask = |item: &'a Value| match (tensor(item), item) {
            (None, Value::Null) => Some(None),
            (None, _) => None,
            (found, _) => Some(found),
        };
        match items.into_iter().map(mask).collect() {
            Some(masks) => self.call.masks = masks,
            None => return self.wrong("mask", value),
        }
        Ok(())
    }

    fn mask_of(&mut self, input: usize, value: &'a Value) -> Result<()> {
        let Some(reference) = tensor(value) else { return self.wrong("mask", value) };
        if self.call.masks.len() <= input {
            self.call.masks.resize(input + 1, None);
        }
        self.call.masks[input] = Some(reference);
        Ok(())
    }
}
