//! The layers that keep no state, as Keras computes them at inference: one formula per layer.

mod attention;
mod convolution;
mod core;
mod merging;
mod normalization;
mod reshaping;
mod time_distributed;

use super::Real;
use super::recurrent::{OfLayer, Recurrence};
use crate::error::{Error, Result};
use crate::layer::{Dims, Feedforward, Kind};
use ndarray::{ArrayD, CowArray, Ix2, ShapeError};

/// Layers of so few weights compute in f64, whatever they read: it takes next to no time, and while
/// the roundings of many values even out, over a few the largest is a matter of luck.
const FEW_WEIGHTS: usize = 4096;

/// What a layer's formula reads. That inputs and weights fit each other and the layer was checked
/// before.
struct Call<'a, F> {
    inputs: &'a [&'a ArrayD<F>],
    /// Those of the inputs.
    masks: &'a [Option<ArrayD<bool>>],
    /// In Keras's order.
    weights: Vec<ArrayD<F>>,
    /// The output's shape.
    shape: Vec<usize>,
}

type Computed<F> = std::result::Result<ArrayD<F>, ShapeError>;

impl<F: Real> Call<'_, F> {
    fn input(&self) -> &ArrayD<F> {
        self.inputs[0]
    }

    fn dims(&self) -> Dims {
        dims(self.inputs[0])
    }

    /// The mask of an input, where it has one.
    fn mask(&self, input: usize) -> Option<&ArrayD<bool>> {
        self.masks.get(input)?.as_ref()
    }
}

/// Runs a layer that keeps no state; `masks` are those of its inputs.
pub(super) fn run<F: Real>(
    layer: &Feedforward,
    inputs: &[&ArrayD<F>],
    masks: &[Option<ArrayD<bool>>],
    of_layer: OfLayer<'_, impl Recurrence<F>>,
) -> Result<Vec<ArrayD<F>>> {
    let shapes: Vec<Dims> = inputs.iter().map(|array| dims(array)).collect();
    let output = layer.output(&shapes)?;
    let expected = layer.kind.definition().weights(&shapes);
    let weights = layer.weights().unwrap_or_default();
    if !expected.iter().map(|spec| &spec.shape[..]).eq(weights.iter().map(|array| array.shape())) {
        return Err(Error::MissingWeights { layer: layer.name().to_string() });
    }
    if let Kind::TimeDistributed(each) = &layer.kind {
        return time_distributed::run(each, inputs[0], masks[0].as_ref(), of_layer);
    }
    let batch = inputs[0].shape().first().copied();
    let shape: Vec<usize> = batch.into_iter().chain(output.into_iter().flatten()).collect();
    let few = (1..=FEW_WEIGHTS).contains(&weights.iter().map(|array| array.len()).sum());
    let computed = match few && !matches!(layer.kind, Kind::Embedding(_)) {
        true => {
            let wide: Vec<ArrayD<f64>> =
                inputs.iter().map(|array| array.mapv(F::widened)).collect();
            let computed = compute_in::<f64>(layer, &wide.iter().collect::<Vec<_>>(), masks, shape);
            computed.map(|array| array.mapv(F::nearest))
        }
        false => compute_in(layer, inputs, masks, shape),
    };
    Ok(vec![computed.map_err(|e| Error::Graph(format!("layer {:?}: {e}", layer.name())))?])
}

/// Computes in the precision of `F`.
fn compute_in<F: Real>(
    layer: &Feedforward,
    inputs: &[&ArrayD<F>],
    masks: &[Option<ArrayD<bool>>],
    shape: Vec<usize>,
) -> Computed<F> {
    let weights = layer.weights().unwrap_or_default();
    let weights =
        weights.iter().map(|array| array.mapv(|value| F::nearest(value.into()))).collect();
    compute(&layer.kind, &Call { inputs, masks, weights, shape })
}

fn compute<F: Real>(kind: &Kind, call: &Call<F>) -> Computed<F> {
    match kind {
        Kind::Dense(layer) => core::dense(layer, call),
        Kind::Embedding(_) => core::embedding(call),
        Kind::Masking(layer) => Ok(core::masking(layer, call)),
        Kind::Activation(layer) => Ok(core::activation(layer.activation, call)),
        Kind::Relu(layer) => Ok(core::relu(layer, call)),
        Kind::PRelu(_) => Ok(core::p_relu(call)),
        Kind::Softmax(layer) => Ok(core::softmax(layer, call)),
        Kind::Identity(_) => Ok(call.input().clone()),
        Kind::LayerNormalization(layer) => normalization::layer(layer, call),
        Kind::RmsNormalization(layer) => normalization::root_mean_square(layer, call),
        Kind::BatchNormalization(layer) => normalization::batch(layer, call),
        Kind::UnitNormalization(layer) => Ok(normalization::unit(layer, call)),
        Kind::Conv1d(layer) => convolution::convolution(layer, call),
        Kind::MaxPooling1d(layer) => convolution::max_pooling(layer, call),
        Kind::AveragePooling1d(layer) => convolution::average_pooling(layer, call),
        Kind::GlobalMaxPooling1d(_) => convolution::global_max_pooling(call),
        Kind::GlobalAveragePooling1d(_) => convolution::global_average_pooling(call),
        Kind::Merge(layer) => merging::merge(layer.operation, call),
        Kind::Concatenate(layer) => merging::concatenated(layer, call),
        Kind::Flatten(_) | Kind::Reshape(_) => reshaped(call.input().clone(), &call.shape),
        Kind::Permute(layer) => Ok(reshaping::permute(layer, call)),
        Kind::RepeatVector(_) => reshaping::repeat_vector(call),
        Kind::Cropping1d(layer) => Ok(reshaping::cropping(layer, call)),
        Kind::ZeroPadding1d(layer) => Ok(reshaping::zero_padding(layer, call)),
        Kind::UpSampling1d(layer) => reshaping::up_sampling(layer, call),
        Kind::Attention(layer) => attention::attention(layer, call),
        Kind::AdditiveAttention(layer) => attention::additive(layer, call),
        Kind::MultiHeadAttention(layer) => attention::multi_head(layer, call),
        Kind::TimeDistributed(_) => Ok(call.input().clone()), // `run` runs the layer in it
    }
}

fn dims<F>(array: &ArrayD<F>) -> Dims {
    array.shape().iter().skip(1).map(|&length| Some(length)).collect()
}

/// The same values in row-major order, in another shape.
fn reshaped<F: Clone>(array: ArrayD<F>, shape: &[usize]) -> Computed<F> {
    array.as_standard_layout().into_owned().into_shape_with_order(shape)
}

/// All axes but the last as one.
fn rows<F: Real>(array: &ArrayD<F>) -> std::result::Result<CowArray<'_, F, Ix2>, ShapeError> {
    let columns = array.shape().last().copied().unwrap_or(1).max(1);
    array.to_shape((array.len() / columns, columns))
}

/// A whole number in the precision of `F`.
fn whole<F: Real>(number: usize) -> F {
    F::nearest(number as f64)
}
