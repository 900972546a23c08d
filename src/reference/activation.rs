use super::Real;
use crate::layer::Activation;

/// An activation's value, as `keras.activations` defines it. NaN stays NaN.
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
        Activation::Softplus => above(F::zero(), x) + (-x.abs()).exp().ln_1p(),
        Activation::Elu => {
            if x > F::zero() {
                x
            } else {
                x.exp_m1()
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
        Activation::LeakyRelu => {
            if x > F::zero() {
                x
            } else {
                f(0.2) * x
            }
        }
    }
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
    if x > F::one() { F::one() } else { above(F::zero(), x) }
}
