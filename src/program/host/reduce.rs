//! One value of many known ones.

use crate::program::operation::Reduction;
use crate::program::shapes::{Reason, broadcast, count};
use crate::program::values::{Kind, Values};
use ndarray::{ArrayD, Axis, Ix2, IxDyn, Slice};

/// Over these axes, which stay with length one. Sums are of `f64`, or of whole numbers.
pub fn reduce(reduction: Reduction, x: &Values, axes: &[usize]) -> Values {
    match x {
        Values::Integers(x) => {
            let whole = over(x, axes, |values| match reduction {
                Reduction::Sum => values.iter().fold(0, |sum: i64, &v| sum.wrapping_add(v)),
                Reduction::Product => values.iter().fold(1, |all: i64, &v| all.wrapping_mul(v)),
                Reduction::SumOfSquares => {
                    values.iter().fold(0, |sum: i64, &v| sum.wrapping_add(v.wrapping_mul(v)))
                }
                Reduction::SumOfAbsolutes => {
                    values.iter().fold(0, |sum: i64, &v| sum.wrapping_add(v.wrapping_abs()))
                }
                Reduction::Maximum => values.iter().copied().max().unwrap_or(i64::MIN),
                Reduction::Minimum => values.iter().copied().min().unwrap_or(i64::MAX),
                Reduction::Mean => {
                    let sum: i128 = values.iter().map(|&v| i128::from(v)).sum();
                    (sum / values.len().max(1) as i128) as i64
                }
            });
            Values::Integers(whole)
        }
        x => Values::Floats(over(&x.to_floats(), axes, |values| of_numbers(reduction, values))),
    }
}

fn of_numbers(reduction: Reduction, values: &[f32]) -> f32 {
    let wide = values.iter().map(|&value| f64::from(value));
    let extreme = |better: fn(f32, f32) -> bool, start: f32| {
        values.iter().fold(start, |best, &v| if v.is_nan() || better(v, best) { v } else { best })
    };
    match reduction {
        Reduction::Sum => wide.sum::<f64>() as f32,
        Reduction::Mean => (wide.sum::<f64>() / values.len() as f64) as f32,
        Reduction::Product => wide.product::<f64>() as f32,
        Reduction::SumOfSquares => wide.map(|value| value * value).sum::<f64>() as f32,
        Reduction::SumOfAbsolutes => wide.map(f64::abs).sum::<f64>() as f32,
        Reduction::Maximum => extreme(|v, best| v > best, f32::NEG_INFINITY),
        Reduction::Minimum => extreme(|v, best| v < best, f32::INFINITY),
    }
}

/// A value of all values along some axes, which stay with length one.
fn over<T: Clone>(x: &ArrayD<T>, axes: &[usize], value: impl Fn(&[T]) -> T) -> ArrayD<T> {
    let mut shape = x.shape().to_vec();
    axes.iter().for_each(|&axis| shape[axis] = 1);
    ArrayD::from_shape_fn(IxDyn(&shape), |place| {
        let mut part = x.view();
        for axis in (0..x.ndim()).filter(|axis| !axes.contains(axis)) {
            part.slice_axis_inplace(Axis(axis), Slice::from(place[axis]..place[axis] + 1));
        }
        let values: Vec<T> = part.iter().cloned().collect();
        value(&values)
    })
}

/// The place of the largest value along an axis, which stays with length one.
pub fn arg_max(x: &Values, axis: usize, smallest: bool, last: bool) -> Values {
    let x = x.to_floats().mapv(|value| if smallest { -value } else { value });
    let mut shape = x.shape().to_vec();
    shape[axis] = 1;
    Values::Integers(ArrayD::from_shape_fn(IxDyn(&shape), |place| {
        let mut best = 0;
        let mut most = f32::NEG_INFINITY;
        for at in 0..x.shape()[axis] {
            let mut place = place.clone();
            place[axis] = at;
            let value = x[place];
            if value > most || (last && value == most) {
                (best, most) = (at, value);
            }
        }
        best as i64
    }))
}

/// Sums up to each value along an axis.
pub fn cumulative_sum(x: &Values, axis: usize, exclusive: bool, reverse: bool) -> Values {
    fn one<T: Copy + Default>(
        x: &ArrayD<T>,
        axis: usize,
        (exclusive, reverse): (bool, bool),
        add: impl Fn(T, T) -> T,
    ) -> ArrayD<T> {
        let mut sums = x.clone();
        for mut lane in sums.lanes_mut(Axis(axis)) {
            let mut sum = T::default();
            let length = lane.len();
            for step in 0..length {
                let at = if reverse { length - 1 - step } else { step };
                let before = sum;
                sum = add(sum, lane[at]);
                lane[at] = if exclusive { before } else { sum };
            }
        }
        sums
    }
    let how = (exclusive, reverse);
    match x {
        Values::Integers(x) => Values::Integers(one(x, axis, how, i64::wrapping_add)),
        x => Values::Floats(one(&x.to_floats(), axis, how, |a, b| a + b)),
    }
}

/// The matrix product of the last two axes, both of two axes or more.
pub fn product(a: &Values, b: &Values) -> Reason<Values> {
    let wrong = || format!("matrices of {:?} and {:?} aren't multiplied", a.shape(), b.shape());
    let (Some((outer_a, [rows, k])), Some((outer_b, [k_b, columns]))) =
        (a.shape().split_last_chunk::<2>(), b.shape().split_last_chunk::<2>())
    else {
        return Err(wrong());
    };
    if k != k_b {
        return Err(wrong());
    }
    let outer = broadcast(outer_a, outer_b)?;
    let full = |x: &Values, matrix: [usize; 2]| {
        let shape = [&outer[..], &matrix].concat();
        let wide = x.to_floats().mapv(f64::from);
        let wide = wide.broadcast(IxDyn(&shape)).map(|x| x.as_standard_layout().into_owned());
        let flat = [outer.iter().product::<usize>(), matrix[0], matrix[1]];
        wide.and_then(|x| x.into_shape_with_order(flat).ok()).ok_or_else(wrong)
    };
    let (left, right) = (full(a, [*rows, *k])?, full(b, [*k, *columns])?);
    let mut values = Vec::new();
    for (left, right) in left.outer_iter().zip(right.outer_iter()) {
        let left = left.into_dimensionality::<Ix2>().map_err(|_| wrong())?;
        let right = right.into_dimensionality::<Ix2>().map_err(|_| wrong())?;
        values.extend(left.dot(&right).iter().map(|&value| value as f32));
    }
    let shape = [&outer[..], &[*rows, *columns]].concat();
    count(&shape)?;
    let product = ArrayD::from_shape_vec(IxDyn(&shape), values).map_err(|_| wrong())?;
    let whole = a.kind() != Kind::Float && b.kind() != Kind::Float;
    let product = Values::Floats(product);
    Ok(if whole { product.cast(Kind::Integer) } else { product })
}
