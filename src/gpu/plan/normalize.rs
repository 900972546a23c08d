//! The launches that normalize vectors.

use super::array::Array;
use super::launch::BufferId;
use super::layout::strides;
use super::planner::Planner;
use super::walk::Route;
use super::weight::ConstantLayout;
use crate::error::Result;
use crate::gpu::kernel::{self, Kernel};
use crate::graph::Step;
use crate::layer::Activation;
use crate::operator::{Normalization, Normalize};

/// What is done to each vector; the modes of `normalize_vectors.wgsl`.
#[derive(Clone, Copy)]
pub(super) struct OfVectors {
    mode: u32,
    epsilon: f32,
    gamma: Option<BufferId>,
    beta: Option<BufferId>,
}

impl OfVectors {
    fn new(mode: u32) -> OfVectors {
        OfVectors { mode, epsilon: 0.0, gamma: None, beta: None }
    }

    pub fn softmax() -> OfVectors {
        OfVectors::new(0)
    }

    /// An activation that isn't element-wise; glu is none of these.
    pub fn activation(activation: Activation) -> OfVectors {
        OfVectors::new(match activation {
            Activation::LogSoftmax => 1,
            Activation::Sparsemax => 5,
            _ => 0,
        })
    }
}

impl Planner<'_> {
    /// Where the axes aren't the last, the array is turned so that they are, and back.
    pub(super) fn normalize(&mut self, step: &Step, operator: &Normalize) -> Result<()> {
        let (source, target) = (self.operand(step, 0)?, self.array(step.writes[0]));
        let (mode, epsilon) = match operator.normalization {
            Normalization::Softmax => (0, 0.0),
            Normalization::LogSoftmax => (1, 0.0),
            Normalization::Moments { epsilon } => (2, epsilon),
            Normalization::RootMeanSquare { epsilon } => (3, epsilon),
            Normalization::Unit => (4, 1e-24),
        };
        let of_vectors = OfVectors {
            mode,
            epsilon: epsilon as f32,
            gamma: self.optional_constant(step, 1, ConstantLayout::Flat)?,
            beta: self.optional_constant(step, 2, ConstantLayout::Flat)?,
        };
        let (axes, rank) = (&operator.axes, source.shape.len());
        if axes[..] == [rank - 1] {
            self.copy(&source, &target)?;
            self.normalize_vectors(&target, of_vectors);
            return Ok(());
        }
        let others = (0..rank).filter(|axis| !axes.contains(axis));
        let order: Vec<_> = others.chain(axes.iter().copied()).collect();
        let lengths: Vec<_> = order.iter().map(|&axis| source.shape[axis]).collect();
        let (outer, inner) = lengths.split_at(rank - axes.len());
        let vectors = vec![outer.iter().product(), inner.iter().product()];
        let turned = self.scratch_array(vectors)?;
        let from = source.strides();
        let from = Route::new(order.iter().map(|&axis| from[axis]).collect::<Vec<_>>());
        let in_order = Route::new(strides(&lengths));
        self.walk(&lengths, &source, from.clone(), &turned, in_order.clone())?;
        self.normalize_vectors(&turned, of_vectors);
        self.walk(&lengths, &turned, in_order, &target, from)
    }

    /// Normalizes each vector in place.
    pub(super) fn normalize_vectors(&mut self, array: &Array, of_vectors: OfVectors) {
        let OfVectors { mode, epsilon, gamma, beta } = of_vectors;
        let vectors = array.vectors();
        let uniform = kernel::Normalize {
            vectors: vectors as u32,
            features: array.features() as u32,
            features_padded: array.features_padded() as u32,
            mode,
            epsilon,
            has_gamma: gamma.is_some().into(),
            has_beta: beta.is_some().into(),
        };
        let weights = [gamma, beta].map(|weight| weight.unwrap_or(BufferId::Zeros));
        let buffers = vec![weights[0], weights[1], array.buffer];
        self.flat(Kernel::NormalizeVectors, buffers, uniform, vectors);
    }
}
