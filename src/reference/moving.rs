//! The operators that only move values.

use super::operands::{Computed, Reads, reshaped};
use crate::operator::{Concat, Pad, Repeat, Slice, Transpose};
use birnn_cell::Real;
use ndarray::{ArrayD, Axis, ErrorKind, IxDyn, ShapeError, concatenate};

pub(super) fn reshape<F: Real>(reads: &Reads<F>, shape: &[usize]) -> Computed<F> {
    reshaped(reads.get(0)?.into_owned(), shape)
}

pub(super) fn transpose<F: Real>(operator: &Transpose, reads: &Reads<F>) -> Computed<F> {
    Ok(reads.get(0)?.permuted_axes(IxDyn(&operator.order)).as_standard_layout().into_owned())
}

pub(super) fn slice<F: Real>(operator: &Slice, reads: &Reads<F>) -> Computed<F> {
    let &Slice { axis, start, length } = operator;
    let x = reads.get(0)?;
    Ok(x.slice_axis(Axis(axis), (start..start + length).into()).to_owned())
}

pub(super) fn pad<F: Real>(operator: &Pad, reads: &Reads<F>, shape: &[usize]) -> Computed<F> {
    let x = reads.get(0)?;
    let mut output = ArrayD::zeros(shape);
    let within = operator.before..operator.before + x.len_of(Axis(operator.axis));
    output.slice_axis_mut(Axis(operator.axis), within.into()).assign(&x);
    Ok(output)
}

pub(super) fn concat<F: Real>(operator: &Concat, reads: &Reads<F>) -> Computed<F> {
    concatenate(Axis(operator.axis), &reads.all())
}

/// Every index of the axis so many times in a row.
pub(super) fn repeat<F: Real>(operator: &Repeat, reads: &Reads<F>, shape: &[usize]) -> Computed<F> {
    let behind = operator.axis + 1;
    let x = reads.get(0)?.insert_axis(Axis(behind));
    let mut repeated = x.shape().to_vec();
    repeated[behind] = operator.times;
    let view =
        x.broadcast(repeated).ok_or_else(|| ShapeError::from_kind(ErrorKind::IncompatibleShape))?;
    reshaped(view.to_owned(), shape)
}
