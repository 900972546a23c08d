use super::operands::{Computed, Reads, whole};
use crate::operator::{Pool, Reduction};
use birnn_cell::Real;
use ndarray::{Array1, Array3, ArrayView2, ArrayView3, ArrayViewMut2, Axis, Ix2, Ix3, Zip};

/// The largest value or the mean of each window.
pub(super) fn pool<F: Real>(operator: &Pool, reads: &Reads<F>) -> Computed<F> {
    let x = reads.get(0)?.into_dimensionality::<Ix3>()?;
    let mask = reads.optional(1).map(|mask| mask.into_dimensionality::<Ix2>()).transpose()?;
    let (batch, timesteps, features) = x.dim();
    let mut output = Array3::zeros((batch, operator.windows.outputs, features));
    for (window, reduced) in output.axis_iter_mut(Axis(1)).enumerate() {
        let elements = operator.windows.elements(window, timesteps);
        let timesteps = elements.map(|(_, timestep)| timestep);
        match operator.reduction {
            Reduction::Maximum => maximum(x, timesteps, reduced),
            Reduction::Mean => mean(x, mask, timesteps, reduced),
        }
    }
    Ok(output.into_dyn())
}

/// NaN where one of the values is.
fn maximum<F: Real>(
    x: ArrayView3<F>,
    timesteps: impl Iterator<Item = usize>,
    mut largest: ArrayViewMut2<F>,
) {
    largest.fill(F::neg_infinity());
    for timestep in timesteps {
        Zip::from(&mut largest).and(x.index_axis(Axis(1), timestep)).for_each(|largest, &x| {
            if x > *largest || x.is_nan() {
                *largest = x;
            }
        });
    }
}

/// Of the timesteps that are not masked; NaN where all are.
fn mean<F: Real>(
    x: ArrayView3<F>,
    mask: Option<ArrayView2<F>>,
    timesteps: impl Iterator<Item = usize>,
    mut sums: ArrayViewMut2<F>,
) {
    let mut counts = Array1::from_elem(x.len_of(Axis(0)), 0);
    for timestep in timesteps {
        let x = x.index_axis(Axis(1), timestep);
        let rows = sums.rows_mut().into_iter().zip(x.rows()).zip(&mut counts);
        for (row, ((mut sum, x), count)) in rows.enumerate() {
            if mask.is_none_or(|mask| mask[[row, timestep]] != F::zero()) {
                sum += &x;
                *count += 1;
            }
        }
    }
    for (mut sum, count) in sums.rows_mut().into_iter().zip(counts) {
        sum /= whole::<F>(count);
    }
}
