//! The largest value and the mean of what windows hold.

use super::cores::Cores;
use super::windows::Held;
use crate::operator::{Reduction, Windows};

/// `output`, `[batch · windows, features]`, of x without a mask, whose shape is `shape`.
pub(super) fn pool(
    cores: &Cores,
    (windows, reduction): (&[Windows], Reduction),
    (x, shape): (&[f32], &[usize]),
    output: &mut [f32],
) {
    let held = Held::new(x, shape, windows);
    let features = shape[shape.len() - 1];
    let work = output.len() * held.elements();
    let at_a_time = (output.len() / features).div_ceil(4 * cores.threads_for(work)).max(1);
    let pieces = output.chunks_mut(at_a_time * features).enumerate().collect();
    cores.each(work, pieces, |(piece, output)| {
        let first = piece * at_a_time;
        let mut vectors = Vec::new();
        let mut rows = output.chunks_exact_mut(features);
        held.each(first..first + rows.len(), |window| {
            vectors.clear();
            vectors.extend((0..held.elements()).filter_map(|element| window.held(element)));
            rows.next().into_iter().for_each(|row| reduce(cores, reduction, &vectors, row));
        });
    });
}

fn reduce(cores: &Cores, reduction: Reduction, vectors: &[&[f32]], row: &mut [f32]) {
    match reduction {
        Reduction::Maximum => {
            row.fill(f32::NEG_INFINITY);
            birnn_simd::maximum(cores.arch, vectors, row);
        }
        // NaN where there are none.
        Reduction::Mean => {
            row.fill(0.0);
            birnn_simd::add(cores.arch, vectors, row);
            row.iter_mut().for_each(|sum| *sum /= vectors.len() as f32);
        }
    }
}
