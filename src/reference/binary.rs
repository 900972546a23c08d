//! Value by value of arrays that are broadcast.

use super::operands::{Computed, Reads};
use crate::operator::{Binary, BinaryFunction};
use birnn_cell::Real;
use ndarray::{ArrayViewD, ErrorKind, IxDyn, ShapeError, Zip};

pub(super) fn binary<F: Real>(operator: &Binary, reads: &Reads<F>, shape: &[usize]) -> Computed<F> {
    let (a, b) = (reads.get(0)?, reads.get(1)?);
    let pairs = Zip::from(spread_to(&a, shape)?).and(spread_to(&b, shape)?);
    let function = function(operator.function);
    Ok(pairs.map_collect(|&a, &b| function(a, b)))
}

fn function<F: Real>(function: BinaryFunction) -> fn(F, F) -> F {
    match function {
        BinaryFunction::Add => |a, b| a + b,
        BinaryFunction::Subtract => |a, b| a - b,
        BinaryFunction::Multiply => |a, b| a * b,
        BinaryFunction::Divide => |a, b| a / b,
        BinaryFunction::Power => F::powf,
        BinaryFunction::Maximum => larger,
        BinaryFunction::Minimum => smaller,
        BinaryFunction::Equal => |a, b| number(a == b),
        BinaryFunction::Less => |a, b| number(a < b),
        BinaryFunction::LessOrEqual => |a, b| number(a <= b),
        BinaryFunction::And => |a, b| number(is_true(a) && is_true(b)),
        BinaryFunction::Or => |a, b| number(is_true(a) || is_true(b)),
        BinaryFunction::Xor => |a, b| number(is_true(a) != is_true(b)),
        BinaryFunction::Remainder => remainder,
    }
}

/// `a` where the condition isn't zero, and `b` elsewhere.
pub(super) fn choose<F: Real>(reads: &Reads<F>, shape: &[usize]) -> Computed<F> {
    let (condition, a, b) = (reads.get(0)?, reads.get(1)?, reads.get(2)?);
    Ok(Zip::from(spread_to(&condition, shape)?)
        .and(spread_to(&a, shape)?)
        .and(spread_to(&b, shape)?)
        .map_collect(|&condition, &a, &b| if is_true(condition) { a } else { b }))
}

/// NaN where one of them is.
pub(super) fn larger<F: Real>(a: F, b: F) -> F {
    if a > b || a.is_nan() { a } else { b }
}

/// NaN where one of them is.
pub(super) fn smaller<F: Real>(a: F, b: F) -> F {
    if a < b || a.is_nan() { a } else { b }
}

/// Of `a / b` rounded down.
fn remainder<F: Real>(a: F, b: F) -> F {
    let towards_zero = a % b;
    let down = towards_zero == F::zero() || (towards_zero < F::zero()) == (b < F::zero());
    if down { towards_zero } else { towards_zero + b }
}

/// The number that stands for true or false.
pub(super) fn number<F: Real>(is_true: bool) -> F {
    if is_true { F::one() } else { F::zero() }
}

fn is_true<F: Real>(number: F) -> bool {
    number != F::zero()
}

/// The array with its axes of length one repeated.
pub(super) fn spread_to<'a, F>(
    array: &'a ArrayViewD<F>,
    shape: &[usize],
) -> Result<ArrayViewD<'a, F>, ShapeError> {
    array.broadcast(IxDyn(shape)).ok_or_else(|| ShapeError::from_kind(ErrorKind::IncompatibleShape))
}
