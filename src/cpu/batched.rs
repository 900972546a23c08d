//! Products of matrices that are both computed.

use super::cores::{Cores, Reused};
use super::product::{Dense, Factor, Room, multiply};
use birnn_cell::Activation;
use birnn_simd::Kernel;
use ndarray::{ArrayD, ArrayView2, ArrayViewD, ArrayViewMut2, ShapeError};

/// `[batch…, rows, k]` times `[batch…, k, columns]`, in C order and none of them empty; `shape` is
/// that of what is written.
pub(super) fn batched(
    cores: &Cores,
    rooms: &Reused<Room>,
    [a, b]: [&ArrayViewD<f32>; 2],
    [x, y]: [&[f32]; 2],
    to: &mut [f32],
    shape: &[usize],
) -> Result<(), ShapeError> {
    let (batch, matrix) = shape.split_at(shape.len() - 2);
    let (rows, columns, k) = (matrix[0], matrix[1], a.shape()[a.ndim() - 1]);
    let lanes = birnn_simd::lanes(cores.arch);
    let kernel = |index: usize| {
        let values = &y[index * k * columns..(index + 1) * k * columns];
        ArrayView2::from_shape((k, columns), values).map(|kernel| Kernel::new(kernel, lanes))
    };
    let times = |x: &[f32], kernel: &Kernel, to: &mut [f32]| {
        let factor = Factor { kernel, bias: None, activation: Activation::Linear };
        let to = ArrayViewMut2::from_shape((to.len() / columns, columns), to)?;
        multiply(cores, rooms, &Dense { x, features: k }, factor, to);
        Ok(())
    };
    // One matrix for all rows.
    if y.len() == k * columns && x.len() == to.len() / columns * k {
        return times(x, &kernel(0)?, to);
    }
    let pairs = places(a, batch)?.into_iter().zip(places(b, batch)?);
    let pieces = to.chunks_exact_mut(rows * columns).zip(pairs).collect();
    let done = cores.map(x.len() * columns, pieces, |(to, (a, b))| {
        times(&x[a * rows * k..(a + 1) * rows * k], &kernel(b)?, to)
    });
    done.into_iter().collect()
}

/// Which of an operand's matrices each product reads.
fn places(x: &ArrayViewD<f32>, batch: &[usize]) -> Result<Vec<usize>, ShapeError> {
    let own = &x.shape()[..x.ndim() - 2];
    let numbers = (0..own.iter().product()).collect();
    let numbers = ArrayD::from_shape_vec(own, numbers)?;
    let all = numbers.broadcast(batch);
    let unlike = || ShapeError::from_kind(ndarray::ErrorKind::IncompatibleShape);
    Ok(all.ok_or_else(unlike)?.iter().copied().collect())
}
