//! A recurrent kernel in 16 bits a weight, half of what a large layer reads at each timestep,
//! decoded in registers.

use crate::matmul::{Word, part_of};
use crate::pages::Pages;
use pulp::Simd;

/// Weights in 16 bits: a sign, 5 bits of exponent and 10 of mantissa, so that each is off by at
/// most 2⁻¹¹ of itself. The largest weight has the largest exponent; what is smaller than 2⁻³¹ of
/// it, zero too, becomes about that. (So does what is smaller than 2⁻¹²⁶.)
///
/// Two units are in a word, the first one above the second. Shifted to where an f32 has its
/// exponent and mantissa, the first one has the second one below its last bit: that is left there,
/// and the first one rounded so that both together are nearest to its weight.
#[derive(Debug)]
pub(super) struct Half {
    /// `[panel][pair of units][vector][lane]`
    pub pairs: Pages<u32>,
    /// The power of two that decoded weights are to be multiplied with, or rather their sums.
    pub scale: f32,
}

/// Bits of an f32's mantissa that weights don't have.
const CUT: u32 = 13;
/// Half of the last bit that they have.
const HALF: u32 = 1 << (CUT - 1);
const EXPONENT: u32 = 0xff << 23;
/// The bits of exponent and mantissa.
const SIZE: u32 = 0x7fff;
/// What the upper three bits of the exponent of a decoded weight are: those of numbers from 2⁻³¹ to
/// 2.
const UPPER: u32 = 0b011 << 28;
/// The least that is taken for the largest weight: 2⁻³¹ of it is the least number whose bits have
/// an exponent.
const LEAST_LARGEST: u32 = 32 << 23;
/// The exponent of an f32 from 1 to 2.
const ONE: u32 = 127 << 23;

impl Half {
    /// `kernel` is `[panel][unit][row of a panel]`.
    pub fn new(kernel: &[f32], units: usize, row: usize, lanes: usize) -> Half {
        let largest = kernel
            .iter()
            .fold(f32::from_bits(LEAST_LARGEST), |largest, weight| largest.max(weight.abs()));
        // Once it is rounded, if an f32 can have that.
        let rounded = f32::from_bits(largest.to_bits() + HALF);
        let exponent = if rounded.is_finite() { rounded } else { f32::MAX }.to_bits() & EXPONENT;
        let encode = |weight: f32, below: u32| {
            // Bits of a number from 2⁻³¹ on, which is zero here.
            let size = (weight.abs().to_bits() + ONE).saturating_sub(exponent + UPPER);
            let rounded = (size + HALF).saturating_sub(below) >> CUT;
            rounded.min(SIZE) | (weight.to_bits() >> 31 << 15)
        };
        let of_a_word = units_of_a_word(lanes);
        let mut pairs = Pages::zeros(kernel.len() / units * units.div_ceil(of_a_word));
        let mut rows = pairs.chunks_exact_mut(row);
        for panel in kernel.chunks(units * row) {
            for (pair, words) in panel.chunks(of_a_word * row).zip(&mut rows) {
                for (index, word) in words.iter_mut().enumerate() {
                    let second = encode(pair.get(row + index).copied().unwrap_or_default(), 0);
                    *word = encode(pair[index], second >> 3) << 16 | second;
                }
            }
        }
        Half { pairs, scale: f32::from_bits(exponent) }
    }
}

/// The weights of two units.
impl Word for u32 {
    type Vector<S: Simd> = S::u32s;
    const DECODED: bool = true;

    #[inline(always)]
    fn vectors<S: Simd, const V: usize>(words: &[u32]) -> &[[S::u32s; V]] {
        S::as_simd_u32s(words).0.as_chunks().0
    }

    #[inline(always)]
    fn rows<S: Simd>(rows: usize) -> usize {
        rows.div_ceil(units_of_a_word(S::F32_LANES))
    }

    #[inline(always)]
    fn four<S: Simd, const V: usize>(words: &[[S::u32s; V]], index: usize) -> &[[S::u32s; V]] {
        &words.as_chunks::<2>().0[index]
    }

    #[inline(always)]
    fn weights<S: Simd, const V: usize, const W: usize>(
        simd: S,
        words: &[[S::u32s; V]],
        row: usize,
        part: usize,
    ) -> [S::f32s; W] {
        let words: [S::u32s; W] = part_of(&words[row / 2], part);
        let mut weights = [simd.splat_f32s(0.0); W];
        for (weights, words) in weights.iter_mut().zip(words) {
            *weights = decode(simd, words, row % 2 == 1);
        }
        weights
    }
}

/// One where a vector has one value: blocks then have one unit, and start with a whole word, too.
fn units_of_a_word(lanes: usize) -> usize {
    lanes.min(2)
}

/// The weights of the first or second unit of words.
#[inline(always)]
fn decode<S: Simd>(simd: S, words: S::u32s, second: bool) -> S::f32s {
    let splat = |value| simd.splat_u32s(value);
    let words = if second { simd.wrapping_dyn_shl_u32s(words, splat(16)) } else { words };
    // Shifted together with copies of the sign: the compiler knows this for the instruction that
    // there is for it.
    let sign = splat(1 << 28);
    let shifted =
        simd.sub_u32s(simd.xor_u32s(simd.wrapping_dyn_shr_u32s(words, splat(3)), sign), sign);
    let upper = splat(0b111 << 28);
    simd.transmute_f32s_u32s(
        simd.or_u32s(simd.and_u32s(shifted, simd.not_u32s(upper)), splat(UPPER)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::each_arch;
    use crate::matmul::{Blocks, multiply, panels_at_a_time, vectors_mut};
    use crate::product_beside::{Done, ProductBeside, multiply_beside};
    use pulp::WithSimd;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha12Rng;

    /// Weights of `panels` panels, from far too small ones to `largest`.
    fn random(rng: &mut ChaCha12Rng, values: usize, largest: f32) -> Vec<f32> {
        (0..values)
            .map(|_| rng.random_range(-1.0f32..1.0) * largest * 2f32.powi(-rng.random_range(0..34)))
            .collect()
    }

    /// What a kernel is once it is stored, `[panel][unit][vector][lane]`.
    struct Stored<'a, const V: usize> {
        half: &'a Half,
        units: usize,
    }

    impl<const V: usize> WithSimd for Stored<'_, V> {
        type Output = Vec<f32>;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
            let words = u32::vectors::<S, V>(&self.half.pairs);
            let a_piece = S::F32_LANES;
            let mut stored = Vec::new();
            for panel in words.chunks(u32::rows::<S>(self.units)) {
                for unit in 0..self.units {
                    let piece = &panel[unit / a_piece * u32::rows::<S>(a_piece)..];
                    let weights: [S::f32s; V] = u32::weights(simd, piece, unit % a_piece, 0);
                    stored.extend_from_slice(bytemuck::cast_slice(&weights));
                }
            }
            stored
        }
    }

    struct StoredWeights {
        units: usize,
        largest: f32,
    }

    impl StoredWeights {
        fn check<S: Simd, const V: usize>(&self, simd: S) {
            let row = V * S::F32_LANES;
            let mut kernel =
                random(&mut ChaCha12Rng::seed_from_u64(3), 2 * self.units * row, self.largest);
            kernel[self.units / 2] = self.largest;
            kernel[self.units / 3 * row] = 0.0;
            let half = Half::new(&kernel, self.units, row, S::F32_LANES);
            let stored = Stored::<V> { half: &half, units: self.units }.with_simd(simd);
            assert_eq!(stored.len(), kernel.len());
            let least = (f64::from(self.largest) * 2f64.powi(-30)).max(2f64.powi(-125));
            for (index, (&stored, &weight)) in stored.iter().zip(&kernel).enumerate() {
                let far = (f64::from(stored) * f64::from(half.scale) - f64::from(weight)).abs();
                let most = (f64::from(weight).abs() * 2f64.powi(-11)).max(least);
                assert!(
                    far <= most,
                    "weight {index} of {} units, {weight}, is {far} off",
                    self.units
                );
            }
        }
    }

    impl WithSimd for StoredWeights {
        type Output = ();

        fn with_simd<S: Simd>(self, simd: S) {
            self.check::<S, 3>(simd);
            self.check::<S, 4>(simd);
        }
    }

    #[test]
    fn weights_are_off_by_half_of_their_last_bit_at_most() {
        for arch in each_arch() {
            for units in [1, 2, 7, 16, 33, 130] {
                for largest in
                    [1.0, 0.999_99, 1.5, 1e-3, 1e-28, 3e-38, f32::MIN_POSITIVE, 70_000.0, f32::MAX]
                {
                    arch.dispatch(StoredWeights { units, largest });
                }
            }
        }
    }

    #[test]
    fn zeros_stay_as_good_as_zeros() {
        for lanes in [1, 4] {
            let half = Half::new(&[0.0; 96], 8, 3 * lanes, lanes);
            assert!(half.pairs.iter().all(|word| *word == 0));
            // Of words of zeros: 2⁻³¹ of it.
            assert_eq!(half.scale, f32::MIN_POSITIVE * 2f32.powi(31));
        }
    }

    struct HalfProducts {
        rows: usize,
        units: usize,
    }

    impl HalfProducts {
        fn check<S: Simd, const V: usize>(&self, simd: S) {
            let HalfProducts { rows, units } = *self;
            let (row, lanes) = (V * S::F32_LANES, S::F32_LANES);
            let mut rng = ChaCha12Rng::seed_from_u64(4);
            let mut random = |values: usize| {
                (0..values).map(|_| rng.random_range(-1.0f32..1.0)).collect::<Vec<_>>()
            };
            let (kernel, values, other) = (
                random(4 * units * row),
                random(rows * units.next_multiple_of(lanes)),
                random(3 * 40),
            );
            let half = Half::new(&kernel, units, row, lanes);
            let stored = Stored::<V> { half: &half, units }.with_simd(simd);
            let read = Blocks { values: &values, rows, lanes, units };
            let (a_panel, words) = (units * row, u32::rows::<S>(units) * row);
            let mut expected = vec![0.0; 4 * rows * row];
            let mut found = expected.clone();
            let panels = stored.chunks(a_panel).zip(half.pairs.chunks(words));
            let sums = expected.chunks_mut(rows * row).zip(found.chunks_mut(rows * row));
            for ((stored, words), (expected, found)) in panels.zip(sums) {
                multiply::<S, _, _, V, 1>(simd, &read, stored, vectors_mut::<S, V>(expected));
                multiply::<S, _, _, V, 1>(simd, &read, words, vectors_mut::<S, V>(found));
            }
            assert_eq!(found, expected, "{rows} rows of {units} units");
            for count in 2..=panels_at_a_time::<S>(rows, V) {
                let mut found = vec![0.0; count * rows * row];
                let (pairs, sums) = (&half.pairs[..count * words], vectors_mut::<S, V>(&mut found));
                match count {
                    2 => multiply::<S, _, _, V, 2>(simd, &read, pairs, sums),
                    3 => multiply::<S, _, _, V, 3>(simd, &read, pairs, sums),
                    _ => multiply::<S, _, _, V, 4>(simd, &read, pairs, sums),
                }
                let message = format!("{rows} rows of {units} units, {count} panels at a time");
                assert_eq!(found, expected[..found.len()], "{message}");
            }
            if rows == 1 {
                let (mut found, mut beside) = (vec![0.0; 2 * row], vec![0.0; 3 * row]);
                let (rows, bias, panels): (Vec<&[f32]>, _, _) =
                    (other.chunks(40).collect(), vec![0.0; row], &stored);
                let features = units.min(40);
                let rows: Vec<&[f32]> = rows.iter().map(|row| &row[..features]).collect();
                let panels = &panels[..features * row];
                let mut done = Done::default();
                let mut product = ProductBeside {
                    rows: &rows,
                    panels,
                    bias: &bias,
                    sums: &mut beside,
                    done: &mut done,
                };
                multiply_beside::<S, _, _, V, 2>(
                    simd,
                    &read,
                    &half.pairs[..2 * words],
                    vectors_mut::<S, V>(&mut found),
                    &mut product,
                );
                assert_eq!(
                    found,
                    expected[..2 * row],
                    "{units} units, with another product beside"
                );
            }
        }
    }

    impl WithSimd for HalfProducts {
        type Output = ();

        fn with_simd<S: Simd>(self, simd: S) {
            self.check::<S, 3>(simd);
            self.check::<S, 4>(simd);
        }
    }

    #[test]
    fn products_are_those_of_the_stored_weights_to_the_bit() {
        for arch in each_arch() {
            for rows in (1..=14).chain([18, 25]) {
                for units in [1, 2, 3, 16, 21, 64, 65] {
                    arch.dispatch(HalfProducts { rows, units });
                }
            }
        }
    }
}
