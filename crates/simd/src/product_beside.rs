//! A product that waits for its weights, with pieces of another one beside it. Each sum runs in the
//! order that it has alone.

use crate::matmul::{Rows, Whole, Word, multiply, multiply_add, vectors, vectors_mut};
use pulp::{Simd, WithSimd};
use std::cmp::Ordering;
use std::ops::Range;

/// A product of other rows with other panels that is computed piece by piece beside one whose
/// weights come from a cache that is slower than the arithmetic: it takes what is free of that, and
/// its own weights from the first-level cache.
pub(super) struct ProductBeside<'a> {
    pub rows: &'a [&'a [f32]],
    /// `[panel][feature][vector][lane]`
    pub panels: &'a [f32],
    /// What the sums start from, `[panel][vector][lane]`.
    pub bias: &'a [f32],
    /// `[panel][row][vector][lane]`; nothing is read of what isn't done.
    pub sums: &'a mut [f32],
    pub done: &'a mut Done,
}

/// How much of a product is done: pieces of as many features as a vector has lanes, of two rows. In
/// all pairs of rows of a block, then in the next features, then in the next block, then in the
/// next panel.
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
    fn next(
        &mut self,
        panels: usize,
        rows: usize,
        features: usize,
        piece: usize,
    ) -> Option<(usize, usize, usize)> {
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
    fn of_panel(
        &self,
        panel: usize,
        rows: usize,
        features: usize,
        piece: usize,
    ) -> [(Range<usize>, usize); 5] {
        let (even, whole) =
            if features < piece { (0, 0) } else { (rows / 2 * 2, features / piece * piece) };
        let (first, now, block) = match panel.cmp(&self.panel) {
            Ordering::Less => (even, 0, 0),
            Ordering::Equal => (self.block, self.row, BLOCK_ROWS.min(even - self.block)),
            Ordering::Greater => (0, 0, 0),
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

/// `sums[panel] += row · panels[panel]` of the one row in `rows`, for `P` panels, with pieces of
/// another product beside it where there is room.
#[inline(always)]
pub(super) fn multiply_beside<S: Simd, R: Rows, T: Word, const V: usize, const P: usize>(
    simd: S,
    rows: &R,
    panels: &[T],
    sums: &mut [[S::f32s; V]],
    beside: &mut ProductBeside,
) {
    if !has_room_beside::<S>() {
        return multiply::<S, R, T, V, P>(simd, rows, panels, sums);
    }
    let sums = bytemuck::cast_slice_mut(sums);
    simd.vectorize(MultiplyBeside::<R, T, V, P> { rows, panels, sums, beside });
}

/// Whether there are registers for the sums of two panels and of two rows, and what they are
/// multiplied with, and pieces are long enough to bring their sums from memory and back.
const fn has_room_beside<S: Simd>() -> bool {
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

struct MultiplyBeside<'a, 'b, R, T, const V: usize, const P: usize> {
    rows: &'a R,
    panels: &'a [T],
    sums: &'a mut [f32],
    beside: &'a mut ProductBeside<'b>,
}

impl<R: Rows, T: Word, const V: usize, const P: usize> WithSimd
    for MultiplyBeside<'_, '_, R, T, V, P>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let panels = T::vectors::<S, V>(self.panels);
        let sums = vectors_mut::<S, V>(self.sums);
        let length = panels.len() / P;
        let mut tile = [[simd.splat_f32s(0.0); V]; P];
        let mut rest: [&[[T::Vector<S>; V]]; P] = [&[]; P];
        for panel in 0..P {
            rest[panel] = &panels[panel * length..][..length];
            tile[panel] = sums[panel];
        }
        let mut pieces = self.beside.pieces::<S, V>();
        for piece in 0..self.rows.pieces() {
            let values = self.rows.piece(piece, 0);
            let mut words: [&[[T::Vector<S>; V]]; P] = [&[]; P];
            for panel in 0..P {
                (words[panel], rest[panel]) = rest[panel].split_at(T::rows::<S>(values.len()));
            }
            let other = if values.len() == S::F32_LANES { pieces.next() } else { None };
            match other {
                Some(other) => multiply_both::<S, T, V, P>(simd, values, words, &mut tile, other),
                None => {
                    for (k, &value) in values.iter().enumerate() {
                        add_row::<S, T, V, P>(simd, value, words, k, &mut tile);
                    }
                }
            }
        }
        sums[..P].copy_from_slice(&tile);
    }
}

/// `tile[panel] += value · weights[panel]`, of a row of the words' weights.
#[inline(always)]
fn add_row<S: Simd, T: Word, const V: usize, const P: usize>(
    simd: S,
    value: f32,
    words: [&[[T::Vector<S>; V]]; P],
    row: usize,
    tile: &mut [[S::f32s; V]; P],
) {
    let value = simd.splat_f32s(value);
    for panel in 0..P {
        multiply_add(simd, value, &T::weights(simd, words[panel], row, 0), &mut tile[panel]);
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

/// Multiply-adds of both products by turns, so that those of the piece run while the others wait
/// for `words`.
#[inline(always)]
fn multiply_both<S: Simd, T: Word, const V: usize, const P: usize>(
    simd: S,
    values: &[f32],
    words: [&[[T::Vector<S>; V]]; P],
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
        let mut rows = [T::four(words[0], index); P];
        for panel in 1..P {
            rows[panel] = T::four(words[panel], index);
        }
        let others: [[f32; 4]; 2] =
            [piece.rows[0].as_chunks().0[index], piece.rows[1].as_chunks().0[index]];
        let other_weights = &piece.weights.as_chunks::<4>().0[index];
        for k in 0..4 {
            add_row::<S, T, V, P>(simd, four[k], rows, k, tile);
            for row in 0..2 {
                multiply_add(
                    simd,
                    simd.splat_f32s(others[row][k]),
                    &other_weights[k],
                    &mut sums[row],
                );
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
        let (panel, feature, row) =
            self.done.next(self.bias.len(), self.rows.len(), features, length)?;
        Some(Piece {
            rows: [&self.rows[row][feature..][..length], &self.rows[row + 1][feature..][..length]],
            weights: &self.panels[panel * features + feature..][..length],
            bias: (feature == 0).then_some(&self.bias[panel]),
            sums: &mut self.sums[panel * self.rows.len() + row..].as_chunks_mut().0[0],
        })
    }
}

impl ProductBeside<'_> {
    #[inline(always)]
    fn pieces<S: Simd, const V: usize>(&mut self) -> Pieces<'_, S, V> {
        Pieces {
            rows: self.rows,
            features: self.rows[0].len(),
            panels: vectors::<S, V>(self.panels),
            bias: vectors::<S, V>(self.bias),
            sums: vectors_mut::<S, V>(self.sums),
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
                let left = Whole { rows: &rows[which.clone()], first: done };
                multiply::<S, _, f32, V, 1>(
                    simd,
                    &left,
                    bytemuck::cast_slice(&weights[done..]),
                    &mut sums[which],
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::each_arch;
    use crate::matmul::Blocks;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha12Rng;

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
            let mut random = |values: usize| {
                (0..values).map(|_| rng.random_range(-1.0f32..1.0)).collect::<Vec<_>>()
            };
            let (weights, others) =
                (random(panels * units * row), random(other_panels * features * row));
            let (values, bias) =
                (random(units.next_multiple_of(S::F32_LANES)), random(other_panels * row));
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
                    let mut other = ProductBeside {
                        rows: &x,
                        panels: &others,
                        bias: &bias,
                        sums: &mut beside,
                        done: &mut done,
                    };
                    let (weights, found) = (two, vectors_mut::<S, V>(&mut sums));
                    match count {
                        2 => multiply_beside::<S, _, _, V, 2>(
                            simd, &blocks, weights, found, &mut other,
                        ),
                        _ => multiply_beside::<S, _, _, V, 1>(
                            simd, &blocks, weights, found, &mut other,
                        ),
                    }
                    for (weights, sums) in two.chunks(units * row).zip(expected.chunks_mut(row)) {
                        multiply::<S, _, _, V, 1>(
                            simd,
                            &blocks,
                            weights,
                            vectors_mut::<S, V>(sums),
                        );
                    }
                    assert_eq!(sums, expected, "{units} units");
                }
            }
            ProductBeside {
                rows: &x,
                panels: &others,
                bias: &bias,
                sums: &mut beside,
                done: &mut done,
            }
            .finish::<S, V>(simd);
            for (panel, found) in beside.chunks(rows * row).enumerate() {
                let mut expected = bias[panel * row..][..row].repeat(rows);
                let weights = &others[panel * features * row..][..features * row];
                multiply::<S, _, _, V, 1>(
                    simd,
                    &Whole { rows: &x, first: 0 },
                    weights,
                    vectors_mut::<S, V>(&mut expected),
                );
                assert_eq!(
                    found, expected,
                    "panel {panel} of {rows} rows, {features} features, {times} times"
                );
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

    /// Wherever the first product leaves off: within a block of rows, features or panels, or when
    /// all is done.
    #[test]
    fn a_product_beside_another_is_the_same_to_the_bit() {
        for arch in each_arch() {
            for (rows, features) in
                [(1, 40), (2, 15), (2, 16), (7, 33), (32, 48), (37, 50), (70, 16), (66, 5)]
            {
                for times in [0, 1, 2, 5, 40] {
                    for (units, panels) in [(16, 1), (50, 3), (64, 4)] {
                        arch.dispatch(BothProducts {
                            units,
                            panels,
                            times,
                            rows,
                            features,
                            other_panels: 3,
                        });
                    }
                }
            }
        }
    }
}
