//! Functions of angles, and hyperbolic ones: put together from those functions that birnn has.

use super::operations::Operations;
use crate::program::{Binary, Operation, Unary};
use crate::{Activation, Result};

pub(super) fn tangent<O: Operations>(to: &mut O, x: O::Array) -> Result<O::Array> {
    let (sine, cosine) = (to.unary(Unary::Sin, x)?, to.unary(Unary::Cos, x)?);
    to.binary(Binary::Divide, sine, cosine)
}

/// `atan(x / √(1 - x²))`
pub(super) fn arc_sine<O: Operations>(to: &mut O, x: O::Array) -> Result<O::Array> {
    let one = to.constant_number(1.0);
    let (lower, higher) = (to.binary(Binary::Subtract, one, x)?, to.binary(Binary::Add, one, x)?);
    let product = to.binary(Binary::Multiply, lower, higher)?;
    let root = to.unary(Unary::Sqrt, product)?;
    let ratio = to.binary(Binary::Divide, x, root)?;
    arc_tangent(to, ratio)
}

/// `2 atan(√((1 - x) / (1 + x)))`
pub(super) fn arc_cosine<O: Operations>(to: &mut O, x: O::Array) -> Result<O::Array> {
    let one = to.constant_number(1.0);
    let (lower, higher) = (to.binary(Binary::Subtract, one, x)?, to.binary(Binary::Add, one, x)?);
    let ratio = to.binary(Binary::Divide, lower, higher)?;
    let root = to.unary(Unary::Sqrt, ratio)?;
    let half = arc_tangent(to, root)?;
    to.with_number(Binary::Multiply, half, 2.0)
}

/// Of |x| above tan(3π/8) it is π/2 - atan(1 / |x|), above tan(π/8) π/4 + atan((|x| - 1) / (|x| +
/// 1)); what is left is a polynomial of x². Source: Cephes (atanf); error at most 2 ulp.
pub(super) fn arc_tangent<O: Operations>(to: &mut O, x: O::Array) -> Result<O::Array> {
    use std::f32::consts::{FRAC_PI_2, FRAC_PI_4};
    let (size, sign) = (to.unary(Unary::Absolute, x)?, to.unary(Unary::Sign, x)?);
    let is_large = to.with_number(Binary::Greater, size, 2.414_213_6)?;
    let is_middle = to.with_number(Binary::Greater, size, 0.414_213_57)?;
    let inverse = to.unary(Unary::Reciprocal, size)?;
    let inverse = to.unary(Unary::Negate, inverse)?;
    let less = to.with_number(Binary::Subtract, size, 1.0)?;
    let more = to.with_number(Binary::Add, size, 1.0)?;
    let ratio = to.binary(Binary::Divide, less, more)?;
    let [zero, quarter, half] = [0.0, FRAC_PI_4, FRAC_PI_2].map(|n| to.constant_number(n));
    let choose = |to: &mut O, [large, middle, small]: [O::Array; 3]| -> Result<O::Array> {
        let rest = to.select(is_middle, middle, small)?;
        to.select(is_large, large, rest)
    };
    let base = choose(to, [half, quarter, zero])?;
    let left = choose(to, [inverse, ratio, size])?;
    let square = to.binary(Binary::Multiply, left, left)?;
    let mut sum = to.constant_number(8.053_744_5e-2);
    for coefficient in [-1.387_768_6e-1, 1.997_771_1e-1, -3.333_295e-1] {
        sum = to.binary(Binary::Multiply, sum, square)?;
        sum = to.with_number(Binary::Add, sum, coefficient)?;
    }
    let sum = to.binary(Binary::Multiply, sum, square)?;
    let sum = to.binary(Binary::Multiply, sum, left)?;
    let sum = to.binary(Binary::Add, sum, left)?;
    let sum = to.binary(Binary::Add, base, sum)?;
    to.binary(Binary::Multiply, sign, sum)
}

/// `ln(1 + x)` for x above -1, without what is lost of a small x in the sum: with `u = 1 + x` it is
/// `x · ln(u) / (u - 1)`. Source: W. Kahan, in the HP-15C Advanced Functions Handbook, 1982.
fn log_of_one_more<O: Operations>(to: &mut O, x: O::Array) -> Result<O::Array> {
    let sum = to.with_number(Binary::Add, x, 1.0)?;
    let rest = to.with_number(Binary::Subtract, sum, 1.0)?;
    let log = to.unary(Unary::Log, sum)?;
    let is_small = to.with_number(Binary::Equal, rest, 0.0)?;
    let one = to.constant_number(1.0);
    let divisor = to.select(is_small, one, rest)?;
    let ratio = to.binary(Binary::Divide, log, divisor)?;
    let exact = to.binary(Binary::Multiply, x, ratio)?;
    to.select(is_small, x, exact)
}

/// `sign(x) · ln(1 + |x| + x² / (1 + √(x² + 1)))`
pub(super) fn arc_hyperbolic_sine<O: Operations>(to: &mut O, x: O::Array) -> Result<O::Array> {
    let (size, sign) = (to.unary(Unary::Absolute, x)?, to.unary(Unary::Sign, x)?);
    let square = to.binary(Binary::Multiply, x, x)?;
    let root = to.with_number(Binary::Add, square, 1.0)?;
    let root = to.unary(Unary::Sqrt, root)?;
    let divisor = to.with_number(Binary::Add, root, 1.0)?;
    let part = to.binary(Binary::Divide, square, divisor)?;
    let sum = to.binary(Binary::Add, size, part)?;
    let log = log_of_one_more(to, sum)?;
    to.binary(Binary::Multiply, sign, log)
}

/// `ln(1 + y + √(2 y + y²))`, where y is x - 1.
pub(super) fn arc_hyperbolic_cosine<O: Operations>(to: &mut O, x: O::Array) -> Result<O::Array> {
    let y = to.with_number(Binary::Subtract, x, 1.0)?;
    let twice = to.with_number(Binary::Multiply, y, 2.0)?;
    let square = to.binary(Binary::Multiply, y, y)?;
    let sum = to.binary(Binary::Add, twice, square)?;
    let root = to.unary(Unary::Sqrt, sum)?;
    let sum = to.binary(Binary::Add, y, root)?;
    log_of_one_more(to, sum)
}

/// `sign(x) · ln(1 + 2 |x| / (1 - |x|)) / 2`
pub(super) fn arc_hyperbolic_tangent<O: Operations>(to: &mut O, x: O::Array) -> Result<O::Array> {
    let (size, sign) = (to.unary(Unary::Absolute, x)?, to.unary(Unary::Sign, x)?);
    let one = to.constant_number(1.0);
    let rest = to.binary(Binary::Subtract, one, size)?;
    let ratio = to.binary(Binary::Divide, size, rest)?;
    let twice = to.with_number(Binary::Multiply, ratio, 2.0)?;
    let log = log_of_one_more(to, twice)?;
    let half = to.with_number(Binary::Multiply, log, 0.5)?;
    to.binary(Binary::Multiply, sign, half)
}

/// `(exp(x) + exp(-x)) / 2`
pub(super) fn hyperbolic_cosine<O: Operations>(to: &mut O, x: O::Array) -> Result<O::Array> {
    let below = to.unary(Unary::Negate, x)?;
    let (one, other) = (to.unary(Unary::Exp, x)?, to.unary(Unary::Exp, below)?);
    let sum = to.binary(Binary::Add, one, other)?;
    to.with_number(Binary::Multiply, sum, 0.5)
}

/// `sign(x) · (m + m / (m + 1)) / 2`, where m is `exp(|x|) - 1`.
pub(super) fn hyperbolic_sine<O: Operations>(to: &mut O, x: O::Array) -> Result<O::Array> {
    let (size, sign) = (to.unary(Unary::Absolute, x)?, to.unary(Unary::Sign, x)?);
    // exp(-|x|) - 1 = -m / (m + 1)
    let below = to.unary(Unary::Negate, size)?;
    let less = to.add(Operation::Activate(Activation::ELU), &[below])?;
    let power = to.unary(Unary::Exp, size)?;
    let more = to.binary(Binary::Multiply, less, power)?;
    let twice = to.binary(Binary::Add, more, less)?;
    let half = to.with_number(Binary::Multiply, twice, -0.5)?;
    to.binary(Binary::Multiply, sign, half)
}
