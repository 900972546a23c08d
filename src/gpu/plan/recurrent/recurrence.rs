//! The launches of a recurrence: one projects a chunk's input, one a timestep or one alone
//! ([`choice`](crate::gpu::plan::choice)) runs the recurrence of all directions of a group, one
//! moves the chunk's hidden states to their places in the output, where the recurrence doesn't
//! write them there.

use super::call::{Chunk, GroupCall, PROJECTION_BYTES, SharedPosition};
use super::group::Group;
use crate::error::Result;
use crate::gpu::kernel::{
    Constants, Kernel, Projection, StepMask, Tiling, Way, further_states, handed_on,
};
use crate::gpu::plan::choice::Choice;
use crate::gpu::plan::launch::{BufferId, EXCHANGE_HEAD, STEP_TABLE, Stage, WORKGROUP, grid};
use crate::gpu::plan::layout::ArrayLayout;
use crate::gpu::plan::persistent::groups_at_once;
use crate::gpu::plan::planner::Planner;
use crate::gpu::plan::weight::WeightPart;
use crate::graph::Step;
use crate::operator::Recurrent;

impl Planner<'_> {
    pub(in crate::gpu::plan) fn recurrent(
        &mut self,
        step: &Step,
        operator: &Recurrent,
        groups: &[Group],
    ) -> Result<()> {
        for group in groups {
            let mut call = self.group_call(step, operator, group)?;
            if self.can_write_outputs(&call) {
                (call.writes_outputs, call.slots) = (true, 1);
            }
            self.note_choice(group, call.input.rows, &call.choice);
            self.buffers_of(&call)?;
            let loaded = self.load_states(&[&call], false)?;
            for chunk in call.chunks() {
                self.step_mask(&call, chunk);
                self.project(&call, chunk);
                self.steps(&[&call], chunk, loaded || chunk.first > 0)?;
                self.outputs(&call, chunk)?;
            }
        }
        Ok(())
    }

    pub(super) fn group_call<'g>(
        &mut self,
        step: &'g Step,
        operator: &'g Recurrent,
        group: &'g Group,
    ) -> Result<GroupCall<'g>> {
        let x = self.read(step, 0)?;
        let input = self.layout(x);
        let mask = match step.reads.get(1) {
            Some(Some(_)) => Some(self.operand(step, 1)?.buffer),
            _ => None,
        };
        let place = SharedPosition {
            first: 0,
            count: group.directions.len(),
            weights_before: group.stacked.as_ref().map_or(0, |stacked| stacked.place),
        };
        let outputs = group.directions.iter();
        let outputs =
            outputs.map(|&direction| self.destination(step, operator, group, direction)).collect();
        let choice = self.choice(group, input.rows);
        let groups = input.rows.div_ceil(choice.group_rows());
        let chunk = self.chunk_steps(group, input, &choice, mask.is_some());
        let all_kept = group.return_sequences || choice.way == Way::Persistent;
        Ok(GroupCall {
            step,
            operator,
            group,
            x,
            input,
            mask,
            choice,
            groups,
            chunk,
            slots: if all_kept { chunk + 1 } else { 2 },
            outputs,
            writes_outputs: false,
            place,
        })
    }

    /// The most steps of a chunk, whose arrays fit the buffers.
    fn chunk_steps(
        &self,
        group: &Group,
        input: ArrayLayout,
        choice: &Choice,
        masked: bool,
    ) -> usize {
        let group_rows = choice.group_rows();
        let groups = input.rows.div_ceil(group_rows);
        let a_step = 4 * (group.directions.len() * groups * group_rows) as u64;
        let fits = |bytes: u64, a_step: u64| ((bytes / a_step) as usize).max(1);
        let projection = a_step * group.columns_padded() as u64;
        let mut chunk = input.timesteps.min(STEP_TABLE);
        chunk = chunk.min(fits(PROJECTION_BYTES.min(self.limits.binding), projection));
        // The grid of the projection, of which a workgroup has at least four rows.
        chunk = chunk.min((self.limits.workgroups / groups).max(1));
        // The states: the ring, what the cell keeps, and the mask.
        let state = a_step * group.reader.units as u64;
        let persistent = choice.way == Way::Persistent;
        // A persistent kernel writes no slot that it has read.
        let sequences = group.return_sequences || persistent;
        if persistent {
            let exchanged = self.limits.binding.saturating_sub(EXCHANGE_HEAD);
            chunk = chunk.min(fits(exchanged, state * handed_on(group.reader.cell) as u64));
        }
        let always =
            state * (further_states(group.reader.cell) as u64 + if sequences { 1 } else { 2 });
        let each = if sequences { state } else { 0 } + if masked { a_step } else { 0 };
        match each {
            0 => chunk,
            each => chunk.min(fits(self.limits.binding.saturating_sub(always), each)),
        }
    }

    pub(super) fn buffers_of(&mut self, call: &GroupCall) -> Result<()> {
        let rows = (call.rows() * call.place.count) as u64;
        let mask = if call.mask.is_some() { rows * call.chunk as u64 } else { 0 };
        self.need(
            BufferId::Projection,
            4 * rows * (call.chunk * call.group.columns_padded()) as u64,
        )?;
        self.need(BufferId::States, 4 * (call.mask_start() as u64 + mask))?;
        if call.choice.way == Way::Persistent {
            self.need(BufferId::Exchange, EXCHANGE_HEAD + exchanged(call, call.chunk))?;
        }
        match call.mask {
            Some(_) => self.need(BufferId::MaskSeen, 4 * rows),
            None => Ok(()),
        }
    }

    /// What the mask means for the steps of a chunk.
    pub(super) fn step_mask(&mut self, call: &GroupCall, chunk: Chunk) {
        let Some(mask) = call.mask else { return };
        let stage = Stage {
            kernel: Kernel::StepMask,
            constants: Constants::default(),
            buffers: vec![mask, BufferId::MaskSeen, BufferId::States],
            uniform: StepMask {
                batch: call.input.rows as u32,
                rows: call.rows() as u32,
                mask_padded: call.timesteps().next_multiple_of(4) as u32,
                first_step: chunk.first as u32,
                steps: chunk.steps as u32,
                timesteps: call.timesteps() as u32,
                reversed: call.group.reversed,
                zero_output: call.group.reader.zero_output_for_mask.into(),
                mask_start: call.mask_start() as u32,
                first_direction: call.place.first as u32,
            }
            .into(),
            workgroups: grid([call.rows().div_ceil(WORKGROUP), call.directions(), 1]),
            flops: 0,
        };
        self.launch(vec![stage], None);
    }

    /// The input projection of a chunk: one launch where the directions read the same segment,
    /// otherwise one each.
    pub(super) fn project(&mut self, call: &GroupCall, chunk: Chunk) {
        let group = call.group;
        let input = call.input;
        let segment_of = |direction: usize| match (group.reversed >> direction) & 1 {
            0 => chunk.first / input.segment,
            _ => (call.timesteps() - 1 - chunk.first) / input.segment,
        };
        let together = group.directions.len() == 2 && segment_of(0) == segment_of(1);
        let starts = if together { vec![0] } else { (0..group.directions.len()).collect() };
        for first_direction in starts {
            let directions = if together { 2 } else { 1 };
            let segment = segment_of(first_direction);
            let rows = chunk.steps * call.input.rows;
            let quads = if call.choice.group_rows() == 1 {
                rows.div_ceil(4)
            } else {
                chunk.steps * call.groups
            };
            let tiling = call.choice.projection;
            let buffers = vec![
                self.weight(group.weight(WeightPart::Kernel)),
                self.weight(group.weight(WeightPart::Bias)),
                self.buffer(call.x, segment),
                BufferId::Projection,
            ];
            let stage = Stage {
                kernel: Kernel::InputProjection,
                constants: Constants { tiling, ..Constants::default() },
                buffers,
                uniform: Projection {
                    batch: call.input.rows as u32,
                    groups: call.groups as u32,
                    first_step: chunk.first as u32,
                    steps: chunk.steps as u32,
                    timesteps: call.timesteps() as u32,
                    features4: group.features4() as u32,
                    units: group.reader.units as u32,
                    first_direction: first_direction as u32,
                    reversed: group.reversed,
                    segment_start: (segment * input.segment) as u32,
                    segment_timesteps: input.segment_timesteps(segment) as u32,
                    first_projected: call.place.first as u32,
                }
                .into(),
                workgroups: grid([
                    quads.div_ceil(tiling.tiles as usize),
                    group.reader.units.div_ceil(tiling.workgroup as usize),
                    directions,
                ]),
                flops: 2 * (directions * rows * group.features) as u64 * group.columns() as u64,
            };
            self.launch(vec![stage], None);
        }
    }

    /// The recurrence: one launch a step, or one of all steps; all directions of the group at once.
    /// Of several calls, the directions of each stand where those of the one before end, and all
    /// run the same number of steps from the same slot of the ring on. `loaded`: whether the states
    /// of before the chunk were written.
    pub(super) fn steps(&mut self, calls: &[&GroupCall], chunk: Chunk, loaded: bool) -> Result<()> {
        let call = calls[0];
        let directions = calls.iter().map(|call| call.directions()).sum();
        let (group, choice) = (call.group, call.choice);
        let tiling = Tiling { writes_outputs: call.writes_outputs, ..choice.recurrent };
        let (reader, units) = (&group.reader, group.reader.units);
        let mut buffers = vec![
            self.weight(group.weight(WeightPart::RecurrentKernel)),
            BufferId::Projection,
            BufferId::States,
        ];
        if !reader.cell.unit_weights().is_empty() {
            buffers.push(self.weight(group.weight(WeightPart::UnitWeights)));
        }
        let mut uniform = call.recurrence(chunk, loaded);
        let mut zeroed = 0;
        if let (Way::Persistent, Some(persistent)) = (choice.way, self.limits.persistent) {
            let at_once = groups_at_once(group, call.input.rows, &choice, self.limits);
            uniform.groups_at_once = at_once as u32;
            uniform.looks = persistent.looks;
            buffers.push(BufferId::Exchange);
            zeroed = exchanged(call, chunk.steps);
        }
        if call.writes_outputs {
            let written = self.write_outputs(call, chunk, &mut uniform)?;
            buffers.extend(written);
        }
        let unit_blocks = units.div_ceil((tiling.workgroup / tiling.split) as usize);
        let workgroups = match choice.way {
            Way::Sequence => [call.groups, directions, 1],
            Way::Steps => [call.groups.div_ceil(tiling.tiles as usize), unit_blocks, directions],
            Way::Persistent => [unit_blocks, uniform.groups_at_once as usize, directions],
        };
        let kernels = choice.kernels(reader.cell);
        let runs = if choice.way == Way::Steps { 1 } else { chunk.steps };
        let flops =
            2 * (directions * call.input.rows * units * runs) as u64 * group.columns() as u64;
        let gates = reader.cell.gates().len() as u64;
        let stages = kernels.into_iter().map(|kernel| Stage {
            kernel: Kernel::Cell(kernel),
            constants: Constants {
                activation: reader.activation,
                recurrent_activation: reader.recurrent_activation,
                masked: call.mask.is_some(),
                tiling,
            },
            buffers: buffers.clone(),
            uniform: uniform.into(),
            workgroups: grid(workgroups),
            flops: flops * kernel.gates().len() as u64 / gates,
        });
        let stages = stages.collect();
        let steps = (choice.way == Way::Steps).then_some(chunk.steps);
        self.exchanging_launch(stages, steps, zeroed);
        Ok(())
    }
}

/// The bytes that the workgroups of a persistent kernel hand on in a chunk of so many steps.
fn exchanged(call: &GroupCall, steps: usize) -> u64 {
    let values = call.directions() * call.direction_state() * handed_on(call.group.reader.cell);
    4 * (values * steps) as u64
}
