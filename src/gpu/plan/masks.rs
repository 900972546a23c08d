//! The launches that make masks.

use super::moving::{Array, Combine};
use super::{BufferId, Planner};
use crate::error::Result;
use crate::gpu::kernel::{Kernel, MaskValues};
use crate::model::MaskSource;

impl Planner<'_> {
    /// Makes a mask where none of the launches so far has.
    pub(super) fn mask(&mut self, mask: usize) -> Result<()> {
        if std::mem::replace(&mut self.masks_made[mask], true) {
            return Ok(());
        }
        let shape = self.masks.shape(self.model, &self.call.shapes, mask);
        let target = Array {
            buffer: BufferId::Mask(mask),
            shape: [self.call.rows].into_iter().chain(shape).collect(),
        };
        self.need(target.buffer, target.bytes())?;
        match self.masks.sources[mask].clone() {
            MaskSource::Given(input) => self.plan.given_masks[input] = Some(mask),
            MaskSource::Tensor(tensor) => {
                let source = self.tensor(tensor);
                self.copy(&source, &target, Combine::NotZero);
            }
            MaskSource::Values { tensor, value } => {
                self.mask_values(self.tensor(tensor), &target, value)
            }
            MaskSource::AnyInLastAxis(long) => {
                self.mask(long)?;
                let shape = self.masks.shape(self.model, &self.call.shapes, long);
                let shape = [self.call.rows].into_iter().chain(shape).collect();
                self.mask_values(Array { buffer: BufferId::Mask(long), shape }, &target, 0);
            }
            MaskSource::Any(masks) => self.mask_of_masks(masks, &target, Combine::Maximum)?,
            MaskSource::All(masks) => self.mask_of_masks(masks, &target, Combine::Minimum)?,
            MaskSource::Concatenate(parts) => {
                let mut first = 0;
                for (tensor, part) in parts {
                    let length = self.call.shapes[tensor][0];
                    let mut shape = target.shape.clone();
                    shape[1] = length;
                    let source = match part {
                        Some(part) => {
                            self.mask(part)?;
                            Array { buffer: BufferId::Mask(part), shape }
                        }
                        None => Array { buffer: BufferId::Nothing, shape },
                    };
                    let combine = if part.is_some() { Combine::Store } else { Combine::One };
                    self.copy_into(&source, &target, 1, first, combine);
                    first += length;
                }
            }
        }
        Ok(())
    }

    fn mask_of_masks(&mut self, masks: Vec<usize>, target: &Array, join: Combine) -> Result<()> {
        for (index, part) in masks.into_iter().enumerate() {
            self.mask(part)?;
            let source = Array { buffer: BufferId::Mask(part), ..target.clone() };
            self.copy(&source, target, if index == 0 { Combine::Store } else { join });
        }
        Ok(())
    }

    /// True where a feature of the vector differs from the value of these bits.
    fn mask_values(&mut self, source: Array, target: &Array, value: u32) {
        let vectors = source.vectors();
        let uniform = MaskValues {
            vectors: vectors as u32,
            features: source.features() as u32,
            features_padded: source.features_padded() as u32,
            timesteps: target.features() as u32,
            mask_padded: target.features_padded() as u32,
            mask_value: f32::from_bits(value),
        };
        self.flat(Kernel::MaskValues, vec![source.buffer, target.buffer], uniform, vectors);
    }
}
