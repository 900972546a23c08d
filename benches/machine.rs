//! What this machine can do at most, for the distance of a measurement from the limit. Prints one
//! line of JSON: `flops`, multiplications and additions of f32 a second in registers on all
//! threads; `bytes` a second read from memory; `cache_bytes`, up to which size reading again is
//! faster than memory.
//!
//!     cargo bench --bench machine

use pulp::{Arch, Simd, WithSimd};
use std::hint::black_box;
use std::time::Instant;

/// Chains of multiply-adds in registers: enough that none waits for another.
struct Flops(usize);

const CHAINS: usize = 12;

impl WithSimd for Flops {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let mut sums = [simd.splat_f32s(black_box(0.5)); CHAINS];
        let (a, b) = (simd.splat_f32s(black_box(0.999)), simd.splat_f32s(black_box(0.001)));
        for _ in 0..self.0 {
            for sum in &mut sums {
                *sum = simd.mul_add_e_f32s(*sum, a, b);
            }
        }
        black_box(sums);
        (2 * CHAINS * S::F32_LANES * self.0) as f64
    }
}

struct Sum<'a>(&'a [f32]);

impl WithSimd for Sum<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let mut sums = [simd.splat_f32s(0.0); 8];
        for vectors in S::as_simd_f32s(self.0).0.as_chunks::<8>().0 {
            for (sum, vector) in sums.iter_mut().zip(vectors) {
                *sum = simd.add_f32s(*sum, *vector);
            }
        }
        sums.into_iter().map(|sum| simd.reduce_sum_f32s(sum)).sum()
    }
}

/// The most of some tries that all threads do a second, each its own `work` of so much.
fn most(work: impl Fn(usize) -> f64 + Sync) -> f64 {
    let tries = (0..20).map(|_| {
        let start = Instant::now();
        let done: f64 = rayon::broadcast(|context| work(context.index())).into_iter().sum();
        done / start.elapsed().as_secs_f64()
    });
    tries.fold(0.0, f64::max)
}

/// Bytes that all threads read a second, each an array of so many bytes.
fn reading(bytes: usize, again: usize) -> f64 {
    let arrays: Vec<Vec<f32>> =
        (0..rayon::current_num_threads()).map(|_| vec![1.0; bytes / 4]).collect();
    most(|thread| {
        for _ in 0..again {
            black_box(Arch::new().dispatch(Sum(black_box(&arrays[thread]))));
        }
        (bytes * again) as f64
    })
}

fn main() {
    let computing = || most(|_| Arch::new().dispatch(Flops(2_000_000)));
    let flops = computing();
    let memory = reading(512 << 20, 1);
    let sizes = (20..28).map(|power| 1usize << power);
    let speeds: Vec<(usize, f64)> =
        sizes.map(|bytes| (bytes, reading(bytes, (256 << 20) / bytes))).collect();
    // Once more: what shares cores and memory with this machine may have slowed the first.
    let (flops, memory) = (flops.max(computing()), memory.max(reading(512 << 20, 1)));
    let cached = speeds
        .iter()
        .take_while(|(_, speed)| *speed > 1.5 * memory)
        .last()
        .map_or(0, |(bytes, _)| *bytes);
    let cache_bytes = cached * rayon::current_num_threads();
    println!(r#"{{"flops": {flops:.0}, "bytes": {memory:.0}, "cache_bytes": {cache_bytes}}}"#);
}
