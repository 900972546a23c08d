//! The operators that only move values.

use super::binary::spread_to;
use super::operands::{Computed, Reads, reshaped, whole};
use crate::operator::{Concat, Expand, Filling, Gather, Pad, Scatter, Slice, Transpose};
use birnn_cell::Real;
use ndarray::{ArrayD, Axis, IxDyn, concatenate};

pub(super) fn reshape<F: Real>(reads: &Reads<F>, shape: &[usize]) -> Computed<F> {
    reshaped(reads.get(0)?.into_owned(), shape)
}

pub(super) fn transpose<F: Real>(operator: &Transpose, reads: &Reads<F>) -> Computed<F> {
    Ok(reads.get(0)?.permuted_axes(IxDyn(&operator.order)).as_standard_layout().into_owned())
}

/// The indices of an axis that it takes, in order.
pub(super) fn slice<F: Real>(operator: &Slice, reads: &Reads<F>) -> Computed<F> {
    let &Slice { axis, start, step, length } = operator;
    let indices = (0..length).map(|index| start.wrapping_add_signed(index as isize * step));
    Ok(reads.get(0)?.select(Axis(axis), &indices.collect::<Vec<_>>()))
}

pub(super) fn pad<F: Real>(operator: &Pad, reads: &Reads<F>, shape: &[usize]) -> Computed<F> {
    let x = reads.get(0)?;
    let &Pad { axis, before, after, filling } = operator;
    let length = x.len_of(Axis(axis));
    let indices = before..before + length;
    let from = |index: usize| match filling {
        // Mirrored at the first index and at the last.
        Filling::Reflect if index < before => before - index,
        Filling::Reflect => 2 * (length - 1) - (index - before),
        Filling::Edge => index.saturating_sub(before).min(length - 1),
        Filling::Wrap | Filling::Constant(_) => (index + length - before) % length,
    };
    if let Filling::Constant(value) = filling {
        let mut output = ArrayD::from_elem(shape, F::nearest(value.into()));
        output.slice_axis_mut(Axis(axis), indices.into()).assign(&x);
        return Ok(output);
    }
    let all = 0..before + length + after;
    let all = all.map(|i| if indices.contains(&i) { i - before } else { from(i) });
    Ok(x.select(Axis(axis), &all.collect::<Vec<_>>()))
}

pub(super) fn concat<F: Real>(operator: &Concat, reads: &Reads<F>) -> Computed<F> {
    concatenate(Axis(operator.axis), &reads.all())
}

/// With the axes of length one repeated.
pub(super) fn expand<F: Real>(operator: &Expand, reads: &Reads<F>) -> Computed<F> {
    Ok(spread_to(&reads.get(0)?, &operator.shape)?.to_owned())
}

/// The index of the axis for each id; an id that a layer computed can be anything.
pub(super) fn gather<F: Real>(operator: &Gather, reads: &Reads<F>, shape: &[usize]) -> Computed<F> {
    let x = reads.get(0)?;
    let length = x.len_of(Axis(operator.axis));
    let last = length.saturating_sub(1);
    let counted = |id: F| match operator.from_end && id < F::zero() {
        true => id + whole(length),
        false => id,
    };
    let index = |&id: &F| counted(id).max(F::zero()).to_usize().unwrap_or(last).min(last);
    let indices: Vec<usize> = reads.get(1)?.iter().map(index).collect();
    reshaped(x.select(Axis(operator.axis), &indices), shape)
}

/// The rows that are there are overwritten.
pub(super) fn scatter<F: Real>(operator: &Scatter, reads: &Reads<F>) -> Computed<F> {
    let (x, values) = (reads.get(0)?, reads.get(2)?);
    let shape = x.shape().to_vec();
    let (rows, of_a_row) = operator.rows(&shape);
    let mut output = reshaped(x.into_owned(), &[rows, of_a_row])?;
    let values = values.to_shape((values.len() / of_a_row.max(1), of_a_row))?;
    for (row, values) in reads.get(1)?.iter().zip(values.rows()) {
        if let Some(row) = row.to_usize().filter(|&row| row < rows) {
            output.index_axis_mut(Axis(0), row).assign(&values);
        }
    }
    reshaped(output, &shape)
}
