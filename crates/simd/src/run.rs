//! A direction of a recurrent layer on some rows of the batch, from the first timestep to the last.

use crate::arch::Arch;
use crate::lines::Lines;
use crate::matrix::RecurrentKernel;
use crate::pack::PackedWeights;
use crate::parts::{Alone, Crew, Machine, split};
use crate::product_beside::{BLOCK_ROWS, Done, ProductBeside, RoomBeside};
use crate::sequence::{Output, Sequence};
use crate::step::{FinishProjection, Project, sums_kept};
use crate::timestep::{CellStep, Timestep, Written};
use ndarray::{ArrayView2, ArrayViewMut1, Axis};
use pulp::{Simd, WithSimd};
use std::marker::PhantomData;
use std::ops::Range;

/// The projection of a chunk of timesteps is kept between these sizes, so that it stays in cache;
/// within them a quarter of the kernel, which each chunk reads once.
const PROJECTION_BYTES: Range<usize> = (512 << 10)..(16 << 20);

/// Where one row is multiplied with a recurrent kernel of so many bytes, it waits for the
/// second-level or third-level cache and leaves half the arithmetic free. Measured with a
/// second-level cache of 1 MiB, which it reads half as fast as it multiplies: less time from 96 to
/// 384 units (docs/performance.md), nothing gained with 64 units, or with two rows, and time lost
/// above 8 MiB, for the pieces read the kernel again for every [`BLOCK_ROWS`].
const BESIDE_BYTES: Range<usize> = (80 << 10)..(8 << 20);
/// The same of one in 16 bits, which leaves less of the arithmetic free: 3 to 7 % less time with
/// 128 and 256 units, time lost with 512.
const HALF_BESIDE_BYTES: Range<usize> = (80 << 10)..(1 << 20);

/// The arrays of a running sequence, kept from call to call.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Of each matrix, `[panel][step of the chunk][row][vector][lane]`.
    projections: Vec<Lines<f32>>,
    /// The same of the next chunk, where it is projected beside the steps of this one, and of each
    /// part how much is done.
    upcoming: Lines<f32>,
    done: Vec<Done>,
    /// `[block][row][lane]`
    hidden: Lines<f32>,
    next: Lines<f32>,
    cell: Lines<f32>,
    gate: Lines<f32>,
    gated: Lines<f32>,
    /// Of each part, `[panel][row][vector][lane]`.
    sums: Lines<f32>,
    counts: Vec<bool>,
    seen: Vec<bool>,
    /// Whether the next step reads the recurrent kernel from its end, which the last step read
    /// last.
    turns_back: bool,
    /// Empty: what `Running::input_rows` fills.
    rows: Vec<&'static [f32]>,
}

/// Runs a sequence from its first timestep to the last.
pub(crate) type Run = fn(&PackedWeights, Sequence, Machine, &mut Scratch);

/// The same for a cell.
pub(crate) fn run<C: CellStep>(
    packed: &PackedWeights,
    sequence: Sequence,
    machine: Machine,
    scratch: &mut Scratch,
) {
    let arch = machine.arch;
    let alone = machine.shares == 1 || packed.is_one_panel();
    match alone && IN_CODE_OF_ITS_OWN {
        true => arch.dispatch(RunAlone::<C> { packed, sequence, arch, scratch, cell: PhantomData }),
        false => Running { packed, arch, crew: machine, sequence }.run::<C>(scratch),
    }
}

/// Not in a web page: nobody would load 80 kB for what it gains there.
const IN_CODE_OF_ITS_OWN: bool = cfg!(not(target_arch = "wasm32"));

/// All of a sequence in code for the instruction set, where one thread runs it. Measured against
/// calling such code for each timestep: 40 % less time with 8 units, a third with 16, a tenth with
/// 32, 5 % with 64, nothing from 128 on.
struct RunAlone<'p, 'a, C> {
    packed: &'p PackedWeights,
    sequence: Sequence<'a>,
    arch: Arch,
    scratch: &'p mut Scratch,
    cell: PhantomData<C>,
}

impl<C: CellStep> WithSimd for RunAlone<'_, '_, C> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let RunAlone { packed, sequence, arch, scratch, .. } = self;
        Running { packed, arch, crew: Alone(simd), sequence }.run::<C>(scratch);
    }
}

/// A sequence that runs.
struct Running<'p, 'a, E> {
    packed: &'p PackedWeights,
    arch: Arch,
    crew: E,
    sequence: Sequence<'a>,
}

impl<'a, E: Crew> Running<'_, 'a, E> {
    #[inline(always)]
    fn run<C: CellStep>(mut self, scratch: &mut Scratch) {
        self.start(scratch);
        let projects_beside = self.projects_beside();
        let mut chunks = cut(self.sequence.timesteps, self.chunk(projects_beside)).peekable();
        if let Some(first) = chunks.peek() {
            self.project(first.clone(), scratch);
        }
        while let Some(chunk) = chunks.next() {
            let upcoming = chunks
                .peek()
                .filter(|_| projects_beside)
                .map(|steps| self.input_rows(steps.clone(), &mut scratch.rows));
            let beside = upcoming.as_deref();
            if let Some(rows) = beside {
                self.start_upcoming(rows, scratch);
            }
            for step in chunk.clone() {
                self.read_mask(step, scratch);
                self.step::<C>(step, &chunk, scratch, beside);
                std::mem::swap(&mut scratch.hidden, &mut scratch.next);
                scratch.turns_back = !scratch.turns_back;
                self.write_output(step, scratch);
            }
            match (beside, chunks.peek()) {
                (Some(rows), _) => self.finish_upcoming(rows, scratch),
                (None, Some(next)) => self.project(next.clone(), scratch),
                (None, None) => {}
            }
            if let Some(rows) = upcoming {
                scratch.rows = emptied(rows);
            }
        }
        self.end(scratch);
    }

    fn state_values(&self) -> usize {
        self.packed.blocks() * self.sequence.rows * self.packed.lanes
    }

    #[inline(always)]
    fn start(&self, scratch: &mut Scratch) {
        let values = self.state_values();
        let between = if self.packed.matrices.len() > 1 { values } else { 0 };
        scratch.hidden.resize(values);
        scratch.next.resize(values);
        scratch.gate.resize(between);
        scratch.gated.resize(between);
        let sums = self.crew.parts() * sums_kept(self.sequence.rows) * self.packed.lanes;
        scratch.sums.resize(sums);
        let projections = self.packed.matrices.len().max(scratch.projections.len());
        scratch.projections.resize_with(projections, Lines::default);
        to_blocks(self.sequence.hidden.view(), &mut scratch.hidden, self.packed.lanes);
        if let Some(cell) = &self.sequence.cell {
            scratch.cell.resize(values);
            to_blocks(cell.view(), &mut scratch.cell, self.packed.lanes);
        }
        scratch.seen.clear();
        scratch.seen.resize(self.sequence.rows, false);
    }

    #[inline(always)]
    fn end(&mut self, scratch: &Scratch) {
        let (rows, lanes) = (self.sequence.rows, self.packed.lanes);
        for (row, state) in self.sequence.hidden.outer_iter_mut().enumerate() {
            from_blocks(&scratch.hidden, rows, lanes, row, state);
        }
        for (row, state) in
            self.sequence.cell.iter_mut().flat_map(|cell| cell.outer_iter_mut()).enumerate()
        {
            from_blocks(&scratch.cell, rows, lanes, row, state);
        }
    }

    /// The timesteps that are projected at a time.
    #[inline(always)]
    fn chunk(&self, projects_beside: bool) -> usize {
        if projects_beside {
            return BLOCK_ROWS;
        }
        let kernel: usize = self.packed.matrices.iter().map(|matrix| matrix.kernel.len()).sum();
        let a_step: usize = self
            .packed
            .matrices
            .iter()
            .map(|m| m.panels * m.vectors * self.packed.lanes * self.sequence.rows)
            .sum();
        let values = kernel.clamp(PROJECTION_BYTES.start, PROJECTION_BYTES.end) / 4;
        (values / a_step.max(1)).clamp(1, self.sequence.timesteps)
    }

    /// The rows of x of some timesteps: of each timestep those of the batch. The list stands in
    /// `memory`, which [`emptied`] gives back.
    fn input_rows(&self, steps: Range<usize>, memory: &mut Vec<&'static [f32]>) -> Vec<&'a [f32]> {
        let x = self.sequence.x;
        let row = |step: usize, row: usize| {
            let t = if self.sequence.reader.go_backwards {
                self.sequence.timesteps - 1 - step
            } else {
                step
            };
            let row = x.index_axis_move(Axis(0), row).index_axis_move(Axis(0), t);
            match row.to_slice() {
                Some(row) => row,
                None => unreachable!("the features of a timestep stand in one piece"),
            }
        };
        let mut rows: Vec<&'a [f32]> = std::mem::take(memory);
        for step in steps {
            rows.extend((0..self.sequence.rows).map(|index| row(step, index)));
        }
        rows
    }

    /// Whether a chunk is projected beside the steps of the one before it: where one row waits for
    /// the recurrent kernel.
    fn projects_beside(&self) -> bool {
        let [matrix] = &self.packed.matrices[..] else { return false };
        let waits = match matrix.recurrent_kernel {
            RecurrentKernel::Single(_) => BESIDE_BYTES.contains(&matrix.recurrent_kernel.bytes()),
            RecurrentKernel::Half(_) => {
                HALF_BESIDE_BYTES.contains(&matrix.recurrent_kernel.bytes())
            }
        };
        self.sequence.rows == 1 && waits && self.arch.dispatch(RoomBeside)
    }

    fn start_upcoming(&self, rows: &[&[f32]], scratch: &mut Scratch) {
        let matrix = &self.packed.matrices[0];
        let row = matrix.vectors * self.packed.lanes;
        scratch.upcoming.resize(matrix.panels * rows.len() * row);
        scratch.done.clear();
        scratch.done.resize(self.crew.parts(), Done::default());
    }

    fn finish_upcoming(&self, rows: &[&[f32]], scratch: &mut Scratch) {
        let matrix = &self.packed.matrices[0];
        let beside = self.products_beside(rows, &mut scratch.upcoming, &mut scratch.done);
        self.crew
            .for_each(beside.map(|beside| FinishProjection { vectors: matrix.vectors, beside }));
        std::mem::swap(&mut scratch.upcoming, &mut scratch.projections[0]);
    }

    /// The parts of a projection.
    fn products_beside<'b>(
        &'b self,
        rows: &'b [&'b [f32]],
        upcoming: &'b mut [f32],
        done: &'b mut [Done],
    ) -> impl Iterator<Item = ProductBeside<'b>> {
        let matrix = &self.packed.matrices[0];
        let parts = self.crew.cut(matrix.panels);
        let a_panel = |values: usize| values / matrix.panels;
        let (sums, kernel, bias) =
            (a_panel(upcoming.len()), a_panel(matrix.kernel.len()), a_panel(matrix.bias.len()));
        let arrays = split(upcoming, parts.clone(), sums).zip(done);
        parts.zip(arrays).map(move |(panels, (sums, done))| ProductBeside {
            rows,
            panels: &matrix.kernel[panels.start * kernel..panels.end * kernel],
            bias: &matrix.bias[panels.start * bias..panels.end * bias],
            sums,
            done,
        })
    }

    #[inline(always)]
    fn project(&self, steps: Range<usize>, scratch: &mut Scratch) {
        let rows = self.input_rows(steps, &mut scratch.rows);
        for (matrix, projection) in self.packed.matrices.iter().zip(&mut scratch.projections) {
            let a_panel = rows.len() * matrix.vectors * self.packed.lanes;
            projection.resize(matrix.panels * a_panel);
            let parts = self.crew.cut(matrix.panels);
            let of_parts = split(projection, parts.clone(), a_panel);
            self.crew.for_each(parts.zip(of_parts).map(|(panels, projection)| Project {
                matrix,
                panels,
                rows: &rows,
                projection,
            }));
        }
        scratch.rows = emptied(rows);
    }

    /// Which rows count at this timestep, and which ever have.
    #[inline(always)]
    fn read_mask(&self, step: usize, scratch: &mut Scratch) {
        let Some(mask) = &self.sequence.mask else { return };
        let t = if self.sequence.reader.go_backwards {
            self.sequence.timesteps - 1 - step
        } else {
            step
        };
        scratch.counts.clear();
        scratch.counts.extend(mask.column(t));
        scratch.seen.iter_mut().zip(&scratch.counts).for_each(|(seen, counts)| *seen |= counts);
    }

    #[inline(always)]
    fn step<C: CellStep>(
        &self,
        step: usize,
        chunk: &Range<usize>,
        scratch: &mut Scratch,
        beside: Option<&[&[f32]]>,
    ) {
        let Scratch { projections, upcoming, done, hidden, counts, sums, .. } = scratch;
        let timestep = Timestep {
            crew: self.crew,
            reader: self.sequence.reader,
            matrices: &self.packed.matrices,
            unit_weights: &self.packed.unit_weights,
            projections,
            timesteps: chunk.len(),
            step: step - chunk.start,
            turns_back: scratch.turns_back,
            rows: self.sequence.rows,
            lanes: self.packed.lanes,
            hidden,
            mask: self.sequence.mask.is_some().then_some(&counts[..]),
        };
        let written = Written {
            next: &mut scratch.next,
            cell: &mut scratch.cell,
            gate: &mut scratch.gate,
            gated: &mut scratch.gated,
            sums,
        };
        let beside = beside.map(|rows| self.products_beside(rows, upcoming, done));
        C::step(&timestep, beside.into_iter().flatten(), written);
    }

    /// Brings the hidden states to the output: where the timestep is masked, zeros or what stood
    /// there before.
    #[inline(always)]
    fn write_output(&mut self, step: usize, scratch: &Scratch) {
        let mut output = match &mut self.sequence.output {
            Output::Every(output) => output.index_axis_mut(Axis(1), step),
            Output::Last(output) if step + 1 == self.sequence.timesteps => output.view_mut(),
            Output::Last(_) => return,
        };
        let zero_output = self.sequence.reader.zero_output_for_mask;
        for (row, mut output) in output.outer_iter_mut().enumerate() {
            let zero = self.sequence.mask.is_some()
                && if zero_output { !scratch.counts[row] } else { !scratch.seen[row] };
            match zero {
                true => output.fill(0.0),
                false => {
                    from_blocks(&scratch.hidden, self.sequence.rows, self.packed.lanes, row, output)
                }
            }
        }
    }
}

/// The memory of rows, for other ones. The standard library collects a vector in the place that its
/// items came from, so that nothing is allocated.
fn emptied(mut rows: Vec<&[f32]>) -> Vec<&'static [f32]> {
    rows.clear();
    rows.into_iter().map(|_| &[][..]).collect()
}

/// Cuts timesteps into chunks.
fn cut(timesteps: usize, chunk: usize) -> impl Iterator<Item = Range<usize>> {
    (0..timesteps).step_by(chunk).map(move |start| start..timesteps.min(start + chunk))
}

/// `[rows, units]` to `[block][row][lane]`.
fn to_blocks(states: ArrayView2<f32>, blocks: &mut [f32], lanes: usize) {
    let rows = states.nrows();
    // One row is in its blocks as it is.
    if let (1, Some(state)) = (rows, states.as_slice()) {
        blocks[..state.len()].copy_from_slice(state);
        return;
    }
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
