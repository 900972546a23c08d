//! Normalizations.

use super::definition::{Definition, MaskRule, WeightSpec, arguments};
use super::dims::{Dims, axis_of};
use super::initializer::Initializer;
use super::lowering::Lowering;
use crate::error::Error;
use crate::graph::{ArrayId, Constant};
use crate::operator::{self, Affine, Binary, BinaryFunction, Normalize};
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

/// A vector as a constant that lies along an axis of so many, with length one along the others.
fn along_axis<'w>(mut constant: ArrayD<f64>, axis: usize, axes: usize) -> Constant<'w> {
    for _ in axis + 1..axes {
        constant.insert_axis_inplace(Axis(constant.ndim()));
    }
    for _ in 0..axis {
        constant.insert_axis_inplace(Axis(0));
    }
    Constant::Derived(constant)
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
        let normalization = operator::Normalization::Moments { epsilon: self.epsilon };
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
        let normalization = operator::Normalization::RootMeanSquare { epsilon: self.epsilon };
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
        [scale, shift].map(|constant| along_axis(constant, axis, inputs[0].len())).into()
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
        let normalization = operator::Normalization::Unit;
        call.apply(Normalize { axes, normalization }, call.input(0))
    }
}

arguments! {
    /// Keras's `GroupNormalization`: as a [`LayerNormalization`] over all axes but the batch, of
    /// each group of features by itself, with `gamma` and `beta` along the axis of the features (Wu
    /// & He 2018). It reads an array of any shape and returns the same shape. Its weights `gamma`
    /// and `beta` have the length of `axis`.
    ///
    /// ```
    /// use birnn::{Model, layer::GroupNormalization};
    /// let model = Model::sequential(6, [GroupNormalization::new().groups(3)])?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    GroupNormalization() {
        /// Into how many groups the features are split (default: 32); -1 is one for each feature.
        groups: isize = 32,
        /// The axis of the features (default: -1, the last), counted as in Keras: 1 is the first
        /// after the batch.
        axis: isize = -1,
        /// What is added to the variance (default: 0.001).
        epsilon: f64 = 1e-3,
        /// Whether `beta` is added (default: true).
        center: bool = true,
        /// Whether the values are multiplied by `gamma` (default: true).
        scale: bool = true,
    }
}

impl GroupNormalization {
    /// How many groups so many features have.
    fn groups_of(&self, features: usize) -> Result<usize, String> {
        let groups = if self.groups == -1 { features } else { self.groups.try_into().unwrap_or(0) };
        match groups > 0 && features.is_multiple_of(groups) {
            true => Ok(groups),
            false => Err(format!("{features} features can't be split into {} groups", self.groups)),
        }
    }
}

impl Definition for GroupNormalization {
    fn class_name(&self) -> &'static str {
        "GroupNormalization"
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let features = fixed(&[axis_of(self.axis, inputs[0].len())?], &inputs[0])?[0];
        self.groups_of(features)?;
        Ok(inputs[0].clone())
    }

    fn weights(&self, inputs: &[Dims]) -> Vec<WeightSpec> {
        let axis = axis_of(self.axis, inputs[0].len()).unwrap_or(0);
        gamma_beta(&fixed(&[axis], &inputs[0]).unwrap_or_default(), self.scale, self.center)
    }

    /// Scale and shift, with an axis of length one for every other axis of x.
    fn constants<'w>(&self, weights: &'w [ArrayD<f32>], inputs: &[Dims]) -> Vec<Constant<'w>> {
        let axis = axis_of(self.axis, inputs[0].len()).unwrap_or(0);
        let features = inputs[0][axis].unwrap_or(1);
        let mut weights = weights.iter().map(|weight| weight.mapv(f64::from));
        let one = |number: f64| ArrayD::from_elem(vec![features], number);
        let gamma = if self.scale { weights.next() } else { Some(one(1.0)) };
        let beta = if self.center { weights.next() } else { Some(one(0.0)) };
        let constants = gamma.zip(beta).map(|(gamma, beta)| [gamma, beta]);
        let lies_along = |constant| along_axis(constant, axis, inputs[0].len());
        constants.into_iter().flatten().map(lies_along).collect()
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Pass
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let (x, axis) = (call.input(0), call.axis(self.axis)?);
        let shape = call.shape(x);
        let graph = |reason| Error::Graph(format!("layer {:?}: {reason}", call.name));
        let groups = self.groups_of(shape[axis]).map_err(graph)?;
        let split = [&shape[..axis], &[groups, shape[axis] / groups], &shape[axis + 1..]].concat();
        let axes = (1..split.len()).filter(|&other| other != axis).collect();
        let split = call.reshaped(x, split)?;
        let normalization = operator::Normalization::Moments { epsilon: self.epsilon };
        let normalized = call.apply(Normalize { axes, normalization }, split)?;
        let normalized = call.reshaped(normalized, shape.clone())?;
        let lengths: Vec<_> =
            (1..shape.len()).map(|i| if i == axis { shape[i] } else { 1 }).collect();
        let (scale, shift) = (call.constant(0, lengths.clone()), call.constant(1, lengths));
        call.add(Affine, [Some(normalized), Some(scale), Some(shift)])
    }
}

arguments! {
    /// Keras's preprocessing layer `Normalization`: `(x - mean) / √variance`, with a mean and a
    /// variance along some axes, which its `adapt` found or which are arguments. It reads an array
    /// of any shape and returns the same shape. Where they are no arguments, its weights are `mean`
    /// and `variance`, with the lengths of `axis`, and a `count` that nothing is computed with.
    ///
    /// ```
    /// use birnn::{Device, Graph, layer::Normalization};
    /// use ndarray::{arr0, arr2};
    /// let mut graph = Graph::new();
    /// let x = graph.input("x", &[Some(3)])?;
    /// let statistics = (arr0(2.0).into_dyn(), arr0(4.0).into_dyn());
    /// let outputs = graph.add(Normalization::new().statistics(Some(statistics)), x)?;
    /// let mut session = Device::cpu().compile(&graph.build(outputs)?)?;
    /// let outputs = session.run(arr2(&[[2.0f32, 4.0, 0.0]]).into_dyn().view())?;
    /// assert_eq!(outputs.output(), &arr2(&[[0.0f32, 1.0, -1.0]]).into_dyn());
    /// # Ok::<(), birnn::Error>(())
    /// ```
    Normalization() {
        /// The axes along which mean and variance lie (default: `[-1]`, the last), counted as in
        /// Keras: 1 is the first after the batch. Without axes (Keras's None) they are numbers.
        axis: Vec<isize> = vec![-1],
        /// Mean and variance, which lie along the last of the axes (default: `None`, they are
        /// weights).
        statistics: Option<(ArrayD<f64>, ArrayD<f64>)> = None,
        /// Whether it goes the other way, `mean + x · √variance` (default: false).
        invert: bool = false,
    }
}

impl Normalization {
    /// The least deviation that is divided by: Keras's epsilon.
    const LEAST: f64 = 1e-7;

    /// The lengths of x along its axes, and one for the others.
    fn lengths(&self, x: &Dims) -> Result<Vec<usize>, String> {
        let axes = axes_of(&self.axis, x)?;
        fixed(&axes, x)?;
        let length = |axis: usize| x[axis].filter(|_| axes.contains(&axis)).unwrap_or(1);
        Ok((0..x.len()).map(length).collect())
    }

    /// Mean or variance with all axes of x.
    fn along(&self, statistic: &ArrayD<f64>, x: &Dims) -> Result<ArrayD<f64>, String> {
        let (axes, lengths) = (axes_of(&self.axis, x)?, self.lengths(x)?);
        let mut shape = vec![1; x.len()];
        for (&axis, &length) in axes.iter().rev().zip(statistic.shape().iter().rev()) {
            shape[axis] = length;
        }
        let wrong =
            || format!("its statistics of {:?} don't lie along {axes:?}", statistic.shape());
        let along = statistic.to_shape(shape).map_err(|_| wrong())?;
        Ok(along.broadcast(lengths).ok_or_else(wrong)?.to_owned())
    }
}

impl Definition for Normalization {
    fn class_name(&self) -> &'static str {
        "Normalization"
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        self.lengths(&inputs[0])?;
        if let Some((mean, variance)) = &self.statistics {
            self.along(mean, &inputs[0])?;
            self.along(variance, &inputs[0])?;
        }
        Ok(inputs[0].clone())
    }

    fn weights(&self, inputs: &[Dims]) -> Vec<WeightSpec> {
        if self.statistics.is_some() {
            return Vec::new();
        }
        let shape = axes_of(&self.axis, &inputs[0]).and_then(|axes| fixed(&axes, &inputs[0]));
        let shape = shape.unwrap_or_default();
        vec![
            WeightSpec::new("mean", shape.clone(), Initializer::Zeros),
            WeightSpec::new("variance", shape, Initializer::Ones),
            WeightSpec::new("count", [], Initializer::Zeros),
        ]
    }

    /// Mean and deviation.
    fn constants<'w>(&self, weights: &'w [ArrayD<f32>], inputs: &[Dims]) -> Vec<Constant<'w>> {
        let statistics = match (&self.statistics, weights) {
            (Some((mean, variance)), _) => [mean.clone(), variance.clone()],
            (None, [mean, variance, ..]) => [mean, variance].map(|weight| weight.mapv(f64::from)),
            (None, _) => return Vec::new(), // it has no weights
        };
        let [mean, variance] = statistics;
        let deviation = variance.mapv(|variance| variance.sqrt().max(Normalization::LEAST));
        let along = |statistic| self.along(&statistic, &inputs[0]).ok().map(Constant::Derived);
        [mean, deviation].into_iter().filter_map(along).collect()
    }

    /// As Keras computes it: a mean far from zero would cost digits in a scale and a shift.
    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let x = call.input(0);
        let dims = call.shape(x)[1..].iter().map(|&length| Some(length)).collect();
        let graph = |reason| Error::Graph(format!("layer {:?}: {reason}", call.name));
        let lengths = self.lengths(&dims).map_err(graph)?;
        let (mean, deviation) = (call.constant(0, lengths.clone()), call.constant(1, lengths));
        let steps = match self.invert {
            false => [(BinaryFunction::Subtract, mean), (BinaryFunction::Divide, deviation)],
            true => [(BinaryFunction::Multiply, deviation), (BinaryFunction::Add, mean)],
        };
        steps.into_iter().try_fold(x, |x, (function, constant)| {
            call.add(Binary { function }, [Some(x), Some(constant)])
        })
    }
}
