//! Value by value of two or three arrays, which are broadcast as numpy does.

use super::rules::{Along, Rules, Shapes, along_broadcast, broadcast};
use birnn_cell::Real;

/// A function of operands 0 and 1, a and b. It writes the shape to which they are broadcast.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Binary {
    pub function: BinaryFunction,
}

/// Comparisons and logic give 1 for true and 0 for false, and take all but 0 for true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinaryFunction {
    Add,
    /// `a - b`
    Subtract,
    Multiply,
    /// `a / b`
    Divide,
    /// `a` to the power of `b`
    Power,
    /// NaN where one of them is.
    Maximum,
    /// NaN where one of them is.
    Minimum,
    Equal,
    /// `a < b`; for `a > b` its operands change places.
    Less,
    /// `a <= b`
    LessOrEqual,
    And,
    Or,
    Xor,
    /// What is left of `a / b` rounded down: it has the sign of `b`.
    Modulo,
}

impl BinaryFunction {
    #[cfg(test)]
    #[allow(dead_code)] // the tests that use it need the GPU path
    pub const ALL: [BinaryFunction; 14] = [
        BinaryFunction::Add,
        BinaryFunction::Subtract,
        BinaryFunction::Multiply,
        BinaryFunction::Divide,
        BinaryFunction::Power,
        BinaryFunction::Maximum,
        BinaryFunction::Minimum,
        BinaryFunction::Equal,
        BinaryFunction::Less,
        BinaryFunction::LessOrEqual,
        BinaryFunction::And,
        BinaryFunction::Or,
        BinaryFunction::Xor,
        BinaryFunction::Modulo,
    ];

    /// The function of two numbers. The reference and the folding of what is known before a call
    /// both go by it, so that it makes no difference which of them computes a value.
    pub fn formula<F: Real>(self) -> fn(F, F) -> F {
        match self {
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
            BinaryFunction::Modulo => modulo,
        }
    }
}

/// NaN where one of them is.
pub(crate) fn larger<F: Real>(a: F, b: F) -> F {
    if a > b || a.is_nan() { a } else { b }
}

/// NaN where one of them is.
pub(crate) fn smaller<F: Real>(a: F, b: F) -> F {
    if a < b || a.is_nan() { a } else { b }
}

/// By what is left of `a / b` rounded towards zero, which `%` computes without an error.
fn modulo<F: Real>(a: F, b: F) -> F {
    let towards_zero = a % b;
    let down = towards_zero == F::zero() || (towards_zero < F::zero()) == (b < F::zero());
    if down { towards_zero } else { towards_zero + b }
}

/// The number that stands for true or false.
fn number<F: Real>(is_true: bool) -> F {
    if is_true { F::one() } else { F::zero() }
}

fn is_true<F: Real>(number: F) -> bool {
    number != F::zero()
}

impl Rules for Binary {
    fn name(&self) -> &'static str {
        "binary"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        together(reads, 2)
    }

    fn along(&self, operand: usize, axis: usize, reads: &Shapes) -> Along {
        along_broadcast(operand, axis, reads)
    }
}

/// Operand 1 where operand 0 isn't zero, and operand 2 elsewhere. It writes the shape to which the
/// three are broadcast.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Where;

impl Rules for Where {
    fn name(&self) -> &'static str {
        "where"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        together(reads, 3)
    }

    fn along(&self, operand: usize, axis: usize, reads: &Shapes) -> Along {
        along_broadcast(operand, axis, reads)
    }
}

/// The shape of so many operands together.
fn together(reads: &Shapes, operands: usize) -> Result<Vec<Vec<usize>>, String> {
    match reads.len() == operands {
        true => Ok(vec![broadcast(reads)?]),
        false => Err(format!("it has {} operands, not {operands}", reads.len())),
    }
}
