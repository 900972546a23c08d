//! What operators read and write.

use crate::model::Few;
use birnn_cell::Real;
use ndarray::{ArrayD, ArrayViewD, ErrorKind, ShapeError};

/// The operands of an operator, in C order but for those that
/// [`OperatorGraph::in_any_order`](crate::graph::OperatorGraph::in_any_order) names.
pub(crate) struct Reads<'a, F>(pub Few<Option<ArrayViewD<'a, F>>, 4>);

impl<F> Reads<'_, F> {
    /// An operand that is there: a graph has no step without it.
    pub fn get(&self, operand: usize) -> Result<ArrayViewD<'_, F>, ShapeError> {
        let there = self.optional(operand);
        there.ok_or_else(|| ShapeError::from_kind(ErrorKind::IncompatibleShape))
    }

    pub fn optional(&self, operand: usize) -> Option<ArrayViewD<'_, F>> {
        self.0.get(operand)?.as_ref().map(|read| read.view())
    }

    /// Those that are there.
    pub fn all(&self) -> Vec<ArrayViewD<'_, F>> {
        self.0.iter().flatten().map(|read| read.view()).collect()
    }
}

/// What an operator writes.
pub(crate) type Computed<F> = Result<ArrayD<F>, ShapeError>;

/// The same values in C order, in another shape.
pub(super) fn reshaped<F: Clone>(array: ArrayD<F>, shape: &[usize]) -> Computed<F> {
    array.as_standard_layout().into_owned().into_shape_with_order(shape)
}

/// A whole number in the precision of `F`.
pub(super) fn whole<F: Real>(number: usize) -> F {
    F::nearest(number as f64)
}
