use super::operands::{Computed, Reads};
use crate::layer::Activation;
use crate::operator::{Activate, Relu, Unary};
use birnn_cell::Real;
use ndarray::{ArrayD, ArrayViewMut1, Axis, Zip};

/// The value of an activation at `x`, as `keras.activations` defines it; in `f32`, too, it is
/// computed in `f64` and rounded once. NaN gives NaN.
///
/// Those activations that aren't element-wise are computed for an axis of this one value (softmax
/// then gives 1), glu for an axis of two values that both are `x`.
///
/// ```
/// use birnn::{Activation, reference::activate};
/// assert_eq!(activate(Activation::HardSigmoid, 1.5f64), 0.75);
/// assert_eq!(activate(Activation::HardSigmoidKeras2, 1.5f64), 0.8);
/// ```
pub fn activate<F: Real>(activation: Activation, x: F) -> F {
    F::nearest(birnn_cell::activate(activation, x.widened()))
}

pub(super) fn activation<F: Real>(operator: &Activate, reads: &Reads<F>) -> Computed<F> {
    let mut output = reads.get(0)?.into_owned();
    activate_rows(operator.activation, &mut output);
    Ok(output)
}

/// A function of each value; in `f32`, too, it is computed in `f64` and rounded once.
pub(super) fn unary<F: Real>(operator: &Unary, reads: &Reads<F>) -> Computed<F> {
    let function = operator.function;
    Ok(reads.get(0)?.mapv(|x| F::nearest(function.at(x.widened()))))
}

/// `x` above the threshold (at most `max_value`), `negative_slope (x - threshold)` below; NaN stays
/// NaN.
pub(super) fn relu<F: Real>(operator: &Relu, reads: &Reads<F>) -> Computed<F> {
    let [slope, threshold] =
        [operator.negative_slope, operator.threshold].map(|value| F::nearest(value.into()));
    let max_value = operator.max_value.map(|value| F::nearest(value.into()));
    Ok(reads.get(0)?.mapv(|x| match max_value {
        _ if x <= threshold && slope == F::zero() => F::zero(),
        _ if x <= threshold => slope * (x - threshold),
        Some(max_value) if x > max_value => max_value,
        _ => x,
    }))
}

/// An activation over the rows of an array: those that aren't element-wise over its last axis,
/// which glu halves.
pub(crate) fn activate_rows<F: Real>(activation: Activation, array: &mut ArrayD<F>) {
    let last = Axis(array.ndim() - 1);
    match activation {
        Activation::Softmax => {
            array.lanes_mut(last).into_iter().for_each(|mut row| softmax_lane(&mut row, false))
        }
        Activation::LogSoftmax => {
            array.lanes_mut(last).into_iter().for_each(|mut row| softmax_lane(&mut row, true))
        }
        Activation::Sparsemax => {
            array.lanes_mut(last).into_iter().for_each(|mut row| sparsemax_lane(&mut row))
        }
        Activation::Glu => {
            let half = array.len_of(last) / 2;
            let (values, gates) = array.view().split_at(last, half);
            let gates = gates.slice_axis(last, (..half).into());
            *array = &values * &gates.mapv(|x| activate(Activation::Sigmoid, x));
        }
        _ => array.mapv_inplace(|x| activate(activation, x)),
    }
}

/// `max(x - τ, 0)`. Source: `sparsemax` in Keras's `backend/*/nn.py`, the same in all of its
/// backends: τ has the sum of the cumulative sums, where the paper that it names has the last one.
fn sparsemax_lane<F: Real>(lane: &mut ArrayViewMut1<F>) {
    let mut sorted = lane.to_vec();
    sorted.sort_by(|a, b| b.partial_cmp(a).unwrap_or(std::cmp::Ordering::Equal));
    let (mut cumulative, mut total, mut kept) = (F::zero(), F::zero(), F::zero());
    for x in sorted {
        cumulative += x;
        let next = kept + F::one();
        if x - (cumulative - F::one()) / next > F::zero() {
            (total, kept) = (total + cumulative, next);
        } else {
            break; // no smaller value is kept
        }
    }
    let threshold = (total - F::one()) / kept;
    lane.mapv_inplace(|x| activate(Activation::Relu, x - threshold));
}

/// `exp(x) / Σ exp(x)`, or `x - ln Σ exp(x)`, of `x` less its maximum; in f64, as a long sum in f32
/// is off by its length.
pub(super) fn softmax_lane<F: Real>(lane: &mut ArrayViewMut1<F>, log: bool) {
    let wide = lane.mapv(F::widened);
    let max = wide.fold(f64::NEG_INFINITY, |max, &x| if x > max || x.is_nan() { x } else { max });
    let sum: f64 = wide.iter().map(|x| (x - max).exp()).sum();
    Zip::from(lane).and(&wide).for_each(|to, &x| {
        *to = F::nearest(if log { x - max - sum.ln() } else { (x - max).exp() / sum });
    });
}
