//! The launches that compare values with a number.

use super::array::Array;
use super::binary::DIFFERS;
use super::launch::BufferId;
use super::planner::Planner;
use crate::error::{Error, Result};
use crate::gpu::kernel::{Kernel, MaskValues, Masking};
use crate::graph::Step;
use crate::operator::{Blank, Differs};

impl Planner<'_> {
    pub(super) fn differs(&mut self, step: &Step, operator: &Differs) -> Result<()> {
        let (source, target) = (self.operand(step, 0)?, self.array(step.writes[0]));
        let &Differs { value, any_feature } = operator;
        match (any_feature, value) {
            (false, 0.0) => {
                let zero = Array { buffer: BufferId::Zeros, shape: Vec::new() };
                self.broadcast([&source, &zero, &zero], DIFFERS, &target)
            }
            (false, _) => Err(Error::Graph(format!(
                "layer {:?}: the GPU path compares single values with 0 only, not with {value}; \
                 use Device::cpu()",
                step.layer
            ))),
            (true, _) => {
                let vectors = source.vectors();
                let uniform = MaskValues {
                    vectors: vectors as u32,
                    features: source.features() as u32,
                    features_padded: source.features_padded() as u32,
                    timesteps: target.features() as u32,
                    mask_padded: target.features_padded() as u32,
                    mask_value: value,
                };
                let buffers = vec![source.buffer, target.buffer];
                self.flat(Kernel::MaskValues, buffers, uniform, vectors);
                Ok(())
            }
        }
    }

    pub(super) fn blank(&mut self, step: &Step, operator: &Blank) -> Result<()> {
        let (source, target) = (self.operand(step, 0)?, self.array(step.writes[0]));
        let vectors = source.vectors();
        let uniform = Masking {
            vectors: vectors as u32,
            features: source.features() as u32,
            features_padded: source.features_padded() as u32,
            mask_value: operator.value,
        };
        self.flat(Kernel::Masking, vec![source.buffer, target.buffer], uniform, vectors);
        Ok(())
    }
}
