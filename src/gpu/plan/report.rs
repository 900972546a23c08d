//! A plan for people: what a call would do on a GPU, without having one.

use super::choice::without_waiting;
use super::launch::{Plan, Stage, Tuned, WORKGROUP};
use super::operators::plan;
use super::persistent::{choose, limits_for, persistent};
use super::recurrent::{Group, groups};
use super::rows::rows_at_once;
use crate::error::{Error, Result};
use crate::gpu::calls::plain_call;
use crate::gpu::kernel::{
    CellKernel, FinalStates, Kernel, LoadState, Merge, Projection, Recurrence, Role, Sharing,
};
use crate::gpu::limits::{Limits, Persistent};
use crate::graph::OperatorGraph;
use crate::model::{CallShape, Model};
use std::fmt;

/// The kind of adapter that a [`PlanReport`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanAdapter {
    /// A GPU with WebGPU's default limits.
    Gpu,
    /// A GPU with the limits that wgpu calls downlevel, such as four storage buffers for a kernel.
    DownlevelGpu,
    /// A software adapter, which computes on the CPU, with WebGPU's default limits: Mesa's lavapipe
    /// on a processor with AVX, whose subgroups have eight invocations.
    Software,
}

/// What an adapter of a kind is taken to be able to, to say what bounds a dispatch.
#[derive(Clone, Copy, Debug)]
struct Machine {
    flops: f64,
    bytes: f64,
    dispatch: f64,
}

impl PlanAdapter {
    pub(in crate::gpu) fn limits(self, half_weights: bool) -> Limits {
        let limits = match self {
            PlanAdapter::DownlevelGpu => wgpu::Limits::downlevel_defaults(),
            _ => wgpu::Limits::default(),
        };
        let software = self == PlanAdapter::Software;
        let subgroup = software.then_some(8);
        Limits { software, cores: 2, subgroup, half_weights, ..Limits::new(&limits, u64::MAX) }
    }

    /// A GPU of the middle, 5 TFLOP/s and 250 GB/s; two cores, 100 GFLOP/s and 20 GB/s.
    fn machine(self) -> Machine {
        match self {
            PlanAdapter::Software => Machine { flops: 100e9, bytes: 20e9, dispatch: 20e-6 },
            _ => Machine { flops: 5e12, bytes: 250e9, dispatch: 3e-6 },
        }
    }
}

/// What a call of a model does on a GPU: which dispatches it makes, how their work is split, and
/// why. Making a report needs no GPU.
///
/// A dispatch is one launch of a kernel on a grid of workgroups, each of so many invocations. A
/// recurrent layer runs in chunks of timesteps. For each chunk, a dispatch multiplies the input by
/// the layer's `kernel` (the projection, in most cases for both directions at once), and then the
/// recurrence runs in one of these ways. The choice depends on cell, units, rows of the batch and
/// adapter, never on the number of timesteps:
///
/// * *One dispatch for all timesteps of the chunk*, by a kernel named `…_sequence`. Each direction
///   and each group of four rows (or the one row of a batch of one) has a workgroup, which keeps
///   the hidden states in its shared memory. This is chosen
///   * on a GPU where a direction's `recurrent_kernel` has at most 384 KiB in all and 1.5 KiB for
///     each invocation of the workgroup, which reads it from the caches at every timestep; up to 8
///     invocations share a sum;
///   * on a software adapter for layers of up to 256 units, each invocation holding its weights in
///     private memory.
///
///   Where it can, this dispatch also writes the layer's output and final states to their places.
///   It can't with a `merge_mode` other than concat, for a stateful layer that returns its states,
///   for the layers of a stack (see below), and where the device binds fewer storage buffers to a
///   kernel than this takes: 6 for a SimpleRNN, 7 for a GRU with `reset_after`, 8 for an LSTM, and
///   9 with peepholes, for example.
/// * *One dispatch for each timestep*, by a kernel named `…_step`; two for a cell whose second
///   product takes what its first gates gave: a GRU with `reset_after=False`, MGU. On a GPU 16, 8
///   or 4 invocations share a sum, as long as the dispatch then has no more than some 130,000
///   invocations; with more rows, each invocation computes up to 8 rows. On a software adapter each
///   invocation computes 4, 8 or 16 rows, which the invocations of a subgroup load together.
///
/// A third way is for those who ask for it ([`PlanReport::persistent`]): one dispatch for all
/// timesteps of the chunk by several workgroups, which wait for each other, by a kernel named
/// `…_persistent`. Its invocations hold the `recurrent_kernel`, up to 32 rows of it each, in the
/// place of reading it at every timestep.
///
/// Consecutive layers in one direction that are alike (cell, units and activations), each reading
/// the sequence of the one below, are a stack. They share the dispatches of the recurrence, each
/// layer one chunk of timesteps behind the one below, where this is expected to save at least a
/// tenth of the time. The length of a chunk depends on the number of timesteps; no result depends
/// on it.
///
/// ```
/// use birnn::{Bidirectional, Lstm, Model, PlanAdapter, PlanReport};
/// let layer = Bidirectional::new(Lstm::new(512).return_sequences(true));
/// let model = Model::sequential(512, [layer])?;
/// let report = PlanReport::new(&model, 64, 50, PlanAdapter::Gpu, false)?;
/// assert_eq!(report.submits_at_least, 1);
/// println!("{report}");
/// # Ok::<(), birnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PlanReport {
    /// The kind of adapter that the plan is for.
    pub adapter: PlanAdapter,
    /// How each recurrent layer runs, and why: a text for each layer, or two where its directions
    /// run in dispatches of their own.
    pub choices: Vec<String>,
    /// The dispatches of one part of the batch. Equal ones are one entry, in the place of the
    /// first.
    pub dispatches: Vec<PlannedDispatch>,
    /// The number of parts in which the batch runs, so that its arrays fit the GPU's memory (1 GiB
    /// of arrays between layers) and the adapter's limits.
    pub parts: usize,
    /// The least number of submits (command buffers handed to the GPU) of a call. There are more
    /// where a call is cut so that no submit takes too long.
    pub submits_at_least: usize,
    /// The size of all buffers that a part of the batch needs, in bytes, without weights.
    pub buffer_bytes: u64,
    /// The size of the recurrent layers' weights, in bytes.
    pub weight_bytes: u64,
}

/// A dispatch of a plan, and how many equal ones the plan has.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedDispatch {
    /// The name of the kernel, which is also that of its file in `shaders/`.
    pub kernel: &'static str,
    /// How often the plan makes this dispatch.
    pub count: usize,
    /// The number of workgroups along each axis of the grid.
    pub workgroups: [u32; 3],
    /// The number of invocations of a workgroup.
    pub invocations: u32,
    /// How the work of a recurrent layer's matmuls is split, in words: how many rows an invocation
    /// computes, how many invocations share a sum, and how rows or weights reach the invocations.
    /// Empty for other kernels.
    pub cut: String,
    /// The number of floating-point operations of the matmuls of one dispatch.
    pub flops: u64,
    /// The number of bytes that one dispatch has to read and write at least: each of its arrays
    /// once. It is counted for the kernels of recurrent layers, but for that of their masks, and is
    /// 0 for all others.
    pub bytes: u64,
    /// What takes the longest on the adapter that [`PlanReport::bound_seconds`] assumes:
    /// `arithmetic`, `memory` or `dispatching`, which is the launch itself.
    pub bound: &'static str,
}

impl PlannedDispatch {
    /// The arithmetic intensity: floating-point operations for each byte.
    pub fn intensity(&self) -> f64 {
        self.flops as f64 / self.bytes.max(1) as f64
    }
}

impl PlanReport {
    /// Plans a call on inputs of `batch` rows and `timesteps` timesteps, each from 1 to 10,000,000,
    /// without masks and initial states. Where the model has a fixed number of timesteps, that
    /// number counts instead. The model needs no weights.
    ///
    /// `half_weights` is [`DeviceOptions::half_weights`](crate::DeviceOptions::half_weights).
    ///
    /// # Errors
    /// [`Error::InputShape`] where `batch` or `timesteps` isn't in that range, [`Error::Graph`]
    /// where a layer can't be called on so many timesteps, [`Error::Limit`] where a layer or an
    /// array is too large for the adapter.
    pub fn new(
        model: &Model,
        batch: usize,
        timesteps: usize,
        adapter: PlanAdapter,
        half_weights: bool,
    ) -> Result<PlanReport> {
        PlanReport::of(model, batch, timesteps, adapter, adapter.limits(half_weights))
    }

    /// As [`PlanReport::new`], where
    /// [`GpuOptions::persistent`](crate::GpuOptions::persistent) is on and the adapter was seen to
    /// run so many workgroups side by side; a GPU may run one on each of its multiprocessors.
    /// [`PlanReport::choices`] says of each layer whether a persistent kernel runs it, or why not.
    ///
    /// ```
    /// use birnn::{Bidirectional, Lstm, Model, PlanAdapter, PlanReport};
    /// let layer = Bidirectional::new(Lstm::new(512).return_sequences(true));
    /// let model = Model::sequential(512, [layer])?;
    /// let report = PlanReport::persistent(&model, 1, 50, PlanAdapter::Gpu, false, 128)?;
    /// // Both directions of all timesteps: 512 units, of which a workgroup has 16.
    /// let dispatch = report.dispatches.iter().find(|d| d.kernel == "lstm_persistent");
    /// assert_eq!(dispatch.map(|d| (d.count, d.workgroups)), Some((1, [32, 1, 2])));
    /// # Ok::<(), birnn::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PlanReport::new`].
    pub fn persistent(
        model: &Model,
        batch: usize,
        timesteps: usize,
        adapter: PlanAdapter,
        half_weights: bool,
        workgroups: usize,
    ) -> Result<PlanReport> {
        // How long a wait may take changes nothing that a report says.
        let persistent = Some(Persistent { workgroups, looks: 0 });
        let limits = Limits { persistent, ..adapter.limits(half_weights) };
        PlanReport::of(model, batch, timesteps, adapter, limits)
    }

    fn of(
        model: &Model,
        batch: usize,
        timesteps: usize,
        adapter: PlanAdapter,
        limits: Limits,
    ) -> Result<PlanReport> {
        check_call(model, batch, timesteps)?;
        let call = plain_call(model, 1, timesteps)?;
        let rows = rows_at_once(model.lower_a_row(&call)?.as_ref(), batch, &limits)?;
        let graph = model.lower(&CallShape { batch: rows, ..call })?;
        let plan = plan(&graph, &limits, &Tuned::new())?;
        let recurrences = recurrences(&graph, &limits)?;
        let limits = limits_for(&graph, &limits);
        let choices =
            recurrences.iter().map(|(group, rows)| describe(group, *rows, &limits, &plan));
        Ok(PlanReport {
            adapter,
            choices: choices.collect(),
            dispatches: dispatches(&plan, adapter.machine()),
            parts: batch.div_ceil(rows),
            submits_at_least: batch.div_ceil(rows),
            buffer_bytes: plan.buffers.values().sum(),
            weight_bytes: recurrences.iter().map(|(group, _)| group.total_weight()).sum(),
        })
    }

    /// The number of dispatches of a call, over all parts of the batch.
    pub fn dispatch_count(&self) -> usize {
        self.parts * self.dispatches.iter().map(|d| d.count).sum::<usize>()
    }

    /// The number of floating-point operations of a call's matmuls; see [`PlannedDispatch::flops`].
    pub fn flops(&self) -> u64 {
        self.sum(|d| d.flops)
    }

    /// The number of bytes that a call's dispatches read and write at least; see
    /// [`PlannedDispatch::bytes`].
    pub fn bytes(&self) -> u64 {
        self.sum(|d| d.bytes)
    }

    /// Over all dispatches; of absurd sizes the largest number.
    fn sum(&self, of: impl Fn(&PlannedDispatch) -> u64) -> u64 {
        let all = self.dispatches.iter().map(|d| of(d).saturating_mul(d.count as u64));
        all.fold(0u64, u64::saturating_add).saturating_mul(self.parts as u64)
    }

    /// The arithmetic intensity of a call: [`PlanReport::flops`] for each of
    /// [`PlanReport::bytes`].
    pub fn intensity(&self) -> f64 {
        self.flops() as f64 / self.bytes().max(1) as f64
    }

    /// The least time, in seconds, that the dispatches of a call could take one after the other,
    /// each as long as its arithmetic, its memory traffic or its launch, whichever takes longest. A
    /// GPU is assumed to have 5 TFLOP/s, 250 GB/s and 3 µs for a launch; a software adapter 100
    /// GFLOP/s, 20 GB/s and 20 µs.
    pub fn bound_seconds(&self) -> f64 {
        let machine = self.adapter.machine();
        let time = |d: &PlannedDispatch| {
            d.count as f64 * machine.times(d.flops, d.bytes).into_iter().fold(0.0, f64::max)
        };
        self.parts as f64 * self.dispatches.iter().map(time).sum::<f64>()
    }
}

impl Machine {
    /// For arithmetic, for memory, for the launch.
    fn times(self, flops: u64, bytes: u64) -> [f64; 3] {
        [flops as f64 / self.flops, bytes as f64 / self.bytes, self.dispatch]
    }

    fn bound(self, flops: u64, bytes: u64) -> &'static str {
        let [arithmetic, memory, dispatch] = self.times(flops, bytes);
        match arithmetic.max(memory) {
            most if most < dispatch => "dispatching",
            most if most == arithmetic => "arithmetic",
            _ => "memory",
        }
    }
}

/// What is above is no call that anyone makes.
const MOST: usize = 10_000_000;

fn check_call(model: &Model, batch: usize, timesteps: usize) -> Result<()> {
    if model.program.is_some() && batch != 1 {
        return Err(Error::Graph(
            "the model has no batch of its own, of which a plan could have more rows than 1".into(),
        ));
    }
    if [batch, timesteps].iter().all(|n| (1..=MOST).contains(n)) {
        return Ok(());
    }
    let input = model.inputs.first();
    let features =
        input.and_then(|input| model.tensors[input.tensor].shape.last().copied().flatten());
    Err(Error::InputShape {
        input: "the input of the planned call".into(),
        found: [batch, timesteps].into_iter().chain(features).collect(),
        expected: format!("[batch, timesteps, features], batch and timesteps 1 to {MOST}"),
    })
}

/// The groups of each recurrent layer and the rows that they are called on: where a layer is called
/// more than once, those of its first call.
fn recurrences(graph: &OperatorGraph, limits: &Limits) -> Result<Vec<(Group, usize)>> {
    let mut found: Vec<(Group, usize)> = Vec::new();
    for (step, groups) in graph.steps.iter().zip(groups(graph, limits)?) {
        let called = groups
            .first()
            .is_some_and(|new| found.iter().any(|(known, _)| known.layer == new.layer));
        if let (Some(Some(x)), false) = (step.reads.first(), called) {
            let rows = graph.shape(*x)[0];
            found.extend(groups.into_iter().map(|group| (group, rows)));
        }
    }
    Ok(found)
}

fn describe(group: &Group, rows: usize, limits: &Limits, plan: &Plan) -> String {
    let choice = choose(group, rows, limits);
    let why_not = match persistent(group, rows, without_waiting(group, rows, limits), limits) {
        Err(why) if limits.persistent.is_some() => format!("; not persistent: {why}"),
        Ok(_) | Err(_) => String::new(),
    };
    let at_once = group.stacked.as_ref().and_then(|stacked| {
        let waves = plan.waves.iter().find(|waves| waves.lowest == stacked.layers[0])?;
        Some(match stacked.place {
            0 => format!(", {} layers at once", stacked.layers.len()),
            _ => format!(", {} timesteps behind the layer below", waves.timesteps),
        })
    });
    format!(
        "{} of {} units, {} direction{} at once{}: {}{why_not}",
        group.reader.cell.class_name(),
        group.reader.units,
        group.directions.len(),
        if group.directions.len() == 1 { "" } else { "s" },
        at_once.unwrap_or_default(),
        choice.reason
    )
}

fn dispatches(plan: &Plan, machine: Machine) -> Vec<PlannedDispatch> {
    let mut list: Vec<PlannedDispatch> = Vec::new();
    for launch in &plan.launches {
        for stage in &launch.stages {
            let bytes = bytes(stage);
            let tiling = stage.constants.tiling;
            let tiled = stage.kernel.row().role != Role::Other;
            let dispatch = PlannedDispatch {
                kernel: stage.kernel.name(),
                count: launch.steps.unwrap_or(1),
                workgroups: stage.workgroups,
                invocations: if tiled { tiling.workgroup } else { WORKGROUP as u32 },
                cut: if tiled { cut(stage) } else { String::new() },
                flops: stage.flops,
                bytes,
                bound: machine.bound(stage.flops, bytes),
            };
            let equal = |other: &&mut PlannedDispatch| {
                PlannedDispatch { count: other.count, ..dispatch.clone() } == **other
            };
            match list.iter_mut().find(equal) {
                Some(other) => other.count += dispatch.count,
                None => list.push(dispatch),
            }
        }
    }
    list
}

fn cut(stage: &Stage) -> String {
    let tiling = stage.constants.tiling;
    let sharing = match (stage.kernel.is_sequence(), tiling.sharing) {
        _ if stage.kernel.is_persistent() => {
            format!("weights held, {} vectors of four k each", tiling.held())
        }
        (true, Sharing::Subgroup(_)) => "weights held".to_string(),
        (true, Sharing::Workgroup) => "weights streamed".to_string(),
        (false, Sharing::Subgroup(_)) => "rows by subgroups".to_string(),
        (false, Sharing::Workgroup) => format!("rows by blocks of {}", tiling.block),
    };
    let rows =
        if stage.kernel == Kernel::InputProjection { 4 } else { tiling.group_rows } * tiling.tiles;
    let split =
        if tiling.split > 1 { format!(", sums of {}", tiling.split) } else { String::new() };
    let target = if tiling.writes_outputs { ", outputs written" } else { "" };
    format!(
        "{rows} row{} an invocation{split}, {sharing}{target}",
        if rows == 1 { "" } else { "s" }
    )
}

/// The bytes that a dispatch has to move at least, of the kernels of a recurrent layer: each array
/// once.
fn bytes(stage: &Stage) -> u64 {
    let uniform = &stage.uniform;
    let bytes = match stage.kernel {
        Kernel::InputProjection => uniform.read().map(|p| projection_bytes(stage, &p)),
        Kernel::Cell(kernel) => uniform.read().map(|p| recurrence_bytes(stage, kernel, &p)),
        Kernel::Merge | Kernel::MergeLast => uniform.read().map(|p| merge_bytes(stage, &p)),
        Kernel::FinalStates => uniform.read().map(|p: FinalStates| {
            8 * u64::from(p.batch) * u64::from(p.units) * u64::from(stage.workgroups[1])
        }),
        Kernel::LoadState => uniform.read().map(|p: LoadState| {
            let moved = if p.zeros == 1 { 4 } else { 8 }; // written, or read and written
            moved * u64::from(p.batch) * u64::from(p.units) * u64::from(stage.workgroups[2])
        }),
        _ => None,
    };
    bytes.unwrap_or(0)
}

/// The bytes of a weight.
fn weight_bytes(stage: &Stage) -> u64 {
    if stage.constants.tiling.half_weights { 2 } else { 4 }
}

fn projection_bytes(stage: &Stage, p: &Projection) -> u64 {
    let (gates, directions) =
        (u64::from(stage.constants.tiling.gates), u64::from(stage.workgroups[2]));
    let [batch, steps, units] = [p.batch, p.steps, p.units].map(u64::from);
    let k = 4 * u64::from(p.features4);
    directions * (weight_bytes(stage) * k * gates * units + 4 * steps * batch * (k + gates * units))
}

fn recurrence_bytes(stage: &Stage, kernel: CellKernel, p: &Recurrence) -> u64 {
    let tiling = stage.constants.tiling;
    let sequence = stage.kernel.is_sequence();
    let whole_chunk = sequence || stage.kernel.is_persistent();
    let (rows, directions) = (u64::from(tiling.group_rows), u64::from(stage.directions()));
    let [groups, units, batch] = [p.groups, p.units, p.batch].map(u64::from);
    let k = units.next_multiple_of(4);
    let steps = if whole_chunk { u64::from(p.steps) } else { 1 };
    // What is read of each unit and row in each step, and by a step kernel written.
    let computed = kernel.gates().len() as u64;
    let each = computed + kernel.values_moved() as u64;
    let states = match (sequence, tiling.writes_outputs) {
        (false, _) => 0,
        (true, false) => directions * steps * groups * rows,
        (true, true) => {
            let final_states = u64::from(p.final_states.count_ones());
            batch * (directions * (steps - u64::from(p.first_written)) + final_states)
        }
    };
    directions
        * (weight_bytes(stage) * k * computed * units + 4 * steps * groups * rows * units * each)
        + 4 * states * units
}

/// Each value is read and written.
fn merge_bytes(stage: &Stage, p: &Merge) -> u64 {
    let [steps, batch, units] = [p.steps, p.batch, p.units].map(u64::from);
    let [_, steps_and_states, groups_of_all] = stage.workgroups.map(u64::from);
    let directions = groups_of_all / u64::from(p.groups);
    8 * batch * units * (steps * directions + steps_and_states - steps)
}

impl fmt::Display for PlanReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for choice in &self.choices {
            writeln!(f, "{choice}")?;
        }
        for d in &self.dispatches {
            let [x, y, z] = d.workgroups;
            writeln!(
                f,
                "{:>6} x {}: {x} x {y} x {z} workgroups of {}, {} flops, {} bytes, {:.2} flops a \
                 byte, bound by {}{}{}",
                d.count,
                d.kernel,
                d.invocations,
                d.flops,
                d.bytes,
                d.intensity(),
                d.bound,
                if d.cut.is_empty() { "" } else { "; " },
                d.cut
            )?;
        }
        write!(
            f,
            "{} dispatches, {} flops, {} bytes, {:.2} flops a byte; at least {:.3} ms",
            self.dispatch_count(),
            self.flops(),
            self.bytes(),
            self.intensity(),
            self.bound_seconds() * 1e3
        )
    }
}

impl fmt::Display for PlanAdapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PlanAdapter::Gpu => "GPU, WebGPU's default limits",
            PlanAdapter::DownlevelGpu => "GPU, downlevel limits",
            PlanAdapter::Software => "software adapter",
        })
    }
}
