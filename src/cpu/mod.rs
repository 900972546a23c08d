//! The CPU path: recurrences, products, convolutions and some more in vectors and on threads, all
//! other operators as [`crate::reference`] computes them.
//!
//! The way of the data: weights are [`Packed`] once; [`CpuSession`] cuts a layer's work into
//! [`Sequence`]s, one for each direction and some rows of the batch, which threads run
//! independently, or where that is better one after the other, each on all threads. What isn't
//! recurrent is in `operators`: kernels are packed once, and `product` cuts the work; convolutions of
//! 3 · 3 go by tiles (`winograd`).
//!
//! Every sum runs in the same order whatever the batch, the number of threads or the way that the
//! work is split: the results are equal to the bit.

mod attention;
mod batched;
mod convolution;
mod cores;
mod moving;
mod normalize;
mod operators;
mod pairs;
mod pool;
mod product;
mod threads;
mod values;
mod windows;
mod winograd;
mod workspace;

pub(crate) use threads::Threads;

use crate::error::{Error, Result};
use crate::graph::{Constants, OperatorGraph, Step};
use crate::host::ONE_THREAD;
use crate::layer::Recurrent;
use crate::model::{Bound, CallShape, Inputs, KnownCall, Model, Outputs, OutputsMut, Places};
use crate::operator::{self, MergeMode};
use crate::profile::Recorder;
use crate::reference;
use crate::reference::{Carried, Computed, Ran, Reads, Sequences, Shared, check_memory, run_graph};
use crate::runner::{Awaited, Runner, Started, Wait, Workspaces};
use birnn_cell::Reader;
use birnn_simd::{Arch, Machine, Output, Packed, Scratch, Sequence};
use cores::{Cores, Kept};
use ndarray::{Array2, Array3, ArrayD, Axis, Zip};
use operators::Operators;
use workspace::{Common, Workspace};

/// Rows of the batch that run together: above it, another pass over the weights costs next to
/// nothing.
const GROUP_ROWS: usize = 128;
/// Work of a thread's part of a step below which threads cost more than they save, in
/// multiplications and additions. With less, where one row waits for caches, parts cost up to 5 %.
const LEAST_PART: usize = 250_000;

/// Directions whose recurrent kernels have more bytes together run one after the other, each on all
/// threads: a shared cache that doesn't have them all at each timestep may have one of them.
/// Measured with a cache of 32 MiB: up to 37 % less time from 18 MiB on, nothing gained or lost at
/// 14 to 18 MiB.
const ONE_AFTER_THE_OTHER_BYTES: usize = 18 << 20;
/// Of more rows, the arithmetic takes longer than the reading.
const ONE_AFTER_THE_OTHER_ROWS: usize = 8;

/// How many graphs are kept; above it all are dropped, so that a caller with ever new shapes
/// doesn't fill memory.
const KEPT_GRAPHS: usize = 16;

/// A model made ready for the CPU.
#[derive(Debug)]
pub(crate) struct CpuSession {
    engine: Engine,
    constants: Constants<f32>,
    /// Of the shapes of calls so far.
    graphs: Vec<(CallShape, OperatorGraph)>,
    workspaces: Vec<Workspace>,
    carried: Carried<f32>,
    /// The rows of the batch of the last call.
    rows: usize,
}

#[derive(Debug)]
struct Engine {
    cores: Cores,
    /// Of each layer of the model its directions and their weights.
    layers: Vec<Vec<Packed>>,
    scratch: Kept<Scratch>,
    operators: Operators,
}

impl CpuSession {
    /// With `half_weights` recurrent kernels are kept in 16 bits.
    pub fn new(model: &Model, threads: Threads, half_weights: bool) -> Result<CpuSession> {
        CpuSession::with_arch(model, threads, half_weights, birnn_simd::best_arch())
    }

    fn with_arch(
        model: &Model,
        threads: Threads,
        half_weights: bool,
        arch: Arch,
    ) -> Result<CpuSession> {
        model.check_weights()?;
        let lanes = birnn_simd::lanes(arch);
        let pack = |layer: &Recurrent| {
            let weights = layer
                .weights()
                .ok_or_else(|| Error::MissingWeights { layer: layer.name().to_string() })?;
            let bias = weights.projection_bias(layer.cell());
            let unit_weights = layer.cell().unit_weights().into_iter();
            let views = birnn_simd::Weights {
                kernel: weights.kernel.view(),
                recurrent_kernel: weights.recurrent_kernel.view(),
                bias: bias.view(),
                unit_weights: unit_weights.map(|weight| weights.of_units(weight)).collect(),
            };
            let unknown = || Error::Graph(format!("the CPU path has no {}", layer.cell().name()));
            Packed::new(layer.reader(false), views, lanes, half_weights).ok_or_else(unknown)
        };
        let layers = model.layers().map(|layer| {
            layer.innermost().directions().into_iter().map(|(_, layer)| pack(layer)).collect()
        });
        let layers = layers.collect::<Result<_>>()?;
        Ok(CpuSession {
            engine: Engine {
                cores: Cores { arch, threads },
                layers,
                scratch: Kept::default(),
                operators: Operators::default(),
            },
            constants: model.constants(),
            graphs: Vec::new(),
            workspaces: Vec::new(),
            carried: Carried::default(),
            rows: 0,
        })
    }

    fn run(&mut self, model: &Model, inputs: &Bound<'_, f32>) -> Result<Outputs> {
        self.recorded(model, inputs, None)
    }

    /// Runs a call, and tells a recorder where its time goes.
    fn recorded(
        &mut self,
        model: &Model,
        inputs: &Bound<'_, f32>,
        mut recorder: Option<&mut Recorder>,
    ) -> Result<Outputs> {
        let carried = !self.carried.is_empty();
        let known = self.graphs.iter().position(|(known, _)| inputs.has_shape(known, carried));
        let index = match known {
            Some(index) => index,
            None => {
                let shape = inputs.call_shape(inputs.batch, carried);
                let graph = model.lower(&shape)?.fused(&self.constants);
                check_memory::<f32>(&graph)?;
                self.engine.prepare(&graph, &self.constants)?;
                if self.graphs.len() >= KEPT_GRAPHS {
                    self.graphs.clear();
                }
                self.graphs.push((shape, graph));
                self.graphs.len() - 1
            }
        };
        let graph = &self.graphs[index].1;
        let shared = Shared { model, constants: &self.constants, operators: &self.engine };
        self.rows = inputs.batch;
        if let Some(recorder) = &mut recorder {
            recorder.host("prepare");
        }
        run_graph(shared, graph, inputs, &mut self.carried, recorder)
    }
}

impl Runner for CpuSession {
    fn submit<'a>(
        &'a mut self,
        model: &'a Model,
        inputs: &'a Bound<'_, f32>,
        _: Wait,
    ) -> Awaited<'a, Started> {
        Box::pin(async { self.run(model, inputs).map(Started::Done) })
    }

    fn profile<'a>(
        &'a mut self,
        model: &'a Model,
        inputs: &'a Bound<'_, f32>,
        _: Wait,
        recorder: &'a mut Recorder,
    ) -> Awaited<'a, Outputs> {
        Box::pin(async { self.recorded(model, inputs, Some(recorder)) })
    }

    fn carried_batch(&self) -> Option<usize> {
        (!self.carried.is_empty()).then_some(self.rows)
    }

    fn reset_states(&mut self) {
        self.carried.clear();
    }

    fn workspaces(&mut self) -> Option<&mut dyn Workspaces> {
        Some(self)
    }
}

impl Workspaces for CpuSession {
    fn add(&mut self, model: &Model, known: &KnownCall, inputs: &Bound<'_, f32>) -> Result<()> {
        let shape = inputs.call_shape(inputs.batch, !self.carried.is_empty());
        let graph = model.lower(&shape)?.fused(&self.constants);
        check_memory::<f32>(&graph)?;
        self.engine.prepare(&graph, &self.constants)?;
        self.workspaces.push(Workspace::new(&self.engine, graph, known, inputs));
        Ok(())
    }

    fn clear(&mut self) {
        self.workspaces.clear();
    }

    fn run(
        &mut self,
        workspace: usize,
        model: &Model,
        call: (&KnownCall, &Inputs<'_, f32>),
        outputs: (&mut OutputsMut<'_>, &Places),
    ) -> Result<()> {
        let missing = || Error::Graph(format!("there is no workspace {workspace} for a call"));
        let common = Common { engine: &self.engine, constants: &self.constants, model };
        let workspace = self.workspaces.get_mut(workspace).ok_or_else(missing)?;
        workspace.check(&common, call, &outputs)?;
        self.rows = call.0.batch;
        let ran = workspace.run(&common, call, &mut self.carried, outputs);
        if ran.is_err() {
            self.carried.clear();
        }
        ran
    }
}

/// How many values a vector has, of the instructions that this processor has.
pub(crate) fn lanes() -> usize {
    birnn_simd::lanes(birnn_simd::best_arch())
}

impl reference::Operators<f32> for Engine {
    const KERNEL: &'static str = "vectors";

    fn recur(
        &self,
        operator: &operator::Recurrent,
        sequences: Sequences<'_, f32>,
    ) -> Result<Ran<f32>> {
        let Sequences { x, mask, mut states, in_time } = sequences;
        let (batch, timesteps, features) = x.dim();
        // Of a timestep the features stand in one piece, however rows and timesteps lie.
        let x = match features < 2 || x.strides()[2] == 1 {
            true => x.into(),
            false => x.as_standard_layout(),
        };
        let units: Vec<usize> = operator.directions.iter().map(|reader| reader.units).collect();
        let plan = self.plan(operator, batch, timesteps, features);
        let mut arrays = Arrays::new(operator, [batch, timesteps], in_time, &units);
        let mut jobs = Vec::new();
        for (direction, (output, state)) in
            arrays.views(operator, &units).into_iter().zip(&mut states).enumerate()
        {
            let hidden = state.hidden.axis_chunks_iter_mut(Axis(0), plan.rows);
            let mut cell =
                state.cell.as_mut().map(|cell| cell.axis_chunks_iter_mut(Axis(0), plan.rows));
            let mut masks = mask.as_ref().map(|mask| mask.axis_chunks_iter(Axis(0), plan.rows));
            let rows = x.axis_chunks_iter(Axis(0), plan.rows);
            for ((x, hidden), output) in rows.zip(hidden).zip(output.groups(plan.rows)) {
                let sequence = Sequence {
                    x,
                    rows: hidden.nrows(),
                    timesteps,
                    mask: masks.as_mut().and_then(Iterator::next),
                    output,
                    hidden,
                    cell: cell.as_mut().and_then(Iterator::next),
                };
                jobs.push((&self.layers[operator.weights][direction], sequence));
            }
        }
        self.execute(jobs, plan);
        Ok(Ran { outputs: arrays.merged(operator.merge_mode), states })
    }

    fn compute(
        &self,
        step: &Step,
        graph: &OperatorGraph,
        reads: &Reads<f32>,
    ) -> Option<Computed<f32>> {
        self.operators.compute(&self.cores, step, graph, reads)
    }
}

/// How a layer's work is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Plan {
    /// Rows of the batch of a sequence.
    rows: usize,
    /// Whether sequences run at the same time, on threads; otherwise one after the other.
    together: bool,
    /// The threads that each sequence has.
    shares: usize,
}

impl Engine {
    /// Makes ready for calls of a graph.
    fn prepare(&mut self, graph: &OperatorGraph, constants: &Constants<f32>) -> Result<()> {
        let lanes = birnn_simd::lanes(self.cores.arch);
        let prepared = self.operators.prepare(graph, constants, lanes);
        prepared.map_err(|error| Error::Graph(format!("a kernel: {error}")))
    }

    fn plan(
        &self,
        operator: &operator::Recurrent,
        batch: usize,
        timesteps: usize,
        features: usize,
    ) -> Plan {
        let directions = &operator.directions;
        let columns = |reader: &Reader| reader.cell.gates().len() * reader.units;
        let a_row = |reader: &Reader| columns(reader) * (reader.units + features);
        let work = directions.iter().map(a_row).sum::<usize>() * batch * timesteps;
        let threads = self.cores.threads_for(work);
        if threads == 1 {
            return Plan { rows: batch.min(GROUP_ROWS), together: false, shares: 1 };
        }
        // More rows at a time reuse the weights better: no more groups than threads need, or than
        // cache asks for.
        let wanted = threads.div_ceil(directions.len());
        let groups = batch.div_ceil(GROUP_ROWS).max(wanted.min(batch / 8)).max(1);
        let rows = batch.div_ceil(groups);
        let a_row_of_a_step = directions.iter().map(|reader| columns(reader) * reader.units);
        let a_step = a_row_of_a_step.min().unwrap_or(0) * rows;
        let most_parts = (a_step / LEAST_PART).max(1);
        let weights = &self.layers[operator.weights];
        let recurrent_kernels: usize = weights.iter().map(Packed::recurrent_bytes).sum();
        let one_after_the_other = directions.len() > 1
            && batch <= ONE_AFTER_THE_OTHER_ROWS
            && recurrent_kernels > ONE_AFTER_THE_OTHER_BYTES
            && most_parts >= threads;
        let sequences = directions.len() * batch.div_ceil(rows);
        let shares =
            if one_after_the_other { threads } else { (threads / sequences).clamp(1, most_parts) };
        Plan { rows, together: !one_after_the_other, shares }
    }

    fn execute(&self, jobs: Vec<(&Packed, Sequence)>, plan: Plan) {
        let machine = Machine { arch: self.cores.arch, shares: plan.shares };
        let run = |(packed, sequence): (&Packed, Sequence)| {
            self.scratch.with(|scratch| packed.run(sequence, machine, scratch));
        };
        match (plan.together, plan.shares) {
            _ if ONE_THREAD => jobs.into_iter().for_each(run),
            (false, 1) => jobs.into_iter().for_each(run),
            (false, _) => self.cores.threads.install(|| jobs.into_iter().for_each(run)),
            (true, _) => self.cores.threads.install(|| {
                rayon::scope(|scope| {
                    let run = &run;
                    jobs.into_iter().for_each(|job| scope.spawn(move |_| run(job)));
                });
            }),
        }
    }
}

/// The outputs of a layer before they are merged: one array where each direction has its place in
/// it.
enum Arrays {
    Every(Vec<Array3<f32>>),
    Last(Vec<Array2<f32>>),
}

impl Arrays {
    /// `in_time`: that of every timestep lies in memory as `[timesteps, batch, features]`.
    fn new(
        operator: &operator::Recurrent,
        [batch, timesteps]: [usize; 2],
        in_time: bool,
        units: &[usize],
    ) -> Arrays {
        let features = match operator.merge_mode {
            MergeMode::Concat => vec![units.iter().sum()],
            _ => units.to_vec(),
        };
        let every = |n: usize| match in_time {
            true => Array3::zeros((timesteps, batch, n)).permuted_axes([1, 0, 2]),
            false => Array3::zeros((batch, timesteps, n)),
        };
        match operator.return_sequences {
            true => Arrays::Every(features.into_iter().map(every).collect()),
            false => {
                Arrays::Last(features.into_iter().map(|n| Array2::zeros((batch, n))).collect())
            }
        }
    }

    /// Where each direction writes; what is reversed goes back into the order of time.
    fn views(&mut self, operator: &operator::Recurrent, units: &[usize]) -> Vec<Output<'_>> {
        let arrays = match self {
            Arrays::Every(arrays) => arrays.len(),
            Arrays::Last(arrays) => arrays.len(),
        };
        let shared = units.first().filter(|_| arrays < units.len());
        let mut views: Vec<Output> = match (self, shared) {
            (Arrays::Every(arrays), None) => {
                arrays.iter_mut().map(|array| Output::Every(array.view_mut())).collect()
            }
            (Arrays::Last(arrays), None) => {
                arrays.iter_mut().map(|array| Output::Last(array.view_mut())).collect()
            }
            (Arrays::Every(arrays), Some(&forward)) => {
                let (forward, backward) = arrays[0].view_mut().split_at(Axis(2), forward);
                vec![Output::Every(forward), Output::Every(backward)]
            }
            (Arrays::Last(arrays), Some(&forward)) => {
                let (forward, backward) = arrays[0].view_mut().split_at(Axis(1), forward);
                vec![Output::Last(forward), Output::Last(backward)]
            }
        };
        for (view, reader) in views.iter_mut().zip(&operator.directions) {
            if let (Output::Every(output), true) = (view, reader.reverse_output) {
                output.invert_axis(Axis(1));
            }
        }
        views
    }

    fn merged(self, merge_mode: MergeMode) -> Vec<ArrayD<f32>> {
        let mut arrays: Vec<ArrayD<f32>> = match self {
            Arrays::Every(arrays) => arrays.into_iter().map(|array| array.into_dyn()).collect(),
            Arrays::Last(arrays) => arrays.into_iter().map(|array| array.into_dyn()).collect(),
        };
        let merge: fn(f32, f32) -> f32 = match merge_mode {
            MergeMode::Concat | MergeMode::None => return arrays,
            MergeMode::Sum => |forward, backward| forward + backward,
            MergeMode::Mul => |forward, backward| forward * backward,
            MergeMode::Ave => |forward, backward| (forward + backward) / 2.0,
        };
        if let Some(backward) = arrays.pop() {
            arrays.iter_mut().for_each(|forward| {
                Zip::from(forward).and(&backward).for_each(|f, &b| *f = merge(*f, b));
            });
        }
        arrays
    }
}

#[cfg(test)]
mod attention_tests;
#[cfg(test)]
mod operator_tests;
#[cfg(test)]
mod tests;
