//! Operators that move values.

use super::cores::Cores;
use super::memory::Memory;
use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn};

/// Values that a thread moves at a time, about.
const PIECE: usize = 1 << 15;

/// The axes in another order.
pub(super) fn transpose(
    cores: &Cores,
    memory: &Memory,
    x: ArrayViewD<f32>,
    order: &[usize],
) -> ArrayD<f32> {
    copied(cores, memory, x.permuted_axes(IxDyn(order)))
}

/// A copy in C order of values that stand apart.
pub(super) fn copied(cores: &Cores, memory: &Memory, x: ArrayViewD<f32>) -> ArrayD<f32> {
    let mut output = memory.array(x.raw_dim());
    if x.len() <= PIECE {
        output.assign(&x);
        return output;
    }
    // The first axis that there is something to cut of.
    let axis = Axis(x.shape().iter().position(|&length| length > 1).unwrap_or(0));
    let of_an_index = x.len() / x.len_of(axis).max(1);
    let at_a_time = (PIECE / of_an_index.max(1)).max(1);
    let (from, to) =
        (x.axis_chunks_iter(axis, at_a_time), output.axis_chunks_iter_mut(axis, at_a_time));
    cores.for_each(x.len(), from.zip(to), |(from, mut to)| to.assign(&from));
    output
}

/// Arrays side by side along an axis, each with its values and how many of them there are at an
/// index of the axes before.
pub(super) fn concat(arrays: &[(&[f32], usize)], mut joined: &mut [f32]) {
    let mut outer = 0;
    while !joined.is_empty() {
        for (array, each) in arrays {
            let (part, rest) = joined.split_at_mut(*each);
            part.copy_from_slice(&array[outer * each..(outer + 1) * each]);
            joined = rest;
        }
        outer += 1;
    }
}
