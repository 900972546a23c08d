//! Hidden states to their places: the output of a layer, and its final states.

use super::call::{Chunk, Destination, GroupCall, Other};
use crate::error::Result;
use crate::gpu::kernel::{Constants, FinalStates, Kernel, Merge, Recurrence, Way};
use crate::gpu::plan::launch::{BufferId, Stage, WORKGROUP, grid};
use crate::gpu::plan::planner::Planner;
use crate::graph::{ArrayId, StateOfLayer};

/// The parameter of merge that says that there is no mask.
const NO_MASK: usize = u32::MAX as usize;
/// The states that a launch of final_states moves at most: with what it reads as many storage
/// buffers as any device binds.
const FINAL_STATES: usize = 3;
/// Those that go with a sequence's last output, and the storage buffers that this takes.
const LAST_STATES: usize = 4;
const LAST_BUFFERS: usize = LAST_STATES + 2;

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

/// A final state of a direction of a group, 0 the hidden state and 1 the cell state, and where it
/// goes.
#[derive(Clone, Copy)]
struct FinalState {
    direction: usize,
    state: usize,
    target: BufferId,
}

/// The steps that a merge moves, the slot of the first of them, and all timesteps of the output.
#[derive(Clone, Copy)]
struct Steps {
    chunk: Chunk,
    slot: usize,
    timesteps: usize,
}

impl Planner<'_> {
    /// Moves what a chunk computed to its places: its hidden states, or the last of them, to the
    /// outputs, and after the last chunk the final states to where they are returned.
    pub(super) fn outputs(&mut self, call: &GroupCall, chunk: Chunk) -> Result<()> {
        if call.writes_outputs {
            return Ok(());
        }
        let last = chunk.first + chunk.steps == call.timesteps();
        let (moves, steps) = match call.group.return_sequences {
            true => hidden_states(call, chunk),
            false if last => last_hidden_state(call, chunk),
            false => return Ok(()),
        };
        let states = if last { self.final_states(call)? } else { Vec::new() };
        let merges = self.cut(call, &moves, steps);
        let fit = self.limits.storage_buffers >= LAST_BUFFERS
            && steps.chunk.steps + LAST_STATES <= self.limits.workgroups;
        let with_last = if fit && !merges.is_empty() { states.len().min(LAST_STATES) } else { 0 };
        let (with_last, alone) = states.split_at(with_last);
        for (index, moves) in merges.iter().enumerate() {
            let states = if index + 1 == merges.len() { with_last } else { &[] };
            self.merge(call, moves, steps, states)?;
        }
        for states in alone.chunks(FINAL_STATES) {
            self.copy_states(call, states)?;
        }
        Ok(())
    }

    /// Whether the recurrent kernel can write what the layer returns by itself: one that runs all
    /// steps, into one array that no other direction's values are added to, and each final state to
    /// one place. Not in a stack, whose layers may run the same dispatch.
    pub(super) fn can_write_outputs(&self, call: &GroupCall) -> bool {
        let cell = call.group.reader.cell;
        let buffers = 4 + usize::from(!cell.unit_weights().is_empty()) + 2 * cell.states();
        let twice = |array: &ArrayId| self.used[array.0] && self.carried(*array).is_some();
        let together = match &call.outputs[..] {
            [only] => only.mode == 0,
            [forward, backward] => {
                forward.mode == 0
                    && forward.array == backward.array
                    && forward.layout.segments() == 1
            }
            _ => false,
        };
        call.choice.way == Way::Sequence
            && call.group.stacked.is_none()
            && buffers <= self.limits.storage_buffers
            && together
            && !call.step.writes[call.operator.outputs()..].iter().any(twice)
    }

    /// Tells a sequence kernel what to write of a chunk. Returns the buffers that it binds for
    /// that, after those of every sequence kernel.
    pub(super) fn write_outputs(
        &mut self,
        call: &GroupCall,
        chunk: Chunk,
        uniform: &mut Recurrence,
    ) -> Result<Vec<BufferId>> {
        let last = chunk.first + chunk.steps == call.timesteps();
        let (first_written, steps) = match call.group.return_sequences {
            true => (0, Steps { chunk, slot: 0, timesteps: call.timesteps() }),
            false => {
                let only = Chunk { first: 0, steps: 1 };
                (chunk.steps - usize::from(last), Steps { chunk: only, slot: 0, timesteps: 1 })
            }
        };
        let (first, second) = (call.outputs[0], call.outputs[call.outputs.len() - 1]);
        let used = self.used[first.array.0];
        let states = if last { self.final_states(call)? } else { Vec::new() };
        let of = |state: usize, direction: usize| {
            states.iter().find(|s| (s.state, s.direction) == (state, direction)).map(|s| s.target)
        };
        let count = call.group.reader.cell.states();
        let mut targets = vec![used.then(|| self.target(steps, &first))];
        targets.extend((0..count).flat_map(|state| [of(state, 0), of(state, 1)]));
        let is_final =
            |(bit, target): (usize, &Option<BufferId>)| u32::from(target.is_some()) << bit;
        *uniform = Recurrence {
            first_written: if used { first_written } else { chunk.steps } as u32,
            first_timestep_0: steps.first_timestep(&first) as u32,
            first_timestep_1: steps.first_timestep(&second) as u32,
            reversed: u32::from(first.reversed) | u32::from(second.reversed) << 1,
            batch: call.input.rows as u32,
            timesteps: first.layout.segment_timesteps(steps.segment(&first)) as u32,
            features_padded: first.layout.features_padded as u32,
            first_feature_0: first.first_feature as u32,
            first_feature_1: second.first_feature as u32,
            final_states: targets[1..].iter().enumerate().map(is_final).sum(),
            units_padded: call.group.reader.units.next_multiple_of(4) as u32,
            ..*uniform
        };
        self.bound(targets)
    }

    /// What a kernel binds for what it may write: buffers of their own for what it doesn't.
    fn bound(&mut self, targets: Vec<Option<BufferId>>) -> Result<Vec<BufferId>> {
        let bind = |(place, target): (usize, Option<BufferId>)| {
            target.map_or_else(
                || self.need(BufferId::Unwritten(place), 16).map(|()| BufferId::Unwritten(place)),
                Ok,
            )
        };
        targets.into_iter().enumerate().map(bind).collect()
    }

    /// What is moved by a launch each: both directions by one where each writes features of its own
    /// to the same array. Nothing where nobody reads it.
    fn cut<'m>(&self, call: &GroupCall, moves: &'m [Move], steps: Steps) -> Vec<&'m [Move]> {
        let together = match moves {
            [forward, backward] => {
                let apart = forward.to.mode == 0 && backward.to.mode == 0;
                apart
                    && forward.to.array == backward.to.array
                    && steps.segment(&forward.to) == steps.segment(&backward.to)
            }
            _ => false,
        };
        let fit = moves.len() * call.groups <= self.limits.workgroups;
        let merges = moves.chunks(if together && fit { 2 } else { 1 });
        merges.filter(|moves| self.used[moves[0].to.array.0]).collect()
    }

    /// Moves hidden states to an output; `states`: final states that go with them.
    fn merge(
        &mut self,
        call: &GroupCall,
        moves: &[Move],
        steps: Steps,
        states: &[FinalState],
    ) -> Result<()> {
        let units = call.group.reader.units;
        let Steps { chunk, slot, timesteps } = steps;
        let (first, second) = (moves[0], moves[moves.len() - 1]);
        let to = first.to;
        let (output, segment) = (to.layout, steps.segment(&to));
        let mut buffers = vec![BufferId::States, self.target(steps, &to)];
        if !states.is_empty() {
            buffers.extend(self.targets::<LAST_STATES>(states)?);
        }
        let start =
            |index: usize| states.get(index).map_or(0, |state| final_start(call, state)) as u32;
        let stage = Stage {
            kernel: if states.is_empty() { Kernel::Merge } else { Kernel::MergeLast },
            constants: Constants::default(),
            buffers,
            uniform: Merge {
                batch: call.input.rows as u32,
                groups: call.groups as u32,
                units: units as u32,
                slots: call.slots as u32,
                first_slot: slot as u32,
                first_step: chunk.first as u32,
                timesteps: timesteps as u32,
                segment_start: (segment * output.segment) as u32,
                segment_timesteps: output.segment_timesteps(segment) as u32,
                features_padded: output.features_padded as u32,
                mode: to.mode,
                written_below: first.written_below as u32,
                group_rows: call.choice.group_rows() as u32,
                first_start: first.start as u32,
                first_mask_start: first.mask_start as u32,
                first_feature: to.first_feature as u32,
                first_reversed: to.reversed.into(),
                second_start: second.start as u32,
                second_mask_start: second.mask_start as u32,
                second_first_feature: second.to.first_feature as u32,
                second_reversed: second.to.reversed.into(),
                steps: chunk.steps as u32,
                units_padded: units.next_multiple_of(4) as u32,
                start_0: start(0),
                start_1: start(1),
                start_2: start(2),
                start_3: start(3),
            }
            .into(),
            workgroups: grid([
                units.div_ceil(WORKGROUP),
                chunk.steps + states.len(),
                call.groups * moves.len(),
            ]),
            flops: 0,
        };
        self.launch(vec![stage], None);
        Ok(())
    }

    /// What a kernel binds to write `N` states: buffers of their own where there are fewer.
    fn targets<const N: usize>(&mut self, states: &[FinalState]) -> Result<Vec<BufferId>> {
        self.bound((0..N).map(|index| states.get(index).map(|state| state.target)).collect())
    }

    /// The final states that are returned, or that the next call starts from.
    fn final_states(&mut self, call: &GroupCall) -> Result<Vec<FinalState>> {
        let units = call.group.reader.units;
        let mut moves = Vec::new();
        for direction in 0..call.directions() {
            let first = call.operator.outputs() + call.first_state(direction);
            for state in 0..call.group.reader.cell.states() {
                let array = call.step.writes[first + state];
                if self.used[array.0] {
                    let target = self.buffer(array, 0);
                    moves.push(FinalState { direction, state, target });
                }
                if let Some(carried) = self.carried(array) {
                    let target = BufferId::Carried(carried);
                    self.need(target, 4 * (call.input.rows * units.next_multiple_of(4)) as u64)?;
                    moves.push(FinalState { direction, state, target });
                }
            }
        }
        Ok(moves)
    }

    /// The state of a stateful layer that the next call finds in this array, if any.
    fn carried(&self, array: ArrayId) -> Option<StateOfLayer> {
        let of_array = self.graph.carried.iter().find(|(_, carried)| *carried == array);
        of_array.map(|&(state, _)| state)
    }

    /// The buffer that the steps write.
    fn target(&mut self, steps: Steps, to: &Destination) -> BufferId {
        self.buffer(to.array, steps.segment(to))
    }

    fn copy_states(&mut self, call: &GroupCall, states: &[FinalState]) -> Result<()> {
        let units = call.group.reader.units;
        let mut buffers = vec![BufferId::States];
        buffers.extend(self.targets::<FINAL_STATES>(states)?);
        let start =
            |index: usize| states.get(index).map_or(0, |state| final_start(call, state)) as u32;
        let stage = Stage {
            kernel: Kernel::FinalStates,
            constants: Constants::default(),
            buffers,
            uniform: FinalStates {
                batch: call.input.rows as u32,
                group_rows: call.choice.group_rows() as u32,
                units: units as u32,
                units_padded: units.next_multiple_of(4) as u32,
                start_0: start(0),
                start_1: start(1),
                start_2: start(2),
            }
            .into(),
            workgroups: grid([units.div_ceil(WORKGROUP), states.len(), call.groups]),
            flops: 0,
        };
        self.launch(vec![stage], None);
        Ok(())
    }
}

impl Steps {
    /// The segment of an output that the steps write.
    fn segment(&self, to: &Destination) -> usize {
        self.timestep(to) / to.layout.segment
    }

    /// Where in the segment the first of the steps stands.
    fn first_timestep(&self, to: &Destination) -> usize {
        self.timestep(to) % to.layout.segment
    }

    fn timestep(&self, to: &Destination) -> usize {
        let first = self.chunk.first;
        if to.reversed { self.timesteps - 1 - first } else { first }
    }
}

/// A chunk's hidden states and their places.
fn hidden_states(call: &GroupCall, chunk: Chunk) -> (Vec<Move>, Steps) {
    let moves = call.outputs.iter().enumerate().map(|(direction, &to)| {
        let written_below = match (to.other, to.reversed) {
            (Other::After, _) => 0,
            (Other::Before, _) => call.timesteps(),
            (Other::Together, false) => chunk.first,
            (Other::Together, true) => chunk.first + chunk.steps,
        };
        let mask_start = mask_start(call, direction, chunk, 0);
        Move { start: hidden_start(call, direction), mask_start, to, written_below }
    });
    let slot = (chunk.first + 1) % call.slots;
    (moves.collect(), Steps { chunk, slot, timesteps: call.timesteps() })
}

/// The last hidden state, where it is the output.
fn last_hidden_state(call: &GroupCall, chunk: Chunk) -> (Vec<Move>, Steps) {
    let moves = call.outputs.iter().enumerate().map(|(direction, &to)| {
        let mask_start = mask_start(call, direction, chunk, chunk.steps - 1);
        let written_below = usize::from(to.mode != 0 && to.reversed);
        Move { start: hidden_start(call, direction), mask_start, to, written_below }
    });
    let only = Chunk { first: 0, steps: 1 };
    (moves.collect(), Steps { chunk: only, slot: call.timesteps() % call.slots, timesteps: 1 })
}

/// Where a direction's ring of hidden states starts in the states.
fn hidden_start(call: &GroupCall, direction: usize) -> usize {
    (call.place.first + direction) * call.slots * call.direction_state()
}

/// Where a final state is in the states.
fn final_start(call: &GroupCall, state: &FinalState) -> usize {
    let (a_direction, direction) = (call.direction_state(), state.direction);
    match state.state {
        0 => hidden_start(call, direction) + call.timesteps() % call.slots * a_direction,
        _ => call.cell_start() + (call.place.first + direction) * a_direction,
    }
}

/// Where the mask has a step of the chunk.
fn mask_start(call: &GroupCall, direction: usize, chunk: Chunk, step: usize) -> usize {
    match call.mask {
        Some(_) => {
            call.mask_start() + ((call.place.first + direction) * chunk.steps + step) * call.rows()
        }
        None => NO_MASK,
    }
}
