//! Normalizations.

use super::definition::{Definition, MaskRule, WeightSpec, arguments};
use super::dims::{Dims, axis_of};
use super::initializer::Initializer;
use super::lowering::Lowering;
use crate::error::Error;
use crate::graph::{ArrayId, Constant};
use crate::operator::{Affine, Normalization, Normalize};
use ndarray::{ArrayD, Axis};

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

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let (x, axes) = (call.input(0), call.axes(&self.axis)?);
        let shape: Vec<_> = axes.iter().map(|&axis| call.shape(x)[axis]).collect();
        let gamma = self.scale.then(|| call.constant(0, shape.clone()));
        let beta = self.center.then(|| call.constant(usize::from(self.scale), shape));
        let normalization = Normalization::Moments { epsilon: self.epsilon };
        call.add(Normalize { axes, normalization }, [Some(x), gamma, beta])
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

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let (x, axes) = (call.input(0), call.axes(&self.axis)?);
        let shape: Vec<_> = axes.iter().map(|&axis| call.shape(x)[axis]).collect();
        let gamma = call.constant(0, shape);
        let normalization = Normalization::RootMeanSquare { epsilon: self.epsilon };
        call.add(Normalize { axes, normalization }, [Some(x), Some(gamma)])
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

    /// `x · scale + shift`: scale and shift.
    fn constants<'w>(&self, weights: &'w [ArrayD<f32>], inputs: &[Dims]) -> Vec<Constant<'w>> {
        let axis = axis_of(self.axis, inputs[0].len()).unwrap_or(0);
        let mut weights = weights.iter().map(|weight| weight.mapv(f64::from));
        let gamma = if self.scale { weights.next() } else { None };
        let beta = if self.center { weights.next() } else { None };
        let (Some(mean), Some(variance)) = (weights.next(), weights.next()) else {
            return Vec::new(); // it has no weights
        };
        let mut scale = variance.mapv(|variance| (variance + self.epsilon).sqrt().recip());
        if let Some(gamma) = gamma {
            scale *= &gamma;
        }
        let mut shift = -(mean * &scale);
        if let Some(beta) = beta {
            shift += &beta;
        }
        // With an axis of length one for every other axis of x.
        let lies_along = |mut constant: ArrayD<f64>| {
            for _ in axis + 1..inputs[0].len() {
                constant.insert_axis_inplace(Axis(constant.ndim()));
            }
            for _ in 0..axis {
                constant.insert_axis_inplace(Axis(0));
            }
            Constant::Derived(constant)
        };
        vec![lies_along(scale), lies_along(shift)]
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let (x, axis) = (call.input(0), call.axis(self.axis)?);
        let lengths = call.shape(x);
        let shape: Vec<_> =
            (1..lengths.len()).map(|i| if i == axis { lengths[i] } else { 1 }).collect();
        let (scale, shift) = (call.constant(0, shape.clone()), call.constant(1, shape));
        call.add(Affine, [Some(x), Some(scale), Some(shift)])
    }

    fn reads_mask(&self, mask_axes: usize, axes: usize) -> bool {
        mask_axes + 1 == axes
    }

    fn has_mask_argument(&self) -> bool {
        true
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

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let axes = call.axes(&self.axis)?;
        let normalization = Normalization::Unit;
        call.apply(Normalize { axes, normalization }, call.input(0))
    }
}
