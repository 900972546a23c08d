//! Where importers add operations to a program, for what formats have in common.

use crate::Result;
use crate::program::{Binary, Operation, Unary};

/// An importer's program, or what becomes one.
pub(super) trait Operations {
    /// Stands for an array.
    type Array: Copy;

    /// Adds an operation that returns one array.
    fn add(&mut self, operation: Operation, operands: &[Self::Array]) -> Result<Self::Array>;

    /// Whole numbers along an axis.
    fn numbers(&mut self, numbers: Vec<i64>) -> Self::Array;

    /// A number.
    fn constant_number(&mut self, number: f32) -> Self::Array;

    fn unary(&mut self, function: Unary, x: Self::Array) -> Result<Self::Array> {
        self.add(Operation::Unary(function), &[x])
    }

    fn binary(&mut self, function: Binary, a: Self::Array, b: Self::Array) -> Result<Self::Array> {
        self.add(Operation::Binary(function), &[a, b])
    }

    /// A function of an array and a number.
    fn with_number(
        &mut self,
        function: Binary,
        x: Self::Array,
        number: f32,
    ) -> Result<Self::Array> {
        let number = self.constant_number(number);
        self.binary(function, x, number)
    }

    /// `a` where the condition is true, elsewhere `b`.
    fn select(
        &mut self,
        condition: Self::Array,
        a: Self::Array,
        b: Self::Array,
    ) -> Result<Self::Array> {
        self.add(Operation::Select, &[condition, a, b])
    }
}
