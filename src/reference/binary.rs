//! Value by value of arrays that are broadcast.

use super::operands::{Computed, Reads};
use crate::operator::Binary;
use birnn_cell::Real;
use ndarray::{ArrayViewD, ErrorKind, IxDyn, ShapeError, Zip};

pub(super) fn binary<F: Real>(operator: &Binary, reads: &Reads<F>, shape: &[usize]) -> Computed<F> {
    let (a, b) = (reads.get(0)?, reads.get(1)?);
    let pairs = Zip::from(spread_to(&a, shape)?).and(spread_to(&b, shape)?);
    let function = operator.function.formula();
    Ok(pairs.map_collect(|&a, &b| function(a, b)))
}

/// `a` where the condition isn't zero, and `b` elsewhere.
pub(super) fn choose<F: Real>(reads: &Reads<F>, shape: &[usize]) -> Computed<F> {
    let (condition, a, b) = (reads.get(0)?, reads.get(1)?, reads.get(2)?);
    Ok(Zip::from(spread_to(&condition, shape)?)
        .and(spread_to(&a, shape)?)
        .and(spread_to(&b, shape)?)
        .map_collect(|&condition, &a, &b| if condition != F::zero() { a } else { b }))
}

/// The array with its axes of length one repeated.
pub(super) fn spread_to<'a, F>(
    array: &'a ArrayViewD<F>,
    shape: &[usize],
) -> Result<ArrayViewD<'a, F>, ShapeError> {
    array.broadcast(IxDyn(shape)).ok_or_else(|| ShapeError::from_kind(ErrorKind::IncompatibleShape))
}
