//! The product of rows with a panel of a kernel, in registers.
//!
//! Every sum runs over the rows of the kernel in order, whatever the tile: results don't depend on the batch or on how
//! work is split.

use pulp::{Simd, WithSimd};
use std::ops::Range;

/// The rows that are multiplied, in pieces along the rows of the kernel.
pub(super) trait Rows {
    fn pieces(&self) -> usize;
    fn piece(&self, piece: usize, row: usize) -> &[f32];
}

/// Rows that are each in one piece.
pub(super) struct Whole<'a>(pub &'a [&'a [f32]]);

impl Rows for Whole<'_> {
    fn pieces(&self) -> usize {
        1
    }

    #[inline(always)]
    fn piece(&self, _: usize, row: usize) -> &[f32] {
        self.0[row]
    }
}

/// Hidden states `[block][row][lane]`.
#[derive(Clone, Copy)]
pub(super) struct Blocks<'a> {
    pub values: &'a [f32],
    pub rows: usize,
    pub lanes: usize,
    pub units: usize,
}

impl Blocks<'_> {
    /// The states of these units, whose first one starts a block.
    pub fn part(self, units: Range<usize>) -> Self {
        Blocks { values: &self.values[units.start * self.rows..], units: units.len(), ..self }
    }
}

impl Rows for Blocks<'_> {
    fn pieces(&self) -> usize {
        self.units.div_ceil(self.lanes)
    }

    #[inline(always)]
    fn piece(&self, block: usize, row: usize) -> &[f32] {
        let lanes = self.lanes.min(self.units - block * self.lanes);
        &self.values[(block * self.rows + row) * self.lanes..][..lanes]
    }
}

/// `sums[row] += rows[row] · panel`, for all rows.
#[inline(always)]
pub(super) fn multiply<S: Simd, R: Rows, const V: usize>(
    simd: S,
    rows: &R,
    panel: &[[S::f32s; V]],
    sums: &mut [[S::f32s; V]],
) {
    simd.vectorize(Multiply::<R, V> { rows, panel: bytemuck::cast_slice(panel), sums: bytemuck::cast_slice_mut(sums) });
}

/// A function of its own for each instruction set, rather than a copy wherever there is a product.
struct Multiply<'a, R, const V: usize> {
    rows: &'a R,
    panel: &'a [f32],
    sums: &'a mut [f32],
}

impl<R: Rows, const V: usize> WithSimd for Multiply<'_, R, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.rows;
        let panel: &[[S::f32s; V]] = S::as_simd_f32s(self.panel).0.as_chunks().0;
        let sums: &mut [[S::f32s; V]] = S::as_mut_simd_f32s(self.sums).0.as_chunks_mut().0;
        let tiles = sums.len().div_ceil(tile_rows::<S>(V));
        let mut first = 0;
        for tile in 0..tiles {
            // As even as can be: 16 rows are 6, 5 and 5 of them.
            let next = first + sums.len() / tiles + usize::from(tile < sums.len() % tiles);
            let sums = &mut sums[first..next];
            match sums.len() {
                1 => multiply_tile::<S, R, V, 1>(simd, rows, first, panel, sums),
                2 => multiply_tile::<S, R, V, 2>(simd, rows, first, panel, sums),
                3 => multiply_tile::<S, R, V, 3>(simd, rows, first, panel, sums),
                4 => multiply_tile::<S, R, V, 4>(simd, rows, first, panel, sums),
                5 => multiply_tile::<S, R, V, 5>(simd, rows, first, panel, sums),
                6 => multiply_tile::<S, R, V, 6>(simd, rows, first, panel, sums),
                7 => multiply_tile::<S, R, V, 7>(simd, rows, first, panel, sums),
                _ => multiply_tile::<S, R, V, 8>(simd, rows, first, panel, sums),
            }
            first = next;
        }
    }
}

/// The most rows whose sums stay in registers, beside a row of the panel and a value that is multiplied with it.
const fn tile_rows<S: Simd>(vectors: usize) -> usize {
    let rows = (S::REGISTER_COUNT - 2 - vectors) / vectors;
    if rows > 8 { 8 } else { rows }
}

#[inline(always)]
fn multiply_tile<S: Simd, R: Rows, const V: usize, const M: usize>(
    simd: S,
    rows: &R,
    first: usize,
    panel: &[[S::f32s; V]],
    sums: &mut [[S::f32s; V]],
) {
    if M > tile_rows::<S>(V) {
        return;
    }
    let Some(sums) = sums.first_chunk_mut::<M>() else { return };
    let mut tile = *sums;
    let mut panel = panel;
    for piece in 0..rows.pieces() {
        let (weights, rest) = panel.split_at(rows.piece(piece, first).len());
        panel = rest;
        // Of a length that the compiler knows to be that of `weights`. Loops, as closures are not always inlined.
        let mut values: [&[f32]; M] = [&[]; M];
        for (row, values) in values.iter_mut().enumerate() {
            *values = &rows.piece(piece, first + row)[..weights.len()];
        }
        // Four at a time: one check of the bounds for all.
        let (fours, rest) = weights.as_chunks::<4>();
        for (index, weights) in fours.iter().enumerate() {
            let mut four = [[0.0; 4]; M];
            for (four, values) in four.iter_mut().zip(values) {
                *four = values.as_chunks().0[index];
            }
            for (k, weights) in weights.iter().enumerate() {
                for row in 0..M {
                    let value = simd.splat_f32s(four[row][k]);
                    for vector in 0..V {
                        tile[row][vector] = simd.mul_add_e_f32s(value, weights[vector], tile[row][vector]);
                    }
                }
            }
        }
        for (k, weights) in rest.iter().enumerate() {
            for row in 0..M {
                let value = simd.splat_f32s(values[row].as_chunks::<4>().1[k]);
                for vector in 0..V {
                    tile[row][vector] = simd.mul_add_e_f32s(value, weights[vector], tile[row][vector]);
                }
            }
        }
    }
    *sums = tile;
}
