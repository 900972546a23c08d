//! The launches that scale and shift values.

use super::launch::BufferId;
use super::planner::Planner;
use super::walk::{Route, behind, check_axes, joined};
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
        let rank = source.shape.len();
        // The axes but the last, and how the weights go along all of them.
        let mut strides = vec![0; rank];
        let of_weight = self.strides_along(step)?;
        strides[rank - of_weight.len()..].copy_from_slice(&of_weight);
        let stride3 = strides.pop().unwrap_or(0) as u32;
        let mut routes = [Route::new(strides)];
        let axes = joined(&source.shape[..rank.saturating_sub(1)], &mut routes);
        check_axes(axes.len(), 3)?;
        let [_, axis1, axis2] = behind(&axes, 1);
        let [stride0, stride1, stride2] = behind(&routes[0].strides, 0);
        let uniform = kernel::Affine {
            values: source.values() as u32,
            features: source.features() as u32,
            features_padded: source.features_padded() as u32,
            axis1,
            axis2,
            stride0,
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
