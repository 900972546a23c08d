use super::activation::activate_rows;
use super::binary::spread_to;
use super::operands::{Computed, Reads};
use crate::operator::MatMul;
use birnn_cell::Real;
use ndarray::{
    ArrayD, ArrayView2, ArrayViewD, ArrayViewMutD, Ix2, ShapeError, linalg::general_mat_mul,
};

/// `activation(x · kernel + bias)`
pub(super) fn matmul<F: Real>(operator: &MatMul, reads: &Reads<F>, shape: &[usize]) -> Computed<F> {
    let kernel = reads.get(1)?.into_dimensionality::<Ix2>()?;
    let x = reads.get(0)?;
    let vectors = x.len() / kernel.nrows().max(1);
    let mut sums = x.to_shape((vectors, kernel.nrows()))?.dot(&kernel).into_dyn();
    if let Some(bias) = reads.optional(2) {
        sums += &bias.to_shape(bias.len())?;
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
    of_each(a, b, output.view_mut())?;
    Ok(output)
}

/// One matrix after the other.
fn of_each<F: Real>(
    a: ArrayViewD<F>,
    b: ArrayViewD<F>,
    mut output: ArrayViewMutD<F>,
) -> Result<(), ShapeError> {
    if b.ndim() == 2 {
        return add_products(a, b.into_dimensionality()?, output);
    }
    let matrices = output.outer_iter_mut().zip(a.outer_iter()).zip(b.outer_iter());
    let mut products = matrices.map(|((output, a), b)| of_each(a, b, output));
    products.try_for_each(|product| product)
}

/// Adds `x · kernel` over the last axis of x, however its other axes lie in memory.
pub(super) fn add_products<F: Real>(
    x: ArrayViewD<F>,
    kernel: ArrayView2<F>,
    mut sums: ArrayViewMutD<F>,
) -> Result<(), ShapeError> {
    if x.ndim() > 2 {
        let parts = sums.outer_iter_mut().zip(x.outer_iter());
        let mut added = parts.map(|(sums, x)| add_products(x, kernel, sums));
        return added.try_for_each(|added| added);
    }
    let (x, mut sums) = (x.into_dimensionality::<Ix2>()?, sums.into_dimensionality::<Ix2>()?);
    general_mat_mul(F::one(), &x, &kernel, F::one(), &mut sums);
    Ok(())
}
