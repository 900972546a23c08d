//! The launches of a recurrent layer: one projects a chunk's input, one a timestep or one alone
//! ([`choice`](super::choice)) runs the recurrence of all directions of a group, one moves the
//! chunk's hidden states to their places in the output, where the recurrence doesn't write them
//! there.

mod outputs;
mod stack;
mod states;

use outputs::{Destination, Other};

use super::choice::{Choice, kept};
use super::{
    BufferId, CallShape, Planner, STEP_TABLE, Stage, TensorLayout, WORKGROUP, grid, layout,
};
use crate::error::Result;
use crate::gpu::kernel::{Constants, Kernel, Projection, Recurrence, StepMask, Tiling};
use crate::gpu::network::{Group, WeightPart};
use crate::layer::{Cell, Layer, MergeMode};

/// The projection of a chunk is kept near this size, to stay in cache.
const PROJECTION_BYTES: u64 = 32 << 20;

/// What a recurrent layer reads and writes: `[rows][timesteps][features]` and the same of its
/// results.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub rows: usize,
    pub input: TensorLayout,
    pub results: Vec<TensorLayout>,
}

impl View {
    /// Of a layer that stands in the graph itself.
    pub fn of_node(planner: &Planner, node: usize) -> View {
        let node = &planner.model.nodes[node];
        let tensors = &planner.plan.tensors;
        View {
            rows: planner.call.rows,
            input: tensors[node.inputs[0]],
            results: node.results.iter().map(|&t| tensors[t]).collect(),
        }
    }

    /// Of a layer inside a TimeDistributed: every timestep of the outer sequence is a row of its
    /// own.
    pub fn inside(planner: &Planner, node: usize, outer: usize) -> View {
        let CallShape { rows, shapes, .. } = planner.call;
        let node = &planner.model.nodes[node];
        let inner =
            |tensor: usize, outer_axes: usize| layout(&shapes[tensor][outer_axes..], 1, u64::MAX);
        View {
            rows: rows * shapes[node.inputs[0]][..outer].iter().product::<usize>(),
            input: inner(node.inputs[0], outer),
            results: node.results.iter().map(|&t| inner(t, outer)).collect(),
        }
    }
}

/// A group at one call of its layer.
struct GroupCall<'a> {
    node: usize,
    /// The recurrent layer that the group is of.
    layer: &'a Layer,
    index: usize,
    group: &'a Group,
    view: View,
    choice: Choice,
    /// Groups of rows of the batch.
    groups: usize,
    /// The mask of the input.
    mask: Option<usize>,
    timesteps: usize,
    /// The most steps of a chunk.
    chunk: usize,
    slots: usize,
    /// Where each direction's hidden states go.
    outputs: Vec<Destination>,
    /// Whether the recurrent kernel writes them there.
    writes_outputs: bool,
    place: Place,
}

/// Where a group's directions stand in the arrays that the kernels share.
#[derive(Clone, Copy)]
struct Place {
    /// The first of them, of how many directions whose projections and states are kept at a time.
    first: usize,
    of: usize,
    /// How many more directions stand before it in the recurrent weights.
    weights_before: usize,
}

impl GroupCall<'_> {
    fn directions(&self) -> usize {
        self.group.directions.len()
    }

    /// The rows of the batch, filled up to whole groups.
    fn rows(&self) -> usize {
        self.groups * self.choice.group_rows()
    }

    /// The numbers of an array `[direction][group][unit]`.
    fn state(&self) -> usize {
        self.place.of * self.direction_state()
    }

    /// Those of one direction.
    fn direction_state(&self) -> usize {
        self.rows() * self.group.layer.units()
    }

    /// Where what the cell keeps, and what the mask means, start in the states.
    fn cell_start(&self) -> usize {
        self.slots * self.state()
    }

    fn mask_start(&self) -> usize {
        self.cell_start() + kept(self.group.layer.cell()) * self.state()
    }
}

/// Steps of a group, after `first`.
#[derive(Clone, Copy)]
struct Chunk {
    first: usize,
    steps: usize,
}

impl Planner<'_> {
    pub(super) fn recurrent(
        &mut self,
        node: usize,
        layer: &Layer,
        groups: &[Group],
        view: View,
    ) -> Result<()> {
        let mask = self.masks.of_node[node][0];
        if let Some(mask) = mask {
            self.mask(mask)?;
        }
        for (index, group) in groups.iter().enumerate() {
            let mut call = self.group_call(node, layer, index, group, view.clone(), mask);
            if self.can_write_outputs(&call) {
                (call.writes_outputs, call.slots) = (true, 1);
            }
            self.note_choice(group, call.view.rows, &call.choice);
            self.buffers_of(&call)?;
            let loaded = self.load_states(&[&call], false)?;
            for chunk in self.chunks(&call) {
                self.step_mask(&call, chunk);
                self.project(&call, chunk);
                self.steps(&[&call], chunk, loaded || chunk.first > 0)?;
                self.outputs(&call, chunk)?;
            }
        }
        Ok(())
    }

    fn group_call<'g>(
        &self,
        node: usize,
        layer: &'g Layer,
        index: usize,
        group: &'g Group,
        view: View,
        mask: Option<usize>,
    ) -> GroupCall<'g> {
        let timesteps = view.input.timesteps;
        let place = Place {
            first: 0,
            of: group.directions.len(),
            weights_before: group.stacked.map_or(0, |stacked| stacked.place),
        };
        let outputs: Vec<_> = group
            .directions
            .iter()
            .map(|&direction| self.destination(node, layer, direction, group, &view))
            .collect();
        let choice = self.choice(group, view.rows);
        let groups = view.rows.div_ceil(choice.group_rows());
        let a_step = 4 * (group.directions.len() * groups * choice.group_rows()) as u64;
        let fits = |bytes: u64, a_step: u64| ((bytes / a_step) as usize).max(1);
        let mut chunk = timesteps.min(STEP_TABLE);
        let columns = group.columns_padded() as u64;
        chunk = chunk.min(fits(PROJECTION_BYTES.min(self.limits.binding), a_step * columns));
        // The grid of the projection, of which a workgroup has at least four rows.
        chunk = chunk.min((self.limits.workgroups / groups).max(1));
        // The states: the ring, what the cell keeps, and the mask.
        let state = a_step * group.layer.units() as u64;
        let sequences = group.layer.return_sequences();
        let always = state * (kept(group.layer.cell()) as u64 + if sequences { 1 } else { 2 });
        let each = if sequences { state } else { 0 } + if mask.is_some() { a_step } else { 0 };
        if each > 0 {
            chunk = chunk.min(fits(self.limits.binding.saturating_sub(always), each));
        }
        let slots = if sequences { chunk + 1 } else { 2 };
        let writes_outputs = false;
        GroupCall {
            node,
            layer,
            index,
            group,
            view,
            choice,
            groups,
            mask,
            timesteps,
            chunk,
            slots,
            outputs,
            writes_outputs,
            place,
        }
    }

    /// Where the output of a layer's direction goes.
    fn destination(
        &self,
        node: usize,
        layer: &Layer,
        direction: usize,
        group: &Group,
        view: &View,
    ) -> Destination {
        let results = &self.model.nodes[node].results;
        let single = |result: usize| Destination {
            tensor: results[result],
            layout: view.results[result],
            first_feature: 0,
            mode: 0,
            reversed: direction == 1,
            other: Other::After,
        };
        let Layer::Bidirectional(both) = layer else {
            return single(0);
        };
        let other = match (group.directions.len(), direction) {
            (2, _) => Other::Together,
            (_, 0) => Other::After,
            _ => Other::Before,
        };
        let mode = match both.mode() {
            MergeMode::None => return single(direction),
            MergeMode::Concat => 0,
            MergeMode::Sum => 1,
            MergeMode::Mul => 2,
            MergeMode::Ave => 3,
        };
        let concat = both.mode() == MergeMode::Concat && direction == 1;
        let first_feature = if concat { both.forward().units() } else { 0 };
        Destination { mode, first_feature, other, ..single(0) }
    }

    fn buffers_of(&mut self, call: &GroupCall) -> Result<()> {
        let rows = (call.rows() * call.place.of) as u64;
        let mask = if call.mask.is_some() { rows * call.chunk as u64 } else { 0 };
        self.need(
            BufferId::Projection,
            4 * rows * (call.chunk * call.group.columns_padded()) as u64,
        )?;
        self.need(BufferId::States, 4 * (call.mask_start() as u64 + mask))?;
        match call.mask {
            Some(_) => self.need(BufferId::MaskSeen, 4 * rows),
            None => Ok(()),
        }
    }

    /// Cuts the steps into chunks that fit the scratch buffers and stay within a segment of every
    /// array touched.
    fn chunks(&self, call: &GroupCall) -> Vec<Chunk> {
        let timesteps = call.timesteps;
        let mut cuts: Vec<(usize, bool)> = Vec::new(); // segment length, whether time runs against the steps
        for direction in 0..call.group.directions.len() {
            cuts.push((call.view.input.segment, (call.group.reversed >> direction) & 1 == 1));
            if call.group.layer.return_sequences() {
                let output = call.outputs[direction];
                cuts.push((output.layout.segment, output.reversed));
            }
        }
        let mut chunks = Vec::new();
        let mut first = 0;
        while first < timesteps {
            let mut end = (first + call.chunk).min(timesteps);
            for &(segment, reversed) in &cuts {
                end = end.min(match reversed {
                    false => (first / segment + 1) * segment,
                    true => timesteps - (timesteps - 1 - first) / segment * segment,
                });
            }
            chunks.push(Chunk { first, steps: end - first });
            first = end;
        }
        chunks
    }

    /// What the mask means for the steps of a chunk.
    fn step_mask(&mut self, call: &GroupCall, chunk: Chunk) {
        let Some(mask) = call.mask else { return };
        let stage = Stage {
            kernel: Kernel::StepMask,
            constants: Constants::default(),
            buffers: vec![BufferId::Mask(mask), BufferId::MaskSeen, BufferId::States],
            uniform: StepMask {
                batch: call.view.rows as u32,
                rows: call.rows() as u32,
                mask_padded: call.timesteps.next_multiple_of(4) as u32,
                first_step: chunk.first as u32,
                steps: chunk.steps as u32,
                timesteps: call.timesteps as u32,
                reversed: call.group.reversed,
                zero_output: call.group.layer.zero_output_for_mask().into(),
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
    fn project(&mut self, call: &GroupCall, chunk: Chunk) {
        let group = call.group;
        let tensor = self.model.nodes[call.node].inputs[0];
        let input = call.view.input;
        let segment_of = |direction: usize| match (group.reversed >> direction) & 1 {
            0 => chunk.first / input.segment,
            _ => (call.timesteps - 1 - chunk.first) / input.segment,
        };
        let together = group.directions.len() == 2 && segment_of(0) == segment_of(1);
        let starts = if together { vec![0] } else { (0..group.directions.len()).collect() };
        for first_direction in starts {
            let directions = if together { 2 } else { 1 };
            let segment = segment_of(first_direction);
            let rows = chunk.steps * call.view.rows;
            let quads = if call.choice.group_rows() == 1 {
                rows.div_ceil(4)
            } else {
                chunk.steps * call.groups
            };
            let tiling = call.choice.projection;
            let weight = |part| self.weight(call, part);
            let stage = Stage {
                kernel: Kernel::InputProjection,
                constants: Constants { tiling, ..Constants::default() },
                buffers: vec![
                    weight(WeightPart::Kernel),
                    weight(WeightPart::Bias),
                    BufferId::Tensor { tensor, segment },
                    BufferId::Projection,
                ],
                uniform: Projection {
                    batch: call.view.rows as u32,
                    groups: call.groups as u32,
                    first_step: chunk.first as u32,
                    steps: chunk.steps as u32,
                    timesteps: call.timesteps as u32,
                    features4: group.features4() as u32,
                    units: group.layer.units() as u32,
                    first_direction: first_direction as u32,
                    reversed: group.reversed,
                    segment_start: (segment * input.segment) as u32,
                    segment_timesteps: input.segment_timesteps(segment) as u32,
                    first_projected: call.place.first as u32,
                }
                .into(),
                workgroups: grid([
                    quads.div_ceil(tiling.tiles as usize),
                    group.layer.units().div_ceil(tiling.workgroup as usize),
                    directions,
                ]),
                flops: 2 * (directions * rows * group.features) as u64 * group.columns() as u64,
            };
            self.launch(vec![stage], None);
        }
    }

    fn weight(&self, call: &GroupCall, part: WeightPart) -> BufferId {
        let layer = match call.group.stacked.filter(|_| part.is_recurrent()) {
            Some(stacked) => stacked.lowest,
            None => self.model.nodes[call.node].layer,
        };
        BufferId::Weight { layer, group: call.index, part }
    }

    /// The recurrence: one launch a step, or one of all steps; all directions of the group at once.
    /// Of several calls, the directions of each stand where those of the one before end, and all
    /// run the same number of steps from the same slot of the ring on. `loaded`: whether the states
    /// of before the chunk were written.
    fn steps(&mut self, calls: &[&GroupCall], chunk: Chunk, loaded: bool) -> Result<()> {
        let call = calls[0];
        let directions = calls.iter().map(|call| call.directions()).sum();
        let (group, choice) = (call.group, call.choice);
        let (layer, tiling) =
            (&group.layer, Tiling { writes_outputs: call.writes_outputs, ..choice.recurrent });
        let (units, group_rows) = (layer.units(), choice.group_rows());
        let mut buffers = vec![
            self.weight(call, WeightPart::RecurrentKernel),
            BufferId::Projection,
            BufferId::States,
        ];
        if layer.cell() == (Cell::Gru { reset_after: true }) {
            buffers.push(self.weight(call, WeightPart::RecurrentBias));
        }
        let mut uniform = Recurrence {
            groups: call.groups as u32,
            units: units as u32,
            slots: call.slots as u32,
            first_step: chunk.first as u32,
            steps: chunk.steps as u32,
            // The kernels count states in groups of rows.
            cell_start: (call.cell_start() / group_rows) as u32,
            mask_start: (call.mask_start() / group_rows) as u32,
            directions: call.place.of as u32,
            zeros: (!loaded).into(),
            first_direction: call.place.first as u32,
            weights_before: call.place.weights_before as u32,
            ..Recurrence::default()
        };
        if call.writes_outputs {
            let written = self.write_outputs(call, chunk, &mut uniform)?;
            buffers.extend(written);
        }
        let workgroups = match choice.sequence {
            true => [call.groups, directions, 1],
            false => {
                let lanes = (tiling.workgroup / tiling.split) as usize;
                [call.groups.div_ceil(tiling.tiles as usize), units.div_ceil(lanes), directions]
            }
        };
        let kernels = choice.kernels(layer.cell());
        let runs = if choice.sequence { chunk.steps } else { 1 };
        let flops =
            2 * (directions * call.view.rows * units * runs) as u64 * group.columns() as u64;
        let stages = kernels.iter().map(|&kernel| Stage {
            kernel,
            constants: Constants {
                activation: layer.activation(),
                recurrent_activation: layer.recurrent_activation(),
                masked: call.mask.is_some(),
                tiling,
            },
            buffers: buffers.clone(),
            uniform: uniform.into(),
            workgroups: grid(workgroups),
            flops: match kernel {
                Kernel::GruResetStep => flops * 2 / 3,
                Kernel::GruCandidateStep => flops / 3,
                _ => flops,
            },
        });
        let stages = stages.collect();
        self.launch(stages, if choice.sequence { None } else { Some(chunk.steps) });
        Ok(())
    }
}
