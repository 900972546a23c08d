//! The launch that takes rows of a table.

use super::planner::Planner;
use super::weight::ConstantLayout;
use crate::error::Result;
use crate::gpu::kernel::{Embedding, Kernel};
use crate::graph::Step;

impl Planner<'_> {
    pub(super) fn gather(&mut self, step: &Step) -> Result<()> {
        let (source, target) = (self.operand(step, 0)?, self.array(step.writes[0]));
        let table = self.constant(step, 1, ConstantLayout::Vectors)?;
        let rows = self.graph.shape(self.read(step, 1)?)[0];
        let features4 = target.features_padded() / 4;
        let places = source.values();
        let uniform = Embedding {
            places: places as u32,
            ids: source.features() as u32,
            ids_padded: source.features_padded() as u32,
            features4: features4 as u32,
            input_dim: rows as u32,
        };
        let buffers = vec![source.buffer, table, target.buffer];
        self.flat(Kernel::Embedding, buffers, uniform, places * features4);
        Ok(())
    }
}
