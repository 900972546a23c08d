//! Hidden states to their places: the output of a layer, and its final states.

use super::{Chunk, GroupCall};
use crate::error::Result;
use crate::gpu::kernels::{Constants, Kernel};
use crate::gpu::plan::{BufferId, Planner, Stage, TensorLayout, WORKGROUP, grid, layout, parameters};

/// The parameter of merge that says that there is no mask.
const NO_MASK: usize = u32::MAX as usize;

/// Where a direction's output or state goes.
#[derive(Clone, Copy)]
pub(super) struct Destination {
    pub target: Target,
    pub layout: TensorLayout,
    pub first_feature: usize,
    pub mode: u32,
    /// The output stands in reversed order of steps.
    pub reversed: bool,
    /// Whether the other direction runs in the same launches, or ran before.
    pub other: Other,
}

#[derive(Clone, Copy)]
pub(super) enum Target {
    Tensor(usize),
    Carried { node: usize, index: usize },
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Other {
    Before,
    Together,
    After,
}

/// A ring of states: where a merge reads.
#[derive(Clone, Copy)]
struct MergeSource {
    /// Where the direction's ring starts in the states.
    start: usize,
    slots: usize,
    /// The slot of the first step.
    slot: usize,
    /// Where the mask has the first step, for an output; states are kept as they are.
    mask_start: usize,
}

impl Planner<'_> {
    /// Moves a chunk's hidden states to their places in the outputs.
    pub(super) fn merge_chunk(&mut self, call: &GroupCall, chunk: Chunk) {
        for (direction, &to) in call.outputs.iter().enumerate() {
            let written_below = match (to.other, to.reversed) {
                (Other::After, _) => 0,
                (Other::Before, _) => call.timesteps,
                (Other::Together, false) => chunk.first,
                (Other::Together, true) => chunk.first + chunk.steps,
            };
            let source = MergeSource {
                slot: (chunk.first + 1) % call.slots,
                mask_start: mask_start(call, direction, chunk, 0),
                ..hidden(call, direction)
            };
            self.merge(call, source, to, chunk, call.timesteps, written_below);
        }
    }

    /// Brings the last hidden state to the output, where it is the output.
    pub(super) fn last_output(&mut self, call: &GroupCall, chunk: Chunk) {
        for (direction, &to) in call.outputs.iter().enumerate() {
            let written = usize::from(to.mode != 0 && to.reversed);
            let mask_start = mask_start(call, direction, chunk, chunk.steps - 1);
            let source = MergeSource { mask_start, ..hidden(call, direction) };
            self.merge(call, source, to, Chunk { first: 0, steps: 1 }, 1, written);
        }
    }

    /// Brings the final states to where they are returned, and to where the next call finds them.
    pub(super) fn final_states(&mut self, call: &GroupCall) -> Result<()> {
        let results = &self.model.nodes[call.node].results;
        let directions = call.layer.directions();
        let states: usize = directions.iter().map(|(_, l)| l.cell().states()).sum();
        let units = call.group.layer.units();
        for (direction, &member) in call.group.directions.iter().enumerate() {
            let first = member * directions[0].1.cell().states();
            let start = call.cell_start() + direction * call.state() / call.directions();
            let cell = MergeSource { start, slots: 1, slot: 0, ..hidden(call, direction) };
            for (state, source) in
                [hidden(call, direction), cell].into_iter().take(call.group.layer.cell().states()).enumerate()
            {
                let index = first + state;
                let mut targets = Vec::new();
                if directions[member].1.return_state() {
                    targets.push(Target::Tensor(results[results.len() - states + index]));
                }
                if directions[member].1.stateful() {
                    let node = self.state_holder(call.node);
                    let carried = BufferId::Carried { node, index };
                    self.need(carried, 4 * (call.view.rows * units.next_multiple_of(4)) as u64)?;
                    targets.push(Target::Carried { node, index });
                }
                for target in targets {
                    let layout = layout(&[units], 1, u64::MAX);
                    let (first_feature, mode, reversed, other) = (0, 0, false, Other::After);
                    let to = Destination { target, layout, first_feature, mode, reversed, other };
                    self.merge(call, source, to, Chunk { first: 0, steps: 1 }, 1, 0);
                }
            }
        }
        Ok(())
    }

    fn merge(
        &mut self,
        call: &GroupCall,
        from: MergeSource,
        to: Destination,
        chunk: Chunk,
        timesteps: usize,
        written_below: usize,
    ) {
        let units = call.group.layer.units();
        let output = to.layout;
        let t = if to.reversed { timesteps - 1 - chunk.first } else { chunk.first };
        let segment = t / output.segment;
        let target = match to.target {
            Target::Tensor(tensor) if !self.used[tensor] => return,
            Target::Tensor(tensor) => BufferId::Tensor { tensor, segment },
            Target::Carried { node, index } => BufferId::Carried { node, index },
        };
        let stage = Stage {
            kernel: Kernel::Merge,
            constants: Constants::default(),
            buffers: vec![BufferId::States, target],
            parameters: parameters([
                call.view.rows,
                call.groups,
                units,
                from.start,
                from.slots,
                from.slot,
                chunk.first,
                timesteps,
                usize::from(to.reversed),
                segment * output.segment,
                output.segment_timesteps(segment),
                output.features_padded,
                to.first_feature,
                to.mode as usize,
                written_below,
                from.mask_start,
                call.choice.group_rows(),
            ]),
            workgroups: grid([units.div_ceil(WORKGROUP), chunk.steps, call.groups]),
            flops: 0,
        };
        self.launch(vec![stage], None);
    }
}

/// The hidden state after the last step.
fn hidden(call: &GroupCall, direction: usize) -> MergeSource {
    let slot = call.timesteps % call.slots;
    let start = direction * call.slots * call.state() / call.directions();
    MergeSource { start, slots: call.slots, slot, mask_start: NO_MASK }
}

/// Where the mask has a step of the chunk.
fn mask_start(call: &GroupCall, direction: usize, chunk: Chunk, step: usize) -> usize {
    match call.mask {
        Some(_) => call.mask_start() + (direction * chunk.steps + step) * call.rows(),
        None => NO_MASK,
    }
}
