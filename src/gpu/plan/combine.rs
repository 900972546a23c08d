//! The launches that join arrays value by value.

use super::array::Array;
use super::launch::BufferId;
use super::moving::{Join, Walk};
use super::planner::Planner;
use crate::error::Result;
use crate::gpu::kernel::{CombineMasked, Kernel};
use crate::graph::Step;
use crate::operator::{Combine, Operation};

impl Planner<'_> {
    pub(super) fn combine(&mut self, step: &Step, operator: &Combine) -> Result<()> {
        let &Combine { operation, count } = operator;
        if step.reads.iter().skip(count).any(Option::is_some) {
            return self.combine_masked(step, operator);
        }
        let target = self.array(step.writes[0]);
        for index in 0..count {
            let source = self.operand(step, index)?;
            let join = match operation {
                _ if index == 0 => Join::Store,
                Operation::Average if index + 1 == count => Join::Mean,
                Operation::Add | Operation::Average => Join::Add,
                Operation::Subtract => Join::Subtract,
                Operation::Multiply => Join::Multiply,
                Operation::Maximum => Join::Maximum,
                Operation::Minimum => Join::Minimum,
            };
            let walk = Walk::new(&target.shape[..], repeating(&source), target.strides());
            self.walk_counted(&source, &target, walk, join, count)?;
        }
        Ok(())
    }

    /// A product in which masked values count as one, and is zero where all are masked; or the
    /// largest or smallest, where of a masked value and one that is not the latter is taken.
    fn combine_masked(&mut self, step: &Step, operator: &Combine) -> Result<()> {
        let &Combine { operation, count } = operator;
        let target = self.array(step.writes[0]);
        let vectors = &target.shape[..target.shape.len() - 1];
        // The mask of what is joined so far; none where an array had none.
        let joined = self.scratch_array(vectors.to_vec())?;
        let mut known = false;
        for index in 0..count {
            let mask = match step.reads.get(count + index) {
                Some(Some(_)) => {
                    let mask = self.operand(step, count + index)?;
                    Some(self.repeated(mask, vectors)?)
                }
                _ => None,
            };
            let source = self.operand(step, index)?;
            // A single feature is repeated by the kernel.
            let shape = [vectors, &[source.features()]].concat();
            let source = self.repeated(source, &shape)?;
            let join = match operation {
                Operation::Multiply if index > 0 => Join::Multiply,
                Operation::Maximum if index > 0 => Join::Maximum,
                Operation::Minimum if index > 0 => Join::Minimum,
                _ => Join::Store,
            };
            let joined_mask = (known && operation != Operation::Multiply).then_some(&joined);
            // The first of a maximum is taken as it is; of a product a masked one is one, too.
            let counts = index > 0 || operation == Operation::Multiply;
            let source_mask = mask.as_ref().filter(|_| counts);
            self.join_masked(&source, &target, [source_mask, joined_mask], join);
            known = mask.is_some() && (known || index == 0);
            if let Some(mask) = mask.filter(|_| known) {
                let join = if index == 0 { Join::Store } else { Join::Maximum };
                self.copy(&mask, &joined, join)?;
            }
        }
        if known && operation == Operation::Multiply {
            self.join_masked(&target, &target, [None, Some(&joined)], Join::Zero);
        }
        Ok(())
    }

    /// The array with its axes of length one repeated to this shape.
    fn repeated(&mut self, source: Array, shape: &[usize]) -> Result<Array> {
        if source.shape == shape {
            return Ok(source);
        }
        let target = self.scratch_array(shape.to_vec())?;
        let walk = Walk::new(shape, repeating(&source), target.strides());
        self.walk(&source, &target, walk, Join::Store)?;
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

/// The strides of an array whose axes of length one are repeated.
fn repeating(array: &Array) -> Vec<usize> {
    let strides = array.strides().into_iter().zip(&array.shape);
    strides.map(|(stride, &n)| if n == 1 { 0 } else { stride }).collect()
}
