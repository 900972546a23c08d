//! Functions of known values.

use crate::layer::Activation;
use crate::program::operation::{Binary, Unary};
use crate::program::shapes::{Reason, broadcast};
use crate::program::values::{Kind, Values};
use ndarray::{ArrayD, IxDyn, Zip};

/// An element-wise activation.
pub fn activate(activation: Activation, x: &Values) -> Values {
    let one = |value: f32| birnn_cell::activate(activation, value.into()) as f32;
    Values::Floats(x.to_floats().mapv(one))
}

pub fn unary(function: Unary, x: &Values) -> Values {
    match (function, x) {
        (Unary::Not, x) => Values::Bools(x.to_bools().mapv(|value| !value)),
        (Unary::IsNan, x) => Values::Bools(x.to_floats().mapv(f32::is_nan)),
        (Unary::Negate, Values::Integers(x)) => Values::Integers(x.mapv(i64::wrapping_neg)),
        (Unary::Absolute, Values::Integers(x)) => Values::Integers(x.mapv(i64::wrapping_abs)),
        (Unary::Sign, Values::Integers(x)) => Values::Integers(x.mapv(i64::signum)),
        (_, x) => Values::Floats(x.to_floats().mapv(|value| of_number(function, value))),
    }
}

/// By the formula of the operator that computes it where `x` isn't known.
fn of_number(function: Unary, x: f32) -> f32 {
    match function.as_operator() {
        Some(function) => function.at(x.into()) as f32,
        None => birnn_cell::activate(Activation::Exponential, x.into()) as f32,
    }
}

/// Where both are repeated to one shape.
pub fn binary(function: Binary, a: &Values, b: &Values) -> Reason<Values> {
    let shape = broadcast(a.shape(), b.shape())?;
    if is_logic(function) {
        return both(&a.to_bools(), &b.to_bools(), &shape, |a, b| logic(function, a, b))
            .map(Values::Bools);
    }
    let whole = a.kind() != Kind::Float && b.kind() != Kind::Float;
    match (is_comparison(function), whole) {
        (true, true) => {
            both(&a.to_integers(), &b.to_integers(), &shape, |a, b| compare(function, &a, &b))
                .map(Values::Bools)
        }
        (true, false) => {
            both(&a.to_floats(), &b.to_floats(), &shape, |a, b| compare(function, &a, &b))
                .map(Values::Bools)
        }
        (false, true) => {
            let by_zero = b.to_integers().iter().any(|&b| b == 0);
            if by_zero && matches!(function, Binary::Divide | Binary::Modulo | Binary::Remainder) {
                return Err("whole numbers are divided by 0".into());
            }
            both(&a.to_integers(), &b.to_integers(), &shape, |a, b| of_whole(function, a, b))
                .map(Values::Integers)
        }
        (false, false) => {
            both(&a.to_floats(), &b.to_floats(), &shape, |a, b| of_numbers(function, a, b))
                .map(Values::Floats)
        }
    }
}

fn both<T: Copy, R>(
    a: &ArrayD<T>,
    b: &ArrayD<T>,
    shape: &[usize],
    function: impl Fn(T, T) -> R,
) -> Reason<ArrayD<R>> {
    match (a.broadcast(IxDyn(shape)), b.broadcast(IxDyn(shape))) {
        (Some(a), Some(b)) => Ok(Zip::from(a).and(b).map_collect(|&a, &b| function(a, b))),
        _ => Err(format!("{:?} and {:?} don't fit each other", a.shape(), b.shape())),
    }
}

/// Whether a function is of truth values.
pub(in crate::program) fn is_logic(function: Binary) -> bool {
    matches!(function, Binary::And | Binary::Or | Binary::Xor)
}

/// Whether a function compares.
pub(in crate::program) fn is_comparison(function: Binary) -> bool {
    use Binary::*;
    matches!(function, Equal | Less | LessOrEqual | Greater | GreaterOrEqual)
}

fn logic(function: Binary, a: bool, b: bool) -> bool {
    match function {
        Binary::And => a & b,
        Binary::Or => a | b,
        _ => a ^ b,
    }
}

fn compare<T: PartialOrd>(function: Binary, a: &T, b: &T) -> bool {
    match function {
        Binary::Less => a < b,
        Binary::LessOrEqual => a <= b,
        Binary::Greater => a > b,
        Binary::GreaterOrEqual => a >= b,
        _ => a == b,
    }
}

/// Divisors aren't 0.
fn of_whole(function: Binary, a: i64, b: i64) -> i64 {
    match function {
        Binary::Add => a.wrapping_add(b),
        Binary::Subtract => a.wrapping_sub(b),
        Binary::Multiply => a.wrapping_mul(b),
        Binary::Divide => a.wrapping_div(b),
        Binary::Power => power(a, b),
        Binary::Maximum => a.max(b),
        Binary::Minimum => a.min(b),
        Binary::Modulo => match a.wrapping_rem(b) {
            left if left != 0 && (left < 0) != (b < 0) => left + b, // of different signs
            left => left,
        },
        _ => a.wrapping_rem(b),
    }
}

fn power(a: i64, b: i64) -> i64 {
    match u32::try_from(b) {
        Ok(b) => a.wrapping_pow(b),
        Err(_) => (a as f64).powf(b as f64) as i64,
    }
}

/// By the formula of the operator that computes it where they aren't known.
fn of_numbers(function: Binary, a: f32, b: f32) -> f32 {
    match function.as_operator() {
        Some(function) => function.formula()(a, b),
        None => a % b, // the remainder: comparisons are of any kind of values (`compare`)
    }
}

/// Where the condition holds, `a`, elsewhere `b`, which are of one kind.
pub fn select(condition: &Values, a: &Values, b: &Values) -> Reason<Values> {
    let shape = broadcast(&broadcast(condition.shape(), a.shape())?, b.shape())?;
    fn one<T: Copy>(
        condition: &ArrayD<bool>,
        a: &ArrayD<T>,
        b: &ArrayD<T>,
        shape: &[usize],
    ) -> Reason<ArrayD<T>> {
        let condition = condition.broadcast(IxDyn(shape));
        match (condition, a.broadcast(IxDyn(shape)), b.broadcast(IxDyn(shape))) {
            (Some(condition), Some(a), Some(b)) => Ok(Zip::from(condition)
                .and(a)
                .and(b)
                .map_collect(|&c, &a, &b| if c { a } else { b })),
            _ => Err(format!("{:?} and {:?} don't fit each other", a.shape(), b.shape())),
        }
    }
    let condition = condition.to_bools();
    match (a, b) {
        (Values::Bools(a), Values::Bools(b)) => one(&condition, a, b, &shape).map(Values::Bools),
        (a, b) if a.kind() != Kind::Float && b.kind() != Kind::Float => {
            one(&condition, &a.to_integers(), &b.to_integers(), &shape).map(Values::Integers)
        }
        (a, b) => one(&condition, &a.to_floats(), &b.to_floats(), &shape).map(Values::Floats),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_function_is_that_of_tables() {
        for (x, expected) in [(0.0, 0.0), (0.5, 0.520_499_9), (-1.0, -0.842_700_8), (9.0, 1.0)] {
            assert!((of_number(Unary::Erf, x) - expected).abs() < 1e-6, "{x}");
        }
        // Close to 0 it is 2/√π x.
        let close = std::f64::consts::FRAC_2_SQRT_PI * f64::from(1e-20f32);
        assert_eq!(of_number(Unary::Erf, 1e-20), close as f32);
        assert_eq!(of_number(Unary::Erf, f32::NEG_INFINITY), -1.0);
        assert!(of_number(Unary::Erf, f32::NAN).is_nan());
    }

    #[test]
    fn whole_numbers_are_divided_without_what_is_behind_the_point() {
        let of = |function, a, b| {
            binary(function, &Values::integer(a), &Values::integer(b)).map(|x| x.numbers().unwrap())
        };
        assert_eq!(of(Binary::Divide, -7, 2), Ok(vec![-3]));
        assert_eq!(of(Binary::Modulo, -7, 2), Ok(vec![1]));
        assert_eq!(of(Binary::Modulo, 7, -2), Ok(vec![-1]));
        assert_eq!(of(Binary::Modulo, i64::MAX - 1, i64::MAX), Ok(vec![i64::MAX - 1]));
        assert_eq!(of(Binary::Remainder, -7, 2), Ok(vec![-1]));
        assert_eq!(of(Binary::Power, 3, 4), Ok(vec![81]));
        assert!(of(Binary::Divide, 1, 0).is_err());
        assert_eq!(of(Binary::Divide, i64::MIN, -1), Ok(vec![i64::MIN]));
    }
}
