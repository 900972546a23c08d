//! What a thread does for a part of a direction's panels: project inputs, and run one timestep.

use crate::half::Half;
use crate::matmul::{Blocks, Whole, Word, multiply, panels_at_a_time, vectors, vectors_mut};
use crate::matrix::{Matrix, RecurrentKernel};
use crate::product_beside::{ProductBeside, multiply_beside};
use birnn_cell::Reader;
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// A recurrent kernel of more is read there and back: what caches still have of it from the step
/// before is read first. Measured with a second-level cache of 1 MiB and a third of 32 MiB: less
/// time at 1 MiB and at 37 MiB (docs/performance.md), nothing gained or lost from 2.5 to 4 MiB.
const THERE_AND_BACK_BYTES: usize = 800 << 10;

/// Whether steps read the recurrent kernel by turns from its start and from its end.
pub(super) fn is_read_there_and_back(matrix: &Matrix) -> bool {
    matrix.recurrent_kernel.bytes() > THERE_AND_BACK_BYTES
}

/// `projection = x · kernel + bias` for the rows of a chunk of timesteps.
pub(super) struct Project<'a> {
    pub matrix: &'a Matrix,
    pub panels: Range<usize>,
    pub rows: &'a [&'a [f32]],
    /// `[panel][row][vector][lane]`
    pub projection: &'a mut [f32],
}

impl WithSimd for Project<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.matrix.vectors {
            3 => self.run::<S, 3>(simd),
            _ => self.run::<S, 4>(simd),
        }
    }
}

impl Project<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let bias = vectors::<S, V>(&self.matrix.bias);
        let a_panel = self.matrix.kernel.len() / self.matrix.panels;
        let projection = vectors_mut::<S, V>(self.projection);
        for (panel, sums) in self.panels.zip(projection.chunks_exact_mut(self.rows.len())) {
            let weights = &self.matrix.kernel[panel * a_panel..][..a_panel];
            sums.fill(bias[panel]);
            multiply::<S, _, _, V, 1>(simd, &Whole { rows: self.rows, first: 0 }, weights, sums);
        }
    }
}

/// What is left of the projection of a chunk.
pub(super) struct FinishProjection<'a> {
    pub vectors: usize,
    pub beside: ProductBeside<'a>,
}

impl WithSimd for FinishProjection<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.vectors {
            3 => self.beside.finish::<S, 3>(simd),
            _ => self.beside.finish::<S, 4>(simd),
        }
    }
}

/// Panels that are finished at a time. An activation is a chain of dependent operations: of few
/// rows it takes as long as of some more, which the panels together have: eight or so.
const fn panels_finished_at_a_time(rows: usize) -> usize {
    // No division: of few units a timestep takes no longer than some of these.
    match rows {
        1 => 8,
        2 => 4,
        3 | 4 => 2,
        _ => 1,
    }
}

/// The vectors of sums that a step keeps at a time, of panels of up to four vectors.
pub(super) const fn sums_kept(rows: usize) -> usize {
    4 * rows * panels_finished_at_a_time(rows)
}

/// One timestep of some panels of a matrix.
pub(super) struct Step<'a, F, const V: usize> {
    pub matrix: &'a Matrix,
    pub panels: Range<usize>,
    /// What the recurrent kernel is multiplied with.
    pub read: Blocks<'a>,
    /// Of these panels, `[panel][step of the chunk][row][vector][lane]`.
    pub projection: &'a [f32],
    /// Timesteps of the chunk.
    pub timesteps: usize,
    pub step: usize,
    /// From the last of these panels to the first.
    pub back: bool,
    /// Of as many panels as are finished at a time, `[panel][row][vector][lane]`.
    pub sums: &'a mut [f32],
    /// The projection of the next chunk, for these panels.
    pub beside: Option<ProductBeside<'a>>,
    pub finish: F,
}

impl<F: Finish<V>, const V: usize> WithSimd for Step<'_, F, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Step { matrix, panels, read, projection, timesteps, step, back, sums, .. } = self;
        let (mut beside, mut finish) = (self.beside, self.finish);
        let projection = vectors::<S, V>(projection);
        let (first, a_panel) = (panels.start, timesteps * read.rows);
        let sums = vectors_mut::<S, V>(sums);
        let group = panels_finished_at_a_time(read.rows);
        let mut done = 0;
        while done < panels.len() {
            let count = group.min(panels.len() - done);
            let panel = if back { panels.end - done - count } else { panels.start + done };
            let sums = &mut sums[..count * read.rows];
            multiply_recurrent(
                simd,
                &read,
                &matrix.recurrent_kernel,
                panel..panel + count,
                sums,
                beside.as_mut(),
                back,
            );
            let finished = Panels {
                rows: read.rows,
                first: panel,
                first_of_part: first,
                blocks: matrix.blocks,
                projection: &projection[step * read.rows..],
                a_panel,
            };
            finish.finish(simd, finished, sums);
            done += count;
        }
    }
}

/// `sums[panel][row] = read[row] · recurrent_kernel[panel]`, from the last panel `back` to the
/// first where that is set.
#[inline(always)]
fn multiply_recurrent<S: Simd, const V: usize>(
    simd: S,
    read: &Blocks,
    kernel: &RecurrentKernel,
    panels: Range<usize>,
    sums: &mut [[S::f32s; V]],
    beside: Option<&mut ProductBeside>,
    back: bool,
) {
    sums.fill([simd.splat_f32s(0.0); V]);
    match kernel {
        RecurrentKernel::Single(kernel) => {
            multiply_panels(simd, read, kernel, panels, sums, beside, back)
        }
        RecurrentKernel::Half(Half { pairs, scale }) => {
            multiply_panels(simd, read, pairs, panels, sums, beside, back);
            let scale = simd.splat_f32s(*scale);
            for sum in sums.as_flattened_mut() {
                *sum = simd.mul_f32s(*sum, scale);
            }
        }
    }
}

/// `sums[panel][row] += read[row] · kernel[panel]`
#[inline(always)]
fn multiply_panels<S: Simd, T: Word, const V: usize>(
    simd: S,
    read: &Blocks,
    kernel: &[T],
    panels: Range<usize>,
    sums: &mut [[S::f32s; V]],
    mut beside: Option<&mut ProductBeside>,
    back: bool,
) {
    let a_panel = T::rows::<S>(read.units) * V * S::F32_LANES;
    let words = &kernel[panels.start * a_panel..panels.end * a_panel];
    let most = panels_at_a_time::<S>(read.rows, V);
    let group = if beside.is_some() { most.min(2) } else { most };
    let mut parts = words.chunks(group * a_panel).zip(sums.chunks_mut(group * read.rows));
    while let Some((words, sums)) = if back { parts.next_back() } else { parts.next() } {
        match (sums.len() / read.rows, &mut beside) {
            (2, Some(beside)) => multiply_beside::<S, _, _, V, 2>(simd, read, words, sums, beside),
            (_, Some(beside)) => multiply_beside::<S, _, _, V, 1>(simd, read, words, sums, beside),
            (4, None) => multiply::<S, _, _, V, 4>(simd, read, words, sums),
            (3, None) => multiply::<S, _, _, V, 3>(simd, read, words, sums),
            (2, None) => multiply::<S, _, _, V, 2>(simd, read, words, sums),
            (_, None) => multiply::<S, _, _, V, 1>(simd, read, words, sums),
        }
    }
}

/// What becomes of the sums of some panels.
pub(super) trait Finish<const V: usize> {
    /// `sums` are `[panel][row][vector]`, of the recurrent kernel.
    fn finish<S: Simd>(&mut self, simd: S, panels: Panels<S, V>, sums: &[[S::f32s; V]]);
}

/// Where panels stand, one after the other, in the arrays that a step reads and writes.
pub(super) struct Panels<'a, S: Simd, const V: usize> {
    pub rows: usize,
    first: usize,
    first_of_part: usize,
    /// Blocks of units of a panel.
    blocks: usize,
    /// From the part's first panel and this timestep on, `[panel, a_panel apart][row][vector]`.
    projection: &'a [[S::f32s; V]],
    a_panel: usize,
}

impl<S: Simd, const V: usize> Panels<'_, S, V> {
    /// Of a panel, counted from the first.
    #[inline(always)]
    pub fn place(&self, panel: usize) -> PanelPosition {
        let panel = self.first + panel;
        let (block, part_block) = (panel * self.blocks, (panel - self.first_of_part) * self.blocks);
        PanelPosition { rows: self.rows, block, part_block }
    }

    /// The projection of a panel's rows.
    #[inline(always)]
    pub fn projected(&self, panel: usize) -> &[[S::f32s; V]] {
        &self.projection[(self.first + panel - self.first_of_part) * self.a_panel..][..self.rows]
    }
}

/// Where a panel stands in arrays `[block][row][lane]`.
#[derive(Clone, Copy)]
pub(crate) struct PanelPosition {
    rows: usize,
    /// Its first block of units, among all and among those of the part.
    pub block: usize,
    part_block: usize,
}

impl PanelPosition {
    /// The vectors of a block of the panel in an array of all blocks.
    #[inline(always)]
    pub fn all<S: Simd>(self, array: &[f32], block: usize) -> &[S::f32s] {
        &S::as_simd_f32s(array).0[(self.block + block) * self.rows..][..self.rows]
    }

    /// The same in an array of the part's blocks.
    #[inline(always)]
    pub fn part<S: Simd>(self, array: &mut [f32], block: usize) -> &mut [S::f32s] {
        &mut S::as_mut_simd_f32s(array).0[(self.part_block + block) * self.rows..][..self.rows]
    }
}

/// The states before and after a timestep.
pub(super) struct States<'a> {
    /// Of all blocks, `[block][row][lane]`.
    pub hidden: &'a [f32],
    /// Of the part's blocks.
    pub next: &'a mut [f32],
    /// For each row whether the timestep counts, otherwise its states stay; without a mask all do.
    pub mask: Option<&'a [bool]>,
    pub reader: &'a Reader,
}

impl States<'_> {
    /// Writes a block's new hidden states: `new` of a row, and of its old hidden state.
    #[inline(always)]
    pub fn write<S: Simd>(
        &mut self,
        place: PanelPosition,
        block: usize,
        mut new: impl FnMut(usize, S::f32s) -> S::f32s,
    ) {
        let hidden = place.all::<S>(self.hidden, block);
        for (row, (next, &hidden)) in
            place.part::<S>(self.next, block).iter_mut().zip(hidden).enumerate()
        {
            *next = if self.mask.is_none_or(|mask| mask[row]) { new(row, hidden) } else { hidden };
        }
    }
}
