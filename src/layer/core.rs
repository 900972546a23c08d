//! Dense, Embedding, Masking, and the layers that are an activation or nothing at inference.

use super::feedforward::{
    Definition, Dims, MaskRule, WeightSpec, Wrong, arguments, axis_of, features,
};
use super::{Activation, Initializer, Layer};

arguments! {
    /// Keras's `Dense`: `activation(x·kernel + bias)` over the last axis of an array of any rank.
    ///
    /// ```
    /// use birnn::{Activation, Dense, Gru, Layer, Model};
    /// let layers: [Layer; 2] = [Gru::new(8).into(), Dense::new(3).activation(Activation::Softmax).into()];
    /// let model = Model::sequential(2, layers)?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    Dense(units: usize) {
        /// Applied to the sums (default linear); softmax goes over the units, and glu halves them.
        activation: Activation = Activation::Linear,
        /// Add a bias (default true).
        use_bias: bool = true,
    }
}

/// That a size argument can't overflow what is computed from it.
pub(super) fn size(argument: &'static str, value: usize) -> Result<(), Wrong> {
    match value {
        1..0x100_0000 => Ok(()),
        _ => Err((argument, format!("{value} is not from 1 to below 2^24"))),
    }
}

impl Definition for Dense {
    fn class_name(&self) -> &'static str {
        "Dense"
    }

    fn check(&self) -> Result<(), Wrong> {
        size("units", self.units)?;
        self.activation
            .output_features(Some(self.units))
            .map(|_| ())
            .map_err(|reason| ("activation", reason))
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        features(&inputs[0])?;
        let mut output = inputs[0].clone();
        output.pop();
        output.push(self.activation.output_features(Some(self.units))?);
        Ok(output)
    }

    fn weights(&self, inputs: &[Dims]) -> Vec<WeightSpec> {
        let rows = features(&inputs[0]).unwrap_or(0);
        let mut weights =
            vec![WeightSpec::new("kernel", [rows, self.units], Initializer::GlorotUniform)];
        weights.extend(
            self.use_bias.then(|| WeightSpec::new("bias", [self.units], Initializer::Zeros)),
        );
        weights
    }
}

arguments! {
    /// Keras's `Embedding`: a row of its table for each id; `[batch, timesteps]` to `[batch,
    /// timesteps, output_dim]`. Ids are given as numbers of the model's type; what is no whole
    /// number from 0 to below `input_dim` is an error.
    Embedding(
        /// How many ids there are.
        input_dim: usize,
        output_dim: usize
    ) {
        /// The id 0 is padding: the output is masked there (default false).
        mask_zero: bool = false,
    }
}

impl Definition for Embedding {
    fn class_name(&self) -> &'static str {
        "Embedding"
    }

    fn check(&self) -> Result<(), Wrong> {
        size("input_dim", self.input_dim)?; // and so every id is exact in f32
        size("output_dim", self.output_dim)
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let mut output = inputs[0].clone();
        output.push(Some(self.output_dim));
        Ok(output)
    }

    fn weights(&self, _: &[Dims]) -> Vec<WeightSpec> {
        let initializer = Initializer::RandomUniform { min: -0.05, max: 0.05 };
        vec![WeightSpec::new("embeddings", [self.input_dim, self.output_dim], initializer)]
    }

    fn masking(&self) -> MaskRule {
        if self.mask_zero { MaskRule::Ids } else { MaskRule::Drop }
    }
}

arguments! {
    /// Keras's `Masking`: masks the timesteps whose features all equal `mask_value`, and sets them
    /// to zero.
    Masking() {
        /// The value that marks padding (default 0).
        mask_value: f32 = 0.0,
    }
}

impl Definition for Masking {
    fn class_name(&self) -> &'static str {
        "Masking"
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        match inputs[0].len() {
            0 | 1 => Err("it reads [batch, timesteps, features]".to_string()),
            _ => Ok(inputs[0].clone()),
        }
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Values(self.mask_value)
    }
}

/// Keras's `Activation` layer, and `LeakyReLU` and `ELU`; made from an [`Activation`].
#[derive(Clone, Debug, PartialEq)]
pub struct ActivationLayer {
    pub(crate) activation: Activation,
}

impl From<Activation> for Layer {
    fn from(activation: Activation) -> Layer {
        ActivationLayer { activation }.into()
    }
}

impl Definition for ActivationLayer {
    fn class_name(&self) -> &'static str {
        "Activation"
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let mut output = inputs[0].clone();
        if let Some(last) = output.last_mut() {
            *last = self.activation.output_features(*last)?;
        }
        Ok(output)
    }
}

arguments! {
    /// Keras's `ReLU` layer: `x` from `threshold` on, at most `max_value`; below it `negative_slope
    /// (x - threshold)`.
    ReluLayer() {
        /// The largest output (default none).
        max_value: Option<f32> = None,
        /// The slope below the threshold (default 0).
        negative_slope: f32 = 0.0,
        /// Where it starts (default 0).
        threshold: f32 = 0.0,
    }
}

impl Definition for ReluLayer {
    fn class_name(&self) -> &'static str {
        "ReLU"
    }

    fn check(&self) -> Result<(), Wrong> {
        let arguments = [
            ("max_value", self.max_value.unwrap_or(0.0)),
            ("negative_slope", self.negative_slope),
            ("threshold", self.threshold),
        ];
        match arguments.into_iter().find(|(_, value)| *value < 0.0) {
            Some((argument, value)) => Err((argument, format!("{value} is below zero"))),
            None => Ok(()),
        }
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        Ok(inputs[0].clone())
    }
}

arguments! {
    /// Keras's `PReLU`: `x` above zero, `alpha · x` below, with a trained alpha for each place.
    PRelu() {
        /// Axes along which alpha is the same (default none), in Keras's count: 1 is the first
        /// after the batch.
        shared_axes: Vec<usize> = Vec::new(),
    }
}

impl Definition for PRelu {
    fn class_name(&self) -> &'static str {
        "PReLU"
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        if let Some(axis) =
            self.shared_axes.iter().find(|axis| !(1..=inputs[0].len()).contains(axis))
        {
            return Err(format!("its shared axis {axis} isn't one from 1 to {}", inputs[0].len()));
        }
        for (index, axis) in inputs[0].iter().enumerate() {
            if axis.is_none() && !self.shared_axes.contains(&(index + 1)) {
                return Err(
                    "an axis without a fixed length has to be one of its shared_axes".to_string()
                );
            }
        }
        Ok(inputs[0].clone())
    }

    fn weights(&self, inputs: &[Dims]) -> Vec<WeightSpec> {
        let axes = inputs[0].iter().enumerate();
        let length = |(index, axis): (usize, &Option<usize>)| match self
            .shared_axes
            .contains(&(index + 1))
        {
            true => 1,
            false => axis.unwrap_or(1),
        };
        vec![WeightSpec::new("alpha", axes.map(length).collect::<Vec<_>>(), Initializer::Zeros)]
    }
}

arguments! {
    /// Keras's `Softmax` layer.
    SoftmaxLayer() {
        /// The axis that sums to one (default -1, the last).
        axis: isize = -1,
    }
}

impl Definition for SoftmaxLayer {
    fn class_name(&self) -> &'static str {
        "Softmax"
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        axis_of(self.axis, inputs[0].len())?;
        Ok(inputs[0].clone())
    }
}

/// A layer that changes nothing at inference: `Dropout`, `SpatialDropout1D`, `GaussianNoise`,
/// `GaussianDropout`, `AlphaDropout`, `ActivityRegularization`, `Identity`.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    pub(crate) class_name: &'static str,
}

impl Identity {
    /// The classes that it stands for.
    pub const CLASSES: [&'static str; 7] = [
        "Dropout",
        "SpatialDropout1D",
        "GaussianNoise",
        "GaussianDropout",
        "AlphaDropout",
        "ActivityRegularization",
        "Identity",
    ];

    /// Keras's `Dropout`: it only drops in training.
    pub fn dropout() -> Identity {
        Identity { class_name: "Dropout" }
    }
}

impl Definition for Identity {
    fn class_name(&self) -> &'static str {
        self.class_name
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        Ok(inputs[0].clone())
    }
}
