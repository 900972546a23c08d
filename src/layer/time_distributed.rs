//! TimeDistributed.

use super::Layer;
use super::feedforward::{Definition, Dims, WeightSpec, Wrong};

/// Keras's `TimeDistributed`: calls a layer, with the same weights, on every timestep by itself. It
/// reads `[batch, timesteps, …]`, where `[batch, …]` is what the layer reads, and returns
/// `[batch, timesteps, …]` with what the layer returns.
///
/// The layer is any that reads and returns one array. A recurrent layer reads sequences, so that
/// the input is `[batch, timesteps, steps, features]`; it starts from zeros at every timestep.
///
/// ```
/// use birnn::{Activation, Dense, Gru, Layer, Model, TimeDistributed};
/// let each = TimeDistributed::new(Dense::new(3).activation(Activation::Softmax));
/// let layers: [Layer; 2] = [Gru::new(8).return_sequences(true).into(), each.into()];
/// let model = Model::sequential(2, layers)?;
/// # Ok::<(), birnn::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TimeDistributed {
    pub(crate) layer: Box<Layer>,
}

impl TimeDistributed {
    /// Calls `layer` on every timestep.
    pub fn new(layer: impl Into<Layer>) -> TimeDistributed {
        TimeDistributed { layer: Box::new(layer.into()) }
    }

    /// What the layer inside reads.
    pub(crate) fn inside(inputs: &[Dims]) -> Vec<Dims> {
        inputs.iter().map(|dims| dims.get(1..).unwrap_or_default().to_vec()).collect()
    }
}

impl Definition for TimeDistributed {
    fn class_name(&self) -> &'static str {
        "TimeDistributed"
    }

    fn check(&self) -> Result<(), Wrong> {
        match &*self.layer {
            Layer::Feedforward(layer) => layer.kind.definition().check(),
            layer if layer.directions().iter().any(|(_, direction)| direction.stateful()) => {
                let reason = "a stateful layer can't be TimeDistributed, where each timestep is a \
                              sequence of its own; use stateful=False";
                Err(("layer", reason.to_string()))
            }
            layer => layer.check().map_err(|e| ("layer", e.to_string())),
        }
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let timesteps = match inputs[0].first() {
            Some(&timesteps) if inputs[0].len() > 1 => timesteps,
            _ => return Err("it reads [batch, timesteps, …]".to_string()),
        };
        let mut results =
            self.layer.results(&TimeDistributed::inside(inputs)).map_err(|e| e.to_string())?;
        if results.len() != 1 {
            return Err("a layer that returns several arrays can't be TimeDistributed".to_string());
        }
        results[0].1.insert(0, timesteps);
        Ok(results.remove(0).1)
    }

    fn weights(&self, inputs: &[Dims]) -> Vec<WeightSpec> {
        self.layer.weight_specs(&TimeDistributed::inside(inputs))
    }
}
