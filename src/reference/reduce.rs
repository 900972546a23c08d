use super::operands::{Computed, Reads, reshaped, whole};
use crate::operator::{Reduce, ReduceFunction, larger, smaller};
use birnn_cell::Real;
use ndarray::{ArrayView1, Axis, IxDyn};

/// One value of all along the axes.
pub(super) fn reduce<F: Real>(operator: &Reduce, reads: &Reads<F>, shape: &[usize]) -> Computed<F> {
    let x = reads.get(0)?;
    let kept = (0..x.ndim()).filter(|axis| !operator.axes.contains(axis));
    let order: Vec<usize> = kept.chain(operator.axes.iter().copied()).collect();
    let count: usize = operator.axes.iter().map(|&axis| x.len_of(Axis(axis))).product();
    let outputs: usize = shape.iter().product();
    let turned = x.permuted_axes(IxDyn(&order)).into_owned();
    let vectors = reshaped(turned, &[outputs, count])?;
    let reduced = vectors.map_axis(Axis(1), |vector| of_vector(operator.function, vector));
    reduced.into_shape_with_order(shape)
}

/// Sums are taken in f64: a long one in f32 is off by its length.
fn of_vector<F: Real>(function: ReduceFunction, x: ArrayView1<F>) -> F {
    let sum = |of: fn(f64) -> f64| x.iter().map(|x| of(x.widened())).sum::<f64>();
    match function {
        ReduceFunction::Sum => F::nearest(sum(|x| x)),
        ReduceFunction::Mean => F::nearest(sum(|x| x) / x.len() as f64),
        ReduceFunction::Product => F::nearest(x.iter().map(|x| x.widened()).product()),
        ReduceFunction::Maximum => x.fold(F::neg_infinity(), |a, &b| larger(a, b)),
        ReduceFunction::Minimum => x.fold(F::infinity(), |a, &b| smaller(a, b)),
        ReduceFunction::SumOfSquares => F::nearest(sum(|x| x * x)),
        ReduceFunction::SumOfAbsolutes => F::nearest(sum(f64::abs)),
        ReduceFunction::IndexOfMaximum => index_of(x, |best, x| x > best),
        ReduceFunction::IndexOfMinimum => index_of(x, |best, x| x < best),
    }
}

/// The first index of the best value; the first NaN is the best.
fn index_of<F: Real>(x: ArrayView1<F>, better: fn(F, F) -> bool) -> F {
    let mut best = 0;
    for (index, &value) in x.iter().enumerate() {
        if !x[best].is_nan() && (value.is_nan() || better(x[best], value)) {
            best = index;
        }
    }
    whole(best)
}
