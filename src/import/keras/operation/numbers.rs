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
    log_of_sum_of_powers(call, a, b)
}

fn log_of_sum_of_powers(call: &mut Call, a: Id, b: Id) -> Result<Id> {
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

/// 0 where `x` is below 0, `y` where it is 0, and 1 above.
pub(super) fn heaviside(call: &mut Call) -> Result<Id> {
    let (x, y) = pair(call)?;
    let x = call.cast(x, Kind::Float)?;
    let above = call.with_number(Binary::Greater, x, 0.0)?;
    let above = call.cast(above, Kind::Float)?;
    let is_zero = call.with_number(Binary::Equal, x, 0.0)?;
    call.select(is_zero, y, above)
}

/// Whether it is below 0; -0 is, too.
pub(super) fn is_negative(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    let below = call.with_number(Binary::Less, x, 0.0)?;
    let inverse = call.unary(Unary::Reciprocal, x)?;
    let inverse_below = call.with_number(Binary::Less, inverse, 0.0)?;
    call.binary(Binary::Or, below, inverse_below)
}

/// Whether it is beyond the largest or the smallest number.
pub(super) fn is_infinite(call: &mut Call, function: Binary, limit: f32) -> Result<Id> {
    let x = call.array("x")?;
    call.with_number(function, x, limit)
}

/// The angle of a number as a complex one: 0, and π below 0.
pub(super) fn angle(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    let is_below = call.with_number(Binary::Less, x, 0.0)?;
    let (half, none) = (call.float(std::f32::consts::PI), call.float(0.0));
    call.select(is_below, half, none)
}

/// `log2(2^a + 2^b)`
pub(super) fn log_add_exp2(call: &mut Call) -> Result<Id> {
    use std::f32::consts::{LN_2, LOG2_E};
    let (a, b) = pair(call)?;
    let a = call.with_number(Binary::Multiply, a, LN_2)?;
    let b = call.with_number(Binary::Multiply, b, LN_2)?;
    let sum = log_of_sum_of_powers(call, a, b)?;
    call.with_number(Binary::Multiply, sum, LOG2_E)
}

/// The larger or the smaller of two; a number where one of them is none.
pub(super) fn but_nan(call: &mut Call, function: Binary) -> Result<Id> {
    let (a, b) = pair(call)?;
    let chosen = call.binary(function, a, b)?;
    let (no_a, no_b) = (call.unary(Unary::IsNan, a)?, call.unary(Unary::IsNan, b)?);
    let chosen = call.select(no_b, a, chosen)?;
    call.select(no_a, b, chosen)
}

/// `|a - b| ≤ atol + rtol · |b|`
pub(super) fn is_close(call: &mut Call) -> Result<Id> {
    let relative = call.number("rtol", 1e-5)? as f32;
    let absolute = call.number("atol", 1e-8)? as f32;
    let same_nan = call.flag("equal_nan")?;
    let (a, b) = pair(call)?;
    let (a, b) = (call.cast(a, Kind::Float)?, call.cast(b, Kind::Float)?);
    let difference = call.binary(Binary::Subtract, a, b)?;
    let distance = call.unary(Unary::Absolute, difference)?;
    let size = call.unary(Unary::Absolute, b)?;
    let room = call.with_number(Binary::Multiply, size, relative)?;
    let room = call.with_number(Binary::Add, room, absolute)?;
    let near = call.binary(Binary::LessOrEqual, distance, room)?;
    // An infinite number is close to none but itself.
    let finite = call.with_number(Binary::LessOrEqual, size, LARGEST)?;
    let near = call.binary(Binary::And, near, finite)?;
    let equal = call.binary(Binary::Equal, a, b)?;
    let near = call.binary(Binary::Or, near, equal)?;
    if !same_nan {
        return Ok(near);
    }
    let (no_a, no_b) = (call.unary(Unary::IsNan, a)?, call.unary(Unary::IsNan, b)?);
    let neither = call.binary(Binary::And, no_a, no_b)?;
    call.binary(Binary::Or, near, neither)
}

/// `x · 2^y`
pub(super) fn scaled_by_power(call: &mut Call) -> Result<Id> {
    let (x, y) = pair(call)?;
    let (x, power) = (call.cast(x, Kind::Float)?, power_of_two(call, y)?);
    call.binary(Binary::Multiply, x, power)
}

fn power_of_two(call: &mut Call, y: Id) -> Result<Id> {
    let y = call.cast(y, Kind::Float)?;
    let two = call.float(2.0);
    let power = call.binary(Binary::Power, two, y)?;
    // Of a whole number it is one, whatever a power of a device is.
    let is_large = call.with_number(Binary::GreaterOrEqual, y, 0.0)?;
    let whole = call.unary(Unary::Round, power)?;
    call.select(is_large, whole, power)
}

/// The bits of whole numbers moved to the left, or to the right.
pub(super) fn shifted(call: &mut Call, to_the_left: bool) -> Result<Id> {
    let (x, y) = pair(call)?;
    if !is_whole(call, x)? || !is_whole(call, y)? {
        return call.wrong("x", "isn't of whole numbers, whose bits it moves");
    }
    let (x, power) = (call.cast(x, Kind::Float)?, power_of_two(call, y)?);
    let function = if to_the_left { Binary::Multiply } else { Binary::Divide };
    let moved = call.binary(function, x, power)?;
    let whole = call.unary(Unary::Floor, moved)?;
    call.cast(whole, Kind::Integer)
}

/// The number whose error function it is. Source: M. Giles, Approximating the erfinv function, GPU
/// Computing Gems 2, 2011: two polynomials of `w = -ln(1 - x²)`.
pub(super) fn erfinv(call: &mut Call) -> Result<Id> {
    const MIDDLE: [f32; 9] = [
        2.810_226_4e-8,
        3.432_739_4e-7,
        -3.523_387_7e-6,
        -4.391_506_5e-6,
        2.185_808_7e-4,
        -1.253_725e-3,
        -4.177_681_6e-3,
        2.466_407_3e-1,
        1.501_409_4,
    ];
    const TAILS: [f32; 9] = [
        -2.002_142_6e-4,
        1.009_505_6e-4,
        1.349_343_2e-3,
        -3.673_428_4e-3,
        5.739_507_7e-3,
        -7.622_461_3e-3,
        9.438_870_5e-3,
        1.001_674,
        2.832_976_8,
    ];
    let x = call.array("x")?;
    let one = call.float(1.0);
    let (below, above) =
        (call.binary(Binary::Subtract, one, x)?, call.binary(Binary::Add, one, x)?);
    let product = call.binary(Binary::Multiply, below, above)?;
    let log = call.unary(Unary::Log, product)?;
    let w = call.unary(Unary::Negate, log)?;
    let middle = call.with_number(Binary::Subtract, w, 2.5)?;
    let root = call.unary(Unary::Sqrt, w)?;
    let tails = call.with_number(Binary::Subtract, root, 3.0)?;
    let polynomial = |call: &mut Call, of: Id, coefficients: [f32; 9]| -> Result<Id> {
        let mut sum = call.float(coefficients[0]);
        for &coefficient in &coefficients[1..] {
            let product = call.binary(Binary::Multiply, sum, of)?;
            sum = call.with_number(Binary::Add, product, coefficient)?;
        }
        Ok(sum)
    };
    let (middle, tails) = (polynomial(call, middle, MIDDLE)?, polynomial(call, tails, TAILS)?);
    let is_middle = call.with_number(Binary::Less, w, 5.0)?;
    let factor = call.select(is_middle, middle, tails)?;
    let inside = call.binary(Binary::Multiply, x, factor)?;
    // Its ends are infinite.
    let is_end = call.with_number(Binary::Equal, product, 0.0)?;
    let end = call.with_number(Binary::Multiply, x, f32::INFINITY)?;
    call.select(is_end, end, inside)
}

/// Whether a value is one of those of another array.
pub(super) fn is_in(call: &mut Call) -> Result<Id> {
    let inverted = call.flag("invert")?;
    let _ = call.get("assume_unique"); // which only makes it faster
    let (x, y) = pair(call)?;
    let all = call.integers([-1]);
    let (x, flat) = (call.expanded(x, &[-1])?, call.reshape(y, all)?);
    let equal = call.binary(Binary::Equal, x, flat)?;
    let any = call.reduce(crate::program::Reduction::Maximum, equal, Some(&[-1]), false)?;
    if inverted { call.unary(Unary::Not, any) } else { Ok(any) }
}

/// How many of the values of a list in order come before each one; equal ones, too, where
/// `through`.
pub(super) fn place_in_order(call: &mut Call, through: bool) -> Result<Id> {
    let (x, list) = (call.array("x")?, call.array("list")?);
    let through = match call.text("side")? {
        None => through,
        Some("left") => false,
        Some("right") => true,
        Some(_) => return call.unsupported("side", "left and right are supported"),
    };
    if call.rank(list)? != 1 {
        return call.unsupported("list", "only a list of one axis is supported");
    }
    let x = call.expanded(x, &[-1])?;
    let function = if through { Binary::LessOrEqual } else { Binary::Less };
    let before = call.binary(function, list, x)?;
    let before = call.cast(before, Kind::Integer)?;
    call.reduce(crate::program::Reduction::Sum, before, Some(&[-1]), false)
}

/// So many numbers from one to another, along a new axis.
pub(super) fn linspace(call: &mut Call) -> Result<Id> {
    const MOST: i64 = 1 << 16;
    if call.flag("retstep")? {
        return call.unsupported("retstep", "only the numbers are computed");
    }
    let count = call.int("num")?.unwrap_or(50);
    if !(1..=MOST).contains(&count) {
        return call.wrong("num", format!("{count} isn't from 1 to {MOST}"));
    }
    let to_the_end = call.get("endpoint").is_none() || call.flag("endpoint")?;
    let steps = (if to_the_end { count - 1 } else { count }).max(1);
    let axis = call.int("axis")?.unwrap_or(0);
    let (start, stop) = (call.array("start")?, call.array("stop")?);
    let (start, stop) = (call.cast(start, Kind::Float)?, call.cast(stop, Kind::Float)?);
    let rank = call.rank(start)?.max(call.rank(stop)?);
    let place = call.axis_of("axis", axis, rank + 1)?;
    let distance = call.binary(Binary::Subtract, stop, start)?;
    let (start, distance) = (call.expanded(start, &[-1])?, call.expanded(distance, &[-1])?);
    let shares = (0..count).map(|index| (index as f64 / steps as f64) as f32);
    let shares = Values::Floats(shares.collect::<ndarray::Array1<f32>>().into_dyn());
    let shares = call.computed.constant(shares);
    let further = call.binary(Binary::Multiply, distance, shares)?;
    let numbers = call.binary(Binary::Add, start, further)?;
    let numbers = call.op(Operation::MoveAxis { from: -1, to: place as i64 }, [numbers])?;
    match call.dtype("dtype")? {
        Some(kind) => call.cast(numbers, kind),
        None => Ok(numbers),
    }
}
