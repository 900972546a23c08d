//! The launches of a recurrent layer: one projects a chunk's input, one a timestep runs the recurrence of all directions
//! of a group, one a direction moves the chunk's hidden states to their places in the output.

use super::{BufferId, CallShape, Planner, STEP_TABLE, Stage, TensorLayout, WORKGROUP, grid, layout, parameters};
use crate::error::Result;
use crate::gpu::kernels::{Constants, Kernel};
use crate::gpu::network::{Group, WeightPart};
use crate::layer::{Cell, Layer, MergeMode};

/// The projection of a chunk is kept near this size, to stay in cache.
const PROJECTION_BYTES: u64 = 32 << 20;
/// The parameter of merge that says that there is no mask.
const NO_MASK: usize = u32::MAX as usize;

/// What a recurrent layer reads and writes: `[rows][timesteps][features]` and the same of its results.
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

    /// Of a layer inside a TimeDistributed: every timestep of the outer sequence is a row of its own.
    pub fn inside(planner: &Planner, node: usize, outer: usize) -> View {
        let CallShape { rows, shapes, .. } = planner.call;
        let node = &planner.model.nodes[node];
        let inner = |tensor: usize, outer_axes: usize| layout(&shapes[tensor][outer_axes..], 1, u64::MAX);
        View {
            rows: rows * shapes[node.inputs[0]][..outer].iter().product::<usize>(),
            input: inner(node.inputs[0], outer),
            results: node.results.iter().map(|&t| inner(t, outer)).collect(),
        }
    }

    fn batch4(&self) -> usize {
        self.rows.div_ceil(4)
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
    /// The mask of the input.
    mask: Option<usize>,
    timesteps: usize,
    /// The most steps of a chunk.
    chunk: usize,
    slots: usize,
    /// Where each direction's hidden states go.
    outputs: Vec<Destination>,
}

/// Where a direction's output or state goes.
#[derive(Clone, Copy)]
struct Destination {
    target: Target,
    layout: TensorLayout,
    first_feature: usize,
    mode: u32,
    /// The output stands in reversed order of steps.
    reversed: bool,
    /// Whether the other direction runs in the same launches, or ran before.
    other: Other,
}

#[derive(Clone, Copy)]
enum Target {
    Tensor(usize),
    Carried { node: usize, index: usize },
}

#[derive(Clone, Copy, PartialEq)]
enum Other {
    Before,
    Together,
    After,
}

/// Steps of a group, after `first`.
#[derive(Clone, Copy)]
struct Chunk {
    first: usize,
    steps: usize,
}

/// A ring of states: where a merge reads.
#[derive(Clone, Copy)]
struct MergeSource {
    buffer: BufferId,
    /// The group's direction.
    direction: usize,
    slots: usize,
    /// The slot of the first step.
    slot: usize,
    /// Where the step mask has the first step, for an output; states are kept as they are.
    mask_start: usize,
}

impl Planner<'_> {
    pub(super) fn recurrent(&mut self, node: usize, layer: &Layer, groups: &[Group], view: View) -> Result<()> {
        let mask = self.masks.of_node[node][0];
        if let Some(mask) = mask {
            self.mask(mask)?;
        }
        for (index, group) in groups.iter().enumerate() {
            let call = self.group_call(node, layer, index, group, view.clone(), mask);
            self.buffers_of(&call)?;
            self.load_states(&call)?;
            for chunk in self.chunks(&call) {
                self.step_mask(&call, chunk);
                self.project(&call, chunk);
                self.steps(&call, chunk);
                if group.layer.return_sequences() {
                    self.merge_chunk(&call, chunk);
                } else if chunk.first + chunk.steps == call.timesteps {
                    self.last_output(&call, chunk);
                }
            }
            self.final_states(&call)?;
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
        let outputs: Vec<_> =
            group.directions.iter().map(|&direction| self.destination(node, layer, direction, group, &view)).collect();
        let a_step = 4 * (group.directions.len() * view.batch4() * 4) as u64;
        let fits = |bytes: u64, a_step: u64| ((bytes / a_step) as usize).max(1);
        let sequences = group.layer.return_sequences();
        let mut chunk = timesteps.min(STEP_TABLE);
        chunk = chunk.min(fits(PROJECTION_BYTES.min(self.limits.binding), a_step * group.columns() as u64));
        chunk = chunk.min((self.limits.workgroups * 8 / view.rows).max(1));
        if mask.is_some() {
            chunk = chunk.min(fits(self.limits.binding, a_step));
        }
        if sequences {
            let slots = fits(self.limits.binding, a_step * group.layer.units() as u64);
            chunk = chunk.min(slots.saturating_sub(1).max(1));
        }
        let slots = if sequences { chunk + 1 } else { 2 };
        GroupCall { node, layer, index, group, view, mask, timesteps, chunk, slots, outputs }
    }

    /// Where the output of a layer's direction goes.
    fn destination(&self, node: usize, layer: &Layer, direction: usize, group: &Group, view: &View) -> Destination {
        let results = &self.model.nodes[node].results;
        let single = |result: usize| Destination {
            target: Target::Tensor(results[result]),
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
        let group = call.group;
        let padded = (call.view.batch4() * 4 * group.directions.len()) as u64;
        let state = 4 * padded * group.layer.units() as u64;
        self.need(BufferId::Projection, 4 * padded * (call.chunk * group.columns()) as u64)?;
        self.need(BufferId::Hidden, state * call.slots as u64)?;
        if call.mask.is_some() {
            self.need(BufferId::StepMask, 4 * padded * call.chunk as u64)?;
            self.need(BufferId::MaskSeen, 4 * padded)?;
        }
        match group.layer.cell() {
            Cell::Lstm => self.need(BufferId::Cell, state),
            Cell::Gru { reset_after: false } => {
                self.need(BufferId::UpdateGate, state)?;
                self.need(BufferId::ResetHidden, state)
            }
            _ => Ok(()),
        }
    }

    /// Writes the initial states into the hidden ring and the cell state: zeros for all directions at once,
    /// then those that are given or carried over from the last call.
    fn load_states(&mut self, call: &GroupCall) -> Result<()> {
        let states = call.group.layer.cell().states();
        let from_graph = &self.model.nodes[call.node].initial_state;
        let given = &self.call.given[call.node];
        let (node, holder) = (call.node, self.state_holder(call.node));
        // Where the first state of each of the layer's directions stands in its list.
        let directions = call.layer.directions();
        let before: usize = directions[0].1.cell().states();
        for state in 0..states {
            let source = |&direction: &usize| {
                let index = direction * before + state;
                let carried = (self.call.carried || holder < node) && directions[direction].1.stateful();
                match from_graph.get(index) {
                    Some(&tensor) => Some(BufferId::Tensor { tensor, segment: 0 }),
                    None if given.get(index) == Some(&true) => Some(BufferId::State { node, index }),
                    None => carried.then_some(BufferId::Carried { node: holder, index }),
                }
            };
            let sources: Vec<Option<BufferId>> = call.group.directions.iter().map(source).collect();
            if sources.iter().any(Option::is_none) {
                self.load_state(call, state, 0, None);
            }
            for (direction, source) in sources.into_iter().enumerate() {
                if let Some(source) = source {
                    let bytes = 4 * (call.view.rows * call.group.layer.units().next_multiple_of(4)) as u64;
                    self.need(source, bytes)?;
                    self.load_state(call, state, direction, Some(source));
                }
            }
        }
        Ok(())
    }

    /// The first call of the same layer: a stateful layer has one state, and goes on from where its last call ended.
    fn state_holder(&self, node: usize) -> usize {
        let layer = self.model.nodes[node].layer;
        self.model.nodes.iter().position(|first| first.layer == layer).unwrap_or(node)
    }

    fn load_state(&mut self, call: &GroupCall, state: usize, direction: usize, source: Option<BufferId>) {
        let units = call.group.layer.units();
        let batch4 = call.view.batch4();
        let slots = if state == 0 { call.slots } else { 1 };
        let directions = if source.is_some() { 1 } else { call.group.directions.len() };
        let target = if state == 0 { BufferId::Hidden } else { BufferId::Cell };
        let stage = Stage {
            kernel: Kernel::LoadState,
            constants: Constants::default(),
            buffers: vec![source.unwrap_or(BufferId::Nothing), target],
            parameters: parameters([
                call.view.rows,
                batch4,
                units,
                units.next_multiple_of(4),
                direction,
                slots * units * batch4,
                usize::from(source.is_none()),
            ]),
            workgroups: grid([units.div_ceil(WORKGROUP), batch4, directions]),
            flops: 0,
        };
        self.launch(vec![stage], None);
    }

    /// Cuts the steps into chunks that fit the scratch buffers and stay within a segment of every array touched.
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
            buffers: vec![BufferId::Mask(mask), BufferId::MaskSeen, BufferId::StepMask],
            parameters: parameters([
                call.view.rows,
                call.view.batch4(),
                call.timesteps.next_multiple_of(4),
                chunk.first,
                chunk.steps,
                call.timesteps,
                call.group.reversed as usize,
                usize::from(call.group.layer.zero_output_for_mask()),
            ]),
            workgroups: grid([call.view.batch4().div_ceil(WORKGROUP), call.group.directions.len(), 1]),
            flops: 0,
        };
        self.launch(vec![stage], None);
    }

    /// The input projection of a chunk: one launch where the directions read the same segment, otherwise one each.
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
            let weight = |part| self.weight(call, part);
            let stage = Stage {
                kernel: Kernel::InputProjection,
                constants: Constants::default(),
                buffers: vec![
                    BufferId::Tensor { tensor, segment },
                    weight(WeightPart::Kernel),
                    weight(WeightPart::Bias),
                    BufferId::Projection,
                ],
                parameters: parameters([
                    call.view.rows,
                    call.view.batch4() * 4,
                    chunk.first,
                    chunk.steps,
                    call.timesteps,
                    group.features4(),
                    group.columns(),
                    first_direction,
                    group.reversed as usize,
                    segment * input.segment,
                    input.segment_timesteps(segment),
                ]),
                workgroups: grid([group.columns().div_ceil(2 * WORKGROUP), rows.div_ceil(8), directions]),
                flops: 2 * (directions * rows * group.features) as u64 * group.columns() as u64,
            };
            self.launch(vec![stage], None);
        }
    }

    fn weight(&self, call: &GroupCall, part: WeightPart) -> BufferId {
        BufferId::Weight { layer: self.model.nodes[call.node].layer, group: call.index, part }
    }

    /// The recurrence: one launch a step, all directions of the group at once.
    fn steps(&mut self, call: &GroupCall, chunk: Chunk) {
        let group = call.group;
        let layer = &group.layer;
        let batch4 = call.view.batch4();
        let tiles = if batch4 > 1 { 2 } else { 1 };
        let units = layer.units();
        let recurrent_kernel = self.weight(call, WeightPart::RecurrentKernel);
        let mask = if call.mask.is_some() { BufferId::StepMask } else { BufferId::Nothing };
        use BufferId::{Cell as CellState, Hidden, Projection, ResetHidden, UpdateGate};
        let kernels = match layer.cell() {
            Cell::Lstm => vec![(Kernel::LstmStep, vec![recurrent_kernel, Projection, Hidden, CellState, mask])],
            Cell::Gru { reset_after: true } => {
                let bias = self.weight(call, WeightPart::RecurrentBias);
                vec![(Kernel::GruStep, vec![recurrent_kernel, bias, Projection, Hidden, mask])]
            }
            Cell::Gru { reset_after: false } => vec![
                (Kernel::GruResetStep, vec![recurrent_kernel, Projection, Hidden, UpdateGate, ResetHidden]),
                (Kernel::GruCandidateStep, vec![recurrent_kernel, Projection, UpdateGate, ResetHidden, Hidden, mask]),
            ],
            Cell::SimpleRnn => vec![(Kernel::SimpleRnnStep, vec![recurrent_kernel, Projection, Hidden, mask])],
        };
        let stages = kernels.iter().map(|(kernel, buffers)| Stage {
            kernel: *kernel,
            constants: Constants {
                activation: layer.activation(),
                recurrent_activation: layer.recurrent_activation(),
                tiles,
                masked: call.mask.is_some(),
            },
            buffers: buffers.clone(),
            parameters: parameters([batch4, units, call.slots, chunk.first, chunk.steps]),
            workgroups: grid([units.div_ceil(WORKGROUP), batch4.div_ceil(tiles as usize), group.directions.len()]),
            flops: 2 * (group.directions.len() * call.view.rows * units) as u64 * group.columns() as u64
                / kernels.len() as u64,
        });
        let stages = stages.collect();
        self.launch(stages, Some(chunk.steps));
    }

    /// Moves a chunk's hidden states to their places in the outputs.
    fn merge_chunk(&mut self, call: &GroupCall, chunk: Chunk) {
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
    fn last_output(&mut self, call: &GroupCall, chunk: Chunk) {
        for (direction, &to) in call.outputs.iter().enumerate() {
            let written = usize::from(to.mode != 0 && to.reversed);
            let mask_start = mask_start(call, direction, chunk, chunk.steps - 1);
            let source = MergeSource { mask_start, ..hidden(call, direction) };
            self.merge(call, source, to, Chunk { first: 0, steps: 1 }, 1, written);
        }
    }

    /// Brings the final states to where they are returned, and to where the next call finds them.
    fn final_states(&mut self, call: &GroupCall) -> Result<()> {
        let results = &self.model.nodes[call.node].results;
        let directions = call.layer.directions();
        let states: usize = directions.iter().map(|(_, l)| l.cell().states()).sum();
        let units = call.group.layer.units();
        for (direction, &member) in call.group.directions.iter().enumerate() {
            let first = member * directions[0].1.cell().states();
            let cell = MergeSource { buffer: BufferId::Cell, slots: 1, slot: 0, ..hidden(call, direction) };
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
        let batch4 = call.view.batch4();
        let output = to.layout;
        let t = if to.reversed { timesteps - 1 - chunk.first } else { chunk.first };
        let segment = t / output.segment;
        let target = match to.target {
            Target::Tensor(tensor) if !self.used[tensor] => return,
            Target::Tensor(tensor) => BufferId::Tensor { tensor, segment },
            Target::Carried { node, index } => BufferId::Carried { node, index },
        };
        let mask = if from.mask_start == NO_MASK { BufferId::Nothing } else { BufferId::StepMask };
        let stage = Stage {
            kernel: Kernel::Merge,
            constants: Constants::default(),
            buffers: vec![from.buffer, mask, target],
            parameters: parameters([
                call.view.rows,
                batch4,
                units,
                from.direction * from.slots * units * batch4,
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
            ]),
            workgroups: grid([units.div_ceil(WORKGROUP), chunk.steps, batch4]),
            flops: 0,
        };
        self.launch(vec![stage], None);
    }
}

/// The hidden state after the last step.
fn hidden(call: &GroupCall, direction: usize) -> MergeSource {
    let slot = call.timesteps % call.slots;
    MergeSource { buffer: BufferId::Hidden, direction, slots: call.slots, slot, mask_start: NO_MASK }
}

/// Where the step mask has a step of the chunk.
fn mask_start(call: &GroupCall, direction: usize, chunk: Chunk, step: usize) -> usize {
    match call.mask {
        Some(_) => (direction * chunk.steps + step) * call.view.batch4(),
        None => NO_MASK,
    }
}
