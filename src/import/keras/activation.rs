//! Activations: by name, or a layer in the place of one.

use super::arguments::Arguments;
use super::class::{self, Class};
use super::version::Version;
use crate::{Activation, Result};
use serde_json::Value;

impl Arguments<'_> {
    /// Keras always writes its activations, so one that is missing is not guessed.
    pub(super) fn activation(&self, name: &str) -> Result<Activation> {
        match self.get(name) {
            None if self.has(name) => Ok(Activation::Linear),
            None => self.wrong(name, "is missing".into()),
            Some(Value::String(text)) => self.named_activation(name, text),
            Some(value) => self.activation_layer(name, value),
        }
    }

    fn named_activation(&self, name: &str, text: &str) -> Result<Activation> {
        match (text, self.version()) {
            ("hard_sigmoid", Version::Keras2) => Ok(Activation::HardSigmoidKeras2),
            ("hard_sigmoid", Version::Unknown) => self.unsupported(
                name,
                &text.into(),
                "Keras 2 and Keras 3 compute it differently and the file has no keras_version; \
                 load and save it again in Keras",
            ),
            ("threshold", _) => self.unsupported(
                name,
                &text.into(),
                "Keras can't compute it by its name, as it takes two arguments more; use the \
                 layer ReLU(threshold=…)",
            ),
            _ => match Activation::from_keras_name(text) {
                Some(activation) => Ok(activation),
                None => self.callers_activation(name, &text.into()),
            },
        }
    }

    /// A function of the caller's.
    fn callers_activation(&self, name: &str, value: &Value) -> Result<Activation> {
        // Of a function of the user's the name says more than its code in base 64.
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let of_class = text("class_name").map(|class| class.trim_matches('_'));
        let names = [value.as_str(), text("config"), text("registered_name"), of_class];
        let mut names = names.into_iter().flatten();
        if let Some(named) = names.clone().find_map(|name| self.registry().activation(name)) {
            return Ok(named);
        }
        let found = names.next().map_or(value.clone(), Value::from);
        let reason = "it isn't one of Keras's own; say which activation computes it \
                      (KerasOptions::activation), or use one of keras.activations, or a layer \
                      LeakyReLU, ELU or ReLU";
        self.unsupported(name, &found, reason)
    }

    /// `Dense(3, activation=LeakyReLU(0.1))`.
    fn activation_layer(&self, name: &str, value: &Value) -> Result<Activation> {
        let class = class::of(value);
        if !matches!(
            class,
            Ok(Class::Stateless("LeakyReLU" | "ELU" | "Softmax" | "Activation" | "ReLU"))
        ) {
            return self.callers_activation(name, value);
        }
        let layer = self.of(name, value)?;
        match class {
            Ok(Class::Stateless("LeakyReLU")) => layer.leaky_relu(),
            Ok(Class::Stateless("ELU")) => layer.elu(),
            Ok(Class::Stateless("Softmax")) if layer.axis("axis")? == -1 => Ok(Activation::Softmax),
            Ok(Class::Stateless("Activation")) => layer.activation("activation"),
            Ok(Class::Stateless("ReLU")) => match layer.relu()? {
                (None, 0.0, 0.0) => Ok(Activation::Relu),
                (None, slope, 0.0) => Ok(Activation::LeakyRelu(slope.into())),
                (Some(6.0), 0.0, 0.0) => Ok(Activation::Relu6),
                _ => {
                    let reason = "as an activation ReLU takes a negative_slope, or max_value=6; \
                                  put the ReLU behind the layer as a layer of its own";
                    self.unsupported(name, value, reason)
                }
            },
            _ => self.callers_activation(name, value),
        }
    }

    /// The slope of a LeakyReLU; Keras 2 calls it alpha.
    pub(super) fn leaky_relu(&self) -> Result<Activation> {
        self.check_others(&["alpha", "negative_slope"])?;
        let slope = if self.has("alpha") {
            self.number("alpha", 0.3)?
        } else {
            self.number("negative_slope", 0.3)?
        };
        Ok(Activation::LeakyRelu(slope.into()))
    }

    pub(super) fn elu(&self) -> Result<Activation> {
        self.check_others(&["alpha"])?;
        Ok(Activation::Elu(self.number("alpha", 1.0)?.into()))
    }

    /// A ReLU's largest value, slope and threshold.
    pub(super) fn relu(&self) -> Result<(Option<f32>, f32, f32)> {
        self.check_others(&["max_value", "negative_slope", "threshold"])?;
        let slope = self.optional_number("negative_slope")?.unwrap_or(0.0);
        let threshold = self.optional_number("threshold")?.unwrap_or(0.0);
        Ok((
            self.any_number("max_value")?.filter(|value| *value != f32::INFINITY),
            slope,
            threshold,
        ))
    }
}
