//! How arrays lie in memory.

use crate::operator::product;
use std::cell::Cell;

/// The strides of the values in order of an array of this shape.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// Whether arrays of these shapes, with the same values in order, are the same in memory: where
/// their vectors of features are equally long, or nothing fills them up.
pub(super) fn same_in_memory(one: &[usize], other: &[usize]) -> bool {
    let features = |shape: &[usize]| shape.last().copied().unwrap_or(1);
    let full = |shape: &[usize]| features(shape).is_multiple_of(4);
    features(one) == features(other) || (full(one) && full(other))
}

/// An array of the graph, `[row][timestep][…][feature]`, in segments along time: one, but for
/// arrays that can be cut and are larger than a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gpu) struct ArrayLayout {
    pub rows: usize,
    pub timesteps: usize,
    /// The vectors of features of a row's timestep: more than one where there are axes between.
    pub vectors: usize,
    pub features: usize,
    /// Features filled up to a multiple of 4.
    pub features_padded: usize,
    /// The timesteps of each segment but the last.
    pub segment: usize,
}

impl ArrayLayout {
    /// With segments of at most so many timesteps; `None`: in one.
    pub fn new(shape: &[usize], segment: Option<usize>) -> ArrayLayout {
        let (&features, others) = shape.split_last().unwrap_or((&1, &[]));
        let (&rows, others) = others.split_first().unwrap_or((&1, &[]));
        let (&timesteps, others) = others.split_first().unwrap_or((&1, &[]));
        let vectors = product(others);
        let features_padded = features.next_multiple_of(4);
        let segment = segment.unwrap_or(timesteps).clamp(1, timesteps.max(1));
        ArrayLayout { rows, timesteps, vectors, features, features_padded, segment }
    }

    /// The bytes of a timestep of all rows.
    pub fn timestep_bytes(&self) -> u64 {
        let vector = 4 * self.features_padded as u64;
        vector.saturating_mul(self.rows as u64).saturating_mul(self.vectors as u64)
    }

    pub fn segments(&self) -> usize {
        self.timesteps.div_ceil(self.segment)
    }

    pub fn segment_timesteps(&self, segment: usize) -> usize {
        (self.timesteps - segment * self.segment).min(self.segment)
    }

    pub fn segment_bytes(&self, segment: usize) -> u64 {
        self.timestep_bytes().saturating_mul(self.segment_timesteps(segment) as u64)
    }
}

/// How the arrays of a graph are cut.
pub(super) struct Segments {
    /// Of each array.
    pub layouts: Vec<ArrayLayout>,
    /// Which can be cut.
    pub cut: Vec<bool>,
    /// A step on arrays that can be cut needs more than a buffer has between them: shorter segments
    /// may help.
    pub too_long: Cell<bool>,
}
