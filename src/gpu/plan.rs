//! From a shape and the device's limits to a list of kernel launches. Pure: nothing here needs a device.
//!
//! A layer runs in chunks of timesteps: one launch projects the chunk's input, one launch a timestep runs the
//! recurrence of all directions of a group, one launch a direction moves the chunk's hidden states to their places
//! in the output. Arrays between layers, `[batch][timesteps][features]`, are cut along time into segments that fit a
//! binding; a chunk ends where a segment does. A batch too large for the memory budget runs in parts.

use super::kernels::{Constants, Kernel};
use super::network::{Group, WeightPart};
use crate::error::{Error, Result};
use crate::layer::{Cell, Layer, MergeMode};
use crate::model::{Model, Shape};
use std::collections::HashMap;

/// The entries of the table of step numbers: no chunk has more steps.
pub(super) const STEP_TABLE: usize = 4096;
/// The projection of a chunk is kept near this size, to stay in cache.
const PROJECTION_BYTES: u64 = 32 << 20;
const WORKGROUP: usize = 64;

/// What a device allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Bytes of a storage binding: no weight can be larger.
    pub weight: u64,
    /// Bytes of every other buffer, at most `weight`.
    pub binding: u64,
    /// Workgroups along an axis of a dispatch.
    pub workgroups: usize,
    /// Bytes that the arrays between layers should take at most.
    pub budget: u64,
}

/// A buffer that a launch binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum BufferId {
    Weight {
        layer: usize,
        group: usize,
        part: WeightPart,
    },
    /// A segment of an array of the graph.
    Tensor {
        tensor: usize,
        segment: usize,
    },
    /// An initial state given with the call.
    State {
        node: usize,
        index: usize,
    },
    Projection,
    Hidden,
    Cell,
    UpdateGate,
    ResetHidden,
    /// Bound where a kernel reads nothing.
    Nothing,
}

/// One kernel of a launch.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stage {
    pub kernel: Kernel,
    pub constants: Constants,
    /// The storage buffers, in the order of the kernel's bindings.
    pub buffers: Vec<BufferId>,
    pub parameters: [u32; 16],
    pub workgroups: [u32; 3],
    pub flops: u64,
}

/// Stages that run once, or once for every step.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Launch {
    pub stages: Vec<Stage>,
    /// How often the stages run, with the step numbers 0..steps; `None`: once, without one.
    pub steps: Option<usize>,
}

/// An array of the graph in segments along time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TensorLayout {
    pub features: usize,
    /// Features filled up to a multiple of 4 with zeros.
    pub features_padded: usize,
    pub timesteps: usize,
    /// The timesteps of each segment but the last.
    pub segment: usize,
}

impl TensorLayout {
    pub fn segments(&self) -> usize {
        self.timesteps.div_ceil(self.segment)
    }

    pub fn segment_timesteps(&self, segment: usize) -> usize {
        (self.timesteps - segment * self.segment).min(self.segment)
    }

    /// The bytes of a segment for `rows` rows of the batch.
    pub fn segment_bytes(&self, segment: usize, rows: usize) -> u64 {
        4 * rows as u64 * (self.segment_timesteps(segment) * self.features_padded) as u64
    }
}

/// Everything that a call of `rows` rows does between upload and readback.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub rows: usize,
    pub tensors: Vec<TensorLayout>,
    /// The bytes of every buffer but the weights.
    pub buffers: HashMap<BufferId, u64>,
    pub launches: Vec<Launch>,
}

/// How many rows of the batch run at a time.
pub(super) fn rows_at_once(
    model: &Model,
    groups: &[Vec<Group>],
    batch: usize,
    timesteps: &[usize],
    limits: &Limits,
) -> usize {
    let bytes_a_row: u64 =
        model.tensors.iter().map(|t| layout(t.shape, timesteps, 1, u64::MAX)).map(|t| t.segment_bytes(0, 1)).sum();
    let mut most = (limits.budget / bytes_a_row.max(1)) as usize;
    for group in groups.iter().flatten() {
        // Of one step, padded to four rows, in the projection, the ring of two slots, and the step's grid.
        let bytes = 4 * (group.directions.len() * group.columns().max(2 * group.layer.units())) as u64;
        most = most.min((limits.binding / bytes) as usize / 4 * 4);
        most = most.min(limits.workgroups * 4);
    }
    for tensor in &model.tensors {
        let bytes = layout(tensor.shape, timesteps, 1, 1).segment_bytes(0, 1);
        most = most.min((limits.binding / bytes) as usize);
    }
    let parts = batch.div_ceil(most.max(1));
    batch.div_ceil(parts)
}

/// The layout of an array for `rows` rows.
fn layout(shape: Shape, timesteps: &[usize], rows: usize, binding: u64) -> TensorLayout {
    let timesteps = match shape {
        Shape::Sequence { timesteps_of, .. } => timesteps[timesteps_of],
        Shape::Vector { .. } => 1,
    };
    let features_padded = shape.features().next_multiple_of(4);
    let fits = (binding / (4 * rows as u64 * features_padded as u64)).clamp(1, timesteps as u64) as usize;
    TensorLayout { features: shape.features(), features_padded, timesteps, segment: fits }
}

/// The plan for `rows` rows of the batch and these timesteps of each input.
pub(super) fn plan(
    model: &Model,
    groups: &[Vec<Group>],
    rows: usize,
    timesteps: &[usize],
    given: &[Vec<bool>],
    limits: &Limits,
) -> Result<Plan> {
    let tensors: Vec<_> = model.tensors.iter().map(|t| layout(t.shape, timesteps, rows, limits.binding)).collect();
    let mut planner = Planner {
        model,
        rows,
        limits,
        used: used_tensors(model),
        plan: Plan { rows, tensors, buffers: HashMap::new(), launches: Vec::new() },
    };
    planner.need(BufferId::Nothing, 16)?;
    for (node, given) in given.iter().enumerate() {
        planner.node(node, &groups[model.nodes[node].layer], given)?;
    }
    for tensor in 0..model.tensors.len() {
        let layout = planner.plan.tensors[tensor];
        let segments = if planner.used[tensor] { layout.segments() } else { 0 };
        for segment in 0..segments {
            planner.need(BufferId::Tensor { tensor, segment }, layout.segment_bytes(segment, rows))?;
        }
    }
    Ok(planner.plan)
}

/// Which arrays are an input, an output, or read by a layer.
fn used_tensors(model: &Model) -> Vec<bool> {
    let mut used = vec![false; model.tensors.len()];
    let inputs = model.inputs.iter().map(|input| input.tensor);
    let read = model.nodes.iter().flat_map(|node| node.initial_state.iter().copied().chain([node.input]));
    for tensor in inputs.chain(read).chain(model.outputs.iter().copied()) {
        used[tensor] = true;
    }
    used
}

struct Planner<'a> {
    model: &'a Model,
    rows: usize,
    limits: &'a Limits,
    used: Vec<bool>,
    plan: Plan,
}

/// A group at one call of its layer.
struct GroupCall<'a> {
    node: usize,
    layer: usize,
    index: usize,
    group: &'a Group,
    timesteps: usize,
    /// The most steps of a chunk.
    chunk: usize,
    slots: usize,
    /// Where each direction's hidden states go.
    outputs: Vec<Destination>,
}

/// Where a direction's output goes.
#[derive(Clone, Copy)]
struct Destination {
    tensor: usize,
    first_feature: usize,
    mode: u32,
    /// The output stands in reversed order of steps.
    reversed: bool,
    /// Whether the other direction runs in the same launches, or ran before.
    other: Other,
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

impl Planner<'_> {
    fn batch4(&self) -> usize {
        self.rows.div_ceil(4)
    }

    /// Asks for a buffer, or for more of it.
    fn need(&mut self, buffer: BufferId, bytes: u64) -> Result<()> {
        if bytes > self.limits.binding {
            return Err(Error::Limit {
                what: format!("{buffer:?} for {} rows", self.rows),
                needed: bytes,
                limit: "bytes of max_storage_buffer_binding_size",
                allowed: self.limits.binding,
                instead: "use a device with higher limits, or Device::cpu()",
            });
        }
        let size = self.plan.buffers.entry(buffer).or_insert(bytes);
        *size = (*size).max(bytes);
        Ok(())
    }

    fn launch(&mut self, stages: Vec<Stage>, steps: Option<usize>) {
        self.plan.launches.push(Launch { stages, steps });
    }

    fn node(&mut self, node: usize, groups: &[Group], given: &[bool]) -> Result<()> {
        let layer_index = self.model.nodes[node].layer;
        for (index, group) in groups.iter().enumerate() {
            let call = self.group_call(node, layer_index, index, group);
            self.scratch(&call)?;
            self.load_states(&call, given)?;
            for chunk in self.chunks(&call) {
                self.project(&call, chunk);
                self.steps(&call, chunk);
                if group.layer.return_sequences() {
                    self.merge_chunk(&call, chunk);
                }
            }
            self.final_states(&call);
        }
        Ok(())
    }

    fn group_call<'g>(&self, node: usize, layer: usize, index: usize, group: &'g Group) -> GroupCall<'g> {
        let timesteps = self.plan.tensors[self.model.nodes[node].input].timesteps;
        let outputs: Vec<_> =
            group.directions.iter().map(|&direction| self.destination(node, direction, group)).collect();
        let a_step = 4 * (group.directions.len() * self.batch4() * 4) as u64;
        let fits = |bytes: u64, a_step: u64| ((bytes / a_step) as usize).max(1);
        let sequences = group.layer.return_sequences();
        let mut chunk = timesteps.min(STEP_TABLE);
        chunk = chunk.min(fits(PROJECTION_BYTES.min(self.limits.binding), a_step * group.columns() as u64));
        chunk = chunk.min((self.limits.workgroups * 8 / self.rows).max(1));
        if sequences {
            let slots = fits(self.limits.binding, a_step * group.layer.units() as u64);
            chunk = chunk.min(slots.saturating_sub(1).max(1));
        }
        let slots = if sequences { chunk + 1 } else { 2 };
        GroupCall { node, layer, index, group, timesteps, chunk, slots, outputs }
    }

    /// Where the output of a layer's direction goes.
    fn destination(&self, node: usize, direction: usize, group: &Group) -> Destination {
        let results = &self.model.nodes[node].results;
        let single =
            |tensor| Destination { tensor, first_feature: 0, mode: 0, reversed: direction == 1, other: Other::After };
        let Layer::Bidirectional(both) = &self.model.layers[self.model.nodes[node].layer].layer else {
            return single(results[0]);
        };
        let other = match (group.directions.len(), direction) {
            (2, _) => Other::Together,
            (_, 0) => Other::After,
            _ => Other::Before,
        };
        let mode = match both.mode() {
            MergeMode::None => return single(results[direction]),
            MergeMode::Concat => 0,
            MergeMode::Sum => 1,
            MergeMode::Mul => 2,
            MergeMode::Ave => 3,
        };
        let concat = both.mode() == MergeMode::Concat && direction == 1;
        let first_feature = if concat { both.forward().units() } else { 0 };
        Destination { mode, first_feature, other, ..single(results[0]) }
    }

    fn scratch(&mut self, call: &GroupCall) -> Result<()> {
        let group = call.group;
        let padded = (self.batch4() * 4 * group.directions.len()) as u64;
        let state = 4 * padded * group.layer.units() as u64;
        self.need(BufferId::Projection, 4 * padded * (call.chunk * group.columns()) as u64)?;
        self.need(BufferId::Hidden, state * call.slots as u64)?;
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
    /// then those that are given.
    fn load_states(&mut self, call: &GroupCall, given: &[bool]) -> Result<()> {
        let states = call.group.layer.cell().states();
        let from_graph = &self.model.nodes[call.node].initial_state;
        // Where the first state of each of the layer's directions stands in its list.
        let layer = &self.model.layers[call.layer].layer;
        let before: usize = layer.directions()[0].1.cell().states();
        for state in 0..states {
            let sources: Vec<Option<BufferId>> = call
                .group
                .directions
                .iter()
                .map(|&direction| {
                    let index = direction * before + state;
                    match from_graph.get(index) {
                        Some(&tensor) => Some(BufferId::Tensor { tensor, segment: 0 }),
                        None => given[index].then_some(BufferId::State { node: call.node, index }),
                    }
                })
                .collect();
            if sources.iter().any(Option::is_none) {
                self.load_state(call, state, 0, None);
            }
            for (direction, source) in sources.into_iter().enumerate() {
                if let Some(source) = source {
                    let bytes = 4 * (self.rows * call.group.layer.units().next_multiple_of(4)) as u64;
                    self.need(source, bytes)?;
                    self.load_state(call, state, direction, Some(source));
                }
            }
        }
        Ok(())
    }

    fn load_state(&mut self, call: &GroupCall, state: usize, direction: usize, source: Option<BufferId>) {
        let units = call.group.layer.units();
        let slots = if state == 0 { call.slots } else { 1 };
        let directions = if source.is_some() { 1 } else { call.group.directions.len() };
        let target = if state == 0 { BufferId::Hidden } else { BufferId::Cell };
        let stage = Stage {
            kernel: Kernel::LoadState,
            constants: Constants::default(),
            buffers: vec![source.unwrap_or(BufferId::Nothing), target],
            parameters: parameters([
                self.rows,
                self.batch4(),
                units,
                units.next_multiple_of(4),
                direction,
                slots * units * self.batch4(),
                usize::from(source.is_none()),
            ]),
            workgroups: grid([units.div_ceil(WORKGROUP), self.batch4(), directions]),
            flops: 0,
        };
        self.launch(vec![stage], None);
    }

    /// Cuts the steps into chunks that fit the scratch buffers and stay within a segment of every array touched.
    fn chunks(&self, call: &GroupCall) -> Vec<Chunk> {
        let timesteps = call.timesteps;
        let mut cuts: Vec<(usize, bool)> = Vec::new(); // segment length, whether time runs against the steps
        let input = self.plan.tensors[self.model.nodes[call.node].input];
        for direction in 0..call.group.directions.len() {
            cuts.push((input.segment, (call.group.reversed >> direction) & 1 == 1));
            if call.group.layer.return_sequences() {
                let output = call.outputs[direction];
                cuts.push((self.plan.tensors[output.tensor].segment, output.reversed));
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

    /// The input projection of a chunk: one launch where the directions read the same segment, otherwise one each.
    fn project(&mut self, call: &GroupCall, chunk: Chunk) {
        let group = call.group;
        let tensor = self.model.nodes[call.node].input;
        let input = self.plan.tensors[tensor];
        let segment_of = |direction: usize| match (group.reversed >> direction) & 1 {
            0 => chunk.first / input.segment,
            _ => (call.timesteps - 1 - chunk.first) / input.segment,
        };
        let together = group.directions.len() == 2 && segment_of(0) == segment_of(1);
        let starts = if together { vec![0] } else { (0..group.directions.len()).collect() };
        for first_direction in starts {
            let directions = if together { 2 } else { 1 };
            let segment = segment_of(first_direction);
            let rows = chunk.steps * self.rows;
            let weight = |part| BufferId::Weight { layer: call.layer, group: call.index, part };
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
                    self.rows,
                    self.batch4() * 4,
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

    /// The recurrence: one launch a step, all directions of the group at once.
    fn steps(&mut self, call: &GroupCall, chunk: Chunk) {
        let group = call.group;
        let layer = &group.layer;
        let tiles = if self.batch4() > 1 { 2 } else { 1 };
        let units = layer.units();
        let weight = |part| BufferId::Weight { layer: call.layer, group: call.index, part };
        let recurrent_kernel = weight(WeightPart::RecurrentKernel);
        use BufferId::{Cell as CellState, Hidden, Projection, ResetHidden, UpdateGate};
        let kernels = match layer.cell() {
            Cell::Lstm => vec![(Kernel::LstmStep, vec![recurrent_kernel, Projection, Hidden, CellState])],
            Cell::Gru { reset_after: true } => {
                let bias = weight(WeightPart::RecurrentBias);
                vec![(Kernel::GruStep, vec![recurrent_kernel, bias, Projection, Hidden])]
            }
            Cell::Gru { reset_after: false } => vec![
                (Kernel::GruResetStep, vec![recurrent_kernel, Projection, Hidden, UpdateGate, ResetHidden]),
                (Kernel::GruCandidateStep, vec![recurrent_kernel, Projection, UpdateGate, ResetHidden, Hidden]),
            ],
            Cell::SimpleRnn => vec![(Kernel::SimpleRnnStep, vec![recurrent_kernel, Projection, Hidden])],
        };
        let stages = kernels.iter().map(|(kernel, buffers)| Stage {
            kernel: *kernel,
            constants: Constants {
                activation: layer.activation(),
                recurrent_activation: layer.recurrent_activation(),
                tiles,
            },
            buffers: buffers.clone(),
            parameters: parameters([self.batch4(), units, call.slots, chunk.first, chunk.steps]),
            workgroups: grid([
                units.div_ceil(WORKGROUP),
                self.batch4().div_ceil(tiles as usize),
                group.directions.len(),
            ]),
            flops: 2 * (group.directions.len() * self.rows * units) as u64 * group.columns() as u64
                / kernels.len() as u64,
        });
        let stages = stages.collect();
        self.launch(stages, Some(chunk.steps));
    }

    /// Moves a chunk's hidden states to their places in the outputs.
    fn merge_chunk(&mut self, call: &GroupCall, chunk: Chunk) {
        for (direction, &to) in call.outputs.iter().enumerate() {
            if !self.used[to.tensor] {
                continue;
            }
            let written_below = match (to.other, to.reversed) {
                (Other::After, _) => 0,
                (Other::Before, _) => call.timesteps,
                (Other::Together, false) => chunk.first,
                (Other::Together, true) => chunk.first + chunk.steps,
            };
            let source = MergeSource {
                buffer: BufferId::Hidden,
                direction,
                slots: call.slots,
                slot: (chunk.first + 1) % call.slots,
            };
            self.merge(call, source, to, chunk, call.timesteps, written_below);
        }
    }

    /// Brings the last hidden state to the output, where it is the output, and the final states to theirs.
    fn final_states(&mut self, call: &GroupCall) {
        let last = Chunk { first: 0, steps: 1 };
        let hidden = |direction| MergeSource {
            buffer: BufferId::Hidden,
            direction,
            slots: call.slots,
            slot: call.timesteps % call.slots,
        };
        if !call.group.layer.return_sequences() {
            for (direction, &to) in call.outputs.iter().enumerate() {
                let written = usize::from(to.mode != 0 && to.reversed);
                self.merge(call, hidden(direction), to, last, 1, written);
            }
        }
        if !call.group.layer.return_state() {
            return;
        }
        let results = &self.model.nodes[call.node].results;
        let directions = self.model.layers[call.layer].layer.directions();
        let outputs = results.len() - directions.iter().map(|(_, l)| l.cell().states()).sum::<usize>();
        for (direction, &member) in call.group.directions.iter().enumerate() {
            let first = outputs + member * directions[0].1.cell().states();
            let cell = MergeSource { buffer: BufferId::Cell, direction, slots: 1, slot: 0 };
            for (state, source) in
                [hidden(direction), cell].into_iter().take(call.group.layer.cell().states()).enumerate()
            {
                let to = Destination {
                    tensor: results[first + state],
                    first_feature: 0,
                    mode: 0,
                    reversed: false,
                    other: Other::After,
                };
                self.merge(call, source, to, last, 1, 0);
            }
        }
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
        if !self.used[to.tensor] {
            return;
        }
        let units = call.group.layer.units();
        let output = self.plan.tensors[to.tensor];
        let t = if to.reversed { timesteps - 1 - chunk.first } else { chunk.first };
        let segment = t / output.segment;
        let stage = Stage {
            kernel: Kernel::Merge,
            constants: Constants::default(),
            buffers: vec![from.buffer, BufferId::Tensor { tensor: to.tensor, segment }],
            parameters: parameters([
                self.rows,
                self.batch4(),
                units,
                from.direction * from.slots * units * self.batch4(),
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
            ]),
            workgroups: grid([units.div_ceil(WORKGROUP), chunk.steps, self.batch4()]),
            flops: 0,
        };
        self.launch(vec![stage], None);
    }
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
}

/// Kernel parameters; all are below 2^32, since they count elements of a binding of less than 2^32 bytes.
fn parameters<const N: usize>(values: [usize; N]) -> [u32; 16] {
    let mut parameters = [0; 16];
    for (parameter, value) in parameters.iter_mut().zip(values) {
        *parameter = value as u32;
    }
    parameters
}

fn grid(workgroups: [usize; 3]) -> [u32; 3] {
    workgroups.map(|n| n as u32)
}

#[cfg(test)]
mod tests;
