//! The launch of a pooling over windows of timesteps.

use super::launch::BufferId;
use super::planner::Planner;
use crate::error::{Error, Result};
use crate::gpu::kernel::{self, Kernel};
use crate::graph::Step;
use crate::operator::{Pool, Reduction, Windows};

impl Planner<'_> {
    pub(super) fn pool(&mut self, step: &Step, operator: &Pool) -> Result<()> {
        let Windows { outputs, size, strides, dilation, before } = operator.windows;
        if dilation != 1 {
            return Err(Error::Graph(format!(
                "layer {:?}: pooling over every {dilation}th timestep: the GPU path takes windows of timesteps in a row; use Device::cpu()",
                step.layer
            )));
        }
        let (source, target) = (self.operand(step, 0)?, self.array(step.writes[0]));
        let mask = match step.reads.get(1) {
            Some(Some(_)) => Some(self.operand(step, 1)?.buffer),
            _ => None,
        };
        let timesteps = source.shape[1];
        let vectors = source.shape[0] * outputs;
        let features4 = source.features_padded() / 4;
        let uniform = kernel::Pool {
            vectors: vectors as u32,
            outputs: outputs as u32,
            timesteps: timesteps as u32,
            features4: features4 as u32,
            pool_size: size as u32,
            strides: strides as u32,
            before: before as u32,
            mean: (operator.reduction == Reduction::Mean).into(),
            masked: mask.is_some().into(),
            mask_padded: timesteps.next_multiple_of(4) as u32,
        };
        let buffers = vec![source.buffer, mask.unwrap_or(BufferId::Zeros), target.buffer];
        self.flat(Kernel::Pool, buffers, uniform, vectors * features4);
        Ok(())
    }
}
