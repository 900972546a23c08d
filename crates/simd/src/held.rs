//! What becomes of the values that a window holds, feature by feature. They come in pieces, each
//! with the features of one or several of the window's elements, one after another.

use crate::arch::Arch;
use pulp::{Simd, WithSimd};

/// `sums += Σ values · weights` over pairs of values and weights.
pub fn add_weighted(arch: Arch, held: &[(&[f32], &[f32])], sums: &mut [f32]) {
    arch.dispatch(AddWeighted { held, sums });
}

/// `sums += Σ values`
pub fn add(arch: Arch, held: &[&[f32]], sums: &mut [f32]) {
    arch.dispatch(Add { held, sums });
}

/// The largest of `largest` and of all values; NaN where one is.
pub fn maximum(arch: Arch, held: &[&[f32]], largest: &mut [f32]) {
    arch.dispatch(Maximum { held, largest });
}

/// Values and weights of each element.
#[inline(always)]
fn by_elements<'a>(
    held: &'a [(&'a [f32], &'a [f32])],
    features: usize,
) -> impl Iterator<Item = (&'a [f32], &'a [f32])> {
    held.iter().flat_map(move |(values, weights)| {
        values.chunks_exact(features).zip(weights.chunks_exact(features))
    })
}

struct AddWeighted<'a> {
    held: &'a [(&'a [f32], &'a [f32])],
    sums: &'a mut [f32],
}

impl WithSimd for AddWeighted<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let features = self.sums.len();
        let (sums, last_sums) = S::as_mut_simd_f32s(self.sums);
        for (values, weights) in by_elements(self.held, features) {
            let ((values, last), (weights, last_weights)) =
                (S::as_simd_f32s(values), S::as_simd_f32s(weights));
            for ((sum, &value), &weight) in sums.iter_mut().zip(values).zip(weights) {
                *sum = simd.mul_add_e_f32s(value, weight, *sum);
            }
            for ((sum, value), weight) in last_sums.iter_mut().zip(last).zip(last_weights) {
                *sum += value * weight;
            }
        }
    }
}

struct Add<'a> {
    held: &'a [&'a [f32]],
    sums: &'a mut [f32],
}

impl WithSimd for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let features = self.sums.len();
        let (sums, last_sums) = S::as_mut_simd_f32s(self.sums);
        for values in self.held.iter().flat_map(|values| values.chunks_exact(features)) {
            let (values, last) = S::as_simd_f32s(values);
            sums.iter_mut().zip(values).for_each(|(sum, &value)| *sum = simd.add_f32s(*sum, value));
            last_sums.iter_mut().zip(last).for_each(|(sum, value)| *sum += value);
        }
    }
}

struct Maximum<'a> {
    held: &'a [&'a [f32]],
    largest: &'a mut [f32],
}

impl WithSimd for Maximum<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let features = self.largest.len();
        let (largest, last_largest) = S::as_mut_simd_f32s(self.largest);
        for values in self.held.iter().flat_map(|values| values.chunks_exact(features)) {
            let (values, last) = S::as_simd_f32s(values);
            for (largest, &value) in largest.iter_mut().zip(values) {
                let is_number = simd.equal_f32s(*largest, *largest);
                let other = simd.select_f32s(is_number, value, *largest);
                let stays = simd.greater_than_f32s(*largest, value);
                *largest = simd.select_f32s(stays, *largest, other);
            }
            for (largest, &value) in last_largest.iter_mut().zip(last) {
                if !(*largest > value || largest.is_nan()) {
                    *largest = value;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::each_arch;

    /// Values that sums are exact of, of which some are NaN where it is asked for.
    fn values(features: usize, element: usize, with_nan: bool) -> Vec<f32> {
        let value = |feature: usize| match (feature * 7 + element * 11) % 23 {
            3 if with_nan => f32::NAN,
            number => number as f32 - 11.0,
        };
        (0..features).map(value).collect()
    }

    #[test]
    fn every_feature_is_reduced_by_itself() {
        for arch in each_arch() {
            for features in [1, 3, 8, 16, 17, 50] {
                let held: Vec<_> = (0..4).map(|element| values(features, element, false)).collect();
                let some_nan: Vec<_> =
                    (0..4).map(|element| values(features, element, true)).collect();
                let slices: Vec<&[f32]> = held.iter().map(|values| &values[..]).collect();
                let start = values(features, 9, false);
                let (mut sums, mut weighted) = (start.clone(), start.clone());
                add(arch, &slices, &mut sums);
                let pairs: Vec<_> = slices.iter().map(|&values| (values, slices[1])).collect();
                add_weighted(arch, &pairs, &mut weighted);
                let mut largest = vec![f32::NEG_INFINITY; features];
                let slices: Vec<&[f32]> = some_nan.iter().map(|values| &values[..]).collect();
                maximum(arch, &slices, &mut largest);
                for feature in 0..features {
                    let all = held.iter().map(|values| values[feature]);
                    let sum = start[feature] + all.clone().sum::<f32>();
                    assert_eq!(sums[feature], sum, "{arch:?}, feature {feature} of {features}");
                    let products = all.map(|value| value * held[1][feature]);
                    assert_eq!(weighted[feature], start[feature] + products.sum::<f32>());
                    let all = some_nan.iter().map(|values| values[feature]);
                    match all.clone().any(f32::is_nan) {
                        true => assert!(largest[feature].is_nan()),
                        false => assert_eq!(Some(largest[feature]), all.reduce(f32::max)),
                    }
                }
                // The same of several elements in one piece.
                let piece = held.concat();
                let (mut of_piece, mut largest, mut of_pieces) =
                    (start.clone(), start.clone(), start.clone());
                add(arch, &[&piece], &mut of_piece);
                assert_eq!(of_piece, sums);
                let weights = held[1].repeat(4);
                of_piece.clone_from(&start);
                add_weighted(arch, &[(&piece, &weights)], &mut of_piece);
                assert_eq!(of_piece, weighted);
                maximum(arch, &[&piece], &mut largest);
                held.iter().for_each(|values| maximum(arch, &[values], &mut of_pieces));
                assert_eq!(largest, of_pieces);
            }
        }
    }
}
