//! Arrays as the kernels see them.

use super::launch::BufferId;
use super::layout::strides;
use crate::operator::product;

/// An array that a launch reads or writes: `[…][features]`, the features filled up to a multiple of
/// four.
#[derive(Clone, Debug)]
pub(super) struct Array {
    pub buffer: BufferId,
    /// With the batch.
    pub shape: Vec<usize>,
}

impl Array {
    pub fn features(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    pub fn features_padded(&self) -> usize {
        self.features().next_multiple_of(4)
    }

    /// The vectors of features.
    pub fn vectors(&self) -> usize {
        product(&self.shape[..self.shape.len().saturating_sub(1)])
    }

    pub fn values(&self) -> usize {
        self.shape.iter().product()
    }

    pub fn bytes(&self) -> u64 {
        (self.vectors() as u64).saturating_mul(4 * self.features_padded() as u64)
    }

    /// The strides of its values in order.
    pub fn strides(&self) -> Vec<usize> {
        strides(&self.shape)
    }
}
