use super::activation::activate_rows;
use super::operands::{Computed, Reads};
use crate::operator::MatMul;
use birnn_cell::Real;
use ndarray::Ix2;

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
