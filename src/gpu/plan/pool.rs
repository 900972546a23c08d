//! The launch of a pooling over windows.

use super::launch::BufferId;
use super::planner::Planner;
use super::windows::two_axes;
use crate::error::{Error, Result};
use crate::gpu::kernel::{self, Kernel};
use crate::graph::Step;
use crate::operator::{Pool, Reduction};

impl Planner<'_> {
    pub(super) fn pool(&mut self, step: &Step, operator: &Pool) -> Result<()> {
        let (source, target) = (self.operand(step, 0)?, self.array(step.writes[0]));
        let lengths = operator.windows.iter().zip(&source.shape[1..]);
        let windows: Vec<_> = lengths.map(|(windows, &length)| windows.trimmed(length)).collect();
        let [down, across] = two_axes(&windows, &source.shape)?;
        if down.spread.max(across.spread) > 1 {
            return Err(Error::Graph(format!(
                "layer {:?}: the GPU path pools no indices that are spread; use Device::cpu()",
                step.layer
            )));
        }
        let mask = self.optional(step, 1)?.map(|mask| mask.buffer);
        let (vectors, features4) = (target.vectors(), source.features_padded() / 4);
        let uniform = kernel::Pool {
            vectors: vectors as u32,
            features4: features4 as u32,
            mean: (operator.reduction == Reduction::Mean).into(),
            masked: mask.is_some().into(),
            down,
            across,
        };
        let buffers = vec![source.buffer, mask.unwrap_or(BufferId::Zeros), target.buffer];
        self.flat(Kernel::Pool, buffers, uniform, vectors * features4);
        Ok(())
    }
}
