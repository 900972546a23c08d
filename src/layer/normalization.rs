//! Normalizations.

use super::Initializer;
use super::feedforward::{Definition, Dims, MaskRule, WeightSpec, arguments, axis_of};

arguments! {
    /// Keras's `LayerNormalization`: `(x - mean) / √(variance + epsilon) · gamma + beta`, with mean
    /// and variance over `axis` (Ba et al. 2016). It reads an array of any shape and returns the
    /// same shape. Its weights `gamma` and `beta` have the axes over which it normalizes.
    LayerNormalization() {
        /// The axes over which it normalizes (default: `[-1]`, the last), counted as in Keras: 1 is
        /// the first after the batch.
        axis: Vec<isize> = vec![-1],
        /// What is added to the variance (default: 0.001).
        epsilon: f64 = 1e-3,
        /// Whether `beta` is added (default: true).
        center: bool = true,
        /// Whether the values are multiplied by `gamma` (default: true).
        scale: bool = true,
    }
}

/// The axes, sorted, as indices of [`Dims`]; each has to have a fixed length where there is a
/// weight.
pub(crate) fn axes_of(axes: &[isize], dims: &Dims) -> Result<Vec<usize>, String> {
    let mut axes =
        axes.iter().map(|&axis| axis_of(axis, dims.len())).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    Ok(axes)
}

/// That the weights' axes have fixed lengths.
fn fixed(axes: &[usize], dims: &Dims) -> Result<Vec<usize>, String> {
    let lengths = axes.iter().map(|&axis| dims[axis]).collect::<Option<_>>();
    lengths.ok_or_else(|| "an axis that it normalizes has no fixed length".to_string())
}

fn gamma_beta(shape: &[usize], gamma: bool, beta: bool) -> Vec<WeightSpec> {
    let gamma = gamma.then(|| WeightSpec::new("gamma", shape, Initializer::Ones));
    gamma
        .into_iter()
        .chain(beta.then(|| WeightSpec::new("beta", shape, Initializer::Zeros)))
        .collect()
}

impl Definition for LayerNormalization {
    fn class_name(&self) -> &'static str {
        "LayerNormalization"
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let axes = axes_of(&self.axis, &inputs[0])?;
        if self.center || self.scale {
            fixed(&axes, &inputs[0])?;
        }
        Ok(inputs[0].clone())
    }

    fn weights(&self, inputs: &[Dims]) -> Vec<WeightSpec> {
        let shape = axes_of(&self.axis, &inputs[0]).and_then(|axes| fixed(&axes, &inputs[0]));
        gamma_beta(&shape.unwrap_or_default(), self.scale, self.center)
    }
}

arguments! {
    /// Keras's `RMSNormalization`: `x / √(mean(x²) + epsilon) · scale`, with the mean over `axis`
    /// (Zhang & Sennrich 2019). It reads an array of any shape and returns the same shape. Its
    /// weight `scale` has the axes over which it normalizes. It doesn't hand a mask on.
    RmsNormalization() {
        /// The axes over which it normalizes (default: `[-1]`, the last), counted as in Keras: 1 is
        /// the first after the batch. They have to be the last axes of the array.
        axis: Vec<isize> = vec![-1],
        /// What is added to the mean square (default: 1e-6).
        epsilon: f64 = 1e-6,
    }
}

impl Definition for RmsNormalization {
    fn class_name(&self) -> &'static str {
        "RMSNormalization"
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let axes = axes_of(&self.axis, &inputs[0])?;
        fixed(&axes, &inputs[0])?;
        match axes.iter().copied().eq(inputs[0].len() - axes.len()..inputs[0].len()) {
            true => Ok(inputs[0].clone()),
            false => Err("it only normalizes the last axes: Keras multiplies the scale with those"
                .to_string()),
        }
    }

    fn weights(&self, inputs: &[Dims]) -> Vec<WeightSpec> {
        let shape = axes_of(&self.axis, &inputs[0]).and_then(|axes| fixed(&axes, &inputs[0]));
        vec![WeightSpec::new("scale", shape.unwrap_or_default(), Initializer::Ones)]
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Drop
    }
}

arguments! {
    /// Keras's `BatchNormalization` at inference, with the mean and variance that training left:
    /// `(x - moving_mean) / √(moving_variance + epsilon) · gamma + beta` (Ioffe & Szegedy 2015). It
    /// reads an array of any shape and returns the same shape. Its weights are `gamma` and `beta`
    /// (where used), `moving_mean` and `moving_variance`, each with the length of `axis`.
    BatchNormalization() {
        /// The axis along which the weights lie (default: -1, the last), counted as in Keras: 1 is
        /// the first after the batch.
        axis: isize = -1,
        /// What is added to the variance (default: 0.001).
        epsilon: f64 = 1e-3,
        /// Whether `beta` is added (default: true).
        center: bool = true,
        /// Whether the values are multiplied by `gamma` (default: true).
        scale: bool = true,
    }
}

impl Definition for BatchNormalization {
    fn class_name(&self) -> &'static str {
        "BatchNormalization"
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        fixed(&[axis_of(self.axis, inputs[0].len())?], &inputs[0])?;
        Ok(inputs[0].clone())
    }

    fn weights(&self, inputs: &[Dims]) -> Vec<WeightSpec> {
        let axis = axis_of(self.axis, inputs[0].len()).unwrap_or(0);
        let shape = fixed(&[axis], &inputs[0]).unwrap_or_default();
        let mut weights = gamma_beta(&shape, self.scale, self.center);
        weights.push(WeightSpec::new("moving_mean", shape.clone(), Initializer::Zeros));
        weights.push(WeightSpec::new("moving_variance", shape, Initializer::Ones));
        weights
    }
}

arguments! {
    /// Keras's `UnitNormalization`: `x / max(‖x‖, 1e-12)`, with the L2 norm over `axis`, which then
    /// is 1. It reads an array of any shape and returns the same shape.
    UnitNormalization() {
        /// The axes over which the norm is taken (default: `[-1]`, the last), counted as in Keras:
        /// 1 is the first after the batch.
        axis: Vec<isize> = vec![-1],
    }
}

impl Definition for UnitNormalization {
    fn class_name(&self) -> &'static str {
        "UnitNormalization"
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        axes_of(&self.axis, &inputs[0])?;
        Ok(inputs[0].clone())
    }
}
