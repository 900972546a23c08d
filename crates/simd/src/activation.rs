//! The activation functions on vectors. Those that real models use are computed in vectors; the
//! rest value by value, by the formulas of [`birnn_cell::activate`].
//!
//! tanh and sigmoid: of e^x by the polynomial of Cephes (expf), as in
//! `shaders/shared/activations.wgsl`; error at most 1.5 ulp, which the tests below measure.

use crate::arch::Arch;
use birnn_cell::Activation;
use pulp::{Simd, WithSimd};

/// An activation of a vector. NaN stays NaN.
#[inline(always)]
pub(crate) fn activate<S: Simd>(simd: S, activation: Activation, x: S::f32s) -> S::f32s {
    match activation {
        Activation::Sigmoid => sigmoid(simd, x),
        Activation::Tanh => tanh(simd, x),
        other => {
            let mut x = x;
            let values = bytemuck::cast_slice_mut(std::slice::from_mut(&mut x));
            simd.vectorize(Activate { activation: other, values });
            x
        }
    }
}

/// The activation of each value.
pub fn activate_all(arch: Arch, activation: Activation, values: &mut [f32]) {
    let whole = values.len() / MOST_LANES * MOST_LANES;
    let (values, rest) = values.split_at_mut(whole);
    arch.dispatch(Activate { activation, values });
    let mut last = [0.0; MOST_LANES];
    last[..rest.len()].copy_from_slice(rest);
    arch.dispatch(Activate { activation, values: &mut last });
    rest.copy_from_slice(&last[..rest.len()]);
}

/// A multiple of the values of any vector.
const MOST_LANES: usize = 16;

/// All of them in a function of its own for each instruction set, rather than a copy wherever there
/// is an activation.
pub(crate) struct Activate<'a> {
    pub activation: Activation,
    /// `[vector][lane]`: whole vectors.
    pub values: &'a mut [f32],
}

impl WithSimd for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for x in S::as_mut_simd_f32s(self.values).0 {
            let splat = |value| simd.splat_f32s(value);
            *x = match self.activation {
                Activation::Linear => *x,
                Activation::Tanh => tanh(simd, *x),
                Activation::Sigmoid => sigmoid(simd, *x),
                Activation::Relu => above(simd, 0.0, *x),
                Activation::Silu => simd.mul_f32s(*x, sigmoid(simd, *x)),
                Activation::HardSigmoid => {
                    let line = simd.add_f32s(simd.div_f32s(*x, splat(6.0)), splat(0.5));
                    clip(simd, line, 0.0, 1.0)
                }
                Activation::HardSigmoidKeras2 => {
                    let line = simd.add_f32s(simd.mul_f32s(splat(0.2), *x), splat(0.5));
                    clip(simd, line, 0.0, 1.0)
                }
                Activation::Affine(..) => line(simd, self.activation, *x),
                Activation::ClippedAffine(..) => {
                    clip(simd, line(simd, self.activation, *x), 0.0, 1.0)
                }
                Activation::ScaledTanh(alpha, beta) => {
                    let [alpha, beta] = [alpha, beta].map(|number| splat(number.into()));
                    simd.mul_f32s(alpha, tanh(simd, simd.mul_f32s(beta, *x)))
                }
                Activation::Softsign => {
                    simd.div_f32s(*x, simd.add_f32s(splat(1.0), simd.abs_f32s(*x)))
                }
                other => {
                    for lane in bytemuck::cast_slice_mut(std::slice::from_mut(x)) {
                        *lane = plain(other, *lane);
                    }
                    continue;
                }
            }
        }
    }
}

/// `alpha · x + beta` of an activation's parameters.
#[inline(always)]
fn line<S: Simd>(simd: S, activation: Activation, x: S::f32s) -> S::f32s {
    let [alpha, beta] = activation.parameters().map(|number| simd.splat_f32s(number));
    simd.add_f32s(simd.mul_f32s(alpha, x), beta)
}

/// By the formula, in f64, rounded once.
fn plain(activation: Activation, x: f32) -> f32 {
    birnn_cell::activate(activation, x.into()) as f32
}

#[inline(always)]
fn above<S: Simd>(simd: S, low: f32, x: S::f32s) -> S::f32s {
    let low = simd.splat_f32s(low);
    simd.select_f32s(simd.less_than_f32s(x, low), low, x)
}

#[inline(always)]
pub(crate) fn clip<S: Simd>(simd: S, x: S::f32s, low: f32, high: f32) -> S::f32s {
    let most = simd.splat_f32s(high);
    simd.select_f32s(simd.greater_than_f32s(x, most), most, above(simd, low, x))
}

/// `coefficients[0] xⁿ + … + coefficients[n]`
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(simd: S, x: S::f32s, coefficients: [f32; N]) -> S::f32s {
    let mut sum = simd.splat_f32s(coefficients[0]);
    for coefficient in &coefficients[1..] {
        sum = simd.mul_add_e_f32s(sum, x, simd.splat_f32s(*coefficient));
    }
    sum
}

/// eʳ - 1 and 2^(n + scale), where x = n ln 2 + r, |r| ≤ ln 2 / 2 and the power is a normal number.
#[inline(always)]
fn exp_parts<S: Simd>(simd: S, x: S::f32s, scale: f32) -> (S::f32s, S::f32s) {
    let splat = |value| simd.splat_f32s(value);
    // Rounded to whole numbers, for it is above 2²³: the sum's low bits are n and the exponent of
    // 2^scale.
    let magic = splat(12_582_912.0 + 127.0 + scale);
    let sum = simd.mul_add_e_f32s(x, splat(std::f32::consts::LOG2_E), magic);
    let n = simd.sub_f32s(sum, magic);
    let r = simd.negate_mul_add_e_f32s(n, splat(0.693_359_4), x);
    let r = simd.negate_mul_add_e_f32s(n, splat(-2.121_944_4e-4), r);
    let p = polynomial(
        simd,
        r,
        [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5],
    );
    let power = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(sum), simd.splat_u32s(23));
    (simd.mul_add_e_f32s(p, simd.mul_f32s(r, r), r), simd.transmute_f32s_u32s(power))
}

/// e^x of x ≤ 0. NaN stays NaN.
#[inline(always)]
pub(crate) fn exp_of_negative<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // Below, e^x is 0. In two factors, as 2⁻¹⁵⁰ is no normal number.
    let (e, power) = exp_parts(simd, above(simd, -104.0, x), 64.0);
    let e = simd.mul_f32s(simd.add_f32s(e, simd.splat_f32s(1.0)), power);
    simd.mul_f32s(e, simd.splat_f32s(1.0 / (1u128 << 64) as f32))
}

/// 1 / (1 + e⁻ˣ), below zero as e^x / (1 + e^x), which doesn't overflow.
#[inline(always)]
fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    let e = exp_of_negative(simd, simd.or_f32s(x, simd.splat_f32s(-0.0)));
    let positive = simd.greater_than_f32s(x, simd.splat_f32s(0.0));
    simd.div_f32s(simd.select_f32s(positive, one, e), simd.add_f32s(one, e))
}

/// y / (y + 2) of y = e^2|x| - 1, with the sign of x.
#[inline(always)]
fn tanh<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let splat = |value| simd.splat_f32s(value);
    let size = simd.abs_f32s(x);
    // It is 1 from 9.02 on.
    let most = splat(10.0);
    let clamped = simd.select_f32s(simd.greater_than_f32s(size, most), most, size);
    let (e, power) = exp_parts(simd, simd.add_f32s(clamped, clamped), 0.0);
    let y = simd.mul_add_e_f32s(e, power, simd.sub_f32s(power, splat(1.0)));
    let tanh = simd.div_f32s(y, simd.add_f32s(y, splat(2.0)));
    simd.or_f32s(tanh, simd.and_f32s(x, splat(-0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::each_arch;

    fn values(activation: Activation) -> Vec<f32> {
        let mut values: Vec<f32> = (0..40_000).map(|i| (i as f32 - 20_000.0) * 0.0061).collect();
        values.extend(
            (0..4_000)
                .flat_map(|i| [1.0, -1.0].map(|sign| sign * 1.045f32.powi(i % 2_000 - 1_990))),
        );
        values.extend([
            0.0,
            -0.0,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::MAX,
            f32::MIN,
            f32::MIN_POSITIVE,
            1e-45,
        ]);
        if matches!(activation, Activation::Tanh | Activation::Sigmoid) {
            let to_128 = (0..0x4300_0000).step_by(1009).map(f32::from_bits);
            values.extend(to_128.flat_map(|value| [value, -value]));
        }
        values
    }

    /// The most that a function in vectors is off; `None` for those that are computed value by
    /// value.
    fn ulps(activation: Activation) -> Option<f64> {
        match activation {
            Activation::Linear | Activation::Relu => Some(0.0),
            Activation::Tanh | Activation::Sigmoid => Some(1.5),
            Activation::Silu => Some(2.5),
            Activation::Softsign => Some(2.0),
            // Near its zero the sum cancels.
            Activation::HardSigmoid
            | Activation::HardSigmoidKeras2
            | Activation::Affine(..)
            | Activation::ClippedAffine(..) => Some(1e3),
            Activation::ScaledTanh(..) => Some(3.0),
            _ => None,
        }
    }

    #[test]
    fn activations_are_within_a_few_ulps_on_every_instruction_set() {
        for arch in each_arch() {
            for activation in Activation::ALL.into_iter().filter(|a| a.is_elementwise()) {
                let x = values(activation);
                let mut y = x.clone();
                activate_all(arch, activation, &mut y);
                for (&x, &y) in x.iter().zip(&y) {
                    let Some(ulps) = ulps(activation) else {
                        let plain = plain(activation, x);
                        assert!(
                            y == plain || plain.is_nan() && y.is_nan(),
                            "{arch:?} {activation} of {x}: {y}"
                        );
                        continue;
                    };
                    let exact = birnn_cell::activate(activation, f64::from(x));
                    // A subnormal's unit is that of the least normal number.
                    let unit =
                        f64::from(f32::EPSILON) * exact.abs().max(f64::from(f32::MIN_POSITIVE));
                    let near = (f64::from(y) - exact).abs() <= ulps * unit + 1e-43;
                    let same = y == exact as f32 || y.is_nan() && exact.is_nan();
                    assert!(near || same, "{arch:?} {activation} of {x}: {y}, not {exact}");
                }
                let mut nan = vec![f32::NAN; 16];
                arch.dispatch(Activate { activation, values: &mut nan });
                assert!(nan.iter().all(|y| y.is_nan()), "{arch:?} {activation} of NaN: {nan:?}");
            }
        }
    }
}
