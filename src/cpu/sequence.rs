//! A direction of a recurrent layer on some rows of the batch, from the first timestep to the last.

use super::beside::{BLOCK_ROWS, Beside, Done, RoomBeside};
use super::matmul::Blocks;
use super::pack::{Packed, RecurrentKernel};
use super::small::Run;
use super::step::{
    Finish, FinishProjection, GruCandidate, GruGates, GruStates, LstmStates, Project,
    SimpleRnnStates, States, Step, goes_back, sums_kept,
};
use crate::layer::{Cell, Recurrent};
use ndarray::{ArrayView2, ArrayViewMut1, ArrayViewMut2, ArrayViewMut3, Axis};
use pulp::Arch;
use std::ops::Range;

/// The projection of a chunk of timesteps is kept between these sizes, so that it stays in cache;
/// within them a quarter of the kernel, which each chunk reads once.
const PROJECTION_BYTES: Range<usize> = (512 << 10)..(16 << 20);

/// Where one row is multiplied with a recurrent kernel of so many bytes, it waits for the
/// second-level or third-level cache and leaves half the arithmetic free. Measured with a
/// second-level cache of 1 MiB, which it reads half as fast as it multiplies: 6 to 10 % less time
/// from 96 to 384 units, nothing gained with 64 units, or with two rows, and time lost above 8 MiB,
/// for the pieces read the kernel again for every [`BLOCK_ROWS`].
const BESIDE_BYTES: Range<usize> = (80 << 10)..(8 << 20);
/// The same of one in 16 bits, which leaves less of the arithmetic free: 3 to 7 % less time with
/// 128 and 256 units, time lost with 512.
const HALF_BESIDE_BYTES: Range<usize> = (80 << 10)..(1 << 20);

/// What a direction reads and writes for some rows of the batch.
pub(super) struct Sequence<'a> {
    pub layer: &'a Recurrent,
    pub packed: &'a Packed,
    /// `[rows][timesteps][features]`
    pub x: &'a [f32],
    pub rows: usize,
    pub timesteps: usize,
    /// `[rows, timesteps]`: whether a timestep counts.
    pub mask: Option<ArrayView2<'a, bool>>,
    pub output: Output<'a>,
    /// `[rows, units]`: the initial states, and in the end the final ones.
    pub hidden: ArrayViewMut2<'a, f32>,
    pub cell: Option<ArrayViewMut2<'a, f32>>,
}

/// Where the output goes.
pub(super) enum Output<'a> {
    /// `[rows, timesteps, units]` in the order in which the direction reads.
    Every(ArrayViewMut3<'a, f32>),
    /// `[rows, units]`
    Last(ArrayViewMut2<'a, f32>),
}

/// The arrays of a running sequence, kept from call to call.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Of each matrix, `[panel][step of the chunk][row][vector][lane]`.
    projections: Vec<Vec<f32>>,
    /// The same of the next chunk, where it is projected beside the steps of this one, and of each
    /// part how much is done.
    upcoming: Vec<f32>,
    done: Vec<Done>,
    /// `[block][row][lane]`
    hidden: Vec<f32>,
    next: Vec<f32>,
    cell: Vec<f32>,
    update_gate: Vec<f32>,
    reset_hidden: Vec<f32>,
    /// Of each part, `[panel][row][vector][lane]`.
    sums: Vec<f32>,
    counts: Vec<bool>,
    seen: Vec<bool>,
}

/// How a sequence uses the machine.
#[derive(Clone, Copy)]
pub(super) struct Machine {
    pub arch: Arch,
    /// The threads that a sequence has, each with its share of the units.
    pub shares: usize,
    /// In how many parts a share is computed, of which threads that are idle take some.
    pub parts: usize,
}

impl Machine {
    /// The parts of all shares.
    pub fn all_parts(&self) -> usize {
        self.shares * self.parts
    }

    /// Cuts panels into them, or fewer where there are fewer panels.
    fn cut(&self, panels: usize) -> impl Iterator<Item = Range<usize>> + Clone + use<> {
        let parts = self.all_parts().clamp(1, panels);
        (0..parts).map(move |part| part * panels / parts..(part + 1) * panels / parts)
    }
}

impl<'a> Sequence<'a> {
    pub fn run(mut self, machine: Machine, scratch: &mut Scratch) {
        if let Some(small) = &self.packed.small {
            return machine.arch.dispatch(Run(self, small));
        }
        self.start(machine, scratch);
        let projects_beside = self.projects_beside(machine);
        let mut chunks = self.chunks(projects_beside).peekable();
        if let Some(first) = chunks.peek() {
            self.project(machine, first.clone(), scratch);
        }
        while let Some(chunk) = chunks.next() {
            let upcoming = chunks
                .peek()
                .filter(|_| projects_beside)
                .map(|steps| self.input_rows(steps.clone()));
            let beside = upcoming.as_deref();
            if let Some(rows) = beside {
                self.start_upcoming(machine, rows, scratch);
            }
            for (step_of_chunk, step) in chunk.enumerate() {
                self.read_mask(step, scratch);
                self.step(machine, step_of_chunk, scratch, beside);
                std::mem::swap(&mut scratch.hidden, &mut scratch.next);
                self.write_output(step, scratch);
            }
            match (beside, chunks.peek()) {
                (Some(rows), _) => self.finish_upcoming(machine, rows, scratch),
                (None, Some(next)) => self.project(machine, next.clone(), scratch),
                (None, None) => {}
            }
        }
        self.end(scratch);
    }

    fn state_values(&self) -> usize {
        self.packed.blocks() * self.rows * self.packed.lanes
    }

    fn start(&self, machine: Machine, scratch: &mut Scratch) {
        let values = self.state_values();
        let both = if self.layer.cell() == (Cell::Gru { reset_after: false }) { values } else { 0 };
        scratch.hidden.resize(values, 0.0);
        scratch.next.resize(values, 0.0);
        scratch.update_gate.resize(both, 0.0);
        scratch.reset_hidden.resize(both, 0.0);
        scratch.sums.resize(machine.all_parts() * sums_kept(self.rows) * self.packed.lanes, 0.0);
        scratch
            .projections
            .resize(self.packed.matrices.len().max(scratch.projections.len()), Vec::new());
        to_blocks(self.hidden.view(), &mut scratch.hidden, self.packed.lanes);
        if let Some(cell) = &self.cell {
            scratch.cell.resize(values, 0.0);
            to_blocks(cell.view(), &mut scratch.cell, self.packed.lanes);
        }
        scratch.seen.clear();
        scratch.seen.resize(self.rows, false);
    }

    fn end(&mut self, scratch: &Scratch) {
        let (rows, lanes) = (self.rows, self.packed.lanes);
        for (row, state) in self.hidden.outer_iter_mut().enumerate() {
            from_blocks(&scratch.hidden, rows, lanes, row, state);
        }
        for (row, state) in self.cell.iter_mut().flat_map(|cell| cell.outer_iter_mut()).enumerate()
        {
            from_blocks(&scratch.cell, rows, lanes, row, state);
        }
    }

    /// The timesteps that are projected at a time.
    fn chunks(&self, projects_beside: bool) -> impl Iterator<Item = Range<usize>> + use<> {
        if projects_beside {
            return cut(self.timesteps, BLOCK_ROWS);
        }
        let kernel: usize = self.packed.matrices.iter().map(|matrix| matrix.kernel.len()).sum();
        let a_step: usize = self
            .packed
            .matrices
            .iter()
            .map(|m| m.panels * m.vectors * self.packed.lanes * self.rows)
            .sum();
        let values = kernel.clamp(PROJECTION_BYTES.start, PROJECTION_BYTES.end) / 4;
        let chunk = (values / a_step.max(1)).clamp(1, self.timesteps);
        cut(self.timesteps, chunk)
    }

    /// The rows of x of some timesteps: of each timestep those of the batch.
    fn input_rows(&self, steps: Range<usize>) -> Vec<&'a [f32]> {
        let (features, x) = (self.packed.features, self.x);
        let row = |step: usize, row: usize| {
            let t = if self.layer.go_backwards() { self.timesteps - 1 - step } else { step };
            &x[(row * self.timesteps + t) * features..][..features]
        };
        let steps = steps.flat_map(|step| (0..self.rows).map(move |index| (step, index)));
        steps.map(|(step, index)| row(step, index)).collect()
    }

    /// Whether a chunk is projected beside the steps of the one before it: where one row waits for
    /// the recurrent kernel.
    fn projects_beside(&self, machine: Machine) -> bool {
        let [matrix] = &self.packed.matrices[..] else { return false };
        let waits = match matrix.recurrent_kernel {
            RecurrentKernel::Single(_) => BESIDE_BYTES.contains(&matrix.recurrent_kernel.bytes()),
            RecurrentKernel::Half(_) => {
                HALF_BESIDE_BYTES.contains(&matrix.recurrent_kernel.bytes())
            }
        };
        self.rows == 1 && waits && machine.arch.dispatch(RoomBeside)
    }

    fn start_upcoming(&self, machine: Machine, rows: &[&[f32]], scratch: &mut Scratch) {
        let matrix = &self.packed.matrices[0];
        let row = matrix.vectors * self.packed.lanes;
        scratch.upcoming.resize(matrix.panels * rows.len() * row, 0.0);
        scratch.done.clear();
        scratch.done.resize(machine.all_parts(), Done::default());
    }

    fn finish_upcoming(&self, machine: Machine, rows: &[&[f32]], scratch: &mut Scratch) {
        let matrix = &self.packed.matrices[0];
        let beside = self.beside(machine, rows, &mut scratch.upcoming, &mut scratch.done);
        each(
            beside.map(|beside| {
                let work = FinishProjection { vectors: matrix.vectors, beside };
                move || machine.arch.dispatch(work)
            }),
            None,
        );
        std::mem::swap(&mut scratch.upcoming, &mut scratch.projections[0]);
    }

    /// The parts of a projection.
    fn beside<'b>(
        &'b self,
        machine: Machine,
        rows: &'b [&'b [f32]],
        upcoming: &'b mut [f32],
        done: &'b mut [Done],
    ) -> impl Iterator<Item = Beside<'b>> {
        let matrix = &self.packed.matrices[0];
        let parts = machine.cut(matrix.panels);
        let a_panel = |values: usize| values / matrix.panels;
        let (sums, kernel, bias) =
            (a_panel(upcoming.len()), a_panel(matrix.kernel.len()), a_panel(matrix.bias.len()));
        let arrays = split(upcoming, parts.clone(), sums).zip(done);
        parts.zip(arrays).map(move |(panels, (sums, done))| Beside {
            rows,
            panels: &matrix.kernel[panels.start * kernel..panels.end * kernel],
            bias: &matrix.bias[panels.start * bias..panels.end * bias],
            sums,
            done,
        })
    }

    fn project(&self, machine: Machine, steps: Range<usize>, scratch: &mut Scratch) {
        let rows = self.input_rows(steps);
        for (matrix, projection) in self.packed.matrices.iter().zip(&mut scratch.projections) {
            let a_panel = rows.len() * matrix.vectors * self.packed.lanes;
            projection.resize(matrix.panels * a_panel, 0.0);
            let parts = machine.cut(matrix.panels);
            let of_parts = split(projection, parts.clone(), a_panel);
            each(
                parts.zip(of_parts).map(|(panels, projection)| {
                    let rows = &rows;
                    move || machine.arch.dispatch(Project { matrix, panels, rows, projection })
                }),
                None,
            );
        }
    }

    /// Which rows count at this timestep, and which ever have.
    fn read_mask(&self, step: usize, scratch: &mut Scratch) {
        let Some(mask) = &self.mask else { return };
        let t = if self.layer.go_backwards() { self.timesteps - 1 - step } else { step };
        scratch.counts.clear();
        scratch.counts.extend(mask.column(t));
        scratch.seen.iter_mut().zip(&scratch.counts).for_each(|(seen, counts)| *seen |= counts);
    }

    fn step(
        &self,
        machine: Machine,
        step: usize,
        scratch: &mut Scratch,
        beside: Option<&[&[f32]]>,
    ) {
        let Scratch {
            projections,
            upcoming,
            done,
            hidden,
            next,
            cell,
            update_gate,
            reset_hidden,
            sums,
            counts,
            ..
        } = scratch;
        let beside =
            beside.map(|rows| self.beside(machine, rows, upcoming, done)).into_iter().flatten();
        let mask = self.mask.is_some().then_some(&counts[..]);
        let layer = self.layer;
        let states = |next| States {
            hidden,
            next,
            mask,
            activation: layer.activation(),
            recurrent_activation: layer.recurrent_activation(),
        };
        let matrix = |index: usize| StepOf {
            machine,
            packed: self.packed,
            rows: self.rows,
            matrix: index,
            step,
            projection: &projections[index],
        };
        match layer.cell() {
            Cell::Lstm => matrix(0).run(hidden, sums, beside, next, cell, |next, cell| {
                LstmStates { states: states(next), cell }
            }),
            Cell::Gru { reset_after: true } => {
                matrix(0).run(hidden, sums, beside, next, &mut [], |next, _| GruStates {
                    states: states(next),
                    recurrent_bias: &self.packed.recurrent_bias,
                })
            }
            Cell::Gru { reset_after: false } => {
                matrix(0).run(
                    hidden,
                    sums,
                    beside,
                    update_gate,
                    reset_hidden,
                    |update_gate, reset_hidden| GruGates {
                        hidden,
                        update_gate,
                        reset_hidden,
                        recurrent_activation: layer.recurrent_activation(),
                    },
                );
                matrix(1).run(reset_hidden, sums, std::iter::empty(), next, &mut [], |next, _| {
                    GruCandidate { states: states(next), update_gate }
                });
            }
            Cell::SimpleRnn => matrix(0)
                .run(hidden, sums, beside, next, &mut [], |next, _| SimpleRnnStates(states(next))),
        }
    }

    /// Brings the hidden states to the output: where the timestep is masked, zeros or what stood
    /// there before.
    fn write_output(&mut self, step: usize, scratch: &Scratch) {
        let mut output = match &mut self.output {
            Output::Every(output) => output.index_axis_mut(Axis(1), step),
            Output::Last(output) if step + 1 == self.timesteps => output.view_mut(),
            Output::Last(_) => return,
        };
        let zero_output = self.layer.zero_output_for_mask();
        for (row, mut output) in output.outer_iter_mut().enumerate() {
            let zero = self.mask.is_some()
                && if zero_output { !scratch.counts[row] } else { !scratch.seen[row] };
            match zero {
                true => output.fill(0.0),
                false => from_blocks(&scratch.hidden, self.rows, self.packed.lanes, row, output),
            }
        }
    }
}

/// A timestep of one matrix.
#[derive(Clone, Copy)]
struct StepOf<'a> {
    machine: Machine,
    packed: &'a Packed,
    rows: usize,
    matrix: usize,
    step: usize,
    projection: &'a [f32],
}

impl StepOf<'_> {
    /// `read` is multiplied with the recurrent kernel; `finish` is made of the parts of the arrays
    /// that it writes.
    fn run<'w, 'b, F: Finish<V> + Send, const V: usize>(
        self,
        read: &[f32],
        sums: &mut [f32],
        mut beside: impl Iterator<Item = Beside<'b>>,
        first: &'w mut [f32],
        second: &'w mut [f32],
        finish: impl Fn(&'w mut [f32], &'w mut [f32]) -> F,
    ) {
        let packed = self.packed;
        let (rows, lanes, units) = (self.rows, packed.lanes, packed.units);
        let matrix = &packed.matrices[self.matrix];
        let parts = self.machine.cut(matrix.panels);
        let a_panel = matrix.blocks * rows * lanes;
        let sums = sums.chunks_mut(sums_kept(rows) * lanes);
        let steps_panel = self.projection.len() / matrix.panels;
        let arrays = split(first, parts.clone(), a_panel)
            .zip(split(second, parts.clone(), a_panel))
            .zip(sums);
        let back = goes_back(matrix, self.step);
        each(
            parts.zip(arrays).map(|(panels, ((first, second), sums))| {
                let step = Step {
                    matrix,
                    read: Blocks { values: read, rows, lanes, units },
                    projection: &self.projection
                        [panels.start * steps_panel..panels.end * steps_panel],
                    panels,
                    step: self.step,
                    back,
                    sums,
                    beside: beside.next(),
                    finish: finish(first, second),
                };
                move || self.machine.arch.dispatch(step)
            }),
            back.then_some(self.machine.parts),
        );
    }
}

/// Cuts timesteps into chunks.
fn cut(timesteps: usize, chunk: usize) -> impl Iterator<Item = Range<usize>> {
    (0..timesteps).step_by(chunk).map(move |start| start..timesteps.min(start + chunk))
}

/// The pieces of an array that belong to the parts; empty ones of an empty array.
fn split(
    array: &mut [f32],
    parts: impl Iterator<Item = Range<usize>>,
    a_panel: usize,
) -> impl Iterator<Item = &mut [f32]> {
    let mut rest = array;
    parts.map(move |part| {
        let values = (part.len() * a_panel).min(rest.len());
        let (piece, after) = std::mem::take(&mut rest).split_at_mut(values);
        rest = after;
        piece
    })
}

/// Runs all of them, but for those that idle threads take, in their order: of each share of `back`
/// of them, if that is given, from the last to the first.
fn each<T: FnOnce() + Send>(mut tasks: impl Iterator<Item = T>, back: Option<usize>) {
    match (tasks.next(), tasks.next()) {
        (Some(only), None) => only(),
        (first, second) => {
            let mut all: Vec<_> = [first, second].into_iter().chain(tasks.map(Some)).collect();
            if let Some(share) = back {
                all.chunks_mut(share).for_each(<[_]>::reverse);
            }
            halves(&mut all);
        }
    }
}

/// The second half is there for the taking while this thread is at the first.
fn halves<T: FnOnce() + Send>(tasks: &mut [Option<T>]) {
    match tasks {
        [] => {}
        [task] => task.take().into_iter().for_each(|task| task()),
        _ => {
            let (first, second) = tasks.split_at_mut(tasks.len().div_ceil(2));
            rayon::join(|| halves(first), || halves(second));
        }
    }
}

/// `[rows, units]` to `[block][row][lane]`.
fn to_blocks(states: ArrayView2<f32>, blocks: &mut [f32], lanes: usize) {
    let rows = states.nrows();
    for (row, state) in states.outer_iter().enumerate() {
        for (block, state) in state.axis_chunks_iter(Axis(0), lanes).enumerate() {
            let place = &mut blocks[(block * rows + row) * lanes..][..state.len()];
            place.iter_mut().zip(state).for_each(|(place, &value)| *place = value);
        }
    }
}

/// Copies a row of `[block][row][lane]` to `state`, `[units]`, wherever its values stand in memory.
fn from_blocks(
    blocks: &[f32],
    rows: usize,
    lanes: usize,
    row: usize,
    mut state: ArrayViewMut1<f32>,
) {
    // Vectors of a length that the compiler knows: a call to copy one takes as long as many.
    match (state.as_slice_mut(), lanes) {
        (Some(state), 16) => from_vectors::<16>(blocks, rows, row, state),
        (Some(state), 8) => from_vectors::<8>(blocks, rows, row, state),
        (Some(state), 4) => from_vectors::<4>(blocks, rows, row, state),
        _ => {
            for (unit, value) in state.iter_mut().enumerate() {
                *value = blocks[(unit / lanes * rows + row) * lanes + unit % lanes];
            }
        }
    }
}

fn from_vectors<const LANES: usize>(blocks: &[f32], rows: usize, row: usize, state: &mut [f32]) {
    let mut vectors = blocks.as_chunks::<LANES>().0.iter().skip(row).step_by(rows);
    let (whole, rest) = state.as_chunks_mut::<LANES>();
    whole.iter_mut().zip(&mut vectors).for_each(|(state, vector)| *state = *vector);
    if let Some(vector) = vectors.next() {
        rest.copy_from_slice(&vector[..rest.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array2};

    #[test]
    fn chunks_have_every_timestep_once() {
        for (timesteps, chunk) in [(1, 1), (7, 7), (9, 4), (9, 8), (50, 17), (3, 5), (100, 1)] {
            let chunks: Vec<_> = cut(timesteps, chunk).collect();
            assert!(
                chunks.iter().cloned().flatten().eq(0..timesteps),
                "{timesteps}, {chunk}: {chunks:?}"
            );
            assert!(
                chunks.iter().all(|steps| !steps.is_empty() && steps.len() <= chunk),
                "{chunks:?}"
            );
        }
    }

    #[test]
    fn every_part_runs_once_and_in_the_order_of_its_share() {
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let run = |threads, parts: usize, back| {
            let ran = std::sync::Mutex::new(Vec::new());
            let tasks: Vec<_> = (0..parts).map(|part| (part, &ran)).collect();
            let tasks = tasks.into_iter().map(|(part, ran)| move || ran.lock().unwrap().push(part));
            pool(threads).install(|| each(tasks, back));
            ran.into_inner().unwrap()
        };
        for parts in 0..12 {
            assert!(run(1, parts, None).into_iter().eq(0..parts));
            for threads in [2, 3] {
                let mut ran = run(threads, parts, Some(3));
                ran.sort_unstable();
                assert!(ran.into_iter().eq(0..parts));
            }
        }
        assert_eq!(run(1, 8, Some(8)), [7, 6, 5, 4, 3, 2, 1, 0]);
        assert_eq!(run(1, 8, Some(4)), [3, 2, 1, 0, 7, 6, 5, 4]);
    }

    #[test]
    fn rows_come_back_from_blocks_as_they_went() {
        for lanes in [1, 2, 4, 8, 16] {
            for (rows, units) in [(1, 1), (1, 16), (3, 5), (2, 33), (5, 48)] {
                let states =
                    Array2::from_shape_fn((rows, units), |(row, unit)| (row * units + unit) as f32);
                let mut blocks = vec![-1.0; units.div_ceil(lanes) * rows * lanes];
                to_blocks(states.view(), &mut blocks, lanes);
                assert_eq!(
                    blocks[(units / 2 / lanes * rows) * lanes + units / 2 % lanes],
                    (units / 2) as f32
                );
                for (row, state) in states.outer_iter().enumerate() {
                    let what = format!("row {row} of {rows}, {units} units, {lanes} lanes");
                    let mut back = Array1::from_elem(units, -2.0);
                    from_blocks(&blocks, rows, lanes, row, back.view_mut());
                    assert_eq!(back, state, "{what}");
                    // And where the values of a row stand apart.
                    let mut apart = Array2::from_elem((units, 2), -2.0);
                    from_blocks(&blocks, rows, lanes, row, apart.column_mut(1));
                    assert_eq!(apart.column(1), state, "{what}");
                    assert!(apart.column(0).iter().all(|&other| other == -2.0), "{what}");
                }
            }
        }
    }
}
