//! The product of rows with a panel of a kernel, in registers.
//!
//! Every sum runs over the rows of the kernel in order, whatever the tile: results don't depend on
//! the batch or on how work is split.

use bytemuck::Pod;
use pulp::{Simd, WithSimd};
use std::sync::atomic::{Ordering, compiler_fence};

/// The rows that are multiplied, in pieces along the rows of the kernel.
pub(super) trait Rows {
    fn pieces(&self) -> usize;
    fn piece(&self, piece: usize, row: usize) -> &[f32];
}

/// Rows that are each in one piece, from a value on.
pub(super) struct Whole<'a> {
    pub rows: &'a [&'a [f32]],
    pub first: usize,
}

impl Rows for Whole<'_> {
    fn pieces(&self) -> usize {
        1
    }

    #[inline(always)]
    fn piece(&self, _: usize, row: usize) -> &[f32] {
        &self.rows[row][self.first..]
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
    /// Of one row the blocks follow one another. As one piece, short vectors gain by it: each piece
    /// costs as much as the products of some values. (Vectors of one value have pieces of one: a
    /// word then has one unit, see `half`.)
    #[inline(always)]
    fn is_in_one_piece(&self) -> bool {
        self.rows == 1 && (2..8).contains(&self.lanes)
    }
}

impl Rows for Blocks<'_> {
    #[inline(always)]
    fn pieces(&self) -> usize {
        if self.is_in_one_piece() { 1 } else { self.units.div_ceil(self.lanes) }
    }

    #[inline(always)]
    fn piece(&self, block: usize, row: usize) -> &[f32] {
        if self.is_in_one_piece() {
            return &self.values[..self.units];
        }
        let lanes = self.lanes.min(self.units - block * self.lanes);
        &self.values[(block * self.rows + row) * self.lanes..][..lanes]
    }
}

/// What a kernel is stored in, `[row][vector][lane]`: a row of words may be more than one row of
/// the kernel.
pub(super) trait Word: Pod + Sync {
    type Vector<S: Simd>: Pod;
    /// Whether it takes registers to make weights of words.
    const DECODED: bool;
    fn vectors<S: Simd, const V: usize>(words: &[Self]) -> &[[Self::Vector<S>; V]];
    /// The rows of words of so many rows of a kernel, which start with a whole word.
    fn rows<S: Simd>(rows: usize) -> usize;
    /// The words of four rows.
    fn four<S: Simd, const V: usize>(
        words: &[[Self::Vector<S>; V]],
        index: usize,
    ) -> &[[Self::Vector<S>; V]];
    /// A part of a row's weights.
    fn weights<S: Simd, const V: usize, const W: usize>(
        simd: S,
        words: &[[Self::Vector<S>; V]],
        row: usize,
        part: usize,
    ) -> [S::f32s; W];
}

impl Word for f32 {
    type Vector<S: Simd> = S::f32s;
    const DECODED: bool = false;

    #[inline(always)]
    fn vectors<S: Simd, const V: usize>(words: &[f32]) -> &[[S::f32s; V]] {
        vectors::<S, V>(words)
    }

    #[inline(always)]
    fn rows<S: Simd>(rows: usize) -> usize {
        rows
    }

    #[inline(always)]
    fn four<S: Simd, const V: usize>(words: &[[S::f32s; V]], index: usize) -> &[[S::f32s; V]] {
        &words.as_chunks::<4>().0[index]
    }

    #[inline(always)]
    fn weights<S: Simd, const V: usize, const W: usize>(
        _: S,
        words: &[[S::f32s; V]],
        row: usize,
        part: usize,
    ) -> [S::f32s; W] {
        part_of(&words[row], part)
    }
}

/// `[row][vector][lane]` as rows of vectors.
#[inline(always)]
pub(super) fn vectors<S: Simd, const V: usize>(values: &[f32]) -> &[[S::f32s; V]] {
    S::as_simd_f32s(values).0.as_chunks().0
}

#[inline(always)]
pub(super) fn vectors_mut<S: Simd, const V: usize>(values: &mut [f32]) -> &mut [[S::f32s; V]] {
    S::as_mut_simd_f32s(values).0.as_chunks_mut().0
}

/// `sums[panel][row] += rows[row] · panels[panel]`, for all rows and for `P` panels, which stand
/// one after the other.
#[inline(always)]
pub(super) fn multiply<S: Simd, R: Rows, T: Word, const V: usize, const P: usize>(
    simd: S,
    rows: &R,
    panels: &[T],
    sums: &mut [[S::f32s; V]],
) {
    let sums = bytemuck::cast_slice_mut(sums);
    simd.vectorize(Multiply::<R, T, V, P> { rows, panels, sums });
}

/// Panels that are multiplied at a time. A multiply-add waits for the one before it in the same
/// sum, some four cycles in which a processor could start eight: where the rows are too few for so
/// many sums, two panels are; of one row four, where they find registers, for whose value is then
/// read once in place of twice (2 to 7 % less time with 40 and 64 units).
pub(super) const fn panels_at_a_time<S: Simd>(rows: usize, vectors: usize) -> usize {
    match rows {
        1 if S::REGISTER_COUNT >= 32 => 4,
        _ if rows * vectors < 8 => 2,
        _ => 1,
    }
}

/// A function of its own for each instruction set, rather than a copy wherever there is a product.
struct Multiply<'a, R, T, const V: usize, const P: usize> {
    rows: &'a R,
    panels: &'a [T],
    sums: &'a mut [f32],
}

impl<R: Rows, T: Word, const V: usize, const P: usize> WithSimd for Multiply<'_, R, T, V, P> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.rows;
        let panels = T::vectors::<S, V>(self.panels);
        let sums = vectors_mut::<S, V>(self.sums);
        let count = sums.len() / P;
        let halves = in_halves::<S, T>(count, V);
        let most = if halves { tile_rows::<S, T>(2) } else { tile_rows::<S, T>(V) };
        let tiles = count.div_ceil(most);
        for part in 0..1 + usize::from(halves) {
            let mut first = 0;
            for tile in 0..tiles {
                // As even as can be: 16 rows are 6, 5 and 5 of them.
                let place = SumsOfPanel {
                    first,
                    rows: count / tiles + usize::from(tile < count % tiles),
                    part,
                };
                match halves {
                    true => multiply_rows::<S, R, T, V, 2, P>(simd, rows, place, panels, sums),
                    false => multiply_rows::<S, R, T, V, V, P>(simd, rows, place, panels, sums),
                }
                first += place.rows;
            }
        }
    }
}

/// The rows of the tallest tile.
const MOST_ROWS: usize = 12;

/// The most rows of so many vectors whose sums stay in registers, beside a row of the panel, a
/// value that is multiplied with it and what it takes to decode words.
const fn tile_rows<S: Simd, T: Word>(vectors: usize) -> usize {
    if cfg!(target_arch = "wasm32") {
        return wasm_tile_rows::<T>(vectors);
    }
    let decode = if T::DECODED { S::REGISTER_COUNT / 8 } else { 0 };
    let rows = (S::REGISTER_COUNT - 2 - decode - vectors) / vectors;
    let most = if vectors > 1 { 24 / vectors } else { MOST_ROWS };
    if rows > most { most } else { rows }
}

/// The same of WebAssembly, which has no registers of its own. On x86-64 an engine has 15 beside
/// one that it keeps for itself, and holds the values of all rows, a vector of the panel and a
/// product. A sum that finds no register waits for memory at each row of the panel: measured for an
/// LSTM with 32 rows in tiles of 5 · 2 sums, which need 17, with multiply-adds: 84 ms in place
/// of 54.
const fn wasm_tile_rows<T: Word>(vectors: usize) -> usize {
    let decode = if T::DECODED { 2 } else { 0 };
    (15 - 2 - decode) / (vectors + 1)
}

/// Whether tiles are two of a panel's four vectors wide: with 32 registers where all rows then fit,
/// so that the panel is streamed once, under all that there is to compute; with 16 registers, which
/// hold 6 · 2 sums but 2 · 4, for all but 2 rows.
const fn in_halves<S: Simd, T: Word>(rows: usize, vectors: usize) -> bool {
    let (whole, half) = (tile_rows::<S, T>(4), tile_rows::<S, T>(2));
    vectors == 4 && rows > whole && (rows <= half || 2 * half > 4 * whole)
}

/// Whether a tile loads a row of the panel only when those before it are multiplied. The compiler
/// would take four rows in an order of its own: three vectors each then come from memory out of
/// order, and with 16 registers some wait on the stack. Measured for a GRU: in order, 10 to 15 %
/// less time for 4 rows of 1536 units with 32 registers, and 28 % less for 16 and 32 rows with 16.
/// Of two or four vectors, or one row, it gains nothing and loses up to 5 % with 16.
const fn loads_in_order(rows: usize, vectors: usize) -> bool {
    vectors == 3 && rows > 1
}

/// Whether a tile takes the values one by one: for WebAssembly, where the compiler puts the
/// products of four values in an order of its own, sum by sum, which takes more registers than
/// there are. Of one row it takes no more.
const fn one_by_one(rows: usize) -> bool {
    cfg!(target_arch = "wasm32") && rows > 1
}

/// Which sums of a panel a tile has.
#[derive(Clone, Copy)]
struct SumsOfPanel {
    first: usize,
    rows: usize,
    /// Which of the parts of a panel's row that are as wide as the tile.
    part: usize,
}

#[inline(always)]
fn multiply_rows<S: Simd, R: Rows, T: Word, const V: usize, const W: usize, const P: usize>(
    simd: S,
    rows: &R,
    place: SumsOfPanel,
    panels: &[[T::Vector<S>; V]],
    sums: &mut [[S::f32s; V]],
) {
    macro_rules! tile_of {
        ($($rows:literal)*) => {
            match place.rows {
                $($rows => {
                    multiply_tile::<S, R, T, V, W, P, $rows>(simd, rows, place, panels, sums)
                })*
                _ => unreachable!("a tile has at most 12 rows"),
            }
        };
    }
    tile_of!(1 2 3 4 5 6 7 8 9 10 11 12);
}

#[inline(always)]
fn multiply_tile<
    S: Simd,
    R: Rows,
    T: Word,
    const V: usize,
    const W: usize,
    const P: usize,
    const M: usize,
>(
    simd: S,
    rows: &R,
    place: SumsOfPanel,
    panels: &[[T::Vector<S>; V]],
    sums: &mut [[S::f32s; V]],
) {
    // Tiles that never are: nothing is compiled for them.
    if M > tile_rows::<S, T>(W) || P > panels_at_a_time::<S>(M, V) {
        return;
    }
    let (all, length) = (sums.len() / P, panels.len() / P);
    let mut tile = [[[simd.splat_f32s(0.0); W]; M]; P];
    let mut rest: [&[[T::Vector<S>; V]]; P] = [&[]; P];
    for panel in 0..P {
        rest[panel] = &panels[panel * length..][..length];
        for row in 0..M {
            tile[panel][row] = part_of(&sums[panel * all + place.first + row], place.part);
        }
    }
    for piece in 0..rows.pieces() {
        // Slices of lengths that the compiler knows to be equal. Loops, as closures are not always
        // inlined.
        let length = rows.piece(piece, place.first).len();
        let mut words: [&[[T::Vector<S>; V]]; P] = [&[]; P];
        for panel in 0..P {
            (words[panel], rest[panel]) = rest[panel].split_at(T::rows::<S>(length));
        }
        let mut values: [&[f32]; M] = [&[]; M];
        for (row, values) in values.iter_mut().enumerate() {
            *values = &rows.piece(piece, place.first + row)[..length];
        }
        // Four at a time: one check of the bounds for all.
        let fours = if one_by_one(M) { 0 } else { length / 4 };
        for index in 0..fours {
            let mut four = [&[0.0; 4]; M];
            for (four, values) in four.iter_mut().zip(values) {
                *four = &values.as_chunks().0[index];
            }
            let mut rows = [T::four(words[0], index); P];
            for panel in 1..P {
                rows[panel] = T::four(words[panel], index);
            }
            for k in 0..4 {
                if loads_in_order(M, W) {
                    compiler_fence(Ordering::SeqCst);
                }
                let mut weights = [[simd.splat_f32s(0.0); W]; P];
                for panel in 0..P {
                    weights[panel] = T::weights(simd, rows[panel], k, place.part);
                }
                for (row, four) in four.iter().enumerate() {
                    let value = simd.splat_f32s(four[k]);
                    for panel in 0..P {
                        multiply_add(simd, value, &weights[panel], &mut tile[panel][row]);
                    }
                }
            }
        }
        for k in 4 * fours..length {
            for (row, values) in values.iter().enumerate() {
                let value = simd.splat_f32s(values[k]);
                for panel in 0..P {
                    let weights = T::weights(simd, words[panel], k, place.part);
                    multiply_add(simd, value, &weights, &mut tile[panel][row]);
                }
            }
        }
    }
    for panel in 0..P {
        for row in 0..M {
            sums[panel * all + place.first + row].as_chunks_mut::<W>().0[place.part % (V / W)] =
                tile[panel][row];
        }
    }
}

/// `sums += value · weights`
#[inline(always)]
pub(super) fn multiply_add<S: Simd, const W: usize>(
    simd: S,
    value: S::f32s,
    weights: &[S::f32s; W],
    sums: &mut [S::f32s; W],
) {
    for vector in 0..W {
        sums[vector] = simd.mul_add_e_f32s(value, weights[vector], sums[vector]);
    }
}

/// The remainder tells the compiler that there is such a part.
#[inline(always)]
pub(super) fn part_of<T: Copy, const V: usize, const W: usize>(
    row: &[T; V],
    part: usize,
) -> [T; W] {
    row.as_chunks().0[part % (V / W)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::each_arch;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha12Rng;

    /// Products of `rows` rows in pieces of `piece` values, with panels one by one and some at a
    /// time.
    struct Products {
        rows: usize,
        length: usize,
        piece: usize,
    }

    impl Products {
        fn check<S: Simd, const V: usize>(&self, simd: S) {
            let Products { rows, length, piece } = *self;
            let mut rng = ChaCha12Rng::seed_from_u64(1);
            let row = V * S::F32_LANES;
            let mut random = |values: usize| {
                (0..values).map(|_| rng.random_range(-1.0f32..1.0)).collect::<Vec<_>>()
            };
            let (panels, start) = (random(4 * length * row), random(4 * rows * row));
            let values = random(rows * length.next_multiple_of(piece));
            let blocks = Blocks { values: &values, rows, lanes: piece, units: length };
            let value = |row: usize, k: usize| values[(k / piece * rows + row) * piece + k % piece];
            let whole: Vec<Vec<f32>> =
                (0..rows).map(|r| (0..length).map(|k| value(r, k)).collect()).collect();
            let whole: Vec<&[f32]> = whole.iter().map(|row| &row[..]).collect();

            let mut sums = start.clone();
            for (panel, sums) in
                panels.chunks_exact(length * row).zip(sums.chunks_exact_mut(rows * row))
            {
                multiply::<S, _, _, V, 1>(
                    simd,
                    &Whole { rows: &whole, first: 0 },
                    panel,
                    vectors_mut::<S, V>(sums),
                );
            }
            for (index, (&sum, &start)) in sums.iter().zip(&start).enumerate() {
                let (panel, r, column) = (index / row / rows, index / row % rows, index % row);
                let weight = |k: usize| f64::from(panels[(panel * length + k) * row + column]);
                let exact: f64 = (0..length).map(|k| f64::from(value(r, k)) * weight(k)).sum();
                let far = (f64::from(sum) - f64::from(start) - exact).abs();
                assert!(
                    far < 1e-6 * (length + 1) as f64,
                    "{rows} rows of {length}: {sum} is {far} off"
                );
            }
            let mut in_blocks = start.clone();
            for (panel, sums) in
                panels.chunks_exact(length * row).zip(in_blocks.chunks_exact_mut(rows * row))
            {
                multiply::<S, _, _, V, 1>(simd, &blocks, panel, vectors_mut::<S, V>(sums));
            }
            assert_eq!(in_blocks, sums, "{rows} rows of {length} in pieces of {piece}");
            for count in 2..=panels_at_a_time::<S>(rows, V) {
                let mut together = start[..count * rows * row].to_vec();
                let panels = &panels[..count * length * row];
                let of_panels = vectors_mut::<S, V>(&mut together);
                match count {
                    2 => multiply::<S, _, _, V, 2>(simd, &blocks, panels, of_panels),
                    3 => multiply::<S, _, _, V, 3>(simd, &blocks, panels, of_panels),
                    _ => multiply::<S, _, _, V, 4>(simd, &blocks, panels, of_panels),
                }
                let message = format!("{rows} rows of {length}, {count} panels at a time");
                assert_eq!(together, sums[..together.len()], "{message}");
            }
            // Each row alone: the same to the bit, whatever tiles they were in.
            for (r, values) in whole.iter().enumerate() {
                let mut alone = start[r * row..][..row].to_vec();
                let panel = &panels[..length * row];
                multiply::<S, _, _, V, 1>(
                    simd,
                    &Whole { rows: &[values], first: 0 },
                    panel,
                    vectors_mut::<S, V>(&mut alone),
                );
                assert_eq!(alone, sums[r * row..][..row], "row {r} of {rows}, of {length} values");
            }
        }
    }

    impl WithSimd for Products {
        type Output = ();

        fn with_simd<S: Simd>(self, simd: S) {
            self.check::<S, 3>(simd);
            self.check::<S, 4>(simd);
        }
    }

    #[test]
    fn every_tile_sums_in_the_same_order() {
        for arch in each_arch() {
            for rows in (1..=14).chain([18, 25, 37]) {
                for length in [1, 3, 4, 7, 16, 21, 50] {
                    arch.dispatch(Products { rows, length, piece: 16 });
                    arch.dispatch(Products { rows, length, piece: 3 });
                }
            }
        }
    }
}
