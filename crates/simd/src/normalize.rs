//! Normalizations of vectors, each by itself. Their sums are in f64, which the compiler makes
//! vectors of: a long sum in f32 is off by its length.

use crate::activation::exp_of_negative;
use crate::arch::Arch;
use pulp::{Simd, WithSimd};

/// `exp(x) / Σ exp(x)` of each vector of so many values, which stand one after another; of `x` less
/// the largest, so that no exponential is infinite. Its logarithm where `log` asks for it.
pub fn softmax(arch: Arch, vectors: &mut [f32], length: usize, log: bool) {
    arch.dispatch(Softmax { vectors, length, log });
}

/// How vectors are normalized: `(x - mean) · factor(Σ (x - mean)²) · gamma + beta`.
#[derive(Clone, Copy)]
pub struct Normalizer<'a> {
    /// The values of a vector.
    pub length: usize,
    /// Whether the mean is subtracted; otherwise it counts as zero.
    pub centred: bool,
    /// What is made of the sum of the squares.
    pub factor: &'a (dyn Fn(f64) -> f64 + Sync),
    /// A value for each value of a vector; none is ones.
    pub gamma: Option<&'a [f32]>,
    /// A value for each value of a vector; none is zeros.
    pub beta: Option<&'a [f32]>,
}

impl Normalizer<'_> {
    /// Normalizes vectors that stand one after another.
    pub fn apply(&self, arch: Arch, vectors: &mut [f32]) {
        arch.dispatch(Normalize { how: self, vectors });
    }
}

struct Softmax<'a> {
    vectors: &'a mut [f32],
    length: usize,
    log: bool,
}

impl WithSimd for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Softmax { vectors, length, log } = self;
        let mut room = vec![0.0; if log { length } else { 0 }];
        for vector in vectors.chunks_exact_mut(length.max(1)) {
            if log {
                room.copy_from_slice(vector);
                let most = exponentials(simd, &mut room);
                let shift = f64::from(most) + sum(&room, |x| x).ln();
                vector.iter_mut().for_each(|x| *x = (f64::from(*x) - shift) as f32);
            } else {
                exponentials(simd, vector);
                let factor = (1.0 / sum(vector, |x| x)) as f32;
                vector.iter_mut().for_each(|x| *x *= factor);
            }
        }
    }
}

/// Replaces values by the exponentials of what they have less than the largest, which it returns.
#[inline(always)]
fn exponentials<S: Simd>(simd: S, vector: &mut [f32]) -> f32 {
    let (values, rest) = S::as_mut_simd_f32s(vector);
    let mut last = simd.splat_f32s(f32::NEG_INFINITY);
    let lanes: &mut [f32] = bytemuck::cast_slice_mut(std::slice::from_mut(&mut last));
    lanes[..rest.len()].copy_from_slice(rest);
    // NaN may be passed over here: its exponential and the sum are NaN all the same.
    let mut most = last;
    for &x in values.iter() {
        most = simd.max_f32s(most, x);
    }
    let most = simd.reduce_max_f32s(most);
    let shift = simd.splat_f32s(most);
    for x in values.iter_mut() {
        *x = exp_of_negative(simd, simd.sub_f32s(*x, shift));
    }
    last = exp_of_negative(simd, simd.sub_f32s(last, shift));
    let lanes: &[f32] = bytemuck::cast_slice(std::slice::from_ref(&last));
    rest.copy_from_slice(&lanes[..rest.len()]);
    most
}

struct Normalize<'a, 'n> {
    how: &'a Normalizer<'n>,
    vectors: &'a mut [f32],
}

impl WithSimd for Normalize<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Normalizer { length, centred, factor, gamma, beta } = *self.how;
        for vector in self.vectors.chunks_exact_mut(length.max(1)) {
            let mean = if centred { sum(vector, |x| x) / length as f64 } else { 0.0 };
            let factor = factor(sum(vector, |x| (x - mean) * (x - mean)));
            let scaled = |x: f32| (f64::from(x) - mean) * factor;
            match (gamma, beta) {
                (None, None) => vector.iter_mut().for_each(|x| *x = scaled(*x) as f32),
                (Some(gamma), None) => {
                    let values = vector.iter_mut().zip(gamma);
                    values.for_each(|(x, gamma)| *x = (scaled(*x) * f64::from(*gamma)) as f32);
                }
                (None, Some(beta)) => {
                    let values = vector.iter_mut().zip(beta);
                    values.for_each(|(x, beta)| *x = (scaled(*x) + f64::from(*beta)) as f32);
                }
                (Some(gamma), Some(beta)) => {
                    for ((x, gamma), beta) in vector.iter_mut().zip(gamma).zip(beta) {
                        *x = (scaled(*x) * f64::from(*gamma) + f64::from(*beta)) as f32;
                    }
                }
            }
        }
    }
}

/// Sums that run side by side, so that none of them waits for the one before it.
const SUMS: usize = 32;

/// `Σ of(x)`
#[inline(always)]
fn sum(values: &[f32], of: impl Fn(f64) -> f64) -> f64 {
    let mut sums = [0.0; SUMS];
    let (pieces, rest) = values.as_chunks::<SUMS>();
    for piece in pieces {
        for (sum, &x) in sums.iter_mut().zip(piece) {
            *sum += of(x.into());
        }
    }
    let mut all = 0.0;
    for sum in sums {
        all += sum;
    }
    for &x in rest {
        all += of(x.into());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::each_arch;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha12Rng;

    #[test]
    fn softmax_is_exact_whatever_the_values() {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        for length in [1, 2, 7, 16, 33, 500] {
            let mut vectors: Vec<Vec<f32>> = [1.0, 40.0, 1e30]
                .map(|size| (0..length).map(|_| rng.random_range(-size..size)).collect())
                .to_vec();
            for strange in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut vector = vectors[0].clone();
                vector[length / 2] = strange;
                vectors.push(vector);
                vectors.push(vec![strange; length]);
            }
            for (arch, log) in each_arch().into_iter().flat_map(|a| [(a, false), (a, true)]) {
                let mut found = vectors.concat();
                softmax(arch, &mut found, length, log);
                for (x, found) in vectors.iter().zip(found.chunks_exact(length)) {
                    let wide: Vec<f64> = x.iter().map(|&x| x.into()).collect();
                    let most = wide.iter().copied().reduce(f64::max).unwrap();
                    let sum: f64 = wide.iter().map(|x| (x - most).exp()).sum();
                    for (x, &found) in wide.iter().zip(found) {
                        // What the difference from the largest is off by in f32.
                        let off = 4e-7 + 6e-8 * (x - most).abs();
                        let (exact, off) = match log {
                            true => (x - most - sum.ln(), off),
                            false => ((x - most).exp() / sum, off * (x - most).exp() / sum),
                        };
                        let far = (f64::from(found) - exact).abs();
                        let same = f64::from(found) == exact || found.is_nan() && exact.is_nan();
                        assert!(far <= off + 1e-43 || same, "{arch:?} {length}: {found}, {exact}");
                    }
                }
            }
        }
    }

    #[test]
    fn moments_are_exact_far_from_zero() {
        let mut rng = ChaCha12Rng::seed_from_u64(2);
        for length in [1, 3, 16, 40, 501] {
            let mut random = |middle: f32, count: usize| -> Vec<f32> {
                (0..count).map(|_| middle + rng.random_range(-1.0..1.0)).collect()
            };
            let vectors = [random(0.0, length), random(1e4, length)].concat();
            let weights = [random(1.0, length), random(0.0, length)];
            for arch in each_arch() {
                for (centred, given) in (0..8).map(|case| (case < 4, case % 4)) {
                    let gamma = (given & 1 > 0).then_some(&weights[0][..]);
                    let beta = (given & 2 > 0).then_some(&weights[1][..]);
                    let factor = &|squares: f64| (squares / length as f64 + 1e-3).sqrt().recip();
                    let mut found = vectors.clone();
                    Normalizer { length, centred, factor, gamma, beta }.apply(arch, &mut found);
                    for (x, found) in vectors.chunks(length).zip(found.chunks(length)) {
                        let wide: Vec<f64> = x.iter().map(|&x| x.into()).collect();
                        let mean = wide.iter().sum::<f64>() / length as f64;
                        let mean = if centred { mean } else { 0.0 };
                        let by = factor(wide.iter().map(|x| (x - mean).powi(2)).sum());
                        for (index, (x, &found)) in wide.iter().zip(found).enumerate() {
                            let exact = (x - mean) * by * gamma.map_or(1.0, |g| g[index].into())
                                + beta.map_or(0.0, |b| f64::from(b[index]));
                            let far = (f64::from(found) - exact).abs();
                            assert!(far <= 1e-6 * exact.abs().max(1.0), "{found}, not {exact}");
                        }
                    }
                }
            }
        }
    }
}
