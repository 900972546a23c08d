//! Which arrays a call reads, as a file has it.

use super::json;
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
pub(super) fn sorted(dict: &Map<String, Value>) -> Vec<&Value> {
    let mut items: Vec<_> = dict.iter().collect();
    items.sort_by_key(|(key, _)| key.as_str());
    items.into_iter().map(|(_, item)| item).collect()
}

/// A value that stands for one tensor.
pub(super) fn tensor(value: &Value) -> Option<Reference<'_>> {
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
pub(super) fn listed(value: &Value) -> Option<(Reference<'_>, Option<&Value>)> {
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
pub(super) fn constant(value: &Value) -> Option<ArrayD<f32>> {
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
