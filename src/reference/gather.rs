use super::operands::{Computed, Reads};
use birnn_cell::Real;
use ndarray::{Axis, Ix2};

/// A row of the table for each id.
pub(super) fn gather<F: Real>(reads: &Reads<F>, shape: &[usize]) -> Computed<F> {
    let table = reads.get(1)?.into_dimensionality::<Ix2>()?;
    let last = table.nrows().saturating_sub(1);
    // Ids that a layer computed can be anything: the nearest that there is.
    let row = |id: &F| id.max(F::zero()).to_usize().unwrap_or(last).min(last);
    let rows: Vec<usize> = reads.get(0)?.iter().map(row).collect();
    table.select(Axis(0), &rows).into_dyn().into_shape_with_order(shape)
}
