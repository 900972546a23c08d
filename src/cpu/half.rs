//! A recurrent kernel in 16 bits a weight, half of what a large layer reads at each timestep, decoded in registers.

use super::matmul::{Blocks, Rows, multiply, panels_at_a_time, vectors_mut};
use super::pages::Pages;
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// Weights in 16 bits: a sign, 5 bits of exponent and 10 of mantissa, so that each is off by at most 2⁻¹¹ of itself. The
/// largest weight has the largest exponent; what is smaller than 2⁻³¹ of it, zero too, becomes that.
///
/// Two units are in a word, the first one above the second. Shifted to where an f32 has its exponent and mantissa, the first
/// one has the second one below its last bit: that is left there, and the first one rounded so that both together are nearest
/// to its weight.
#[derive(Debug)]
pub(super) struct Half {
    /// `[panel][pair of units][vector][lane]`
    pub pairs: Pages<u32>,
    /// The power of two that decoded weights are to be multiplied with, or rather their sums.
    scale: f32,
}

/// Bits of an f32's mantissa that weights don't have.
const CUT: u32 = 13;
/// Half of the last bit that they have.
const HALF: u32 = 1 << (CUT - 1);
const EXPONENT: u32 = 0xff << 23;
/// The bits of exponent and mantissa.
const SIZE: u32 = 0x7fff;
/// What the upper three bits of the exponent of a decoded weight are: those of numbers from 2⁻³¹ to 2.
const UPPER: u32 = 0b011 << 28;
/// The exponent of an f32 from 1 to 2.
const ONE: u32 = 127 << 23;

impl Half {
    /// `kernel` is `[panel][unit][row of a panel]`.
    pub fn new(kernel: &[f32], units: usize, row: usize) -> Half {
        let largest = kernel.iter().fold(f32::MIN_POSITIVE, |largest, weight| largest.max(weight.abs()));
        // Once it is rounded, if an f32 can have that.
        let rounded = f32::from_bits(largest.to_bits() + HALF);
        let exponent = if rounded.is_finite() { rounded } else { f32::MAX }.to_bits() & EXPONENT;
        let encode = |weight: f32, below: u32| {
            // Bits of a number from 2⁻³¹ on, which is zero here.
            let size = (weight.abs().to_bits() + ONE).saturating_sub(exponent + UPPER);
            let rounded = (size + HALF).saturating_sub(below) >> CUT;
            rounded.min(SIZE) | (weight.to_bits() >> 31 << 15)
        };
        let mut pairs = Pages::zeros(kernel.len() / units * units.div_ceil(2));
        let mut rows = pairs.chunks_exact_mut(row);
        for panel in kernel.chunks(units * row) {
            for (pair, words) in panel.chunks(2 * row).zip(&mut rows) {
                for (index, word) in words.iter_mut().enumerate() {
                    let second = encode(pair.get(row + index).copied().unwrap_or_default(), 0);
                    *word = encode(pair[index], second >> 3) << 16 | second;
                }
            }
        }
        Half { pairs, scale: f32::from_bits(exponent) }
    }

    /// `sums[panel][row] += read[row] · panel`, for sums that are zeros.
    #[inline(always)]
    pub fn multiply<S: Simd, const V: usize>(
        &self,
        simd: S,
        read: &Blocks,
        panels: Range<usize>,
        sums: &mut [[S::f32s; V]],
    ) {
        let a_panel = read.units.div_ceil(2) * V * S::F32_LANES;
        let pairs = &self.pairs[panels.start * a_panel..panels.end * a_panel];
        let group = panels_at_a_time(read.rows, V);
        for (pairs, sums) in pairs.chunks(group * a_panel).zip(sums.chunks_mut(group * read.rows)) {
            let two = sums.len() / read.rows == 2;
            let flat = bytemuck::cast_slice_mut(sums);
            match (read.rows <= tile_rows::<S>(V), two) {
                (true, true) => simd.vectorize(MultiplyPairs::<V, 2> { read, pairs, sums: flat }),
                (true, false) => simd.vectorize(MultiplyPairs::<V, 1> { read, pairs, sums: flat }),
                (false, _) => multiply_decoded(simd, read, pairs, sums),
            }
            let scale = simd.splat_f32s(self.scale);
            for sum in sums.iter_mut().flatten() {
                *sum = simd.mul_f32s(*sum, scale);
            }
        }
    }
}

/// The weights of a vector of words.
#[inline(always)]
fn decode<S: Simd>(simd: S, words: S::u32s) -> [S::f32s; 2] {
    let splat = |value| simd.splat_u32s(value);
    let decode = |words| {
        // Shifted with the sign. Compilers know this for the instruction that there is for it.
        let sign = splat(1 << 28);
        let shifted = simd.xor_u32s(simd.wrapping_dyn_shr_u32s(words, splat(3)), sign);
        let shifted = simd.sub_u32s(shifted, sign);
        let with_upper = simd.or_u32s(simd.and_u32s(shifted, splat(!(0b111 << 28))), splat(UPPER));
        simd.transmute_f32s_u32s(with_upper)
    };
    [decode(words), decode(simd.wrapping_dyn_shl_u32s(words, splat(16)))]
}

/// The most rows whose sums stay in registers, beside words, what is decoded of them and what it takes to decode them. A
/// vector of one value has no pairs.
const fn tile_rows<S: Simd>(vectors: usize) -> usize {
    if S::F32_LANES == 1 { 0 } else { (S::REGISTER_COUNT - 6) / vectors }
}

/// The product of few rows with `P` panels.
struct MultiplyPairs<'a, const V: usize, const P: usize> {
    read: &'a Blocks<'a>,
    pairs: &'a [u32],
    sums: &'a mut [f32],
}

impl<const V: usize, const P: usize> WithSimd for MultiplyPairs<'_, V, P> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let pairs = S::as_simd_u32s(self.pairs).0.as_chunks().0;
        let sums = vectors_mut::<S, V>(self.sums);
        macro_rules! tile_of {
            ($($rows:literal)*) => {
                match self.read.rows {
                    $($rows => multiply_tile::<S, V, P, $rows>(simd, self.read, pairs, sums),)*
                    _ => unreachable!("a tile has at most 8 rows"),
                }
            };
        }
        tile_of!(1 2 3 4 5 6 7 8);
    }
}

#[inline(always)]
fn multiply_tile<S: Simd, const V: usize, const P: usize, const M: usize>(
    simd: S,
    read: &Blocks,
    pairs: &[[S::u32s; V]],
    sums: &mut [[S::f32s; V]],
) {
    // Tiles that never are: nothing is compiled for them.
    if M > tile_rows::<S>(V) || P > panels_at_a_time(M, V) {
        return;
    }
    let length = pairs.len() / P;
    let mut tile = [[[simd.splat_f32s(0.0); V]; M]; P];
    let mut rest: [&[[S::u32s; V]]; P] = [&[]; P];
    for (panel, rest) in rest.iter_mut().enumerate() {
        *rest = &pairs[panel * length..][..length];
    }
    for piece in 0..read.pieces() {
        let length = read.piece(piece, 0).len();
        let mut words: [&[[S::u32s; V]]; P] = [&[]; P];
        for panel in 0..P {
            (words[panel], rest[panel]) = rest[panel].split_at(length.div_ceil(2));
        }
        let mut values: [&[f32]; M] = [&[]; M];
        for (row, values) in values.iter_mut().enumerate() {
            *values = &read.piece(piece, row)[..length];
        }
        for (index, _) in values[0].as_chunks::<2>().0.iter().enumerate() {
            let mut two = [[0.0; 2]; M];
            for (two, values) in two.iter_mut().zip(values) {
                *two = values.as_chunks().0[index];
            }
            for panel in 0..P {
                for vector in 0..V {
                    let weights = decode(simd, words[panel][index][vector]);
                    for (k, weights) in weights.into_iter().enumerate() {
                        for row in 0..M {
                            let sum = &mut tile[panel][row][vector];
                            *sum = simd.mul_add_e_f32s(simd.splat_f32s(two[row][k]), weights, *sum);
                        }
                    }
                }
            }
        }
        if length % 2 == 1 {
            for panel in 0..P {
                for vector in 0..V {
                    let [weights, _] = decode(simd, words[panel][length / 2][vector]);
                    for row in 0..M {
                        let sum = &mut tile[panel][row][vector];
                        *sum = simd.mul_add_e_f32s(simd.splat_f32s(values[row][length - 1]), weights, *sum);
                    }
                }
            }
        }
    }
    sums.copy_from_slice(tile.as_flattened());
}

/// The product of more rows with a panel, decoded a part at a time, which the first-level cache holds.
#[inline(always)]
fn multiply_decoded<S: Simd, const V: usize>(simd: S, read: &Blocks, pairs: &[u32], sums: &mut [[S::f32s; V]]) {
    // Whole blocks of units, and pairs.
    const PART: usize = 64;
    let mut decoded = [[simd.splat_f32s(0.0); V]; PART];
    for (part, pairs) in pairs.chunks(PART / 2 * V * S::F32_LANES).enumerate() {
        let rows = bytemuck::cast_slice_mut(&mut decoded);
        simd.vectorize(Decode { pairs, vectors: V, rows });
        let units = part * PART..read.units.min((part + 1) * PART);
        multiply::<S, _, V, 1>(simd, &read.part(units.clone()), &decoded[..units.len()], sums);
    }
}

/// Decodes rows of a panel in pairs, each row `[vector][lane]`.
struct Decode<'a> {
    pairs: &'a [u32],
    /// Vectors of a row.
    vectors: usize,
    rows: &'a mut [f32],
}

impl WithSimd for Decode<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let pairs = S::as_simd_u32s(self.pairs).0.chunks_exact(self.vectors);
        let rows = S::as_mut_simd_f32s(self.rows).0.chunks_exact_mut(2 * self.vectors);
        for (pairs, rows) in pairs.zip(rows) {
            let (first, second) = rows.split_at_mut(self.vectors);
            for ((&words, first), second) in pairs.iter().zip(first).zip(second) {
                [*first, *second] = decode(simd, words);
            }
        }
    }
}
