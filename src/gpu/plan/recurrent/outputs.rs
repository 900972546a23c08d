//! Hidden states to their places: the output of a layer, and its final states.

use super::{Chunk, GroupCall};
use crate::error::Result;
use crate::gpu::kernels::{Constants, Kernel};
use crate::gpu::plan::{BufferId, Planner, Stage, TensorLayout, WORKGROUP, grid, parameters};

/// The parameter of merge that says that there is no mask.
const NO_MASK: usize = u32::MAX as usize;
/// The states that a launch of final_states moves at most: with what it reads as many storage buffers as any device binds.
const FINAL_STATES: usize = 3;

/// Where a direction's output goes.
#[derive(Clone, Copy)]
pub(super) struct Destination {
    pub tensor: usize,
    pub layout: TensorLayout,
    pub first_feature: usize,
    pub mode: u32,
    /// The output stands in reversed order of steps.
    pub reversed: bool,
    /// Whether the other direction runs in the same launches, or ran before.
    pub other: Other,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Other {
    Before,
    Together,
    After,
}

/// What a merge moves: the hidden states of one direction.
#[derive(Clone, Copy)]
struct Move {
    /// Where the direction's ring of hidden states starts in the states.
    start: usize,
    /// Where the mask has the direction's first step.
    mask_start: usize,
    to: Destination,
    /// The other direction has written its steps below this one.
    written_below: usize,
}

/// The steps that a merge moves, the slot of the first of them, and all timesteps of the output.
#[derive(Clone, Copy)]
struct Steps {
    chunk: Chunk,
    slot: usize,
    timesteps: usize,
}

impl Planner<'_> {
    /// Moves a chunk's hidden states to their places in the outputs.
    pub(super) fn merge_chunk(&mut self, call: &GroupCall, chunk: Chunk) {
        let moves = call.outputs.iter().enumerate().map(|(direction, &to)| {
            let written_below = match (to.other, to.reversed) {
                (Other::After, _) => 0,
                (Other::Before, _) => call.timesteps,
                (Other::Together, false) => chunk.first,
                (Other::Together, true) => chunk.first + chunk.steps,
            };
            let mask_start = mask_start(call, direction, chunk, 0);
            Move { start: hidden_start(call, direction), mask_start, to, written_below }
        });
        let slot = (chunk.first + 1) % call.slots;
        self.merge_all(call, &moves.collect::<Vec<_>>(), Steps { chunk, slot, timesteps: call.timesteps });
    }

    /// Brings the last hidden state to the output, where it is the output.
    pub(super) fn last_output(&mut self, call: &GroupCall, chunk: Chunk) {
        let moves = call.outputs.iter().enumerate().map(|(direction, &to)| {
            let mask_start = mask_start(call, direction, chunk, chunk.steps - 1);
            let written_below = usize::from(to.mode != 0 && to.reversed);
            Move { start: hidden_start(call, direction), mask_start, to, written_below }
        });
        let only = Chunk { first: 0, steps: 1 };
        let steps = Steps { chunk: only, slot: call.timesteps % call.slots, timesteps: 1 };
        self.merge_all(call, &moves.collect::<Vec<_>>(), steps);
    }

    /// Both directions in one launch where each writes features of its own to the same array.
    fn merge_all(&mut self, call: &GroupCall, moves: &[Move], steps: Steps) {
        let together = match moves {
            [forward, backward] => {
                let apart = forward.to.mode == 0 && backward.to.mode == 0;
                apart && steps.target(&forward.to) == steps.target(&backward.to)
            }
            _ => false,
        };
        if together && moves.len() * call.groups <= self.limits.workgroups {
            return self.merge(call, moves, steps);
        }
        for each in moves {
            self.merge(call, std::slice::from_ref(each), steps);
        }
    }

    fn merge(&mut self, call: &GroupCall, moves: &[Move], steps: Steps) {
        let units = call.group.layer.units();
        let Steps { chunk, slot, timesteps } = steps;
        let (first, second) = (moves[0], moves[moves.len() - 1]);
        let to = first.to;
        if !self.used[to.tensor] {
            return;
        }
        let (output, segment) = (to.layout, steps.segment(&to));
        let stage = Stage {
            kernel: Kernel::Merge,
            constants: Constants::default(),
            buffers: vec![BufferId::States, steps.target(&to)],
            parameters: parameters([
                call.view.rows,
                call.groups,
                units,
                call.slots,
                slot,
                chunk.first,
                timesteps,
                segment * output.segment,
                output.segment_timesteps(segment),
                output.features_padded,
                to.mode as usize,
                first.written_below,
                call.choice.group_rows(),
                first.start,
                first.mask_start,
                to.first_feature,
                usize::from(to.reversed),
                second.start,
                second.mask_start,
                second.to.first_feature,
                usize::from(second.to.reversed),
            ]),
            workgroups: grid([units.div_ceil(WORKGROUP), chunk.steps, call.groups * moves.len()]),
            flops: 0,
        };
        self.launch(vec![stage], None);
    }

    /// Brings the final states to where they are returned, and to where the next call finds them.
    pub(super) fn final_states(&mut self, call: &GroupCall) -> Result<()> {
        let results = &self.model.nodes[call.node].results;
        let directions = call.layer.directions();
        let states: usize = directions.iter().map(|(_, l)| l.cell().states()).sum();
        let units = call.group.layer.units();
        let mut moves = Vec::new(); // where a state starts, and where it goes
        for (direction, &member) in call.group.directions.iter().enumerate() {
            let first = member * directions[0].1.cell().states();
            for state in 0..call.group.layer.cell().states() {
                let start = final_start(call, direction, state);
                let index = first + state;
                let tensor = results.len().checked_sub(states).map(|before| results[before + index]);
                if let Some(tensor) = tensor.filter(|&t| directions[member].1.return_state() && self.used[t]) {
                    moves.push((start, BufferId::Tensor { tensor, segment: 0 }));
                }
                if directions[member].1.stateful() {
                    let carried = BufferId::Carried { node: self.state_holder(call.node), index };
                    self.need(carried, 4 * (call.view.rows * units.next_multiple_of(4)) as u64)?;
                    moves.push((start, carried));
                }
            }
        }
        for moves in moves.chunks(FINAL_STATES) {
            self.copy_states(call, moves)?;
        }
        Ok(())
    }

    fn copy_states(&mut self, call: &GroupCall, moves: &[(usize, BufferId)]) -> Result<()> {
        let units = call.group.layer.units();
        let mut buffers = vec![BufferId::States];
        buffers.extend(moves.iter().map(|&(_, target)| target));
        for unwritten in (moves.len()..FINAL_STATES).map(BufferId::Unwritten) {
            self.need(unwritten, 16)?;
            buffers.push(unwritten);
        }
        let start = |index: usize| moves.get(index).map_or(0, |&(start, _)| start);
        let stage = Stage {
            kernel: Kernel::FinalStates,
            constants: Constants::default(),
            buffers,
            parameters: parameters([
                call.view.rows,
                call.choice.group_rows(),
                units,
                units.next_multiple_of(4),
                start(0),
                start(1),
                start(2),
            ]),
            workgroups: grid([units.div_ceil(WORKGROUP), moves.len(), call.groups]),
            flops: 0,
        };
        self.launch(vec![stage], None);
        Ok(())
    }
}

impl Steps {
    /// The segment of an output that the steps write.
    fn segment(&self, to: &Destination) -> usize {
        let first = self.chunk.first;
        let t = if to.reversed { self.timesteps - 1 - first } else { first };
        t / to.layout.segment
    }

    fn target(&self, to: &Destination) -> BufferId {
        BufferId::Tensor { tensor: to.tensor, segment: self.segment(to) }
    }
}

/// Where a direction's ring of hidden states starts in the states.
fn hidden_start(call: &GroupCall, direction: usize) -> usize {
    direction * call.slots * call.state() / call.directions()
}

/// Where a direction's final state is in the states: 0 the hidden state, 1 the cell state.
fn final_start(call: &GroupCall, direction: usize, state: usize) -> usize {
    let a_direction = call.state() / call.directions();
    match state {
        0 => hidden_start(call, direction) + call.timesteps % call.slots * a_direction,
        _ => call.cell_start() + direction * a_direction,
    }
}

/// Where the mask has a step of the chunk.
fn mask_start(call: &GroupCall, direction: usize, chunk: Chunk, step: usize) -> usize {
    match call.mask {
        Some(_) => call.mask_start() + (direction * chunk.steps + step) * call.rows(),
        None => NO_MASK,
    }
}
