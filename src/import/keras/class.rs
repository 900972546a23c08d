//! Which Keras classes are supported, and by which names files call them.

use super::malformed;
use crate::error::{Error, Result};
use serde_json::Value;

/// For [`Error::UnsupportedLayer`].
pub(super) const SUPPORTED: &str =
    "InputLayer, LSTM, GRU, SimpleRNN and Bidirectional of these, in a Sequential or functional model";

/// How the layers of a model are connected.
pub(super) enum Root {
    Sequential,
    Functional,
}

/// The recurrences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Lstm,
    Gru,
    SimpleRnn,
}

/// A supported layer class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Input,
    Recurrent(Kind),
    Bidirectional,
}

impl Class {
    /// The class in snake case: what `.keras` names weight groups after.
    pub(super) fn snake_case(self) -> &'static str {
        match self {
            Class::Input => "input_layer",
            Class::Recurrent(Kind::Lstm) => "lstm",
            Class::Recurrent(Kind::Gru) => "gru",
            Class::Recurrent(Kind::SimpleRnn) => "simple_rnn",
            Class::Bidirectional => "bidirectional",
        }
    }
}

/// The supported class of a serialized layer, or the name of the class that it is.
pub(super) fn of(value: &Value) -> Result<Class, String> {
    let name = value.get("class_name").and_then(Value::as_str).unwrap_or("(none)");
    let known = match name.strip_prefix("Keras>").unwrap_or(name) {
        "InputLayer" => Class::Input,
        "LSTM" => Class::Recurrent(Kind::Lstm),
        "GRU" => Class::Recurrent(Kind::Gru),
        "SimpleRNN" => Class::Recurrent(Kind::SimpleRnn),
        "Bidirectional" => Class::Bidirectional,
        _ => return Err(full_name(value, name)),
    };
    // A user's own class can have the name of one of Keras's: then its module or registration gives it away.
    if is_kerass_own(value, name) { Ok(known) } else { Err(full_name(value, name)) }
}

fn is_kerass_own(value: &Value, name: &str) -> bool {
    let plain = |name: &str| name.strip_prefix("Keras>").unwrap_or(name).to_string();
    let module = match value.get("module") {
        None | Some(Value::Null) => true,
        Some(Value::String(module)) => {
            ["keras", "tf_keras", "tensorflow"].contains(&module.split('.').next().unwrap_or_default())
        }
        Some(_) => false,
    };
    let registered = match value.get("registered_name") {
        None | Some(Value::Null) => true,
        Some(Value::String(registered)) => plain(registered) == plain(name),
        Some(_) => false,
    };
    module && registered
}

fn full_name(value: &Value, name: &str) -> String {
    match (value.get("registered_name").and_then(Value::as_str), value.get("module").and_then(Value::as_str)) {
        (Some(registered), _) if registered.contains('>') => registered.to_string(),
        (_, Some(module)) if !module.starts_with("keras.layers") => format!("{module}.{name}"),
        _ => name.to_string(),
    }
}

/// The class of the model itself.
pub(super) fn root(file: &str, config: &Value) -> Result<Root> {
    let Some(name) = config.get("class_name").and_then(Value::as_str) else {
        return malformed(file, "is no model configuration: it has no class_name");
    };
    match name.strip_prefix("Keras>").unwrap_or(name) {
        "Sequential" if is_kerass_own(config, name) => Ok(Root::Sequential),
        "Functional" | "Model" if is_kerass_own(config, name) => Ok(Root::Functional),
        _ => Err(Error::UnsupportedLayer {
            layer: config.pointer("/config/name").and_then(Value::as_str).unwrap_or("model").to_string(),
            class_name: full_name(config, name),
            supported: SUPPORTED,
        }),
    }
}
