//! What computes steps: recurrences, cut into sequences for threads, and the operators that the CPU
//! path has code of its own for.

use super::cores::{Cores, Reused};
use super::memory::Memory;
use super::operators::Operators;
use crate::error::{Error, Result};
use crate::graph::{Constants, OperatorGraph, Step};
use crate::host::ONE_THREAD;
use crate::operator::{self, MergeMode};
use crate::reference::{self, Computed, Ran, Reads, Sequences};
use birnn_cell::Reader;
use birnn_simd::{Machine, Output, Packed, Scratch, Sequence};
use ndarray::{Array2, Array3, ArrayD, Axis, Ix3, Zip};

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

#[derive(Debug)]
pub(super) struct Engine {
    pub cores: Cores,
    /// Of each layer of the model its directions and their weights.
    pub layers: Vec<Vec<Packed>>,
    pub scratch: Reused<Scratch>,
    pub operators: Operators,
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
        let mut arrays =
            Arrays::new(&self.operators.memory, operator, [batch, timesteps], in_time, &units);
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
                    reader: &operator.directions[direction],
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

    fn done_with(&self, array: ArrayD<f32>) {
        self.operators.memory.give(array.into_raw_vec_and_offset().0);
    }
}

/// How a layer's work is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plan {
    /// Rows of the batch of a sequence.
    pub rows: usize,
    /// Whether sequences run at the same time, on threads; otherwise one after the other.
    pub together: bool,
    /// The threads that each sequence has.
    pub shares: usize,
}

impl Engine {
    /// Makes ready for calls of a graph.
    pub fn prepare(&mut self, graph: &OperatorGraph, constants: &Constants<f32>) -> Result<()> {
        let lanes = birnn_simd::lanes(self.cores.arch);
        let prepared = self.operators.prepare(graph, constants, lanes);
        prepared.map_err(|error| Error::Graph(format!("a kernel: {error}")))
    }

    pub fn plan(
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
        memory: &Memory,
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
            true => memory.array(Ix3(timesteps, batch, n)).permuted_axes([1, 0, 2]),
            false => memory.array(Ix3(batch, timesteps, n)),
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
