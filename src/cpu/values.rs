//! Functions of each value by itself.

use super::cores::Cores;
use crate::operator::{Relu, UnaryFunction};
use birnn_cell::Activation;

/// Values that a thread takes at a time: they stay in a second-level cache.
const PIECE: usize = 1 << 15;

/// How much work an activation of a value is, compared with a multiplication and an addition.
fn work_of(activation: Activation) -> usize {
    if activation == Activation::Relu { 1 } else { 8 }
}

/// An element-wise activation.
pub(super) fn activate(cores: &Cores, activation: Activation, x: &[f32], to: &mut [f32]) {
    each_piece(cores, work_of(activation), x, to, |x, to| {
        to.copy_from_slice(x);
        birnn_simd::activate_all(cores.arch, activation, to);
    });
}

/// See [`Relu`].
pub(super) fn relu(cores: &Cores, operator: &Relu, x: &[f32], to: &mut [f32]) {
    let &Relu { max_value, negative_slope, threshold } = operator;
    let most = max_value.unwrap_or(f32::INFINITY);
    each_piece(cores, 1, x, to, |x, to| {
        map(x, to, |x| {
            let below = if negative_slope == 0.0 { 0.0 } else { negative_slope * (x - threshold) };
            let above = if x > most { most } else { x };
            if x <= threshold { below } else { above }
        });
    });
}

/// A function of values.
pub(super) type Function = fn(&[f32], &mut [f32]);

/// The loop of a function whose result in f32 is the same as in f64, rounded; `None`: it has none.
pub(super) fn function(function: UnaryFunction) -> Option<Function> {
    Some(match function {
        UnaryFunction::Negate => |x, to| map(x, to, |x| -x),
        UnaryFunction::Absolute => |x, to| map(x, to, f32::abs),
        UnaryFunction::Reciprocal => |x, to| map(x, to, |x| 1.0 / x),
        UnaryFunction::Sqrt => |x, to| map(x, to, f32::sqrt),
        _ => return None,
    })
}

pub(super) fn apply(cores: &Cores, function: Function, x: &[f32], to: &mut [f32]) {
    each_piece(cores, 1, x, to, function);
}

fn map(x: &[f32], to: &mut [f32], of: impl Fn(f32) -> f32) {
    to.iter_mut().zip(x).for_each(|(to, &x)| *to = of(x));
}

fn each_piece(
    cores: &Cores,
    work: usize,
    x: &[f32],
    to: &mut [f32],
    of: impl Fn(&[f32], &mut [f32]) + Sync + Send,
) {
    let work = x.len() * work;
    cores.for_each(work, x.chunks(PIECE).zip(to.chunks_mut(PIECE)), |(x, to)| of(x, to));
}
