//! The launches that join arrays of which some are masked.

use super::array::Array;
use super::launch::BufferId;
use super::planner::Planner;
use super::walk::Route;
use crate::error::Result;
use crate::gpu::kernel::{CombineMasked, Kernel};
use crate::graph::Step;
use crate::operator::{BinaryFunction, Combination, Combine};

/// How an array joins what the target holds; the numbers of `combine_masked.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Join {
    Store = 0,
    Multiply = 1,
    Maximum = 2,
    Minimum = 3,
    /// What the target's mask hides becomes zero; nothing joins it.
    Zero = 4,
}

impl Planner<'_> {
    /// A product in which masked values count as one, and is zero where all are masked; or the
    /// largest or smallest, where of a masked value and one that is not the latter is taken.
    pub(super) fn combine(&mut self, step: &Step, operator: &Combine) -> Result<()> {
        let &Combine { operation, count } = operator;
        let is_product = operation == Combination::Product;
        let target = self.array(step.writes[0]);
        let vectors = &target.shape[..target.shape.len() - 1];
        // The mask of what is joined so far, as long as each array had one.
        let mut joined: Option<Array> = None;
        for index in 0..count {
            let mask = match self.optional(step, count + index)? {
                Some(mask) => Some(self.repeated(mask, vectors)?),
                None => None,
            };
            let source = self.operand(step, index)?;
            // A single feature is repeated by the kernel.
            let shape = [vectors, &[source.features()]].concat();
            let source = self.repeated(source, &shape)?;
            let join = match operation {
                _ if index == 0 => Join::Store,
                Combination::Product => Join::Multiply,
                Combination::Largest => Join::Maximum,
                Combination::Smallest => Join::Minimum,
            };
            // The first of a maximum is taken as it is; of a product a masked one is one, too.
            let source_mask = mask.as_ref().filter(|_| index > 0 || is_product);
            let joined_mask = joined.as_ref().filter(|_| !is_product);
            self.join_masked(&source, &target, [source_mask, joined_mask], join);
            joined = match (joined, mask) {
                (None, mask) if index == 0 => mask,
                (Some(joined), Some(mask)) => Some(self.either(&joined, &mask)?),
                _ => None,
            };
        }
        if is_product && let Some(joined) = &joined {
            self.join_masked(&target, &target, [None, Some(joined)], Join::Zero);
        }
        Ok(())
    }

    /// The mask of what counts in one of two masks.
    fn either(&mut self, a: &Array, b: &Array) -> Result<Array> {
        let either = self.scratch_array(a.shape.clone())?;
        self.broadcast([a, b, b], BinaryFunction::Or as u32, &either)?;
        Ok(either)
    }

    /// The array with its axes of length one repeated to this shape.
    fn repeated(&mut self, source: Array, shape: &[usize]) -> Result<Array> {
        if source.shape == shape {
            return Ok(source);
        }
        let target = self.scratch_array(shape.to_vec())?;
        let from = Route::repeating(&source, shape.len());
        self.walk(shape, &source, from, &target, Route::new(target.strides()))?;
        Ok(target)
    }

    /// `masks`: of the source and of the target, each of the target's shape without features.
    fn join_masked(
        &mut self,
        source: &Array,
        target: &Array,
        masks: [Option<&Array>; 2],
        join: Join,
    ) {
        let timesteps = target.shape.iter().rev().nth(1).copied().unwrap_or(1);
        let uniform = CombineMasked {
            values: target.values() as u32,
            features: target.features() as u32,
            features_padded: target.features_padded() as u32,
            source_features: source.features() as u32,
            source_padded: source.features_padded() as u32,
            timesteps: timesteps as u32,
            timesteps_padded: timesteps.next_multiple_of(4) as u32,
            operation: join as u32,
            has_source_mask: masks[0].is_some().into(),
            has_destination_mask: masks[1].is_some().into(),
        };
        let masks = masks.map(|mask| mask.map_or(BufferId::Zeros, |mask| mask.buffer));
        let source = if join == Join::Zero { BufferId::Zeros } else { source.buffer };
        let buffers = vec![source, masks[0], masks[1], target.buffer];
        self.flat(Kernel::CombineMasked, buffers, uniform, target.values());
    }
}
