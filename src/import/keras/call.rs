//! The calls of layers in a functional model, in the forms of Keras 2 and Keras 3.

use super::class::Class;
use super::json;
use super::messages::{malformed, shown};
use crate::{Error, Result};
use ndarray::ArrayD;
use serde_json::{Map, Value};

/// An array that a call reads.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reference<'a> {
    /// What a Sequential is called on.
    Input,
    /// Output number `tensor` of call number `call` of a layer.
    Output { layer: &'a str, call: usize, tensor: usize },
    /// An array that stands in the file, `[batch, …]`.
    Constant(ArrayD<f32>),
}

impl Reference<'_> {
    /// For messages.
    pub(super) fn describe(&self) -> String {
        match self {
            Reference::Input => "the model's input".to_string(),
            Reference::Output { layer, .. } => layer.to_string(),
            Reference::Constant(array) => format!("a constant of shape {:?}", array.shape()),
        }
    }
}

/// One call of a layer.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Call<'a> {
    pub inputs: Vec<Reference<'a>>,
    /// Their names, where a model is called on a dict of them.
    pub input_names: Vec<&'a str>,
    pub initial_state: Vec<Reference<'a>>,
    /// For the first inputs the mask that the call gives.
    pub masks: Vec<Option<Reference<'a>>>,
    pub use_causal_mask: bool,
    /// The number that a mask operation takes beside its inputs.
    pub number: Option<f32>,
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
    nodes
        .iter()
        .map(|node| Reader { file, layer, class, call: Call::default() }.read(node))
        .collect()
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
        Class::MaskOperation(_) => &["inputs", "number"],
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
            Value::Array(node) => {
                let mut repeated = None;
                for value in node {
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
        malformed(self.file, format!("layer {:?} is called on {}", self.layer, shown(value)))
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
            "number" if matches!(self.class, Class::MaskOperation(_)) => return self.number(value),
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
                self.call.use_causal_mask = value == &Value::Bool(true);
                return Ok(());
            }
            "training" => "save the model without training=True in the call",
            "return_attention_scores" => "only the output is computed; save the model without it",
            "query_mask" | "attention_mask" => {
                "mask the query or the value before the layer, or use use_causal_mask"
            }
            _ => "save the model without it in the call",
        };
        Err(Error::UnsupportedArgument {
            layer: self.layer.to_string(),
            argument: name.to_string(),
            value: shown(value),
            reason: reason.to_string(),
        })
    }

    fn wrong<T>(&self, name: &str, value: &Value) -> Result<T> {
        malformed(
            self.file,
            format!("layer {:?} is called with {name} {}", self.layer, shown(value)),
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

    /// The second argument of a mask operation: a number, or another array.
    fn number(&mut self, value: &'a Value) -> Result<()> {
        match json::number(value) {
            Some(number) => self.call.number = Some(number as f32),
            None if value.is_boolean() => {}
            None => return self.inputs("inputs", value),
        }
        Ok(())
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

/// Adds every tensor in a value, in order (of dicts: by key, as Keras flattens them); false where
/// there is something else.
pub(super) fn references<'a>(value: &'a Value, found: &mut Vec<Reference<'a>>) -> bool {
    match value {
        Value::Null => true,
        _ if tensor(value).is_some() => {
            found.extend(tensor(value));
            true
        }
        Value::Array(items) => items.iter().all(|item| references(item, found)),
        Value::Object(object) if object.contains_key("class_name") => false,
        Value::Object(object) => sorted(object).into_iter().all(|item| references(item, found)),
        _ => false,
    }
}

/// The values of a dict by their keys, as Keras flattens it.
fn sorted(dict: &Map<String, Value>) -> Vec<&Value> {
    let mut items: Vec<_> = dict.iter().collect();
    items.sort_by_key(|(key, _)| key.as_str());
    items.into_iter().map(|(_, item)| item).collect()
}

/// A value that stands for one tensor.
fn tensor(value: &Value) -> Option<Reference<'_>> {
    match value {
        Value::Array(_) => listed(value).map(|(reference, _)| reference).or_else(|| {
            // Keras 2 writes the bare numbers of a state or a mask.
            constant(value).filter(|array| array.ndim() == 2).map(Reference::Constant)
        }),
        Value::Object(object) => match object.get("class_name")?.as_str()? {
            "__keras_tensor__" => {
                listed(value.pointer("/config/keras_history")?).map(|(reference, _)| reference)
            }
            "__tensor__" | "__numpy__" => {
                let array = constant(value.pointer("/config/value")?)?;
                (array.ndim() > 1).then_some(Reference::Constant(array))
            }
            _ => None,
        },
        _ => None,
    }
}

/// `[layer, call, tensor]` or `[layer, call, tensor, kwargs]`; in place of a layer Keras 2 can have
/// a constant, `["_CONSTANT_VALUE", -1, value, kwargs]`.
fn listed(value: &Value) -> Option<(Reference<'_>, Option<&Value>)> {
    let (layer, call, tensor, kwargs) = match value.as_array()?.as_slice() {
        [layer, call, tensor] => (layer, call, tensor, None),
        [layer, call, tensor, kwargs] => (layer, call, tensor, Some(kwargs)),
        _ => return None,
    };
    let layer = layer.as_str()?;
    if layer == "_CONSTANT_VALUE" && call.as_i64() == Some(-1) {
        let array = constant(tensor).filter(|array| array.ndim() > 1)?;
        return Some((Reference::Constant(array), kwargs));
    }
    let index = |value: &Value| usize::try_from(value.as_u64()?).ok();
    Some((Reference::Output { layer, call: index(call)?, tensor: index(tensor)? }, kwargs))
}

/// Nested lists of numbers, or of true and false, as an array.
fn constant(value: &Value) -> Option<ArrayD<f32>> {
    let (mut shape, mut first) = (Vec::new(), value);
    while let Value::Array(items) = first {
        shape.push(items.len());
        first = items.first()?;
        if shape.len() > 16 {
            return None;
        }
    }
    let mut values = Vec::new();
    flatten(value, &shape, &mut values)?;
    ArrayD::from_shape_vec(shape, values).ok()
}

/// Adds the numbers of lists that are as long as the shape says.
fn flatten(value: &Value, shape: &[usize], values: &mut Vec<f32>) -> Option<()> {
    match (value, shape) {
        (Value::Array(items), [length, inner @ ..]) if items.len() == *length => {
            items.iter().try_for_each(|item| flatten(item, inner, values))
        }
        (Value::Bool(value), []) => {
            values.push(f32::from(u8::from(*value)));
            Some(())
        }
        (number, []) => {
            values.push(json::number(number)? as f32);
            Some(())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::constant;
    use serde_json::json;

    #[test]
    fn lists_of_numbers_are_arrays() {
        let array = constant(&json!([[1, 2.5, true], [false, -1, "Infinity"]])).unwrap();
        assert_eq!(array.shape(), [2, 3]);
        assert!(array.iter().eq(&[1.0, 2.5, 1.0, 0.0, -1.0, f32::INFINITY]));
        for wrong in [json!([[1], [2, 3]]), json!([[1], 2]), json!([["a"]]), json!([[]]), json!([])]
        {
            assert_eq!(constant(&wrong), None, "{wrong}");
        }
        assert_eq!(constant(&json!(1)).unwrap().ndim(), 0);
    }
}
