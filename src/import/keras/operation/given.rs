//! How a file calls an operation, in the forms of Keras 2 and Keras 3.

use super::super::reference::{Reference, listed};
use serde_json::{Map, Value};

/// Deeper than this no argument is.
const MOST_DEPTH: usize = 32;

/// The arguments of a call, as they stand in the file.
#[derive(Debug, Default, PartialEq)]
pub(in crate::import::keras) struct Given<'a> {
    pub positional: Vec<&'a Value>,
    pub keywords: Vec<(&'a str, &'a Value)>,
    /// Where each array that it reads stands.
    pub places: Vec<&'a Value>,
}

/// The arguments of a call, and the arrays that it reads; `None` where it isn't one.
pub(in crate::import::keras) fn read(node: &Value) -> Option<(Given<'_>, Vec<Reference<'_>>)> {
    let mut given = Given::default();
    let mut references = Vec::new();
    match node {
        // Keras 3: {"args": […], "kwargs": {…}}
        Value::Object(node) => {
            let arguments = node.get("args").and_then(Value::as_array);
            given.positional = arguments.into_iter().flatten().collect();
            given.keywords = keywords(node.get("kwargs"))?;
        }
        // Keras 2: [layer, call, tensor, kwargs], or a list of such; the keywords are those of the
        // whole call, repeated with every tensor
        Value::Array(_) => {
            given.positional = vec![node];
            given.keywords = keywords(first_keywords(node, 0))?;
        }
        _ => return None,
    }
    let all = given.positional.iter().copied().chain(given.keywords.iter().map(|(_, v)| *v));
    let mut places = Vec::new();
    for value in all {
        find(value, 0, &mut places, &mut references)?;
    }
    given.places = places;
    Some((given, references))
}

fn keywords(kwargs: Option<&Value>) -> Option<Vec<(&str, &Value)>> {
    match kwargs {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Object(kwargs)) => {
            Some(kwargs.iter().map(|(name, value)| (name.as_str(), value)).collect())
        }
        Some(_) => None,
    }
}

/// A tensor of Keras 2, or what stands in for one; its keywords are behind it.
fn is_leaf(items: &[Value]) -> bool {
    matches!(items, [name, call, _, ..] if name.is_string() && call.is_number())
}

fn first_keywords(value: &Value, depth: usize) -> Option<&Value> {
    let items = value.as_array().filter(|_| depth < MOST_DEPTH)?;
    match is_leaf(items) {
        true => items.get(3),
        false => items.iter().find_map(|item| first_keywords(item, depth + 1)),
    }
}

/// The arrays that stand in a value, in order.
fn find<'a>(
    value: &'a Value,
    depth: usize,
    places: &mut Vec<&'a Value>,
    references: &mut Vec<Reference<'a>>,
) -> Option<()> {
    if depth > MOST_DEPTH {
        return None;
    }
    if let Some(reference) = array(value) {
        places.push(value);
        references.push(reference);
        return Some(());
    }
    match value {
        Value::Array(items) if is_leaf(items) => Some(()),
        Value::Array(items) => {
            items.iter().try_for_each(|item| find(item, depth + 1, places, references))
        }
        Value::Object(object) => {
            let numbers = ["__numpy__", "__tensor__"].map(Value::from);
            match object.get("class_name") {
                Some(class) if numbers.contains(class) => Some(()),
                _ => in_object(object, depth, places, references),
            }
        }
        _ => Some(()),
    }
}

fn in_object<'a>(
    object: &'a Map<String, Value>,
    depth: usize,
    places: &mut Vec<&'a Value>,
    references: &mut Vec<Reference<'a>>,
) -> Option<()> {
    object.values().try_for_each(|value| find(value, depth + 1, places, references))
}

/// The array that a value stands for.
fn array(value: &Value) -> Option<Reference<'_>> {
    let value = match value {
        Value::Array(_) => value,
        Value::Object(object) if object.get("class_name")? == "__keras_tensor__" => {
            value.pointer("/config/keras_history")?
        }
        _ => return None,
    };
    match listed(value)?.0 {
        Reference::Constant(_) => None,
        reference => Some(reference),
    }
}
