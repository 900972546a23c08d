//! An operation's operands.

use super::Array;
use crate::program::shapes::Reason;

pub(super) struct Operands<'a>(pub &'a [Option<Array>]);

impl<'a> Operands<'a> {
    pub fn get(&self, operand: usize) -> Reason<&'a Array> {
        self.optional(operand).ok_or_else(|| format!("its operand {operand} is missing"))
    }

    pub fn optional(&self, operand: usize) -> Option<&'a Array> {
        self.0.get(operand).and_then(Option::as_ref)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The whole numbers of an operand that is known.
    pub fn numbers(&self, operand: usize) -> Reason<Vec<i64>> {
        let array = self.get(operand)?;
        let unknown = || {
            format!(
                "its operand {operand}, of shape {:?}, depends on the values of an input, and has \
                 to follow from constants and shapes",
                array.shape()
            )
        };
        array
            .known()
            .ok_or_else(unknown)?
            .numbers()
            .ok_or_else(|| format!("its operand {operand} holds numbers in place of whole numbers"))
    }

    pub fn optional_numbers(&self, operand: usize) -> Reason<Option<Vec<i64>>> {
        match self.optional(operand) {
            Some(_) => self.numbers(operand).map(Some),
            None => Ok(None),
        }
    }

    /// Whole numbers from 0 on.
    pub fn lengths(&self, operand: usize) -> Reason<Vec<usize>> {
        let numbers = self.numbers(operand)?;
        let length = |&n: &i64| usize::try_from(n).map_err(|_| format!("a length of {n}"));
        numbers.iter().map(length).collect()
    }

    /// A single whole number, or this one where the operand is missing.
    pub fn number_or(&self, operand: usize, otherwise: i64) -> Reason<i64> {
        match self.optional_numbers(operand)?.as_deref() {
            None => Ok(otherwise),
            Some([number]) => Ok(*number),
            Some(numbers) => Err(format!("its operand {operand} is one number, not {numbers:?}")),
        }
    }
}
