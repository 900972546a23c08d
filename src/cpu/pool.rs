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
    let pieces = output.chunks_mut(at_a_time * features).enumerate();
    cores.for_each(work, pieces, |(piece, output)| {
        let first = piece * at_a_time;
        let mut pieces = Vec::new();
        let mut rows = output.chunks_exact_mut(features);
        held.for_each(first..first + rows.len(), |window| {
            pieces.clear();
            window.each_held(|_, held| pieces.push(held));
            rows.next().into_iter().for_each(|row| reduce(cores, reduction, &pieces, row));
        });
    });
}

/// Of the features of elements, in pieces.
fn reduce(cores: &Cores, reduction: Reduction, pieces: &[&[f32]], row: &mut [f32]) {
    match reduction {
        Reduction::Maximum => {
            row.fill(f32::NEG_INFINITY);
            birnn_simd::maximum(cores.arch, pieces, row);
        }
        // NaN where there are none.
        Reduction::Mean => {
            row.fill(0.0);
            birnn_simd::add(cores.arch, pieces, row);
            let count = pieces.iter().map(|piece| piece.len()).sum::<usize>() / row.len();
            row.iter_mut().for_each(|sum| *sum /= count as f32);
        }
    }
}
