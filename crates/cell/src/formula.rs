use crate::activation::{Activation, Parameter};
use std::f64::consts::PI;

/// The value of an activation at `x`, as `keras.activations` defines it. NaN gives NaN.
///
/// Those activations that aren't element-wise are computed for an axis of this one value (softmax
/// then gives 1), glu for an axis of two values that both are `x`.
///
/// ```
/// # use birnn_cell::{Activation, activate};
/// assert_eq!(activate(Activation::HardSigmoid, 1.5), 0.75);
/// assert_eq!(activate(Activation::HardSigmoidKeras2, 1.5), 0.8);
/// ```
pub fn activate(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Linear => x,
        Activation::Tanh => x.tanh(),
        Activation::Sigmoid => sigmoid(x),
        Activation::Relu => above(0.0, x),
        Activation::HardSigmoid => unit_clip(x / 6.0 + 0.5),
        Activation::HardSigmoidKeras2 => unit_clip(0.2 * x + 0.5),
        Activation::Softsign => x / (1.0 + x.abs()),
        Activation::Softplus => softplus(x),
        Activation::Elu(alpha) if x <= 0.0 => widened(alpha) * x.exp_m1(),
        Activation::Elu(_) => x,
        Activation::Selu => selu(x),
        Activation::Exponential => x.exp(),
        Activation::Silu => x * sigmoid(x),
        Activation::HardSilu => x * unit_clip(x / 6.0 + 0.5),
        Activation::Relu6 => clip(x, 0.0, 6.0),
        Activation::LeakyRelu(slope) if x <= 0.0 => widened(slope) * x,
        Activation::LeakyRelu(_) => x,
        Activation::HardTanh => clip(x, -1.0, 1.0),
        Activation::HardShrink if x.abs() <= 0.5 => 0.0,
        Activation::HardShrink => x,
        Activation::SoftShrink => soft_shrink(x),
        Activation::LogSigmoid => -softplus(-x),
        Activation::Mish => x * softplus(x).tanh(),
        Activation::Squareplus => (x + (x * x + 4.0).sqrt()) / 2.0,
        Activation::SparsePlus => sparse_plus(x),
        Activation::SparseSigmoid => clip((x + 1.0) / 2.0, 0.0, 1.0),
        Activation::TanhShrink => x - x.tanh(),
        // TensorFlow holds 1/√2 and 0.044715 in f32 even where it computes in f64.
        Activation::Gelu => 0.5 * x * libm::erfc(-x * f64::from(std::f32::consts::FRAC_1_SQRT_2)),
        Activation::GeluApproximate => {
            let inner = (2.0 / PI).sqrt() * (x + f64::from(0.044_715_f32) * x * x * x);
            x * 0.5 * (1.0 + inner.tanh())
        }
        Activation::Affine(alpha, beta) => line(alpha, beta, x),
        Activation::ClippedAffine(alpha, beta) => unit_clip(line(alpha, beta, x)),
        Activation::ScaledTanh(alpha, beta) => widened(alpha) * (widened(beta) * x).tanh(),
        Activation::ThresholdedRelu(alpha) if x <= widened(alpha) => 0.0,
        Activation::ThresholdedRelu(_) => x,
        // The axis has this single value; where it isn't finite, they give NaN.
        Activation::Softmax | Activation::Sparsemax => 1.0 + 0.0 * x,
        Activation::LogSoftmax => 0.0 * x.abs(),
        // Half of one value is none: the gate of a pair of equal values.
        Activation::Glu => x * sigmoid(x),
    }
}

fn widened(parameter: Parameter) -> f64 {
    f32::from(parameter).into()
}

/// `alpha · x + beta`
fn line(alpha: Parameter, beta: Parameter, x: f64) -> f64 {
    widened(alpha) * x + widened(beta)
}

/// `1 / (1 + exp(-x))`
fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `ln(1 + exp(x))`, which doesn't overflow.
fn softplus(x: f64) -> f64 {
    above(0.0, x) + (-x.abs()).exp().ln_1p()
}

/// The scaled ELU; the constants are Keras's.
fn selu(x: f64) -> f64 {
    const ALPHA: f64 = 1.673_263_242_354_377_2;
    const SCALE: f64 = 1.050_700_987_355_480_5;
    if x > 0.0 { SCALE * x } else { SCALE * ALPHA * x.exp_m1() }
}

fn soft_shrink(x: f64) -> f64 {
    if x > 0.5 {
        x - 0.5
    } else if x < -0.5 {
        x + 0.5
    } else {
        x * 0.0 // NaN stays NaN
    }
}

fn sparse_plus(x: f64) -> f64 {
    if x <= -1.0 {
        0.0
    } else if x < 1.0 {
        (x + 1.0) * (x + 1.0) / 4.0
    } else {
        x
    }
}

/// `max(low, x)` that keeps NaN.
fn above(low: f64, x: f64) -> f64 {
    if x < low { low } else { x }
}

/// `clip(x, low, high)` that keeps NaN.
fn clip(x: f64, low: f64, high: f64) -> f64 {
    if x > high { high } else { above(low, x) }
}

/// `clip(x, 0, 1)` that keeps NaN.
fn unit_clip(x: f64) -> f64 {
    clip(x, 0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_stays_nan() {
        for activation in Activation::ALL {
            assert!(activate(activation, f64::NAN).is_nan(), "{activation}");
        }
    }
}
