use super::super::activation::{activate_rows, softmax_lane};
use super::{Call, Computed, Real, reshaped, rows};
use crate::layer::{Activation, Dense, Masking, ReluLayer, SoftmaxLayer, axis_of};
use ndarray::{ArrayD, Axis, Ix2, Zip};

/// `activation(x · kernel + bias)`
pub(super) fn dense<F: Real>(layer: &Dense, call: &Call<F>) -> Computed<F> {
    let kernel = call.weights[0].view().into_dimensionality::<Ix2>()?;
    let mut sums = rows(call.input())?.dot(&kernel).into_dyn();
    if layer.use_bias {
        sums += &call.weights[1];
    }
    activate_rows(layer.activation, &mut sums);
    reshaped(sums, &call.shape)
}

/// A row of the table for each id.
pub(super) fn embedding<F: Real>(call: &Call<F>) -> Computed<F> {
    let table = call.weights[0].view().into_dimensionality::<Ix2>()?;
    let last = table.nrows().saturating_sub(1);
    // Ids that a layer computed can be anything: the nearest that there is.
    let ids: Vec<usize> = call
        .input()
        .iter()
        .map(|id| id.max(F::zero()).to_usize().unwrap_or(last).min(last))
        .collect();
    reshaped(table.select(Axis(0), &ids).into_dyn(), &call.shape)
}

/// Zero where all features have the mask's value.
pub(super) fn masking<F: Real>(layer: &Masking, call: &Call<F>) -> ArrayD<F> {
    let mut output = call.input().clone();
    let value = F::nearest(layer.mask_value.into());
    let last = Axis(output.ndim() - 1);
    for mut features in output.lanes_mut(last) {
        if features.iter().all(|&x| x == value) {
            features.fill(F::zero());
        }
    }
    output
}

pub(super) fn activation<F: Real>(activation: Activation, call: &Call<F>) -> ArrayD<F> {
    let mut output = call.input().clone();
    activate_rows(activation, &mut output);
    output
}

/// `x` above the threshold (at most `max_value`), `negative_slope (x - threshold)` below; NaN stays
/// NaN.
pub(super) fn relu<F: Real>(layer: &ReluLayer, call: &Call<F>) -> ArrayD<F> {
    let [slope, threshold] =
        [layer.negative_slope, layer.threshold].map(|value| F::nearest(value.into()));
    let max_value = layer.max_value.map(|value| F::nearest(value.into()));
    call.input().mapv(|x| match max_value {
        _ if x <= threshold && slope == F::zero() => F::zero(),
        _ if x <= threshold => slope * (x - threshold),
        Some(max_value) if x > max_value => max_value,
        _ => x,
    })
}

/// `max(x, 0) - alpha · max(-x, 0)`
pub(super) fn p_relu<F: Real>(call: &Call<F>) -> ArrayD<F> {
    let mut output = call.input().clone();
    // alpha has no axis for the batch, and length one along the shared axes.
    for mut example in output.outer_iter_mut() {
        Zip::from(&mut example).and_broadcast(&call.weights[0]).for_each(|x, &alpha| {
            if *x < F::zero() {
                *x = alpha * *x;
            }
        });
    }
    output
}

/// `exp(x) / Σ exp(x)` along an axis.
pub(super) fn softmax<F: Real>(layer: &SoftmaxLayer, call: &Call<F>) -> ArrayD<F> {
    let mut output = call.input().clone();
    let axis = axis_of(layer.axis, output.ndim() - 1).map_or(output.ndim() - 1, |axis| axis + 1);
    output.lanes_mut(Axis(axis)).into_iter().for_each(|mut lane| softmax_lane(&mut lane, false));
    output
}
