use super::{Call, Computed, Real, reshaped, whole};
use crate::layer::{
    BatchNormalization, LayerNormalization, RmsNormalization, UnitNormalization, axes_of, axis_of,
};
use ndarray::{ArrayD, Axis};

/// `(x - mean) / √(variance + epsilon) · gamma + beta`
///
/// In Keras's order: `x · inverse + (beta - mean · inverse)` with `inverse = gamma / √(variance +
/// epsilon)`.
pub(super) fn layer<F: Real>(layer: &LayerNormalization, call: &Call<F>) -> Computed<F> {
    let x = call.input();
    let axes = normalized(&layer.axis, call);
    let mean = mean(x, &axes);
    let variance = mean_of_squares(&(x - &mean), &axes);
    let mut inverse = variance.mapv(|v| (v + F::nearest(layer.epsilon)).sqrt().recip());
    let mut weights = call.weights.iter();
    if let Some(gamma) = weights.next().filter(|_| layer.scale) {
        inverse = inverse * along(gamma, &axes, x)?;
    }
    let mut shift = -(mean * &inverse);
    if let Some(beta) = call.weights.last().filter(|_| layer.center) {
        shift = shift + along(beta, &axes, x)?;
    }
    Ok(x * inverse + shift)
}

/// `x / √(mean(x²) + epsilon) · scale`
pub(super) fn root_mean_square<F: Real>(layer: &RmsNormalization, call: &Call<F>) -> Computed<F> {
    let x = call.input();
    let axes = normalized(&layer.axis, call);
    let inverse =
        mean_of_squares(x, &axes).mapv(|v| (v + F::nearest(layer.epsilon)).sqrt().recip());
    Ok(x * inverse * along(&call.weights[0], &axes, x)?)
}

/// `(x - moving_mean) / √(moving_variance + epsilon) · gamma + beta`, in the order of [`layer`].
pub(super) fn batch<F: Real>(layer: &BatchNormalization, call: &Call<F>) -> Computed<F> {
    let x = call.input();
    let axis = [axis_of(layer.axis, x.ndim() - 1).map_or(x.ndim() - 1, |axis| axis + 1)];
    let mut weights = call.weights.iter();
    let gamma = if layer.scale { weights.next() } else { None };
    let beta = if layer.center { weights.next() } else { None };
    let [mean, variance] = [0, 1].map(|index| &call.weights[call.weights.len() - 2 + index]);
    let mut inverse = variance.mapv(|v| (v + F::nearest(layer.epsilon)).sqrt().recip());
    if let Some(gamma) = gamma {
        inverse *= gamma;
    }
    let shift = -(mean * &inverse);
    let shift = if let Some(beta) = beta { beta + shift } else { shift };
    Ok(x * along(&inverse, &axis, x)? + along(&shift, &axis, x)?)
}

/// `x / ‖x‖`, of a norm of at least 1e-12
pub(super) fn unit<F: Real>(layer: &UnitNormalization, call: &Call<F>) -> ArrayD<F> {
    let x = call.input();
    let squares = sum(&(x * x), &normalized(&layer.axis, call));
    let largest = F::nearest(1e12);
    let inverse = squares.mapv(|sum| {
        let inverse = sum.sqrt().recip();
        if inverse > largest { largest } else { inverse }
    });
    x * inverse
}

/// The axes that are normalized together, as those of the array.
fn normalized<F: Real>(axes: &[isize], call: &Call<F>) -> Vec<usize> {
    axes_of(axes, &call.dims()).unwrap_or_default().into_iter().map(|axis| axis + 1).collect()
}

/// Over the axes, which stay with length one.
fn sum<F: Real>(x: &ArrayD<F>, axes: &[usize]) -> ArrayD<F> {
    axes.iter().fold(x.clone(), |sum, &axis| sum.sum_axis(Axis(axis)).insert_axis(Axis(axis)))
}

fn mean<F: Real>(x: &ArrayD<F>, axes: &[usize]) -> ArrayD<F> {
    let count = axes.iter().map(|&axis| x.shape()[axis]).product();
    sum(x, axes) / whole::<F>(count)
}

fn mean_of_squares<F: Real>(x: &ArrayD<F>, axes: &[usize]) -> ArrayD<F> {
    mean(&(x * x), axes)
}

/// A weight that goes along these axes of `x`, with length one along the others.
fn along<F: Real>(weight: &ArrayD<F>, axes: &[usize], x: &ArrayD<F>) -> Computed<F> {
    let lengths = x.shape().iter().enumerate();
    let shape: Vec<usize> =
        lengths.map(|(axis, &length)| if axes.contains(&axis) { length } else { 1 }).collect();
    reshaped(weight.clone(), &shape)
}
