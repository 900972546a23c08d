//! Taking and putting values by their places along axes.

use super::{Array, Evaluator, empty};
use crate::operator;
use crate::program::host;
use crate::program::operation::Binary;
use crate::program::shapes::{self, Part, Reason, axis as axis_of};
use crate::program::values::{Kind, Values};

/// Places are numbers in `f32` on a device, which above 2^24 doesn't have all of them.
const MOST_PLACES: usize = 1 << 24;

/// That the places along an axis of this length are exact.
pub(super) fn check_places(length: usize) -> Reason<()> {
    match length {
        0..=MOST_PLACES => Ok(()),
        _ => Err(format!("an axis has {length} places; in f32 only 2^24 can be told apart")),
    }
}

impl Evaluator {
    pub(super) fn take(&mut self, x: &Array, places: &Array, axis: i64) -> Reason<Array> {
        let axis = axis_of(axis, x.rank())?;
        let shape = [&x.shape()[..axis], places.shape(), &x.shape()[axis + 1..]].concat();
        if shapes::count(&shape)? == 0 {
            return Ok(empty(&shape, x.kind()));
        }
        let length = x.shape()[axis];
        let known = places.known().map(Values::to_integers);
        match (x, known) {
            (Array::Known(x), Some(places)) => {
                self.afford(&shape)?;
                host::take(&x.values, &places, axis).map(Array::from)
            }
            // One place, or some in a row, is a slice.
            (x, Some(known)) if evenly(known.as_slice().unwrap_or_default()).is_some() => {
                let step = evenly(known.as_slice().unwrap_or_default()).unwrap_or(1);
                let first = known.first().copied().unwrap_or(0);
                let start = shapes::index(first, length)?;
                let last = known.iter().last().copied().unwrap_or(first);
                shapes::index(last, length)?;
                let part = Part { axis, start, length: known.len(), step };
                let taken = self.slice(x, part)?;
                self.reshape(&taken, &shape)
            }
            (x, Some(known)) => {
                known.iter().try_for_each(|&place| shapes::index(place, length).map(|_| ()))?;
                self.gather(x, places, axis)
            }
            (x, None) => self.gather(x, places, axis),
        }
    }

    /// Places that are counted from the end where they are negative.
    fn counted(&mut self, places: &Array, length: usize) -> Reason<Array> {
        if places.kind() == Kind::Bool {
            return Ok(places.clone());
        }
        let below = self.binary(Binary::Less, places, &Values::integer(0).into())?;
        let length = Values::integer(length as i64);
        let counted = self.binary(Binary::Add, places, &length.into())?;
        self.select(&below, &counted, places)
    }

    fn gather(&mut self, x: &Array, places: &Array, axis: usize) -> Reason<Array> {
        check_places(x.shape()[axis])?;
        let (kind, ids) = (x.kind(), self.straight(places)?);
        let x = self.computed(x)?;
        let read = self.put_straight(&x)?;
        let array =
            self.step(operator::Gather { axis, from_end: true }, &[Some(read), Some(ids)])?[0];
        Ok(Array::Computed(self.straight_array(array, kind)))
    }

    pub(super) fn take_nd(&mut self, x: &Array, places: &Array) -> Reason<Array> {
        let depth = *places.shape().last().ok_or("the places have no axis")?;
        if depth > x.rank() {
            return Err(format!("places of {:?} in an array of {:?}", places.shape(), x.shape()));
        }
        if let (Some(x), Some(places)) = (x.known(), places.known()) {
            let outer = &places.shape()[..places.shape().len() - 1];
            self.afford(&[outer, &x.shape()[depth..]].concat())?;
            return host::take_nd(x, &places.to_integers()).map(Array::from);
        }
        // The rows that the first axes count, taken by their numbers.
        let rows = self.row_numbers(places, &x.shape()[..depth])?;
        let (counted, inner) = x.shape().split_at(depth);
        let table = self.reshape(x, &[&[shapes::count(counted)?], inner].concat())?;
        self.take(&table, &rows, 0)
    }

    /// The numbers of the rows that places say, whose last axis has an index for each of the axes;
    /// without that axis.
    fn row_numbers(&mut self, places: &Array, axes: &[usize]) -> Reason<Array> {
        let mut rows: Array = Values::integer(0).into();
        let last = places.rank() - 1;
        for (index, &length) in axes.iter().enumerate() {
            let part = Part { axis: last, start: index, length: 1, step: 1 };
            let one = self.slice(places, part)?;
            let one = self.reshape(&one, &places.shape()[..last])?;
            let one = self.counted(&one, length)?;
            let times = Values::integer(length as i64).into();
            let before = self.binary(Binary::Multiply, &rows, &times)?;
            rows = self.binary(Binary::Add, &before, &one)?;
        }
        Ok(rows)
    }

    pub(super) fn take_along(&mut self, x: &Array, places: &Array, axis: i64) -> Reason<Array> {
        let axis = axis_of(axis, x.rank())?;
        match (x.known(), places.known()) {
            (Some(x), Some(places)) => {
                self.afford(places.shape())?;
                host::take_along(x, &places.to_integers(), axis).map(Array::from)
            }
            _ => {
                // The number of each row along all axes: that of its own place but for one axis.
                if places.rank() != x.rank() {
                    return Err(format!("places {:?} in {:?}", places.shape(), x.shape()));
                }
                let mut indices = Vec::new();
                for (other, &length) in places.shape().iter().enumerate() {
                    let index = match other == axis {
                        true => places.clone(),
                        false => {
                            let mut shape = vec![1; places.rank()];
                            shape[other] = length;
                            let count = Values::integers(0..length as i64);
                            let count = host::reshape(&count, &shape)?;
                            self.expand(&count.into(), places.shape())?
                        }
                    };
                    let shape = [places.shape(), &[1]].concat();
                    indices.push(self.reshape(&index, &shape)?);
                }
                let all = self.concat(&indices, -1)?;
                self.take_nd(x, &all)
            }
        }
    }

    pub(super) fn scatter_nd(
        &mut self,
        x: &Array,
        places: &Array,
        updates: &Array,
    ) -> Reason<Array> {
        let depth = *places.shape().last().ok_or("the places have no axis")?;
        let outer = &places.shape()[..places.rank() - 1];
        if depth > x.rank() || updates.shape() != [outer, &x.shape()[depth..]].concat() {
            let (x, places, updates) = (x.shape(), places.shape(), updates.shape());
            return Err(format!("updates {updates:?} at places {places:?} of {x:?}"));
        }
        if let (Some(x), Some(places), Some(updates)) = (x.known(), places.known(), updates.known())
        {
            self.afford(x.shape())?;
            let updates = updates.cast(x.kind());
            return host::scatter_nd(x, &places.to_integers(), &updates).map(Array::from);
        }
        if updates.known().is_some_and(Values::is_empty)
            || places.known().is_some_and(Values::is_empty)
        {
            return Ok(x.clone());
        }
        if places.known().is_none() {
            return Err("its places depend on the values of an input".into());
        }
        let count = shapes::count(outer)?;
        let rows = self.row_numbers(places, &x.shape()[..depth])?;
        let rows = self.reshape(&rows, &[count])?;
        let mut once = rows.known().and_then(Values::numbers).unwrap_or_default();
        let most = shapes::count(&x.shape()[..depth])?;
        check_places(most)?;
        once.iter().try_for_each(|&row| shapes::index(row, most).map(|_| ()))?;
        once.sort_unstable();
        if once.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err("a place is there twice".into());
        }
        let updates = self.reshape(updates, &[&[count], &x.shape()[depth..]].concat())?;
        let reads = [self.straight(x)?, self.straight(&rows)?, self.straight(&updates)?].map(Some);
        let array = self.step(operator::Scatter { axes: depth }, &reads)?[0];
        Ok(Array::Computed(self.straight_array(array, x.kind())))
    }
}

/// The distance from each number to the next, where it is the same and not 0; of one number 1.
fn evenly(numbers: &[i64]) -> Option<isize> {
    let (first, second) = match numbers {
        [] => return None,
        [_] => return Some(1),
        [first, second, ..] => (*first, *second),
    };
    let step = second.checked_sub(first)?;
    let same = |pair: &[i64]| pair[1].checked_sub(pair[0]) == Some(step);
    let one_sign = numbers.iter().all(|n| (*n < 0) == (first < 0));
    (step != 0 && one_sign && numbers.windows(2).all(same)).then_some(step as isize)
}
