//! Reads a layer's arguments; each one in the file is looked at.

use super::file::Version;
use super::shown;
use crate::error::{Error, Result};
use crate::layer::Activation;
use serde_json::{Map, Value};

/// Arguments that don't change what a trained layer computes, or that are read elsewhere (the shapes).
const NO_EFFECT: [&str; 18] = [
    "name",
    "trainable",
    "dropout",
    "recurrent_dropout",
    "implementation",
    "unroll",
    "seed",
    "use_cudnn",
    "unit_forget_bias",
    "zero_output_for_mask",
    "build_config",
    "batch_input_shape",
    "batch_shape",
    "batch_size",
    "input_shape",
    "input_dim",
    "input_length",
    "shape",
];
const NO_EFFECT_ENDINGS: [&str; 3] = ["_initializer", "_regularizer", "_constraint"];

/// Arguments that only one value is supported of, and what to do about the others.
const ONLY_FALSE: [(&str, &str); 6] = [
    ("stateful", "save the model with stateful=False and hand the returned states (return_state) to the next call"),
    ("time_major", "save the model with time_major=False and give [batch, timesteps, features]"),
    ("return_runtime", "save the model with return_runtime=False"),
    ("sparse", "save the model with a dense input"),
    ("ragged", "save the model with a dense input; run sequences of different lengths one by one"),
    ("optional", "save the model with optional=False and always give the input"),
];

/// The arguments of a layer, or of one that it wraps.
pub(super) struct Arguments<'a> {
    layer: &'a str,
    /// Which wrapped layer's they are: empty, `layer.` or `backward_layer.`.
    prefix: &'static str,
    values: &'a Map<String, Value>,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(layer: &'a str, values: &'a Map<String, Value>) -> Arguments<'a> {
        Arguments { layer, prefix: "", values }
    }

    pub(super) fn wrapped(layer: &'a str, prefix: &'static str, values: &'a Map<String, Value>) -> Arguments<'a> {
        Arguments { layer, prefix, values }
    }

    pub(super) fn layer(&self) -> &'a str {
        self.layer
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.values.get(name)
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.values.get(name).and_then(Value::as_str)
    }

    pub(super) fn wrong<T>(&self, name: &str, reason: String) -> Result<T> {
        let argument = format!("{}{name}", self.prefix);
        Err(Error::Argument { layer: self.layer.to_string(), argument, reason })
    }

    pub(super) fn unsupported<T>(&self, name: &str, value: &Value, reason: &str) -> Result<T> {
        Err(Error::UnsupportedArgument {
            layer: self.layer.to_string(),
            argument: format!("{}{name}", self.prefix),
            value: shown(value),
            reason: reason.to_string(),
        })
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool> {
        match self.values.get(name) {
            None => Ok(default),
            Some(Value::Bool(value)) => Ok(*value),
            Some(value) => self.wrong(name, format!("{} is neither true nor false", shown(value))),
        }
    }

    pub(super) fn units(&self) -> Result<usize> {
        let Some(value) = self.values.get("units") else {
            return self.wrong("units", "is missing".into());
        };
        match value.as_u64().and_then(|units| usize::try_from(units).ok()) {
            Some(units) if (1..1 << 24).contains(&units) => Ok(units),
            _ => self.wrong("units", format!("{} is not a whole number between 1 and 2^24", shown(value))),
        }
    }

    /// Keras always writes its activations, so one that is missing is not guessed.
    pub(super) fn activation(&self, name: &str, version: Version) -> Result<Activation> {
        let value = match self.values.get(name) {
            None => return self.wrong(name, "is missing".into()),
            Some(Value::Null) => return Ok(Activation::Linear),
            Some(value) => value,
        };
        match (value.as_str(), version) {
            (Some("hard_sigmoid"), Version::Keras2) => Ok(Activation::HardSigmoidKeras2),
            (Some("hard_sigmoid"), Version::Unknown) => self.unsupported(
                name,
                value,
                "Keras 2 and Keras 3 compute it differently and the file has no keras_version; load and save it again in Keras",
            ),
            (text, _) => match text.and_then(Activation::from_keras_name) {
                Some(activation) => Ok(activation),
                None => {
                    let mut names: Vec<_> = Activation::ALL.iter().map(|a| a.keras_name()).collect();
                    names.dedup();
                    self.unsupported(name, value, &format!("use one of Keras's own: {}", names.join(", ")))
                }
            },
        }
    }

    /// Refuses every argument that is not in `read`, unless it has no effect.
    pub(super) fn check_others(&self, read: &[&str]) -> Result<()> {
        self.values.iter().filter(|(name, _)| !read.contains(&name.as_str())).try_for_each(|(n, v)| self.check(n, v))
    }

    fn check(&self, name: &str, value: &Value) -> Result<()> {
        if NO_EFFECT.contains(&name) || NO_EFFECT_ENDINGS.iter().any(|ending| name.ends_with(ending)) || value.is_null()
        {
            return Ok(());
        }
        if name == "dtype" {
            return self.check_dtype(value);
        }
        if let Some((_, reason)) = ONLY_FALSE.iter().find(|(only, _)| *only == name) {
            return if value == &Value::Bool(false) { Ok(()) } else { self.unsupported(name, value, reason) };
        }
        if name == "num_constants" && value.as_u64() == Some(0) {
            return Ok(());
        }
        self.unsupported(name, value, "this argument isn't known, so its effect can't be computed; save without it")
    }

    fn check_dtype(&self, value: &Value) -> Result<()> {
        let policy = match value {
            Value::String(name) => Some(name.as_str()),
            value => match value.get("class_name").and_then(Value::as_str) {
                Some("DTypePolicy" | "Policy") => value.pointer("/config/name").and_then(Value::as_str),
                _ => None,
            },
        };
        match policy {
            Some("float32") => Ok(()),
            _ => self.unsupported("dtype", value, "set the layer's dtype policy to float32 and save the model again"),
        }
    }
}
