//! Value by value of two or three arrays, which are broadcast as numpy does.

use super::rules::{Along, Rules, Shapes, along_broadcast, broadcast};

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
    Remainder,
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
        BinaryFunction::Remainder,
    ];
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
