//! From a shape and the device's limits to a list of kernel launches. Pure: nothing here needs a
//! device.
//!
//! A recurrent layer runs in chunks of timesteps ([`recurrent`]); the others are a launch or a few
//! each ([`feedforward`], [`attention`]). Arrays between layers are `[batch][timesteps][features]`,
//! the features filled up to a multiple of four. Where all layers are recurrent they are cut along
//! time into segments that fit a binding, and a chunk ends where a segment does. A batch too large
//! for the memory budget runs in parts.
//!
//! The kernels count in `u32`. Casts to it lose nothing: the numbers count elements of bindings,
//! which have fewer than 2^32 bytes.

mod attention;
mod choice;
mod feedforward;
mod masks;
mod moving;
mod recurrent;
mod report;
mod tuned;

pub use report::{PlanAdapter, PlanReport, PlannedDispatch};
pub(super) use tuned::{Chosen, Tuned};

use super::kernel::{Constants, Kernel, UniformData};
use super::network::{Group, WeightPart, originals};
use crate::error::{Error, Result};
use crate::layer::{Kind, Layer};
use crate::model::{Masks, Model, Node};
use std::collections::HashMap;

/// The entries of the table of step numbers: no chunk has more steps.
pub(super) const STEP_TABLE: usize = 4096;
pub(super) const WORKGROUP: usize = 64;

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
    /// Storage buffers that a kernel binds.
    pub storage_buffers: usize,
    /// Invocations of a workgroup, and bytes of its memory.
    pub invocations: usize,
    pub workgroup_bytes: usize,
    /// Whether the adapter computes on the CPU, and on how many cores.
    pub software: bool,
    pub cores: usize,
    /// The size of every subgroup, where all have the same and kernels may use them.
    pub subgroup: Option<u32>,
    /// Whether recurrent layers' weights are stored as halves.
    pub half_weights: bool,
}

impl Limits {
    /// Those of a GPU without subgroups, with the default budget, and no buffer above `largest`
    /// bytes but for weights.
    pub fn new(limits: &wgpu::Limits, largest: u64) -> Limits {
        // Kernels count elements of 4 bytes in u32, and a binding is whole vectors of 16.
        let binding =
            limits.max_storage_buffer_binding_size.min(limits.max_buffer_size).min(1 << 31) / 16
                * 16;
        Limits {
            weight: binding,
            binding: binding.min(largest / 16 * 16),
            workgroups: limits.max_compute_workgroups_per_dimension as usize,
            budget: 1 << 30,
            storage_buffers: limits.max_storage_buffers_per_shader_stage as usize,
            invocations: limits
                .max_compute_invocations_per_workgroup
                .min(limits.max_compute_workgroup_size_x) as usize,
            workgroup_bytes: limits.max_compute_workgroup_storage_size as usize,
            software: false,
            cores: 1,
            subgroup: None,
            half_weights: false,
        }
    }
}

/// A buffer that a launch binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum BufferId {
    /// A recurrent layer's weight.
    Weight {
        layer: usize,
        group: usize,
        part: WeightPart,
    },
    /// A weight of another layer, packed by [`pack`](super::parameters::pack).
    Parameter {
        layer: usize,
        index: usize,
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
    /// The state that a stateful layer ended the last call with.
    Carried {
        node: usize,
        index: usize,
    },
    /// A mask, `[batch][timesteps, filled up to a multiple of four]`.
    Mask(usize),
    /// An array between the launches of a layer.
    Scratch {
        node: usize,
        index: usize,
    },
    Projection,
    /// A recurrent layer's states, as `recurrence.wgsl` has them.
    States,
    MaskSeen,
    /// Bound where a kernel reads nothing.
    Nothing,
    /// Bound where a kernel writes nothing, for each binding another.
    Unwritten(usize),
}

/// One kernel of a launch.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stage {
    pub kernel: Kernel,
    pub constants: Constants,
    /// The storage buffers, in the order of the kernel's bindings.
    pub buffers: Vec<BufferId>,
    pub uniform: UniformData,
    pub workgroups: [u32; 3],
    pub flops: u64,
}

impl Stage {
    /// The directions that a recurrent kernel computes.
    pub fn directions(&self) -> u32 {
        self.workgroups[if self.kernel.is_sequence() { 1 } else { 2 }]
    }
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
    /// The vectors of features of a row of the batch.
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

/// What a plan depends on, beside the model and the device.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct CallShape {
    pub rows: usize,
    /// The shape of every array of the model but the batch.
    pub shapes: Vec<Vec<usize>>,
    /// Which initial states of each node are given.
    pub given: Vec<Vec<bool>>,
    /// Of which inputs the mask is given.
    pub masks: Vec<bool>,
    /// Whether stateful layers start from the states of the last call.
    pub carried: bool,
}

/// Everything that a call does between upload and readback.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub rows: usize,
    pub tensors: Vec<TensorLayout>,
    /// The bytes of every buffer but the weights.
    pub buffers: HashMap<BufferId, u64>,
    pub launches: Vec<Launch>,
    /// For each input of the model whose mask is given, which mask that is.
    pub given_masks: Vec<Option<usize>>,
    /// How its recurrent layers run.
    pub choices: Vec<Chosen>,
    /// The stacks whose layers work at the same time.
    pub waves: Vec<Waves>,
}

/// How the layers of a stack work at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waves {
    /// The number in the model of the lowest layer.
    pub lowest: usize,
    /// The timesteps by which a layer is behind the one below.
    pub timesteps: usize,
}

/// How many rows of the batch run at a time.
pub(super) fn rows_at_once(
    model: &Model,
    groups: &[Vec<Group>],
    batch: usize,
    shapes: &[Vec<usize>],
    limits: &Limits,
) -> usize {
    let originals = originals(model);
    let arrays = (0..shapes.len()).filter(|&tensor| originals[tensor] == tensor);
    let layouts: Vec<_> = arrays.map(|tensor| layout(&shapes[tensor], 1, u64::MAX)).collect();
    let bytes_a_row: u64 = layouts.iter().map(|layout| layout.segment_bytes(0, 1)).sum();
    let mut most = (limits.budget / bytes_a_row.max(1)) as usize;
    for node in running(model, &originals) {
        let inside = inner_rows(&model.layers[node.layer].layer, &shapes[node.inputs[0]]);
        for group in &groups[node.layer] {
            // Of one step, padded to four rows: the projection; or the ring of two slots, what the
            // cell keeps (two arrays at most) and the mask. And the grid of a sequence.
            let a_row = group.columns_padded().max(4 * group.layer.units() + 1);
            let bytes = 4 * (group.directions.len() * a_row) as u64;
            let rows = ((limits.binding / bytes) as usize / 4 * 4).min(limits.workgroups * 4);
            most = most.min(rows / inside);
        }
        most = most.min(feedforward::rows_at_once(
            &model.layers[node.layer].layer,
            &node.inputs,
            shapes,
            limits,
        ));
    }
    let cut = is_cut(model, &originals);
    for layout in layouts {
        let bytes =
            if cut { 4 * layout.features_padded as u64 } else { layout.segment_bytes(0, 1) };
        most = most.min((limits.binding / bytes.max(1)) as usize);
    }
    let parts = batch.div_ceil(most.max(1));
    batch.div_ceil(parts)
}

/// Whether arrays may be cut along time: only recurrent layers read them piece by piece.
fn is_cut(model: &Model, originals: &[usize]) -> bool {
    let mut layers = running(model, originals).map(|node| &model.layers[node.layer].layer);
    layers.all(|layer| !matches!(layer, Layer::Feedforward(_)))
}

/// The calls of layers that something runs for: not those whose result is their input.
fn running<'m>(model: &'m Model, originals: &'m [usize]) -> impl Iterator<Item = &'m Node> {
    model.nodes.iter().filter(|node| originals[node.results[0]] == node.results[0])
}

/// How many rows a recurrent layer has for each row of the batch: more than one inside a
/// TimeDistributed.
fn inner_rows(layer: &Layer, input: &[usize]) -> usize {
    match layer {
        Layer::Feedforward(layer) => match &layer.kind {
            Kind::TimeDistributed(each) => input[0] * inner_rows(&each.layer, &input[1..]),
            _ => 1,
        },
        _ => 1,
    }
}

/// The layout of an array for `rows` rows, with segments of at most `binding` bytes.
fn layout(shape: &[usize], rows: usize, binding: u64) -> TensorLayout {
    let features = shape.last().copied().unwrap_or(1);
    let timesteps = shape[..shape.len().saturating_sub(1)].iter().product();
    let features_padded = features.next_multiple_of(4);
    let fits =
        (binding / (4 * rows as u64 * features_padded as u64)).clamp(1, timesteps as u64) as usize;
    TensorLayout { features, features_padded, timesteps, segment: fits }
}

/// The plan of a call, with what was found to be the fastest.
pub(super) fn plan(
    model: &Model,
    groups: &[Vec<Group>],
    call: &CallShape,
    limits: &Limits,
    tuned: &Tuned,
) -> Result<Plan> {
    let originals = originals(model);
    let binding = if is_cut(model, &originals) { limits.binding } else { u64::MAX };
    let tensors: Vec<_> =
        call.shapes.iter().map(|shape| layout(shape, call.rows, binding)).collect();
    let masks = model.masks(|input| call.masks[input]);
    let mut planner = Planner {
        model,
        call,
        limits,
        tuned,
        used: used_tensors(model, &masks, &originals),
        originals,
        masks_made: vec![false; masks.sources.len()],
        masks,
        scratch: 0,
        plan: Plan {
            rows: call.rows,
            tensors,
            buffers: HashMap::new(),
            launches: Vec::new(),
            given_masks: vec![None; model.inputs.len()],
            choices: Vec::new(),
            waves: Vec::new(),
        },
    };
    planner.need(BufferId::Nothing, 16)?;
    for node in 0..model.nodes.len() {
        planner.node(node, groups)?;
    }
    for tensor in 0..model.tensors.len() {
        let layout = planner.plan.tensors[tensor];
        let needed = planner.used[tensor] && planner.originals[tensor] == tensor;
        let segments = if needed { layout.segments() } else { 0 };
        for segment in 0..segments {
            planner.need(
                BufferId::Tensor { tensor, segment },
                layout.segment_bytes(segment, call.rows),
            )?;
        }
    }
    check_bindings(&planner.plan, limits)?;
    Ok(planner.plan)
}

fn check_bindings(plan: &Plan, limits: &Limits) -> Result<()> {
    let mut stages = plan.launches.iter().flat_map(|launch| &launch.stages);
    match stages.find(|stage| stage.buffers.len() > limits.storage_buffers) {
        Some(stage) => Err(Error::Limit {
            what: format!("the kernel {}", stage.kernel.name()),
            needed: stage.buffers.len() as u64,
            limit: "max_storage_buffers_per_shader_stage",
            allowed: limits.storage_buffers as u64,
            instead: "use a device with higher limits, or Device::cpu()",
        }),
        None => Ok(()),
    }
}

/// Which arrays are an input, an output, or read by a layer or for a mask.
fn used_tensors(model: &Model, masks: &Masks, originals: &[usize]) -> Vec<bool> {
    let mut used = vec![false; model.tensors.len()];
    let inputs = model.inputs.iter().map(|input| input.tensor);
    let read =
        model.nodes.iter().flat_map(|node| node.initial_state.iter().chain(&node.inputs).copied());
    let masked = masks.sources.iter().flat_map(|source| source.tensors());
    for tensor in inputs.chain(read).chain(masked).chain(model.outputs.iter().copied()) {
        used[tensor] = true;
        used[originals[tensor]] = true;
    }
    used
}

struct Planner<'a> {
    model: &'a Model,
    call: &'a CallShape,
    limits: &'a Limits,
    tuned: &'a Tuned,
    used: Vec<bool>,
    /// The array in whose buffer each array is.
    originals: Vec<usize>,
    masks: Masks,
    /// Which masks the launches so far have made.
    masks_made: Vec<bool>,
    /// The scratch arrays of the node so far.
    scratch: usize,
    plan: Plan,
}

impl Planner<'_> {
    /// Asks for a buffer, or for more of it.
    fn need(&mut self, buffer: BufferId, bytes: u64) -> Result<()> {
        let buffer = self.original(buffer);
        if bytes > self.limits.binding {
            return Err(Error::Limit {
                what: format!("{buffer:?} for {} rows", self.call.rows),
                needed: bytes,
                limit: "bytes of max_storage_buffer_binding_size",
                allowed: self.limits.binding,
                instead: "use fewer timesteps, a device with higher limits, or Device::cpu()",
            });
        }
        let size = self.plan.buffers.entry(buffer).or_insert(bytes);
        *size = (*size).max(bytes);
        Ok(())
    }

    fn launch(&mut self, mut stages: Vec<Stage>, steps: Option<usize>) {
        for stage in &mut stages {
            debug_assert_eq!(stage.uniform.layout, stage.kernel.row().uniform);
            for buffer in &mut stage.buffers {
                *buffer = self.original(*buffer);
            }
        }
        self.plan.launches.push(Launch { stages, steps });
    }

    fn original(&self, buffer: BufferId) -> BufferId {
        match buffer {
            BufferId::Tensor { tensor, segment } => {
                BufferId::Tensor { tensor: self.originals[tensor], segment }
            }
            other => other,
        }
    }

    fn node(&mut self, node: usize, groups: &[Vec<Group>]) -> Result<()> {
        self.scratch = 0;
        let Node { layer, results, .. } = &self.model.nodes[node];
        let own = &groups[*layer];
        match &self.model.layers[*layer].layer {
            Layer::Feedforward(_) if self.originals[results[0]] != results[0] => Ok(()), // its result is its input
            Layer::Feedforward(inside) => self.feedforward(node, inside, own),
            inside => match own.first().and_then(|group| group.stacked) {
                None => self.recurrent(node, inside, own, recurrent::View::of_node(self, node)),
                Some(stacked) if stacked.place == 0 => self.stack(stacked, groups),
                Some(_) => Ok(()), // with the lowest layer
            },
        }
    }
}

fn grid(workgroups: [usize; 3]) -> [u32; 3] {
    workgroups.map(|n| n as u32)
}

#[cfg(test)]
mod tests;
