//! Normalizations of vectors that stand one after another.

use super::cores::Cores;
use crate::operator::{Normalization, Normalize};
use birnn_simd::Normalizer;

/// Values that a thread takes at a time, about: they stay in a second-level cache.
const PIECE: usize = 1 << 15;

/// How much work a value is, compared with a multiplication and an addition.
const WORK: usize = 8;

/// Whether the axes of x that it goes along are its last ones.
pub(super) fn is_of_last_axes(operator: &Normalize, rank: usize) -> bool {
    operator.axes.iter().copied().eq(rank - operator.axes.len()..rank)
}

/// Of x, whose vectors have so many values, with gamma and beta.
pub(super) fn normalize(
    cores: &Cores,
    normalization: Normalization,
    (x, length): (&[f32], usize),
    [gamma, beta]: [Option<&[f32]>; 2],
    to: &mut [f32],
) {
    to.copy_from_slice(x);
    let centred = matches!(normalization, Normalization::Moments { .. });
    let factor = &|squares: f64| normalization.factor(squares, length);
    match normalization {
        Normalization::Softmax => softmax(cores, to, length, false),
        Normalization::LogSoftmax => softmax(cores, to, length, true),
        _ => each_piece(cores, to, length, |vectors| {
            Normalizer { length, centred, factor, gamma, beta }.apply(cores.arch, vectors);
        }),
    }
}

/// `exp(x) / Σ exp(x)` of vectors of so many values, or its logarithm.
pub(super) fn softmax(cores: &Cores, vectors: &mut [f32], length: usize, log: bool) {
    each_piece(cores, vectors, length, |vectors| {
        birnn_simd::softmax(cores.arch, vectors, length, log);
    });
}

fn each_piece(
    cores: &Cores,
    vectors: &mut [f32],
    length: usize,
    run: impl Fn(&mut [f32]) + Sync + Send,
) {
    let work = vectors.len() * WORK;
    let piece = length * (PIECE / length).max(1);
    cores.for_each(work, vectors.chunks_mut(piece), run);
}
