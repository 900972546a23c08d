//! Moving known values.

use crate::program::operation::PadMode;
use crate::program::shapes::{Part, Reason, index};
use crate::program::values::{Values, each};
use ndarray::{ArrayD, ArrayViewD, Axis, Dimension, IxDyn, concatenate};

fn text(error: ndarray::ShapeError) -> String {
    error.to_string()
}

/// In the order of its axes in memory.
fn standard<T: Clone>(array: ArrayViewD<T>) -> ArrayD<T> {
    let values: Vec<T> = array.iter().cloned().collect();
    // As many as before: it is never the empty array.
    ArrayD::from_shape_vec(array.raw_dim(), values).unwrap_or_else(|_| array.to_owned())
}

pub fn reshape(x: &Values, shape: &[usize]) -> Reason<Values> {
    fn one<T: Clone>(x: &ArrayD<T>, shape: &[usize]) -> Reason<ArrayD<T>> {
        standard(x.view()).into_shape_with_order(IxDyn(shape)).map_err(text)
    }
    Ok(each!(x, x => one(x, shape)?))
}

/// Axis `i` of the result is axis `order[i]`.
pub fn transpose(x: &Values, order: &[usize]) -> Values {
    fn one<T: Clone>(x: &ArrayD<T>, order: &[usize]) -> ArrayD<T> {
        standard(x.view().permuted_axes(IxDyn(order)))
    }
    each!(x, x => one(x, order))
}

pub fn slice(x: &Values, part: Part) -> Values {
    fn one<T: Clone>(x: &ArrayD<T>, part: Part) -> ArrayD<T> {
        let places = (0..part.length as isize).map(|at| part.start as isize + at * part.step);
        let places: Vec<usize> = places.map(|place| place as usize).collect();
        x.select(Axis(part.axis), &places)
    }
    each!(x, x => one(x, part))
}

/// All of one kind.
pub fn concat(arrays: &[&Values], axis: usize) -> Reason<Values> {
    fn one<T: Clone>(arrays: Vec<ArrayViewD<T>>, axis: usize) -> Reason<ArrayD<T>> {
        concatenate(Axis(axis), &arrays).map(|joined| standard(joined.view())).map_err(text)
    }
    macro_rules! all {
        ($variant:ident) => {{
            let mut views = Vec::with_capacity(arrays.len());
            for array in arrays {
                match array {
                    Values::$variant(array) => views.push(array.view()),
                    _ => return Err("arrays of different kinds are joined".into()),
                }
            }
            Values::$variant(one(views, axis)?)
        }};
    }
    Ok(match arrays.first() {
        None => return Err("no arrays are joined".into()),
        Some(Values::Floats(_)) => all!(Floats),
        Some(Values::Integers(_)) => all!(Integers),
        Some(Values::Bools(_)) => all!(Bools),
    })
}

pub fn expand(x: &Values, shape: &[usize]) -> Reason<Values> {
    fn one<T: Clone>(x: &ArrayD<T>, shape: &[usize]) -> Reason<ArrayD<T>> {
        let repeated = x.broadcast(IxDyn(shape));
        let wrong = || format!("{:?} can't be repeated to {shape:?}", x.shape());
        repeated.map(standard).ok_or_else(wrong)
    }
    Ok(each!(x, x => one(x, shape)?))
}

pub fn tile(x: &Values, repeats: &[usize]) -> Values {
    fn one<T: Clone>(x: &ArrayD<T>, repeats: &[usize]) -> ArrayD<T> {
        let shape: Vec<usize> = x.shape().iter().zip(repeats).map(|(n, times)| n * times).collect();
        from_places(&shape, |place| {
            let from: Vec<usize> = place.iter().zip(x.shape()).map(|(at, n)| at % n).collect();
            x[IxDyn(&from)].clone()
        })
    }
    each!(x, x => one(x, repeats))
}

fn from_places<T>(shape: &[usize], mut value: impl FnMut(&[usize]) -> T) -> ArrayD<T> {
    ArrayD::from_shape_fn(IxDyn(shape), |place| value(place.slice()))
}

/// With `before` and `after` more along an axis, which isn't empty; `value` is of the same kind.
pub fn pad(
    x: &Values,
    axis: usize,
    (before, after): (usize, usize),
    mode: PadMode,
    value: &Values,
) -> Values {
    fn one<T: Clone>(
        x: &ArrayD<T>,
        axis: usize,
        (before, after): (usize, usize),
        mode: PadMode,
        value: Option<&T>,
    ) -> ArrayD<T> {
        let length = x.shape()[axis];
        let mut shape = x.shape().to_vec();
        shape[axis] = before + length + after;
        from_places(&shape, |place| {
            let mut place = place.to_vec();
            let at = place[axis] as isize - before as isize;
            let last = length as isize - 1;
            let inside = at.clamp(0, last);
            let from = match (mode, value) {
                _ if inside == at => at,
                (PadMode::Constant, Some(value)) => return value.clone(),
                (PadMode::Reflect, _) => (2 * inside - at).clamp(0, last),
                (PadMode::Wrap, _) => at.rem_euclid(length as isize),
                _ => inside,
            };
            place[axis] = from as usize;
            x[IxDyn(&place)].clone()
        })
    }
    match (x, value) {
        (Values::Floats(x), value) => {
            let value = value.to_floats();
            Values::Floats(one(x, axis, (before, after), mode, value.first()))
        }
        (Values::Integers(x), value) => {
            let value = value.to_integers();
            Values::Integers(one(x, axis, (before, after), mode, value.first()))
        }
        (Values::Bools(x), value) => {
            let value = value.to_bools();
            Values::Bools(one(x, axis, (before, after), mode, value.first()))
        }
    }
}

/// The places of an axis; where they have several axes these take the axis' place.
pub fn take(x: &Values, places: &ArrayD<i64>, axis: usize) -> Reason<Values> {
    let length = x.shape()[axis];
    let flat: Vec<usize> =
        places.iter().map(|&place| index(place, length)).collect::<Reason<_>>()?;
    let shape = [&x.shape()[..axis], places.shape(), &x.shape()[axis + 1..]].concat();
    let taken = each!(x, x => x.select(Axis(axis), &flat));
    reshape(&taken, &shape)
}

/// Of each value the one at the place that `places` says along the axis.
pub fn take_along(x: &Values, places: &ArrayD<i64>, axis: usize) -> Reason<Values> {
    fn one<T: Clone>(x: &ArrayD<T>, places: &ArrayD<i64>, axis: usize) -> Reason<ArrayD<T>> {
        let mut values = Vec::with_capacity(places.len());
        for (place, &at) in places.indexed_iter() {
            let mut place = place.slice().to_vec();
            place[axis] = index(at, x.shape()[axis])?;
            let outside = || format!("{place:?} of {:?}", x.shape());
            values.push(x.get(IxDyn(&place)).ok_or_else(outside)?.clone());
        }
        ArrayD::from_shape_vec(places.raw_dim(), values).map_err(text)
    }
    if places.ndim() != x.shape().len() {
        return Err(format!("places of {:?} in an array of {:?}", places.shape(), x.shape()));
    }
    Ok(each!(x, x => one(x, places, axis)?))
}

/// Where in memory each place is that the last axis of `places` says, and how many values belong to
/// it.
fn spots(shape: &[usize], places: &ArrayD<i64>) -> Reason<(Vec<usize>, usize)> {
    let wrong = || format!("places of {:?} in an array of {shape:?}", places.shape());
    let depth = *places.shape().last().ok_or_else(wrong)?;
    if depth > shape.len() {
        return Err(wrong());
    }
    let inner: usize = shape[depth..].iter().product();
    let mut spots = Vec::new();
    for place in places.lanes(Axis(places.ndim() - 1)) {
        let mut spot = 0;
        for (&at, &length) in place.iter().zip(shape) {
            spot = spot * length + index(at, length)?;
        }
        spots.push(spot * inner);
    }
    Ok((spots, inner))
}

pub fn take_nd(x: &Values, places: &ArrayD<i64>) -> Reason<Values> {
    fn one<T: Clone>(x: &ArrayD<T>, places: &ArrayD<i64>) -> Reason<ArrayD<T>> {
        let (spots, inner) = spots(x.shape(), places)?;
        let from: Vec<T> = x.iter().cloned().collect();
        let taken = spots.into_iter().flat_map(|spot| from[spot..spot + inner].iter().cloned());
        let (depth, outer) = match places.shape().split_last() {
            Some((&depth, outer)) => (depth, outer),
            None => (0, &[][..]),
        };
        let shape = [outer, &x.shape()[depth..]].concat();
        ArrayD::from_shape_vec(IxDyn(&shape), taken.collect()).map_err(text)
    }
    Ok(each!(x, x => one(x, places)?))
}

/// `updates` is of the kind of x.
pub fn scatter_nd(x: &Values, places: &ArrayD<i64>, updates: &Values) -> Reason<Values> {
    fn one<T: Clone>(
        x: &ArrayD<T>,
        places: &ArrayD<i64>,
        updates: &ArrayD<T>,
    ) -> Reason<ArrayD<T>> {
        let (spots, inner) = spots(x.shape(), places)?;
        let mut values: Vec<T> = x.iter().cloned().collect();
        if spots.len().checked_mul(inner) != Some(updates.len()) {
            let (places, updates) = (places.shape(), updates.shape());
            return Err(format!("{updates:?} updates at places of {places:?}"));
        }
        let from: Vec<T> = updates.iter().cloned().collect();
        for (number, spot) in spots.into_iter().enumerate() {
            values[spot..spot + inner]
                .clone_from_slice(&from[number * inner..(number + 1) * inner]);
        }
        ArrayD::from_shape_vec(x.raw_dim(), values).map_err(text)
    }
    match (x, updates) {
        (Values::Floats(x), Values::Floats(updates)) => one(x, places, updates).map(Values::Floats),
        (Values::Integers(x), Values::Integers(updates)) => {
            one(x, places, updates).map(Values::Integers)
        }
        (Values::Bools(x), Values::Bools(updates)) => one(x, places, updates).map(Values::Bools),
        _ => Err("updates of another kind".into()),
    }
}

/// Zeros on one side of a diagonal of the last two axes.
pub fn triangle(x: &Values, diagonal: i64, upper: bool) -> Reason<Values> {
    fn one<T: Clone + Default>(x: &ArrayD<T>, diagonal: i64, upper: bool) -> ArrayD<T> {
        let mut result = x.clone();
        for (place, value) in result.indexed_iter_mut() {
            let place = place.slice();
            let [.., row, column] = *place else { continue };
            let above = (column as i64 - row as i64).saturating_sub(diagonal);
            if (upper && above < 0) || (!upper && above > 0) {
                *value = T::default();
            }
        }
        result
    }
    if x.shape().len() < 2 {
        return Err(format!("{:?} has no diagonal", x.shape()));
    }
    Ok(each!(x, x => one(x, diagonal, upper)))
}

/// The indices of what isn't zero.
pub fn non_zero(x: &Values) -> Reason<Values> {
    let x = x.to_bools();
    let places: Vec<Vec<usize>> = x
        .indexed_iter()
        .filter(|(_, value)| **value)
        .map(|(place, _)| place.slice().to_vec())
        .collect();
    let axes = (0..x.ndim()).flat_map(|axis| places.iter().map(move |place| place[axis] as i64));
    let shape = IxDyn(&[x.ndim(), places.len()]);
    ArrayD::from_shape_vec(shape, axes.collect()).map(Values::Integers).map_err(text)
}

/// A shape full of one value.
pub fn fill(shape: &[usize], value: &Values) -> Reason<Values> {
    let only = reshape(value, &[])?;
    expand(&only, shape)
}
