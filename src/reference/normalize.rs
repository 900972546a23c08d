use super::activation::softmax_lane;
use super::operands::{Computed, Reads, reshaped};
use crate::operator::{Normalization, Normalize};
use birnn_cell::Real;
use ndarray::{ArrayViewMut1, Axis, IxDyn};

/// Every vector of the values along the axes by itself.
pub(super) fn normalize<F: Real>(operator: &Normalize, reads: &Reads<F>) -> Computed<F> {
    let x = reads.get(0)?;
    let others = (0..x.ndim()).filter(|axis| !operator.axes.contains(axis));
    let order: Vec<usize> = others.chain(operator.axes.iter().copied()).collect();
    let turned = x.permuted_axes(IxDyn(&order));
    let shape = turned.shape().to_vec();
    let (outer, inner) = shape.split_at(shape.len() - operator.axes.len());
    let vectors = [outer.iter().product(), inner.iter().product()];
    let mut vectors = reshaped(turned.as_standard_layout().into_owned(), &vectors)?;
    let weight = |operand: usize| -> Option<Vec<f64>> {
        Some(reads.optional(operand)?.iter().map(|weight| weight.widened()).collect())
    };
    let (gamma, beta) = (weight(1), weight(2));
    for mut vector in vectors.lanes_mut(Axis(1)) {
        match operator.normalization {
            Normalization::Softmax => softmax_lane(&mut vector, false),
            Normalization::LogSoftmax => softmax_lane(&mut vector, true),
            by_moments => normalize_lane(by_moments, vector, gamma.as_deref(), beta.as_deref()),
        }
    }
    let mut back = vec![0; order.len()];
    order.iter().enumerate().for_each(|(turned, &axis)| back[axis] = turned);
    Ok(reshaped(vectors, &shape)?.permuted_axes(back))
}

/// `(x - mean) · inverse · gamma + beta`, in f64: sums over a vector in f32 are off by its length.
fn normalize_lane<F: Real>(
    normalization: Normalization,
    mut x: ArrayViewMut1<F>,
    gamma: Option<&[f64]>,
    beta: Option<&[f64]>,
) {
    let count = x.len() as f64;
    let mean = match normalization {
        Normalization::Moments { .. } => x.iter().map(|x| x.widened()).sum::<f64>() / count,
        _ => 0.0,
    };
    let squares: f64 = x.iter().map(|x| (x.widened() - mean).powi(2)).sum();
    let inverse = normalization.factor(squares, x.len());
    for (index, x) in x.iter_mut().enumerate() {
        let scaled = (x.widened() - mean) * inverse * gamma.map_or(1.0, |gamma| gamma[index]);
        *x = F::nearest(scaled + beta.map_or(0.0, |beta| beta[index]));
    }
}
