//! Operations in the place of layers: those of Keras 3 (`keras.ops`, or `x + y`), and TensorFlow's
//! functions in tf.keras 2 (`TFOpLambda`, `SlicingOpLambda`).
//!
//! * [`given`] reads how a file calls one; [`call`] has its arguments.
//! * [`keras3`] and [`tensorflow`] list them, each with what it is in a program's operations:
//!   [`numbers`], [`reduce`], [`moving`], [`taking`], [`patterns`], [`products`]; [`row`] is a line
//!   of the lists.
//! * [`computed`] keeps what they return, until a layer reads it: operations in a row become one
//!   layer of the graph.

mod angles;
mod call;
mod computed;
mod given;
mod images;
mod keras3;
mod moving;
mod numbers;
mod patterns;
mod products;
mod reduce;
mod row;
mod statistics;
mod taking;
mod tensorflow;
mod windows;

use super::messages::excerpt;
use crate::{Error, Graph, Result};
use call::Call;
pub(super) use call::kind_of;
pub(super) use computed::{Computed, Id, Made};
pub(super) use given::{Given, read};
use row::{Handler, Row};
use serde_json::{Map, Value};

/// A call of an operation that the file has.
pub(super) struct Called<'c, 'a> {
    /// The layer's name in the whole model.
    pub path: &'c str,
    /// The operation's name.
    pub name: &'static str,
    pub config: &'a Map<String, Value>,
    pub given: &'c Given<'a>,
    /// The arrays that it reads, in the order of their places.
    pub arrays: Vec<Id>,
    pub time_distributed: usize,
}

/// The name of an operation that a layer of the file is; the operation's whole name where it is one
/// that isn't supported; `None` where it is a layer.
pub(super) fn of(value: &Value) -> Option<Result<&'static str, String>> {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    let class = text("/class_name")?;
    let class = class.strip_prefix("Keras>").unwrap_or(class);
    let of_tensorflow = ["TFOpLambda", "SlicingOpLambda"].contains(&class);
    let module = text("/module");
    let is_kerass = match module {
        Some(module) => module.starts_with("keras.src.ops.") || module.starts_with("keras.ops"),
        // The HDF5 files of Keras 3 name no modules; of a layer there is always said whether it is
        // trainable.
        None => {
            let config = value.get("config").and_then(Value::as_object);
            find(keras3::OPERATIONS, class).is_some()
                && config.is_some_and(|config| !config.contains_key("trainable"))
        }
    };
    if of_tensorflow {
        let function = text("/config/function").unwrap_or("(none)");
        let plain = function.strip_prefix("compat.v1.").unwrap_or(function);
        let found = find(tensorflow::OPERATIONS, plain);
        return Some(found.map(|row| row.0).ok_or_else(|| format!("tf.{function}")));
    }
    is_kerass.then(|| {
        let found = find(keras3::OPERATIONS, class).map(|row| row.0);
        found.ok_or_else(|| match module {
            Some(module) => format!("{module}.{class}"),
            None => class.to_string(),
        })
    })
}

/// The names of the operations that Keras's files may have in the place of layers, in alphabetical
/// order: the classes of Keras 3, such as `GetItem`, and TensorFlow's functions in files of Keras
/// 2, such as `math.reduce_sum`.
///
/// ```
/// let names = birnn::keras_operations();
/// assert!(names.contains(&"GetItem") && names.contains(&"math.reduce_sum"));
/// ```
pub fn keras_operations() -> Vec<&'static str> {
    let rows = keras3::OPERATIONS.iter().chain(tensorflow::OPERATIONS);
    let named = rows.filter(|(_, names, _)| !names.is_empty());
    let mut names: Vec<_> = named.map(|(name, ..)| *name).collect();
    names.sort_unstable();
    names
}

fn find(rows: &'static [Row], name: &str) -> Option<&'static Row> {
    rows.iter().find(|(known, ..)| *known == name)
}

/// That an operation isn't supported.
pub(super) fn refused(path: &str, name: String) -> Error {
    Error::UnsupportedNode {
        node: path.to_string(),
        op_type: name,
        reason: "birnn has no such operation; put layers in its place, give a layer that computes \
                 it (KerasOptions::custom), or export the model to ONNX"
            .to_string(),
    }
}

/// Adds a call's operations to those that are computed. What it returns.
pub(super) fn run(computed: &mut Computed, graph: &Graph, called: &Called) -> Result<Vec<Id>> {
    let rows = [keras3::OPERATIONS, tensorflow::OPERATIONS];
    let row = rows.into_iter().find_map(|rows| find(rows, called.name));
    let Some((_, names, handler)) = row else {
        return Err(refused(called.path, called.name.to_string()));
    };
    let places = called.given.places.iter().copied();
    let (arguments, extra) = arguments(called, names)?;
    let mut call = Call {
        computed,
        graph,
        layer: called.path,
        arguments,
        extra,
        seen: Default::default(),
        arrays: places.zip(called.arrays.iter().copied()).collect(),
        time_distributed: called.time_distributed,
    };
    let results = match handler {
        Handler::One(add) => vec![add(&mut call)?],
        Handler::Several(add) => add(&mut call)?,
    };
    call.check_others()?;
    Ok(results)
}

/// The arguments of a call, by the names that a table has for them, and, where that ends in `**`,
/// the others by their own.
#[allow(clippy::type_complexity)] // two lists of names and values
fn arguments<'a>(
    called: &Called<'_, 'a>,
    names: &'static str,
) -> Result<(Vec<(&'static str, &'a Value)>, Vec<(&'a str, &'a Value)>)> {
    let wrong = |name: &str, value: &Value| Error::UnsupportedArgument {
        layer: called.path.to_string(),
        argument: name.to_string(),
        value: excerpt(value),
        reason: format!("it isn't an argument of {} that is known", called.name),
    };
    // `real=name`, or both are the same.
    let pair = |word: &'static str| word.split_once('=').unwrap_or((word, word));
    let mut known: Vec<(&str, &str)> = names.split_whitespace().map(pair).collect();
    let takes_others = known.pop_if(|last| last.0 == "**").is_some();
    let (mut arguments, mut extra) = (Vec::new(), Vec::new());
    let all = known.first().and_then(|(real, _)| real.strip_prefix('*'));
    for (place, &value) in called.given.positional.iter().enumerate() {
        match (all, known.get(place)) {
            (Some(all), _) => arguments.push((all, value)),
            (None, Some((_, name))) => arguments.push((*name, value)),
            (None, None) if names.is_empty() => {}
            (None, None) => return Err(wrong(&format!("argument number {place}"), value)),
        }
    }
    // Keras 3 has the rest in the layer's configuration.
    const OF_LAYERS: [&str; 5] = ["name", "function", "trainable", "dtype", "batch_input_shape"];
    let is_layer = called.config.contains_key("function");
    let configured = called.config.iter().map(|(name, value)| (name.as_str(), value));
    let configured = configured.filter(|(name, _)| {
        let of_layer = OF_LAYERS.contains(name);
        *name != "name" && !(is_layer && of_layer)
    });
    let keywords = called.given.keywords.iter().copied();
    for (real, value) in configured.chain(keywords.filter(|(name, _)| *name != "name")) {
        match known.iter().find(|(known, _)| *known == real) {
            Some((_, "")) => {}
            Some((_, name)) => arguments.push((name, value)),
            None if takes_others => extra.push((real, value)),
            None if names.is_empty() || value.is_null() || value == &Value::Bool(false) => {}
            None => return Err(wrong(real, value)),
        }
    }
    Ok((arguments, extra))
}
