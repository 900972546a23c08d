//! The launches that scale and shift values.

use super::launch::BufferId;
use super::planner::Planner;
use super::walk::check_axes;
use super::weight::ConstantLayout;
use crate::error::Result;
use crate::gpu::kernel::{self, Kernel};
use crate::graph::Step;

impl Planner<'_> {
    pub(super) fn affine(&mut self, step: &Step) -> Result<()> {
        let shift = self.constant(step, 2, ConstantLayout::Flat)?;
        self.along_axes(step, Some(shift))
    }

    pub(super) fn p_relu(&mut self, step: &Step) -> Result<()> {
        self.along_axes(step, None)
    }

    /// Operand 0 scaled by operand 1 and shifted; without a shift only where it is below zero.
    fn along_axes(&mut self, step: &Step, shift: Option<BufferId>) -> Result<()> {
        let (source, target) = (self.operand(step, 0)?, self.array(step.writes[0]));
        let scale = self.constant(step, 1, ConstantLayout::Flat)?;
        check_axes(source.shape.len(), 4)?;
        let mut axes = [1; 3];
        axes[4 - source.shape.len()..].copy_from_slice(&source.shape[1..]);
        let strides = self.strides_along(step)?;
        let mut weight_strides = [0; 3];
        weight_strides[3 - strides.len()..].copy_from_slice(&strides);
        let [stride1, stride2, stride3] = weight_strides.map(|stride| stride as u32);
        let uniform = kernel::Affine {
            values: source.values() as u32,
            features: source.features() as u32,
            features_padded: source.features_padded() as u32,
            axis1: axes[0] as u32,
            axis2: axes[1] as u32,
            stride1,
            stride2,
            stride3,
            prelu: shift.is_none().into(),
        };
        let shift = shift.unwrap_or(BufferId::Zeros);
        let buffers = vec![source.buffer, scale, shift, target.buffer];
        self.flat(Kernel::Affine, buffers, uniform, source.values());
        Ok(())
    }

    /// The strides of the weights along each axis but the batch: 0 where an axis shares them.
    fn strides_along(&self, step: &Step) -> Result<Vec<usize>> {
        let shape = self.graph.shape(self.read(step, 1)?);
        let mut strides = vec![0; shape.len()];
        let mut stride = 1;
        for (axis, &length) in shape.iter().enumerate().rev().filter(|&(_, &length)| length > 1) {
            strides[axis] = stride;
            stride *= length;
        }
        Ok(strides)
    }
}
