use super::Real;
use crate::layer::Activation;
use ndarray::{Array1, ArrayD, ArrayViewMut1, Axis, Zip};

/// The value of an activation at `x`, as `keras.activations` defines it. NaN gives NaN.
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
    let f = F::nearest;
    let one = F::one();
    match activation {
        Activation::Linear => x,
        Activation::Tanh => x.tanh(),
        Activation::Sigmoid => sigmoid(x),
        Activation::Relu => above(F::zero(), x),
        Activation::HardSigmoid => unit_clip(x / f(6.0) + f(0.5)),
        Activation::HardSigmoidKeras2 => unit_clip(f(0.2) * x + f(0.5)),
        Activation::Softsign => x / (one + x.abs()),
        Activation::Softplus => softplus(x),
        Activation::Elu(alpha) => {
            if x > F::zero() {
                x
            } else {
                f(f32::from(alpha).into()) * x.exp_m1()
            }
        }
        Activation::Selu => {
            let (alpha, scale) = (f(1.673_263_242_354_377_2), f(1.050_700_987_355_480_5));
            if x > F::zero() { scale * x } else { scale * alpha * x.exp_m1() }
        }
        Activation::Exponential => x.exp(),
        Activation::Silu => x * sigmoid(x),
        Activation::HardSilu => x * unit_clip(x / f(6.0) + f(0.5)),
        Activation::Relu6 => {
            if x > f(6.0) {
                f(6.0)
            } else {
                above(F::zero(), x)
            }
        }
        Activation::LeakyRelu(slope) => {
            if x > F::zero() {
                x
            } else {
                f(f32::from(slope).into()) * x
            }
        }
        Activation::HardTanh => clip(x, -one, one),
        Activation::HardShrink => {
            if x.abs() <= f(0.5) {
                F::zero()
            } else {
                x
            }
        }
        Activation::SoftShrink => {
            if x > f(0.5) {
                x - f(0.5)
            } else if x < f(-0.5) {
                x + f(0.5)
            } else {
                x * F::zero()
            }
        }
        Activation::LogSigmoid => -softplus(-x),
        Activation::Mish => x * softplus(x).tanh(),
        Activation::Squareplus => (x + (x * x + f(4.0)).sqrt()) / f(2.0),
        Activation::SparsePlus => {
            if x <= -one {
                F::zero()
            } else if x < one {
                (x + one) * (x + one) / f(4.0)
            } else {
                x
            }
        }
        Activation::SparseSigmoid => clip((x + one) / f(2.0), F::zero(), one),
        Activation::TanhShrink => x - x.tanh(),
        // TensorFlow holds 1/√2 and 0.044715 in f32 even where it computes in f64.
        Activation::Gelu => {
            let scaled = x * f(std::f32::consts::FRAC_1_SQRT_2.into());
            f(0.5) * x * (-scaled).complementary_error_function()
        }
        Activation::GeluApproximate => {
            let inner =
                f((2.0 / std::f64::consts::PI).sqrt()) * (x + f(0.044_715_f32.into()) * x * x * x);
            x * f(0.5) * (one + inner.tanh())
        }
        // Of a single value: `activate_rows` is what layers call.
        Activation::Softmax => {
            if x.is_finite() {
                one
            } else {
                F::nan()
            }
        }
        Activation::LogSoftmax => {
            if x.is_finite() {
                F::zero()
            } else {
                F::nan()
            }
        }
        Activation::Sparsemax => {
            let mut lane = Array1::from_elem(1, x);
            sparsemax_lane(&mut lane.view_mut());
            lane[0]
        }
        // Half of one value is none: the gate of a pair of equal values.
        Activation::Glu => x * sigmoid(x),
    }
}

/// An activation over the rows of an array: those that aren't element-wise over its last axis,
/// which glu halves.
pub(super) fn activate_rows<F: Real>(activation: Activation, array: &mut ArrayD<F>) {
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
            *array = &values * &gates.slice_axis(last, (..half).into()).mapv(sigmoid);
        }
        // In f64, as a formula of several steps rounds at each.
        _ => array.mapv_inplace(|x| F::nearest(activate(activation, x.widened()))),
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
    lane.mapv_inplace(|x| above(F::zero(), x - threshold));
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

fn softplus<F: Real>(x: F) -> F {
    above(F::zero(), x) + (-x.abs()).exp().ln_1p()
}

/// `clip(x, low, high)` that keeps NaN.
fn clip<F: Real>(x: F, low: F, high: F) -> F {
    if x > high { high } else { above(low, x) }
}

fn sigmoid<F: Real>(x: F) -> F {
    F::one() / (F::one() + (-x).exp())
}

/// `max(low, x)` that keeps NaN.
fn above<F: Real>(low: F, x: F) -> F {
    if x < low { low } else { x }
}

/// `clip(x, 0, 1)` that keeps NaN.
fn unit_clip<F: Real>(x: F) -> F {
    clip(x, F::zero(), F::one())
}
