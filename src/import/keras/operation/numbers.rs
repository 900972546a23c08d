//! Operations that compute value by value.

use super::call::Call;
use super::computed::Id;
use crate::program::{Binary, Kind, Operation, Unary, Values};
use crate::{Activation, Result};

/// Numbers whose size is above this aren't finite.
const LARGEST: f32 = f32::MAX;

pub(super) fn unary(call: &mut Call, function: Unary) -> Result<Id> {
    let x = call.array("x")?;
    call.unary(function, x)
}

/// A function of `x`, after which another one is.
pub(super) fn both(call: &mut Call, first: Unary, then: Unary) -> Result<Id> {
    let x = unary(call, first)?;
    call.unary(then, x)
}

pub(super) fn activation(call: &mut Call, activation: Activation) -> Result<Id> {
    let x = call.array("x")?;
    call.activate(activation, x)
}

/// An activation with a number.
pub(super) fn parametric<P: From<f32>>(
    call: &mut Call,
    (name, default): (&'static str, f64),
    of: fn(P) -> Activation,
) -> Result<Id> {
    let parameter = call.number(name, default)? as f32;
    activation(call, of(parameter.into()))
}

/// One that only has the number that it has in Keras by default.
pub(super) fn with_default(
    call: &mut Call,
    (name, default): (&'static str, f64),
    of: Activation,
) -> Result<Id> {
    if call.number(name, default)? != default {
        return call.unsupported(name, "only the default is supported");
    }
    activation(call, of)
}

/// `approximate`: where the file doesn't say it.
pub(super) fn gelu(call: &mut Call, approximate: bool) -> Result<Id> {
    let approximate =
        if call.get("approximate").is_some() { call.flag("approximate")? } else { approximate };
    activation(call, if approximate { Activation::GeluApproximate } else { Activation::Gelu })
}

/// `max(x, 0) + min(alpha · (exp(x / alpha) - 1), 0)`
pub(super) fn celu(call: &mut Call) -> Result<Id> {
    let alpha = call.number("alpha", 1.0)? as f32;
    let x = call.array("x")?;
    let scaled = call.with_number(Binary::Divide, x, alpha)?;
    let elu = call.activate(Activation::ELU, scaled)?;
    call.with_number(Binary::Multiply, elu, alpha)
}

/// `a · sigmoid(b)` of the halves of an axis.
pub(super) fn glu(call: &mut Call) -> Result<Id> {
    let axis = call.int("axis")?.unwrap_or(-1);
    let x = call.array("x")?;
    let halves = call.all(Operation::Split { axis, parts: 2 }, [x])?;
    let gate = call.activate(Activation::Sigmoid, halves[1])?;
    call.binary(Binary::Multiply, halves[0], gate)
}

/// `x` above the threshold, elsewhere a value.
pub(super) fn threshold(call: &mut Call) -> Result<Id> {
    let (threshold, value) = (call.number("threshold", 0.0)?, call.number("default_value", 0.0)?);
    let x = call.array("x")?;
    let above = call.with_number(Binary::Greater, x, threshold as f32)?;
    let value = call.float(value as f32);
    call.select(above, x, value)
}

/// Two arrays, or an array and a number.
fn pair(call: &mut Call) -> Result<(Id, Id)> {
    Ok((call.array("x")?, call.array("y")?))
}

pub(super) fn binary(call: &mut Call, function: Binary) -> Result<Id> {
    let (a, b) = pair(call)?;
    call.binary(function, a, b)
}

pub(super) fn not_equal(call: &mut Call) -> Result<Id> {
    let equal = binary(call, Binary::Equal)?;
    call.unary(Unary::Not, equal)
}

/// Of whole numbers, too, what is behind the point stays.
pub(super) fn divide(call: &mut Call) -> Result<Id> {
    let (a, b) = pair(call)?;
    quotient(call, a, b)
}

fn quotient(call: &mut Call, a: Id, b: Id) -> Result<Id> {
    let (a, b) = (call.cast(a, Kind::Float)?, call.cast(b, Kind::Float)?);
    call.binary(Binary::Divide, a, b)
}

/// Whether an array is of whole numbers or truth values.
fn is_whole(call: &mut Call, x: Id) -> Result<bool> {
    Ok(call.kind(x)? != Kind::Float)
}

pub(super) fn floor_divide(call: &mut Call) -> Result<Id> {
    let (a, b) = pair(call)?;
    let whole = is_whole(call, a)? && is_whole(call, b)?;
    let quotient = quotient(call, a, b)?;
    let floor = call.unary(Unary::Floor, quotient)?;
    if whole { call.cast(floor, Kind::Integer) } else { Ok(floor) }
}

/// 0 where it is divided by 0.
pub(super) fn divide_no_nan(call: &mut Call) -> Result<Id> {
    let (a, b) = pair(call)?;
    let quotient = quotient(call, a, b)?;
    let by_zero = call.with_number(Binary::Equal, b, 0.0)?;
    let zero = call.float(0.0);
    call.select(by_zero, zero, quotient)
}

pub(super) fn squared_difference(call: &mut Call) -> Result<Id> {
    let difference = binary(call, Binary::Subtract)?;
    call.binary(Binary::Multiply, difference, difference)
}

pub(super) fn square(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    call.binary(Binary::Multiply, x, x)
}

/// A sum of the arrays in a list.
pub(super) fn sum_of_all(call: &mut Call) -> Result<Id> {
    let all = call.arrays("x")?;
    let mut sum = all[0];
    for &other in &all[1..] {
        sum = call.binary(Binary::Add, sum, other)?;
    }
    Ok(sum)
}

/// `max(a, b) + ln(1 + exp(-|a - b|))`
pub(super) fn log_add_exp(call: &mut Call) -> Result<Id> {
    let (a, b) = pair(call)?;
    let largest = call.binary(Binary::Maximum, a, b)?;
    let difference = call.binary(Binary::Subtract, a, b)?;
    let distance = call.unary(Unary::Absolute, difference)?;
    let below = call.unary(Unary::Negate, distance)?;
    let more = call.activate(Activation::Softplus, below)?;
    call.binary(Binary::Add, largest, more)
}

pub(super) fn hypotenuse(call: &mut Call) -> Result<Id> {
    let (a, b) = pair(call)?;
    let a = call.binary(Binary::Multiply, a, a)?;
    let b = call.binary(Binary::Multiply, b, b)?;
    let sum = call.binary(Binary::Add, a, b)?;
    call.unary(Unary::Sqrt, sum)
}

pub(super) fn tan(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    let (sine, cosine) = (call.unary(Unary::Sin, x)?, call.unary(Unary::Cos, x)?);
    call.binary(Binary::Divide, sine, cosine)
}

/// `(exp(x) + exp(-x)) / 2`
fn cosh_of(call: &mut Call, x: Id) -> Result<Id> {
    let minus = call.unary(Unary::Negate, x)?;
    let (grows, falls) = (call.unary(Unary::Exp, x)?, call.unary(Unary::Exp, minus)?);
    let sum = call.binary(Binary::Add, grows, falls)?;
    call.with_number(Binary::Multiply, sum, 0.5)
}

pub(super) fn cosh(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    cosh_of(call, x)
}

/// `tanh(x) · cosh(x)`, exact near 0, too.
pub(super) fn sinh(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    let (tanh, cosh) = (call.activate(Activation::Tanh, x)?, cosh_of(call, x)?);
    call.binary(Binary::Multiply, tanh, cosh)
}

/// `exp(x) - 1 = tanh(x / 2) · (exp(x) + 1)`, exact near 0, too.
pub(super) fn expm1(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    let half = call.with_number(Binary::Multiply, x, 0.5)?;
    let tanh = call.activate(Activation::Tanh, half)?;
    let power = call.unary(Unary::Exp, x)?;
    let more = call.with_number(Binary::Add, power, 1.0)?;
    call.binary(Binary::Multiply, tanh, more)
}

/// `ln(u)` with `u = 1 + x`, times `x / (u - 1)` near 0, which takes back what x lost in u.
pub(super) fn log1p(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    let u = call.with_number(Binary::Add, x, 1.0)?;
    let log = call.unary(Unary::Log, u)?;
    let kept = call.with_number(Binary::Subtract, u, 1.0)?;
    let lost = call.with_number(Binary::Equal, kept, 0.0)?;
    let ratio = call.binary(Binary::Divide, x, kept)?;
    let exact = call.binary(Binary::Multiply, log, ratio)?;
    let near = call.select(lost, x, exact)?;
    let size = call.unary(Unary::Absolute, x)?;
    let is_near = call.with_number(Binary::Less, size, 0.5)?;
    call.select(is_near, near, log)
}

/// A function of `x` times a number.
pub(super) fn scaled(call: &mut Call, function: Option<Unary>, scale: f64) -> Result<Id> {
    let mut x = call.array("x")?;
    if let Some(function) = function {
        x = call.unary(function, x)?;
    }
    call.with_number(Binary::Multiply, x, scale as f32)
}

/// `2^x`
pub(super) fn exp2(call: &mut Call) -> Result<Id> {
    let (x, two) = (call.array("x")?, call.float(2.0));
    call.binary(Binary::Power, two, x)
}

/// `sign(x) · |x|^(1/3)`
pub(super) fn cube_root(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    let (size, sign) = (call.unary(Unary::Absolute, x)?, call.unary(Unary::Sign, x)?);
    let root = call.with_number(Binary::Power, size, 1.0 / 3.0)?;
    call.binary(Binary::Multiply, sign, root)
}

/// `1 - erf(x)`
pub(super) fn erfc(call: &mut Call) -> Result<Id> {
    let (erf, one) = (unary(call, Unary::Erf)?, call.float(1.0));
    call.binary(Binary::Subtract, one, erf)
}

/// To the nearest number with so many decimals.
pub(super) fn round(call: &mut Call) -> Result<Id> {
    let decimals = call.int("decimals")?.unwrap_or(0);
    let x = call.array("x")?;
    if decimals == 0 {
        return call.unary(Unary::Round, x);
    }
    let scale = 10f64.powi(decimals.clamp(-30, 30) as i32) as f32;
    let scaled = call.with_number(Binary::Multiply, x, scale)?;
    let rounded = call.unary(Unary::Round, scaled)?;
    call.with_number(Binary::Divide, rounded, scale)
}

/// Without what is behind the point.
pub(super) fn truncate(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    let whole = call.cast(x, Kind::Integer)?;
    call.cast(whole, Kind::Float)
}

/// How the size of `x` compares with the largest number.
pub(super) fn against_largest(call: &mut Call, function: Binary) -> Result<Id> {
    let size = unary(call, Unary::Absolute)?;
    call.with_number(function, size, LARGEST)
}

pub(super) fn nan_to_num(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    let [nan, above, below] = [("nan", 0.0), ("posinf", LARGEST), ("neginf", -LARGEST)]
        .map(|(name, default)| call.number(name, default.into()).map(|number| number as f32));
    let is_nan = call.unary(Unary::IsNan, x)?;
    let nan = call.float(nan?);
    let number = call.select(is_nan, nan, x)?;
    let is_above = call.with_number(Binary::Greater, number, LARGEST)?;
    let above = call.float(above?);
    let number = call.select(is_above, above, number)?;
    let is_below = call.with_number(Binary::Less, number, -LARGEST)?;
    let below = call.float(below?);
    call.select(is_below, below, number)
}

pub(super) fn clip(call: &mut Call) -> Result<Id> {
    let mut x = call.array("x")?;
    if let Some(least) = call.optional_array("x_min")? {
        x = call.binary(Binary::Maximum, x, least)?;
    }
    match call.optional_array("x_max")? {
        Some(most) => call.binary(Binary::Minimum, x, most),
        None => Ok(x),
    }
}

pub(super) fn select(call: &mut Call) -> Result<Id> {
    let condition = call.array("condition")?;
    match (call.optional_array("x")?, call.optional_array("y")?) {
        (Some(x), Some(y)) => call.select(condition, x, y),
        _ => call.wrong("x", "is missing: how many values are true depends on the condition"),
    }
}

/// The first of some arrays whose condition is true.
pub(super) fn select_first(call: &mut Call) -> Result<Id> {
    let (conditions, choices) = (call.arrays("conditions")?, call.arrays("choices")?);
    let mut result = match call.optional_array("default")? {
        Some(default) => default,
        None => call.float(0.0),
    };
    if conditions.len() != choices.len() {
        return call.wrong("choices", "are as many as conditions");
    }
    for (condition, choice) in conditions.into_iter().zip(choices).rev() {
        result = call.select(condition, choice, result)?;
    }
    Ok(result)
}

/// A cast; of a saturating one, too: numbers outside of what a type can hold are kept.
pub(super) fn cast(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    match call.dtype("dtype")? {
        Some(kind) => call.cast(x, kind),
        None => Ok(x),
    }
}

/// Of truth values; numbers have their bits, which aren't kept here.
pub(super) fn of_bools(call: &mut Call, function: Binary) -> Result<Id> {
    let (a, b) = pair(call)?;
    if call.kind(a)? != Kind::Bool || call.kind(b)? != Kind::Bool {
        return call.wrong("x", "is of numbers, of whose bits nothing is computed");
    }
    call.binary(function, a, b)
}

pub(super) fn not_of_bools(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    if call.kind(x)? != Kind::Bool {
        return call.wrong("x", "is of numbers, of whose bits nothing is computed");
    }
    call.unary(Unary::Not, x)
}

/// An array of the shape of another, of one value.
pub(super) fn like(call: &mut Call, value: Option<f32>) -> Result<Id> {
    let x = call.array("x")?;
    let value = match value {
        Some(value) => call.float(value),
        None => call.array("fill_value")?,
    };
    let shape = call.shape(x)?;
    let filled = call.op(Operation::Fill, [shape, value])?;
    match call.dtype("dtype")? {
        Some(kind) => call.cast(filled, kind),
        None => call.op(Operation::CastLike, [filled, x]),
    }
}

/// An array of this shape, of one value.
pub(super) fn filled(call: &mut Call, value: Option<f32>) -> Result<Id> {
    let shape = call.array("shape")?;
    let filling = match value {
        Some(value) => call.float(value),
        None => call.array("fill_value")?,
    };
    let filled = call.op(Operation::Fill, [shape, filling])?;
    match call.dtype("dtype")? {
        Some(kind) => call.cast(filled, kind),
        None => Ok(filled),
    }
}

/// The numbers up to one, or from one to another.
pub(super) fn range(call: &mut Call) -> Result<Id> {
    let start = call.array("start")?;
    let zero = call.computed.constant(Values::integer(0));
    let (start, limit) = match call.optional_array("limit")? {
        Some(limit) => (start, limit),
        None => (zero, start),
    };
    let step = match call.optional_array("delta")? {
        Some(step) => step,
        None => call.computed.constant(Values::integer(1)),
    };
    let range = call.op(Operation::Range, [start, limit, step])?;
    match call.dtype("dtype")? {
        Some(kind) => call.cast(range, kind),
        None => Ok(range),
    }
}
