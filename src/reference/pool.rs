use super::operands::{Computed, Reads};
use super::windows::taps;
use crate::operator::{Pool, Reduction, Windows, larger};
use birnn_cell::Real;
use ndarray::{ArrayD, ArrayViewD, Axis, Zip};

/// The largest value or the mean of each window.
pub(super) fn pool<F: Real>(operator: &Pool, reads: &Reads<F>, shape: &[usize]) -> Computed<F> {
    let x = reads.get(0)?;
    let lengths = operator.windows.iter().zip(&x.shape()[1..]);
    let windows: Vec<_> = lengths.map(|(windows, &length)| windows.trimmed(length)).collect();
    match operator.reduction {
        Reduction::Maximum => maximum(&windows, &x, shape),
        Reduction::Mean => mean(&windows, &x, reads.optional(1), shape),
    }
}

/// NaN where one of the values is.
fn maximum<F: Real>(windows: &[Windows], x: &ArrayViewD<F>, shape: &[usize]) -> Computed<F> {
    let mut output = ArrayD::from_elem(shape, F::neg_infinity());
    for tap in taps(windows, x.shape()) {
        let largest = tap.computed(output.view_mut());
        Zip::from(largest).and(tap.held(x.view())).for_each(|a, &b| *a = larger(*a, b));
    }
    Ok(output)
}

/// Of what is not masked; NaN where all of a window is.
fn mean<F: Real>(
    windows: &[Windows],
    x: &ArrayViewD<F>,
    mask: Option<ArrayViewD<F>>,
    shape: &[usize],
) -> Computed<F> {
    let of_vectors = [&x.shape()[..x.ndim() - 1], &[1]].concat();
    let counts = match mask {
        Some(mask) => mask.mapv(|mask| if mask == F::zero() { F::zero() } else { F::one() }),
        None => ArrayD::ones(&of_vectors[..x.ndim() - 1]),
    };
    let counts = counts.insert_axis(Axis(x.ndim() - 1));
    let mut output = ArrayD::zeros(shape);
    let mut count = ArrayD::zeros([&shape[..shape.len() - 1], &[1]].concat());
    for tap in taps(windows, x.shape()) {
        let counts = tap.held(counts.view());
        let mut held = tap.held(x.view()).to_owned();
        // Not a product: what is masked may be NaN.
        let masked = Zip::from(&mut held).and_broadcast(counts.view());
        masked.for_each(|x, &counts| *x = if counts == F::zero() { F::zero() } else { *x });
        let mut sums = tap.computed(output.view_mut());
        sums += &held;
        let mut count = tap.computed(count.view_mut());
        count += &counts;
    }
    Ok(output / count)
}
