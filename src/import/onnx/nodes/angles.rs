//! Nodes of angles, and hyperbolic ones: put together from those functions that birnn has.

use crate::import::onnx::importer::{Call, Handler};
use crate::program::{Binary, Operation, Unary, Value};
use crate::{Activation, Result};

pub(super) const NODES: &[(&str, Handler)] = &[
    ("Acos", acos),
    ("Acosh", acosh),
    ("Asin", asin),
    ("Asinh", asinh),
    ("Atan", atan),
    ("Atanh", atanh),
    ("Cosh", cosh),
    ("Sinh", sinh),
    ("Tan", tan),
];

fn tan(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let (sine, cosine) = (call.unary(Unary::Sin, x)?, call.unary(Unary::Cos, x)?);
    let result = call.binary(Binary::Divide, sine, cosine)?;
    call.set(0, result)
}

fn atan(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let result = arc_tangent(call, x)?;
    call.set(0, result)
}

/// `atan(x / √(1 - x²))`
fn asin(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let one = call.importer.float(1.0);
    let (lower, higher) =
        (call.binary(Binary::Subtract, one, x)?, call.binary(Binary::Add, one, x)?);
    let product = call.binary(Binary::Multiply, lower, higher)?;
    let root = call.unary(Unary::Sqrt, product)?;
    let ratio = call.binary(Binary::Divide, x, root)?;
    let result = arc_tangent(call, ratio)?;
    call.set(0, result)
}

/// `2 atan(√((1 - x) / (1 + x)))`
fn acos(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let one = call.importer.float(1.0);
    let (lower, higher) =
        (call.binary(Binary::Subtract, one, x)?, call.binary(Binary::Add, one, x)?);
    let ratio = call.binary(Binary::Divide, lower, higher)?;
    let root = call.unary(Unary::Sqrt, ratio)?;
    let half = arc_tangent(call, root)?;
    let result = call.with_number(Binary::Multiply, half, 2.0)?;
    call.set(0, result)
}

/// Of |x| above tan(3π/8) it is π/2 - atan(1 / |x|), above tan(π/8) π/4 + atan((|x| - 1) / (|x| + 1));
/// what is left is a polynomial of x². Source: Cephes (atanf); error at most 2 ulp.
fn arc_tangent(call: &mut Call, x: Value) -> Result<Value> {
    use std::f32::consts::{FRAC_PI_2, FRAC_PI_4};
    let (size, sign) = (call.unary(Unary::Absolute, x)?, call.unary(Unary::Sign, x)?);
    let is_large = call.with_number(Binary::Greater, size, 2.414_213_6)?;
    let is_middle = call.with_number(Binary::Greater, size, 0.414_213_57)?;
    let inverse = call.unary(Unary::Reciprocal, size)?;
    let inverse = call.unary(Unary::Negate, inverse)?;
    let less = call.with_number(Binary::Subtract, size, 1.0)?;
    let more = call.with_number(Binary::Add, size, 1.0)?;
    let ratio = call.binary(Binary::Divide, less, more)?;
    let [zero, quarter, half] = [0.0, FRAC_PI_4, FRAC_PI_2].map(|n| call.importer.float(n));
    let choose = |call: &mut Call, [large, middle, small]: [Value; 3]| -> Result<Value> {
        let rest = call.op(Operation::Select, [is_middle, middle, small])?;
        call.op(Operation::Select, [is_large, large, rest])
    };
    let base = choose(call, [half, quarter, zero])?;
    let left = choose(call, [inverse, ratio, size])?;
    let square = call.binary(Binary::Multiply, left, left)?;
    let mut sum = call.importer.float(8.053_744_5e-2);
    for coefficient in [-1.387_768_6e-1, 1.997_771_1e-1, -3.333_295e-1] {
        sum = call.binary(Binary::Multiply, sum, square)?;
        sum = call.with_number(Binary::Add, sum, coefficient)?;
    }
    let sum = call.binary(Binary::Multiply, sum, square)?;
    let sum = call.binary(Binary::Multiply, sum, left)?;
    let sum = call.binary(Binary::Add, sum, left)?;
    let sum = call.binary(Binary::Add, base, sum)?;
    call.binary(Binary::Multiply, sign, sum)
}

/// `ln(1 + x)` for x above -1, without what is lost of a small x in the sum: with `u = 1 + x` it is
/// `x · ln(u) / (u - 1)`. Source: W. Kahan, in the HP-15C Advanced Functions Handbook, 1982.
fn log_of_one_more(call: &mut Call, x: Value) -> Result<Value> {
    let sum = call.with_number(Binary::Add, x, 1.0)?;
    let rest = call.with_number(Binary::Subtract, sum, 1.0)?;
    let log = call.unary(Unary::Log, sum)?;
    let is_small = call.with_number(Binary::Equal, rest, 0.0)?;
    let one = call.importer.float(1.0);
    let divisor = call.op(Operation::Select, [is_small, one, rest])?;
    let ratio = call.binary(Binary::Divide, log, divisor)?;
    let exact = call.binary(Binary::Multiply, x, ratio)?;
    call.op(Operation::Select, [is_small, x, exact])
}

/// `sign(x) · ln(1 + |x| + x² / (1 + √(x² + 1)))`
fn asinh(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let (size, sign) = (call.unary(Unary::Absolute, x)?, call.unary(Unary::Sign, x)?);
    let square = call.binary(Binary::Multiply, x, x)?;
    let root = call.with_number(Binary::Add, square, 1.0)?;
    let root = call.unary(Unary::Sqrt, root)?;
    let divisor = call.with_number(Binary::Add, root, 1.0)?;
    let part = call.binary(Binary::Divide, square, divisor)?;
    let sum = call.binary(Binary::Add, size, part)?;
    let log = log_of_one_more(call, sum)?;
    let result = call.binary(Binary::Multiply, sign, log)?;
    call.set(0, result)
}

/// `ln(1 + y + √(2 y + y²))`, where y is x - 1.
fn acosh(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let y = call.with_number(Binary::Subtract, x, 1.0)?;
    let twice = call.with_number(Binary::Multiply, y, 2.0)?;
    let square = call.binary(Binary::Multiply, y, y)?;
    let sum = call.binary(Binary::Add, twice, square)?;
    let root = call.unary(Unary::Sqrt, sum)?;
    let sum = call.binary(Binary::Add, y, root)?;
    let result = log_of_one_more(call, sum)?;
    call.set(0, result)
}

/// `sign(x) · ln(1 + 2 |x| / (1 - |x|)) / 2`
fn atanh(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let (size, sign) = (call.unary(Unary::Absolute, x)?, call.unary(Unary::Sign, x)?);
    let one = call.importer.float(1.0);
    let rest = call.binary(Binary::Subtract, one, size)?;
    let ratio = call.binary(Binary::Divide, size, rest)?;
    let twice = call.with_number(Binary::Multiply, ratio, 2.0)?;
    let log = log_of_one_more(call, twice)?;
    let half = call.with_number(Binary::Multiply, log, 0.5)?;
    let result = call.binary(Binary::Multiply, sign, half)?;
    call.set(0, result)
}

/// `(exp(x) + exp(-x)) / 2`
fn cosh(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let below = call.unary(Unary::Negate, x)?;
    let (one, other) = (call.unary(Unary::Exp, x)?, call.unary(Unary::Exp, below)?);
    let sum = call.binary(Binary::Add, one, other)?;
    let result = call.with_number(Binary::Multiply, sum, 0.5)?;
    call.set(0, result)
}

/// `sign(x) · (m + m / (m + 1)) / 2`, where m is `exp(|x|) - 1`.
fn sinh(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let (size, sign) = (call.unary(Unary::Absolute, x)?, call.unary(Unary::Sign, x)?);
    // exp(-|x|) - 1 = -m / (m + 1)
    let below = call.unary(Unary::Negate, size)?;
    let less = call.op(Operation::Activate(Activation::ELU), [below])?;
    let power = call.unary(Unary::Exp, size)?;
    let more = call.binary(Binary::Multiply, less, power)?;
    let twice = call.binary(Binary::Add, more, less)?;
    let half = call.with_number(Binary::Multiply, twice, -0.5)?;
    let result = call.binary(Binary::Multiply, sign, half)?;
    call.set(0, result)
}
