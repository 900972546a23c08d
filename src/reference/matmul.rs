use super::activation::activate_rows;
use super::binary::spread_to;
use super::operands::{Computed, Reads};
use crate::operator::MatMul;
use birnn_cell::Real;
use ndarray::{ArrayD, ArrayViewD, ArrayViewMutD, Ix2, ShapeError, linalg::general_mat_mul};

/// `activation(x · kernel + bias)`
pub(super) fn matmul<F: Real>(operator: &MatMul, reads: &Reads<F>, shape: &[usize]) -> Computed<F> {
    let kernel = reads.get(1)?.into_dimensionality::<Ix2>()?;
    let x = reads.get(0)?;
    let vectors = x.len() / kernel.nrows().max(1);
    let mut sums = x.to_shape((vectors, kernel.nrows()))?.dot(&kernel).into_dyn();
    if let Some(bias) = reads.optional(2) {
        sums += &bias;
    }
    activate_rows(operator.activation, &mut sums);
    sums.into_shape_with_order(shape)
}

/// The products of matrices along the axes before the last two.
pub(super) fn batched<F: Real>(reads: &Reads<F>, shape: &[usize]) -> Computed<F> {
    let (batch, _) = shape.split_at(shape.len() - 2);
    let (a, b) = (reads.get(0)?, reads.get(1)?);
    let spread = |x: &ArrayViewD<F>| [batch, &x.shape()[x.ndim() - 2..]].concat();
    let (a_shape, b_shape) = (spread(&a), spread(&b));
    let (a, b) = (spread_to(&a, &a_shape)?, spread_to(&b, &b_shape)?);
    let mut output = ArrayD::zeros(shape);
    multiply(a, b, output.view_mut())?;
    Ok(output)
}

/// One matrix after the other.
fn multiply<F: Real>(
    a: ArrayViewD<F>,
    b: ArrayViewD<F>,
    mut output: ArrayViewMutD<F>,
) -> Result<(), ShapeError> {
    if a.ndim() > 2 {
        let matrices = output.outer_iter_mut().zip(a.outer_iter()).zip(b.outer_iter());
        let mut products = matrices.map(|((output, a), b)| multiply(a, b, output));
        return products.try_for_each(|product| product);
    }
    let (a, b) = (a.into_dimensionality::<Ix2>()?, b.into_dimensionality::<Ix2>()?);
    general_mat_mul(F::one(), &a, &b, F::zero(), &mut output.into_dimensionality::<Ix2>()?);
    Ok(())
}
