//! The launches that take and overwrite rows by their numbers.

use super::planner::Planner;
use crate::error::Result;
use crate::gpu::kernel::{self, Kernel};
use crate::graph::Step;
use crate::operator::{Gather, Scatter};

impl Planner<'_> {
    pub(super) fn gather(&mut self, step: &Step, operator: &Gather) -> Result<()> {
        let (x, ids) = (self.operand(step, 0)?, self.operand(step, 1)?);
        let target = self.array(step.writes[0]);
        let behind: usize = x.shape[operator.axis + 1..].iter().product();
        let uniform = kernel::Gather {
            values: target.values() as u32,
            behind: behind as u32,
            length: x.shape[operator.axis] as u32,
            places: ids.values() as u32,
            x_features: x.features() as u32,
            ids_features: ids.features() as u32,
            features: target.features() as u32,
            from_end: operator.from_end.into(),
        };
        let buffers = vec![x.buffer, ids.buffer, target.buffer];
        self.flat(Kernel::Gather, buffers, uniform, target.values());
        Ok(())
    }

    pub(super) fn scatter(&mut self, step: &Step, operator: &Scatter) -> Result<()> {
        let (x, target) = (self.operand(step, 0)?, self.array(step.writes[0]));
        let (numbers, source) = (self.operand(step, 1)?, self.operand(step, 2)?);
        self.copy(&x, &target)?;
        let (rows, of_a_row) = operator.rows(&x.shape);
        let uniform = kernel::Scatter {
            values: source.values() as u32,
            of_a_row: of_a_row as u32,
            rows: rows as u32,
            source_features: source.features() as u32,
            features: target.features() as u32,
        };
        let buffers = vec![numbers.buffer, source.buffer, target.buffer];
        self.flat(Kernel::Scatter, buffers, uniform, source.values());
        Ok(())
    }
}
