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

/// `sums[panel][row] += rows[row] · panels[panel]`, for all rows and for `P` panels, which stand one after the other.
#[inline(always)]
pub(super) fn multiply<S: Simd, R: Rows, const V: usize, const P: usize>(
    simd: S,
    rows: &R,
    panels: &[[S::f32s; V]],
    sums: &mut [[S::f32s; V]],
) {
    let (panels, sums) = (bytemuck::cast_slice(panels), bytemuck::cast_slice_mut(sums));
    simd.vectorize(Multiply::<R, V, P> { rows, panels, sums });
}

/// Panels that are multiplied at a time. A multiply-add waits for the one before it in the same sum, some four cycles in
/// which a processor could start eight: where the rows are too few for so many sums, two panels are.
pub(super) const fn panels_at_a_time(rows: usize, vectors: usize) -> usize {
    if rows * vectors < 8 { 2 } else { 1 }
}

/// A function of its own for each instruction set, rather than a copy wherever there is a product.
struct Multiply<'a, R, const V: usize, const P: usize> {
    rows: &'a R,
    panels: &'a [f32],
    sums: &'a mut [f32],
}

impl<R: Rows, const V: usize, const P: usize> WithSimd for Multiply<'_, R, V, P> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.rows;
        let panels: &[[S::f32s; V]] = S::as_simd_f32s(self.panels).0.as_chunks().0;
        let sums: &mut [[S::f32s; V]] = S::as_mut_simd_f32s(self.sums).0.as_chunks_mut().0;
        let count = sums.len() / P;
        let halves = in_halves::<S>(count, V);
        let most = if halves { tile_rows::<S>(2) } else { tile_rows::<S>(V) };
        let tiles = count.div_ceil(most);
        for part in 0..1 + usize::from(halves) {
            let mut first = 0;
            for tile in 0..tiles {
                // As even as can be: 16 rows are 6, 5 and 5 of them.
                let place = Place { first, rows: count / tiles + usize::from(tile < count % tiles), part };
                match halves {
                    true => multiply_rows::<S, R, V, 2, P>(simd, rows, place, panels, sums),
                    false => multiply_rows::<S, R, V, V, P>(simd, rows, place, panels, sums),
                }
                first += place.rows;
            }
        }
    }
}

/// A product of other rows with other panels that is computed piece by piece beside one whose weights come from a cache that
/// is slower than the arithmetic: it takes what is free of that, and its own weights from the first-level cache.
pub(super) struct Beside<'a> {
    pub rows: &'a [&'a [f32]],
    /// `[panel][feature][vector][lane]`
    pub panels: &'a [f32],
    /// What the sums start from, `[panel][vector][lane]`.
    pub bias: &'a [f32],
    /// `[panel][row][vector][lane]`; nothing is read of what isn't done.
    pub sums: &'a mut [f32],
    pub done: &'a mut Done,
}

/// How much of a product is done: pieces of as many features as a vector has lanes, of two rows. In all pairs of rows of a
/// block, then in the next features, then in the next block, then in the next panel.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done {
    panel: usize,
    block: usize,
    feature: usize,
    row: usize,
}

/// The rows of a block: their sums and a piece of the weights stay in the first-level cache.
pub(super) const BLOCK_ROWS: usize = 32;

impl Done {
    /// The panel, feature and row of the next piece; `None`: no whole pieces are left.
    #[inline(always)]
    fn next(&mut self, panels: usize, rows: usize, features: usize, piece: usize) -> Option<(usize, usize, usize)> {
        if self.panel == panels || rows < 2 || features < piece {
            return None;
        }
        let next = (self.panel, self.feature, self.block + self.row);
        self.row += 2;
        let block = BLOCK_ROWS.min(rows / 2 * 2 - self.block);
        if self.row == block {
            (self.row, self.feature) = (0, self.feature + piece);
            if self.feature + piece > features {
                (self.feature, self.block) = (0, self.block + block);
                if self.block == rows / 2 * 2 {
                    (self.block, self.panel) = (0, self.panel + 1);
                }
            }
        }
        Some(next)
    }

    /// The rows of a panel that have equally many features done, and how many.
    fn of_panel(&self, panel: usize, rows: usize, features: usize, piece: usize) -> [(Range<usize>, usize); 5] {
        let (even, whole) = if features < piece { (0, 0) } else { (rows / 2 * 2, features / piece * piece) };
        let (first, now, block) = match panel.cmp(&self.panel) {
            std::cmp::Ordering::Less => (even, 0, 0),
            std::cmp::Ordering::Equal => (self.block, self.row, BLOCK_ROWS.min(even - self.block)),
            std::cmp::Ordering::Greater => (0, 0, 0),
        };
        [
            (0..first, whole),
            (first..first + now, self.feature + piece),
            (first + now..first + block, self.feature),
            (first + block..even, 0),
            (even..rows, 0),
        ]
    }
}

/// `sums[panel] += row · panels[panel]` of the one row in `rows`, for `P` panels, with pieces of another product beside it.
#[inline(always)]
pub(super) fn multiply_beside<S: Simd, R: Rows, const V: usize, const P: usize>(
    simd: S,
    rows: &R,
    panels: &[[S::f32s; V]],
    sums: &mut [[S::f32s; V]],
    beside: &mut Beside,
) {
    let (panels, sums) = (bytemuck::cast_slice(panels), bytemuck::cast_slice_mut(sums));
    simd.vectorize(MultiplyBeside::<R, V, P> { rows, panels, sums, beside });
}

/// Whether there are registers for the sums of two panels and of two rows, and what they are multiplied with, and pieces are
/// long enough to bring their sums from memory and back.
pub(super) const fn has_room_beside<S: Simd>() -> bool {
    S::REGISTER_COUNT >= 32 && S::F32_LANES >= 16
}

/// The same, for the instruction set that is dispatched to.
pub(super) struct RoomBeside;

impl WithSimd for RoomBeside {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        has_room_beside::<S>()
    }
}

struct MultiplyBeside<'a, 'b, R, const V: usize, const P: usize> {
    rows: &'a R,
    panels: &'a [f32],
    sums: &'a mut [f32],
    beside: &'a mut Beside<'b>,
}

impl<R: Rows, const V: usize, const P: usize> WithSimd for MultiplyBeside<'_, '_, R, V, P> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Nothing is compiled where it never runs.
        if !has_room_beside::<S>() {
            return;
        }
        let panels: &[[S::f32s; V]] = S::as_simd_f32s(self.panels).0.as_chunks().0;
        let sums: &mut [[S::f32s; V]] = S::as_mut_simd_f32s(self.sums).0.as_chunks_mut().0;
        let length = panels.len() / P;
        let mut tile = [[simd.splat_f32s(0.0); V]; P];
        let mut rest: [&[[S::f32s; V]]; P] = [&[]; P];
        for panel in 0..P {
            rest[panel] = &panels[panel * length..][..length];
            tile[panel] = sums[panel];
        }
        let mut pieces = self.beside.pieces::<S, V>();
        for piece in 0..self.rows.pieces() {
            let values = self.rows.piece(piece, 0);
            let mut weights: [&[[S::f32s; V]]; P] = [&[]; P];
            for panel in 0..P {
                (weights[panel], rest[panel]) = rest[panel].split_at(values.len());
            }
            let other = if values.len() == S::F32_LANES { pieces.next() } else { None };
            match other {
                Some(other) => multiply_both::<S, V, P>(simd, values, weights, &mut tile, other),
                None => {
                    for (k, &value) in values.iter().enumerate() {
                        add_row::<S, V, P>(simd, value, weights.map(|weights| &weights[k]), &mut tile);
                    }
                }
            }
        }
        sums[..P].copy_from_slice(&tile);
    }
}

/// `tile[panel] += value · weights[panel]`
#[inline(always)]
fn add_row<S: Simd, const V: usize, const P: usize>(
    simd: S,
    value: f32,
    weights: [&[S::f32s; V]; P],
    tile: &mut [[S::f32s; V]; P],
) {
    let value = simd.splat_f32s(value);
    for panel in 0..P {
        multiply_add(simd, value, weights[panel], 0, &mut tile[panel]);
    }
}

/// A piece of a product: as many features of two rows as a vector has lanes.
struct Piece<'a, S: Simd, const V: usize> {
    rows: [&'a [f32]; 2],
    weights: &'a [[S::f32s; V]],
    /// What both sums start from, if these are the first features.
    bias: Option<&'a [S::f32s; V]>,
    sums: &'a mut [[S::f32s; V]; 2],
}

/// Multiply-adds of both products by turns, so that those of the piece run while the others wait for `weights`.
#[inline(always)]
fn multiply_both<S: Simd, const V: usize, const P: usize>(
    simd: S,
    values: &[f32],
    weights: [&[[S::f32s; V]]; P],
    tile: &mut [[S::f32s; V]; P],
    piece: Piece<S, V>,
) {
    let mut sums = match piece.bias {
        Some(&bias) => [bias; 2],
        None => *piece.sums,
    };
    // Four at a time: one check of the bounds for all.
    for index in 0..values.len() / 4 {
        let four: [f32; 4] = values.as_chunks().0[index];
        let mut rows = [&weights[0].as_chunks::<4>().0[index]; P];
        for panel in 1..P {
            rows[panel] = &weights[panel].as_chunks::<4>().0[index];
        }
        let others: [[f32; 4]; 2] = [piece.rows[0].as_chunks().0[index], piece.rows[1].as_chunks().0[index]];
        let other_weights = &piece.weights.as_chunks::<4>().0[index];
        for k in 0..4 {
            add_row::<S, V, P>(simd, four[k], rows.map(|rows| &rows[k]), tile);
            for row in 0..2 {
                multiply_add(simd, simd.splat_f32s(others[row][k]), &other_weights[k], 0, &mut sums[row]);
            }
        }
    }
    *piece.sums = sums;
}

/// The pieces of a product that are left.
struct Pieces<'a, S: Simd, const V: usize> {
    rows: &'a [&'a [f32]],
    features: usize,
    panels: &'a [[S::f32s; V]],
    bias: &'a [[S::f32s; V]],
    sums: &'a mut [[S::f32s; V]],
    done: &'a mut Done,
}

impl<S: Simd, const V: usize> Pieces<'_, S, V> {
    #[inline(always)]
    fn next(&mut self) -> Option<Piece<'_, S, V>> {
        let (features, length) = (self.features, S::F32_LANES);
        let (panel, feature, row) = self.done.next(self.bias.len(), self.rows.len(), features, length)?;
        Some(Piece {
            rows: [&self.rows[row][feature..][..length], &self.rows[row + 1][feature..][..length]],
            weights: &self.panels[panel * features + feature..][..length],
            bias: (feature == 0).then_some(&self.bias[panel]),
            sums: &mut self.sums[panel * self.rows.len() + row..].as_chunks_mut().0[0],
        })
    }
}

impl Beside<'_> {
    #[inline(always)]
    fn pieces<S: Simd, const V: usize>(&mut self) -> Pieces<'_, S, V> {
        Pieces {
            rows: self.rows,
            features: self.rows[0].len(),
            panels: S::as_simd_f32s(self.panels).0.as_chunks().0,
            bias: S::as_simd_f32s(self.bias).0.as_chunks().0,
            sums: S::as_mut_simd_f32s(self.sums).0.as_chunks_mut().0,
            done: self.done,
        }
    }

    /// What is left of the product.
    #[inline(always)]
    pub fn finish<S: Simd, const V: usize>(mut self, simd: S) {
        let Pieces { rows, features, panels, bias, sums, done: all_done } = self.pieces::<S, V>();
        for (panel, sums) in sums.chunks_exact_mut(rows.len()).enumerate() {
            let weights = &panels[panel * features..][..features];
            for (which, done) in all_done.of_panel(panel, rows.len(), features, S::F32_LANES) {
                if which.is_empty() || done >= features {
                    continue;
                }
                if done == 0 {
                    sums[which.clone()].fill(bias[panel]);
                }
                let left: Vec<&[f32]> = rows[which.clone()].iter().map(|row| &row[done..]).collect();
                multiply::<S, _, V, 1>(simd, &Whole(&left), &weights[done..], &mut sums[which]);
            }
        }
    }
}

/// The most rows of so many vectors whose sums stay in registers, beside a row of the panel and a value that is multiplied
/// with it.
const fn tile_rows<S: Simd>(vectors: usize) -> usize {
    let rows = (S::REGISTER_COUNT - 2 - vectors) / vectors;
    if rows > 24 / vectors { 24 / vectors } else { rows }
}

/// Whether tiles are two of a panel's four vectors wide: with 32 registers where all rows then fit, so that the panel is
/// streamed once, under all that there is to compute; with 16 registers, which hold 6 · 2 sums but 2 · 4, for all but 2 rows.
const fn in_halves<S: Simd>(rows: usize, vectors: usize) -> bool {
    let (whole, half) = (tile_rows::<S>(4), tile_rows::<S>(2));
    vectors == 4 && rows > whole && (rows <= half || 2 * half > 4 * whole)
}

/// Which sums of a panel a tile has.
#[derive(Clone, Copy)]
struct Place {
    first: usize,
    rows: usize,
    /// Which of the parts of a panel's row that are as wide as the tile.
    part: usize,
}

#[inline(always)]
fn multiply_rows<S: Simd, R: Rows, const V: usize, const W: usize, const P: usize>(
    simd: S,
    rows: &R,
    place: Place,
    panels: &[[S::f32s; V]],
    sums: &mut [[S::f32s; V]],
) {
    macro_rules! tile_of {
        ($($rows:literal)*) => {
            match place.rows {
                $($rows => multiply_tile::<S, R, V, W, P, $rows>(simd, rows, place, panels, sums),)*
                _ => unreachable!("a tile has at most 12 rows"),
            }
        };
    }
    tile_of!(1 2 3 4 5 6 7 8 9 10 11 12);
}

#[inline(always)]
fn multiply_tile<S: Simd, R: Rows, const V: usize, const W: usize, const P: usize, const M: usize>(
    simd: S,
    rows: &R,
    place: Place,
    panels: &[[S::f32s; V]],
    sums: &mut [[S::f32s; V]],
) {
    // Tiles that never are: nothing is compiled for them.
    if M > tile_rows::<S>(W) || P > panels_at_a_time(M, V) {
        return;
    }
    let (all, length) = (sums.len() / P, panels.len() / P);
    let mut tile = [[[simd.splat_f32s(0.0); W]; M]; P];
    let mut rest: [&[[S::f32s; V]]; P] = [&[]; P];
    for panel in 0..P {
        rest[panel] = &panels[panel * length..][..length];
        for row in 0..M {
            tile[panel][row] = part_of(&sums[panel * all + place.first + row], place.part);
        }
    }
    for piece in 0..rows.pieces() {
        // Slices of lengths that the compiler knows to be equal. Loops, as closures are not always inlined.
        let length = rows.piece(piece, place.first).len();
        let mut weights: [&[[S::f32s; V]]; P] = [&[]; P];
        for panel in 0..P {
            (weights[panel], rest[panel]) = rest[panel].split_at(length);
        }
        let mut values: [&[f32]; M] = [&[]; M];
        for (row, values) in values.iter_mut().enumerate() {
            *values = &rows.piece(piece, place.first + row)[..length];
        }
        // Four at a time: one check of the bounds for all.
        for index in 0..length / 4 {
            let mut four = [[0.0; 4]; M];
            for (four, values) in four.iter_mut().zip(values) {
                *four = values.as_chunks().0[index];
            }
            let mut rows = [&weights[0].as_chunks::<4>().0[index]; P];
            for panel in 1..P {
                rows[panel] = &weights[panel].as_chunks::<4>().0[index];
            }
            for k in 0..4 {
                for row in 0..M {
                    let value = simd.splat_f32s(four[row][k]);
                    for panel in 0..P {
                        multiply_add(simd, value, &rows[panel][k], place.part, &mut tile[panel][row]);
                    }
                }
            }
        }
        for k in length / 4 * 4..length {
            for row in 0..M {
                let value = simd.splat_f32s(values[row][k]);
                for panel in 0..P {
                    multiply_add(simd, value, &weights[panel][k], place.part, &mut tile[panel][row]);
                }
            }
        }
    }
    for panel in 0..P {
        for row in 0..M {
            sums[panel * all + place.first + row].as_chunks_mut::<W>().0[place.part % (V / W)] = tile[panel][row];
        }
    }
}

/// `sums += value · weights`, of a part of the weights.
#[inline(always)]
fn multiply_add<S: Simd, const V: usize, const W: usize>(
    simd: S,
    value: S::f32s,
    weights: &[S::f32s; V],
    part: usize,
    sums: &mut [S::f32s; W],
) {
    let weights: [S::f32s; W] = part_of(weights, part);
    for vector in 0..W {
        sums[vector] = simd.mul_add_e_f32s(value, weights[vector], sums[vector]);
    }
}

/// The remainder tells the compiler that there is such a part.
#[inline(always)]
fn part_of<T: Copy, const V: usize, const W: usize>(row: &[T; V], part: usize) -> [T; W] {
    row.as_chunks().0[part % (V / W)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::each_arch;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha12Rng;

    /// Products of `rows` rows in pieces of `piece` values, with panels one by one and two at a time.
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
            let mut random = |values: usize| (0..values).map(|_| rng.random_range(-1.0f32..1.0)).collect::<Vec<_>>();
            let (panels, start) = (random(2 * length * row), random(2 * rows * row));
            let values = random(rows * length.next_multiple_of(piece));
            let blocks = Blocks { values: &values, rows, lanes: piece, units: length };
            let value = |row: usize, k: usize| values[(k / piece * rows + row) * piece + k % piece];
            let whole: Vec<Vec<f32>> = (0..rows).map(|r| (0..length).map(|k| value(r, k)).collect()).collect();
            let whole: Vec<&[f32]> = whole.iter().map(|row| &row[..]).collect();

            let mut sums = start.clone();
            for (panel, sums) in panels.chunks_exact(length * row).zip(sums.chunks_exact_mut(rows * row)) {
                multiply::<S, _, V, 1>(simd, &Whole(&whole), vectors::<S, V>(panel), vectors_mut::<S, V>(sums));
            }
            for (index, (&sum, &start)) in sums.iter().zip(&start).enumerate() {
                let (panel, r, column) = (index / row / rows, index / row % rows, index % row);
                let weight = |k: usize| f64::from(panels[(panel * length + k) * row + column]);
                let exact: f64 = (0..length).map(|k| f64::from(value(r, k)) * weight(k)).sum();
                let far = (f64::from(sum) - f64::from(start) - exact).abs();
                assert!(far < 1e-6 * (length + 1) as f64, "{rows} rows of {length}: {sum} is {far} off");
            }
            let mut in_blocks = start.clone();
            for (panel, sums) in panels.chunks_exact(length * row).zip(in_blocks.chunks_exact_mut(rows * row)) {
                multiply::<S, _, V, 1>(simd, &blocks, vectors::<S, V>(panel), vectors_mut::<S, V>(sums));
            }
            assert_eq!(in_blocks, sums, "{rows} rows of {length} in pieces of {piece}");
            if panels_at_a_time(rows, V) == 2 {
                let mut both = start.clone();
                multiply::<S, _, V, 2>(simd, &blocks, vectors::<S, V>(&panels), vectors_mut::<S, V>(&mut both));
                assert_eq!(both, sums, "{rows} rows of {length}, two panels at a time");
            }
            // Each row alone: the same to the bit, whatever tiles they were in.
            for (r, values) in whole.iter().enumerate() {
                let mut alone = start[r * row..][..row].to_vec();
                let panel = vectors::<S, V>(&panels[..length * row]);
                multiply::<S, _, V, 1>(simd, &Whole(&[values]), panel, vectors_mut::<S, V>(&mut alone));
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

    /// A row times panels, with the product of other rows and panels beside it.
    struct BothProducts {
        /// Of the first product.
        units: usize,
        panels: usize,
        times: usize,
        rows: usize,
        features: usize,
        other_panels: usize,
    }

    impl BothProducts {
        fn check<S: Simd, const V: usize>(&self, simd: S) {
            let BothProducts { units, panels, times, rows, features, other_panels } = *self;
            let mut rng = ChaCha12Rng::seed_from_u64(2);
            let row = V * S::F32_LANES;
            let mut random = |values: usize| (0..values).map(|_| rng.random_range(-1.0f32..1.0)).collect::<Vec<_>>();
            let (weights, others) = (random(panels * units * row), random(other_panels * features * row));
            let (values, bias) = (random(units.next_multiple_of(S::F32_LANES)), random(other_panels * row));
            let blocks = Blocks { values: &values, rows: 1, lanes: S::F32_LANES, units };
            let x: Vec<Vec<f32>> = (0..rows).map(|_| random(features)).collect();
            let x: Vec<&[f32]> = x.iter().map(|row| &row[..]).collect();

            // Whatever was there before.
            let mut beside = vec![f32::NAN; other_panels * rows * row];
            let mut done = Done::default();
            for _ in 0..times {
                for two in weights.chunks(2 * units * row) {
                    let count = two.len() / units / row;
                    let (mut sums, mut expected) = (vec![0.0; count * row], vec![0.0; count * row]);
                    let mut other =
                        Beside { rows: &x, panels: &others, bias: &bias, sums: &mut beside, done: &mut done };
                    let (weights, found) = (vectors::<S, V>(two), vectors_mut::<S, V>(&mut sums));
                    match count {
                        2 => multiply_beside::<S, _, V, 2>(simd, &blocks, weights, found, &mut other),
                        _ => multiply_beside::<S, _, V, 1>(simd, &blocks, weights, found, &mut other),
                    }
                    for (weights, sums) in two.chunks(units * row).zip(expected.chunks_mut(row)) {
                        let (weights, sums) = (vectors::<S, V>(weights), vectors_mut::<S, V>(sums));
                        multiply::<S, _, V, 1>(simd, &blocks, weights, sums);
                    }
                    assert!(!has_room_beside::<S>() || sums == expected, "{units} units");
                }
            }
            Beside { rows: &x, panels: &others, bias: &bias, sums: &mut beside, done: &mut done }.finish::<S, V>(simd);
            for (panel, found) in beside.chunks(rows * row).enumerate() {
                let mut expected = bias[panel * row..][..row].repeat(rows);
                let weights = vectors::<S, V>(&others[panel * features * row..][..features * row]);
                multiply::<S, _, V, 1>(simd, &Whole(&x), weights, vectors_mut::<S, V>(&mut expected));
                assert_eq!(found, expected, "panel {panel} of {rows} rows, {features} features, {times} times");
            }
        }
    }

    impl WithSimd for BothProducts {
        type Output = ();

        fn with_simd<S: Simd>(self, simd: S) {
            self.check::<S, 3>(simd);
            self.check::<S, 4>(simd);
        }
    }

    /// Wherever the first product leaves off: within a block of rows, features or panels, or when all is done.
    #[test]
    fn a_product_beside_another_is_the_same_to_the_bit() {
        for arch in each_arch() {
            for (rows, features) in [(1, 40), (2, 15), (2, 16), (7, 33), (32, 48), (37, 50), (70, 16), (66, 5)] {
                for times in [0, 1, 2, 5, 40] {
                    for (units, panels) in [(16, 1), (50, 3), (64, 4)] {
                        arch.dispatch(BothProducts { units, panels, times, rows, features, other_panels: 3 });
                    }
                }
            }
        }
    }

    fn vectors<S: Simd, const V: usize>(values: &[f32]) -> &[[S::f32s; V]] {
        S::as_simd_f32s(values).0.as_chunks().0
    }

    fn vectors_mut<S: Simd, const V: usize>(values: &mut [f32]) -> &mut [[S::f32s; V]] {
        S::as_mut_simd_f32s(values).0.as_chunks_mut().0
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
