//! Taking and putting values by their places along axes.

use super::order::check_pairs;
use super::{Array, Evaluator, empty};
use crate::graph::Bounds;
use crate::operator;
use crate::program::host;
use crate::program::operation::{Binary, Reduction};
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
            (x, _) => self.gather(x, places, axis),
        }
    }

    /// Asks of the values of an array that they are within bounds: of known ones now, of those that
    /// a call gives when it does. Returns whether no step computes any of them.
    pub(super) fn demand(&mut self, array: &Array, bounds: Bounds) -> Reason<bool> {
        match array {
            Array::Known(known) => {
                let numbers = known.values.to_floats();
                match numbers.iter().find(|number| !bounds.hold(f64::from(**number), false)) {
                    None => Ok(true),
                    Some(number) => {
                        let (least, most) = bounds.range();
                        Err(format!("{number} isn't a whole number from {least} to {most}"))
                    }
                }
            }
            Array::Computed(computed) => {
                let name = self.name.clone();
                self.graph.demand(&name, computed.array, bounds)
            }
        }
    }

    /// Places along an axis so long as numbers from 0 on: those below zero count from its end, and
    /// of those that a step computes outside of it the nearest one counts.
    fn counted(&mut self, places: &Array, length: usize) -> Reason<Array> {
        let is_given = self.demand(places, Bounds::Places(length))?;
        if places.kind() == Kind::Bool {
            return Ok(places.clone());
        }
        let places = self.cast(places, Kind::Integer)?;
        let below = self.binary(Binary::Less, &places, &Values::integer(0).into())?;
        let all = Values::integer(length as i64);
        let from_end = self.binary(Binary::Add, &places, &all.into())?;
        let counted = self.select(&below, &from_end, &places)?;
        if is_given {
            return Ok(counted);
        }
        let last = Values::integer(length as i64 - 1);
        let counted = self.binary(Binary::Maximum, &counted, &Values::integer(0).into())?;
        self.binary(Binary::Minimum, &counted, &last.into())
    }

    fn gather(&mut self, x: &Array, places: &Array, axis: usize) -> Reason<Array> {
        check_places(x.shape()[axis])?;
        self.demand(places, Bounds::Places(x.shape()[axis]))?;
        let (kind, ids) = (x.kind(), self.straight(places)?);
        let length = x.shape()[axis];
        let x = self.computed(x)?;
        let read = self.put_straight(&x)?;
        let array =
            self.step(operator::Gather { axis, from_end: true }, &[Some(read), Some(ids)])?[0];
        if let Array::Computed(places) = places
            && self.graph.orders(places.array, length)
        {
            self.graph.is_reordered(array, read);
        }
        Ok(Array::Computed(self.straight_array(array, kind)))
    }

    pub(super) fn take_nd(
        &mut self,
        x: &Array,
        places: &Array,
        batch_axes: usize,
    ) -> Reason<Array> {
        let depth = *places.shape().last().ok_or("the places have no axis")?;
        let outer = &places.shape()[..places.rank() - 1];
        let batch = x.shape().get(..batch_axes);
        if batch_axes.saturating_add(depth) > x.rank() || batch != outer.get(..batch_axes) {
            return Err(format!("places of {:?} in an array of {:?}", places.shape(), x.shape()));
        }
        if batch_axes > 0 {
            let own = self.own_places(outer, 0..batch_axes)?;
            let places = self.concat(&[own, vec![places.clone()]].concat(), -1)?;
            return self.take_nd(x, &places, 0);
        }
        if let (Some(x), Some(places)) = (x.known(), places.known()) {
            self.afford(&[outer, &x.shape()[depth..]].concat())?;
            return host::take_nd(x, &places.to_integers()).map(Array::from);
        }
        // The rows that the first axes count, taken by their numbers.
        let rows = self.row_numbers(places, &x.shape()[..depth])?;
        let (counted, inner) = x.shape().split_at(depth);
        let table = self.reshape(x, &[&[shapes::count(counted)?], inner].concat())?;
        self.take(&table, &rows, 0)
    }

    /// Of arrays of this shape the index of each value along each of these axes, as the only place
    /// of one axis more.
    fn own_places(
        &mut self,
        shape: &[usize],
        axes: impl IntoIterator<Item = usize>,
    ) -> Reason<Vec<Array>> {
        let mut own = Vec::new();
        for axis in axes {
            let length = shape[axis];
            self.afford(&[length])?;
            let mut along = vec![1; shape.len() + 1];
            along[axis] = length;
            let count = host::reshape(&Values::integers(0..length as i64), &along)?;
            own.push(self.expand(&count.into(), &[shape, &[1]].concat())?);
        }
        Ok(own)
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
                let all = self.places_along(x, places, axis)?;
                self.take_nd(x, &all, 0)
            }
        }
    }

    /// The index of each value along all axes, `[places…, axes]`: its own but along one axis.
    fn places_along(&mut self, x: &Array, places: &Array, axis: usize) -> Reason<Array> {
        if places.rank() != x.rank() {
            return Err(format!("places {:?} in {:?}", places.shape(), x.shape()));
        }
        let others = (0..x.rank()).filter(|other| *other != axis);
        let mut all = self.own_places(places.shape(), others)?;
        all.insert(axis, self.reshape(places, &[places.shape(), &[1]].concat())?);
        self.concat(&all, -1)
    }

    pub(super) fn scatter_along(
        &mut self,
        [x, places, updates]: [&Array; 3],
        axis: i64,
        reduction: Option<Reduction>,
    ) -> Reason<Array> {
        let axis = axis_of(axis, x.rank())?;
        if updates.shape() != places.shape() {
            let (places, updates) = (places.shape(), updates.shape());
            return Err(format!("updates {updates:?} at places {places:?}"));
        }
        let all = self.places_along(x, places, axis)?;
        self.scatter_nd([x, &all, updates], reduction)
    }

    pub(super) fn scatter_nd(
        &mut self,
        [x, places, updates]: [&Array; 3],
        reduction: Option<Reduction>,
    ) -> Reason<Array> {
        let depth = *places.shape().last().ok_or("the places have no axis")?;
        let outer = &places.shape()[..places.rank() - 1];
        if depth > x.rank() || updates.shape() != [outer, &x.shape()[depth..]].concat() {
            let (x, places, updates) = (x.shape(), places.shape(), updates.shape());
            return Err(format!("updates {updates:?} at places {places:?} of {x:?}"));
        }
        if shapes::count(updates.shape())? == 0 || shapes::count(x.shape())? == 0 {
            return Ok(x.clone());
        }
        if let (Some(x), Some(places), Some(updates), None) =
            (x.known(), places.known(), updates.known(), reduction)
        {
            self.afford(x.shape())?;
            let updates = updates.cast(x.kind());
            return host::scatter_nd(x, &places.to_integers(), &updates).map(Array::from);
        }
        let count = shapes::count(outer)?;
        let most = shapes::count(&x.shape()[..depth])?;
        check_places(most)?;
        let rows = self.row_numbers(places, &x.shape()[..depth])?;
        let rows = self.reshape(&rows, &[count])?;
        let known = rows.known().and_then(Values::numbers);
        let mut once = known.clone().unwrap_or_default();
        once.iter().try_for_each(|&row| shapes::index(row, most).map(|_| ()))?;
        once.sort_unstable();
        once.dedup();
        let updates = self.reshape(updates, &[&[count], &x.shape()[depth..]].concat())?;
        if known.is_none() || once.len() < count || reduction.is_some() {
            return self.scatter_by_comparing([x, &rows, &updates], depth, reduction);
        }
        let reads = [self.straight(x)?, self.straight(&rows)?, self.straight(&updates)?].map(Some);
        let array = self.step(operator::Scatter { axes: depth }, &reads)?[0];
        Ok(Array::Computed(self.straight_array(array, x.kind())))
    }

    /// The same where rows aren't known or are there several times: every row, which the first
    /// `depth` axes of x count, is compared with the row of each update.
    fn scatter_by_comparing(
        &mut self,
        [x, rows, updates]: [&Array; 3],
        depth: usize,
        reduction: Option<Reduction>,
    ) -> Reason<Array> {
        let most = shapes::count(&x.shape()[..depth])?;
        let inner = shapes::count(&x.shape()[depth..])?;
        let count = rows.shape()[0];
        let each = if reduction.is_some() { inner } else { 1 };
        check_pairs(&[most, count, each], "writing to places that aren't known, or several times")?;
        self.afford(&[most])?;
        let own = host::reshape(&Values::integers(0..most as i64), &[most, 1])?;
        let hits = self.binary(Binary::Equal, rows, &own.into())?; // [most, count]
        let flat = self.reshape(x, &[most, inner])?;
        let updates = self.reshape(updates, &[count, inner])?;
        let result = match reduction {
            None => {
                // The number of the last update of each row, from 1 on; 0: it has none.
                let numbers = Values::integers(1..=count as i64).into();
                let numbers = self.select(&hits, &numbers, &Values::integer(0).into())?;
                let last = self.reduce_kept(&numbers, &[1], Reduction::Maximum)?;
                let place = self.binary(Binary::Subtract, &last, &Values::integer(1).into())?;
                let place = self.binary(Binary::Maximum, &place, &Values::integer(0).into())?;
                let place = self.reshape(&place, &[most])?;
                let taken = self.take(&updates, &place, 0)?;
                let is_written = self.cast(&last, Kind::Bool)?;
                self.select(&is_written, &taken, &flat)?
            }
            Some(reduction) => {
                let (neutral, function) = match reduction {
                    Reduction::Sum => (0.0, Binary::Add),
                    Reduction::Product => (1.0, Binary::Multiply),
                    Reduction::Maximum => (f32::NEG_INFINITY, Binary::Maximum),
                    Reduction::Minimum => (f32::INFINITY, Binary::Minimum),
                    _ => return Err(format!("values are put together by {reduction:?}")),
                };
                let hits = self.reshape(&hits, &[most, count, 1])?;
                let values = self.reshape(&updates, &[1, count, inner])?;
                let values = self.select(&hits, &values, &Values::float(neutral).into())?;
                let values = self.reduce_kept(&values, &[1], reduction)?;
                let values = self.reshape(&values, &[most, inner])?;
                self.binary(function, &flat, &values)?
            }
        };
        let result = self.reshape(&result, x.shape())?;
        self.cast(&result, x.kind())
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
