//! Moving values.

use super::operands::Operands;
use super::reshape::without_moving;
use super::{Array, Computed, Evaluator, empty};
use crate::operator;
use crate::program::host;
use crate::program::operation::PadMode;
use crate::program::shapes::{self, Part, Reason, axis as axis_of};
use crate::program::values::{Kind, Values};

impl Evaluator {
    pub(super) fn reshape(&mut self, x: &Array, shape: &[usize]) -> Reason<Array> {
        let x = match x {
            Array::Known(known) if known.values.shape() == shape => {
                return Ok(Array::Known(known.clone()));
            }
            Array::Known(known) => return host::reshape(&known.values, shape).map(Array::from),
            Array::Computed(x) if x.shape == shape => return Ok(Array::Computed(x.clone())),
            Array::Computed(x) => x,
        };
        match without_moving(&x.base(), &x.order, shape) {
            Some((base, order)) => {
                let array = self.reshaped(x.array, &base)?;
                Ok(Array::Computed(Computed { array, order, shape: shape.to_vec(), kind: x.kind }))
            }
            None => {
                let straight = self.put_straight(x)?;
                let array = self.reshaped(straight, shape)?;
                Ok(Array::Computed(self.straight_array(array, x.kind)))
            }
        }
    }

    pub(super) fn flatten(&mut self, x: &Array, axis: i64) -> Reason<Array> {
        let rank = x.rank();
        let axis = if axis == rank as i64 { rank } else { axis_of(axis, rank)? };
        let (rows, columns) = x.shape().split_at(axis);
        let shape = [shapes::count(rows)?, shapes::count(columns)?];
        self.reshape(x, &shape)
    }

    pub(super) fn squeeze(&mut self, operands: &Operands) -> Reason<Array> {
        let x = operands.get(0)?;
        let shape = x.shape();
        let gone = match operands.optional_numbers(1)? {
            Some(listed) => shapes::axes(&listed, shape.len())?,
            None => (0..shape.len()).filter(|&axis| shape[axis] == 1).collect(),
        };
        if let Some(&axis) = gone.iter().find(|&&axis| shape[axis] != 1) {
            return Err(format!("axis {axis} of {shape:?} isn't of length 1"));
        }
        let left: Vec<usize> =
            (0..shape.len()).filter(|axis| !gone.contains(axis)).map(|axis| shape[axis]).collect();
        self.reshape(x, &left)
    }

    pub(super) fn unsqueeze(&mut self, operands: &Operands) -> Reason<Array> {
        let x = operands.get(0)?;
        let listed = operands.numbers(1)?;
        let rank = x.rank() + listed.len();
        let new = shapes::axes(&listed, rank)?;
        let mut old = x.shape().iter();
        let axes = (0..rank).map(|axis| match new.contains(&axis) {
            true => 1,
            false => old.next().copied().unwrap_or(1),
        });
        let shape: Vec<usize> = axes.collect();
        self.reshape(x, &shape)
    }

    pub(super) fn transpose_by(&mut self, x: &Array, order: &[usize]) -> Reason<Array> {
        let order = match order {
            [] => (0..x.rank()).rev().collect(),
            order => order.to_vec(),
        };
        self.transpose(x, &order)
    }

    pub(super) fn transpose(&mut self, x: &Array, order: &[usize]) -> Reason<Array> {
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..x.rank()) {
            return Err(format!("{order:?} is no order of the axes of {:?}", x.shape()));
        }
        match x {
            Array::Known(known) => {
                self.afford(known.values.shape())?;
                Ok(host::transpose(&known.values, order).into())
            }
            Array::Computed(x) => Ok(Array::Computed(x.transposed(order))),
        }
    }

    /// One part of an axis.
    pub(super) fn slice(&mut self, x: &Array, part: Part) -> Reason<Array> {
        let mut shape = x.shape().to_vec();
        let whole = Part { axis: part.axis, start: 0, length: shape[part.axis], step: 1 };
        if part == whole {
            return Ok(x.clone());
        }
        shape[part.axis] = part.length;
        match x {
            Array::Known(known) => {
                self.afford(&shape)?;
                Ok(host::slice(&known.values, part).into())
            }
            Array::Computed(x) if shapes::count(&shape)? == 0 => Ok(empty(&shape, x.kind)),
            Array::Computed(x) => {
                let Part { axis, start, length, step } = part;
                let operator = operator::Slice { axis: x.order[axis], start, step, length };
                let array = self.step(operator, &[Some(x.array)])?[0];
                Ok(Array::Computed(self.in_order_of(array, x, x.kind)))
            }
        }
    }

    pub(super) fn slices(&mut self, operands: &Operands) -> Reason<Array> {
        let mut x = operands.get(0)?.clone();
        let (starts, ends) = (operands.numbers(1)?, operands.numbers(2)?);
        let axes = operands.optional_numbers(3)?;
        let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = operands.optional_numbers(4)?.unwrap_or_else(|| vec![1; starts.len()]);
        if [ends.len(), axes.len(), steps.len()].iter().any(|&n| n != starts.len()) {
            return Err(format!("{starts:?}, {ends:?}, {axes:?} and {steps:?} differ in length"));
        }
        shapes::axes(&axes, x.rank())?;
        for (index, &axis) in axes.iter().enumerate() {
            let axis = axis_of(axis, x.rank())?;
            let range = (starts[index], ends[index]);
            let part = shapes::part(axis, x.shape()[axis], range, steps[index])?;
            x = self.slice(&x, part)?;
        }
        Ok(x)
    }

    pub(super) fn split(
        &mut self,
        operands: &Operands,
        axis: i64,
        parts: usize,
    ) -> Reason<Vec<Array>> {
        let x = operands.get(0)?;
        let axis = axis_of(axis, x.rank())?;
        let length = x.shape()[axis];
        let lengths = match operands.optional(1) {
            Some(_) => operands.lengths(1)?,
            None => shapes::equal_parts(length, parts)?,
        };
        if lengths.len() != parts {
            return Err(format!("there are {} lengths for {parts} parts", lengths.len()));
        }
        let ranges = shapes::parts(length, &lengths)?;
        let part = |range: std::ops::Range<usize>| {
            self.slice(x, Part { axis, start: range.start, length: range.len(), step: 1 })
        };
        ranges.into_iter().map(part).collect()
    }

    pub(super) fn concat_all(&mut self, operands: &Operands, axis: i64) -> Reason<Array> {
        let arrays = (0..operands.len()).map(|index| operands.get(index).cloned());
        self.concat(&arrays.collect::<Reason<Vec<_>>>()?, axis)
    }

    pub(super) fn concat(&mut self, arrays: &[Array], axis: i64) -> Reason<Array> {
        let first = arrays.first().ok_or("no arrays are joined")?;
        let (rank, kind) = (first.rank(), first.kind());
        let axis = axis_of(axis, rank)?;
        let mut shape = first.shape().to_vec();
        shape[axis] = 0;
        for array in arrays {
            let other = array.shape();
            let fits = other.len() == rank && (0..rank).all(|a| a == axis || other[a] == shape[a]);
            if !fits {
                let first = first.shape();
                return Err(format!("{first:?} and {other:?} differ beside axis {axis}"));
            }
            shape[axis] = shape[axis].saturating_add(other[axis]);
        }
        let there: Vec<&Array> = arrays.iter().filter(|array| array.shape()[axis] > 0).collect();
        match there[..] {
            _ if shapes::count(&shape)? == 0 => return Ok(empty(&shape, kind)),
            [only] => return Ok(only.clone()),
            _ => {}
        }
        if let Some(known) = there.iter().map(|array| array.known()).collect::<Option<Vec<_>>>() {
            self.afford(&shape)?;
            return host::concat(&known, axis).map(Array::from);
        }
        let leader = there.iter().find_map(|array| match array {
            Array::Computed(computed) => Some(computed.clone()),
            Array::Known(_) => None,
        });
        let leader = leader.ok_or("no arrays are joined")?;
        let inverse = leader.inverse();
        let mut reads = Vec::with_capacity(there.len());
        for array in there {
            let alike = self.transpose(array, &inverse)?;
            reads.push(Some(self.straight(&alike)?));
        }
        let array = self.step(operator::Concat { axis: leader.order[axis] }, &reads)?[0];
        Ok(Array::Computed(self.in_order_of(array, &leader, kind)))
    }

    /// To a shape of as many axes or more, which its own fits.
    pub(super) fn expand(&mut self, x: &Array, shape: &[usize]) -> Reason<Array> {
        if x.shape() == shape {
            return Ok(x.clone());
        }
        match x {
            Array::Known(known) => {
                self.afford(shape)?;
                host::expand(&known.values, shape).map(Array::from)
            }
            Array::Computed(x) if shapes::count(shape)? == 0 => Ok(empty(shape, x.kind)),
            Array::Computed(x) => {
                let longer = self.reshape(
                    &Array::Computed(x.clone()),
                    &shapes::at_rank(&x.shape, shape.len()),
                )?;
                let longer = self.computed(&longer)?;
                let base = longer.inverse().iter().map(|&axis| shape[axis]).collect();
                let expand = operator::Expand { shape: base };
                let array = self.step(expand, &[Some(longer.array)])?[0];
                Ok(Array::Computed(self.in_order_of(array, &longer, x.kind)))
            }
        }
    }

    pub(super) fn tile(&mut self, x: &Array, repeats: &[usize]) -> Reason<Array> {
        if repeats.len() != x.rank() {
            return Err(format!("{:?} is repeated {repeats:?} times", x.shape()));
        }
        let multiplied = x.shape().iter().zip(repeats).map(|(n, times)| n.saturating_mul(*times));
        let shape: Vec<usize> = multiplied.collect();
        if shapes::count(&shape)? == 0 {
            return Ok(empty(&shape, x.kind()));
        }
        if let Some(known) = x.known() {
            self.afford(&shape)?;
            return Ok(host::tile(known, repeats).into());
        }
        // [n] as [1, n], expanded to [times, n], as [times · n], axis by axis.
        let mut tiled = x.clone();
        for (axis, &times) in repeats.iter().enumerate().filter(|(_, times)| **times != 1) {
            let before = tiled.shape().to_vec();
            let (outer, inner) = before.split_at(axis);
            let split = self.reshape(&tiled, &[outer, &[1], inner].concat())?;
            let repeated = self.expand(&split, &[outer, &[times], inner].concat())?;
            let mut joined = before.clone();
            joined[axis] *= times;
            tiled = self.reshape(&repeated, &joined)?;
        }
        Ok(tiled)
    }

    pub(super) fn pad(&mut self, operands: &Operands, mode: PadMode) -> Reason<Array> {
        let mut x = operands.get(0)?.clone();
        let sides = operands.numbers(1)?;
        let value = match operands.optional(2) {
            Some(array) => {
                let known = array.known().ok_or("the value around an array isn't known")?;
                known.only().ok_or("the value around an array isn't one")?
            }
            None => 0.0,
        };
        let listed = match operands.optional_numbers(3)? {
            Some(listed) => listed,
            None => (0..x.rank() as i64).collect(),
        };
        shapes::axes(&listed, x.rank())?;
        if sides.len() != 2 * listed.len() {
            return Err(format!("{sides:?} around {} axes", listed.len()));
        }
        for (index, &axis) in listed.iter().enumerate() {
            let axis = axis_of(axis, x.rank())?;
            let (before, after) = (sides[index], sides[listed.len() + index]);
            x = self.cropped(&x, axis, (before.min(0), after.min(0)))?;
            x = self.pad_axis(&x, axis, (before.max(0), after.max(0)), mode, value)?;
        }
        Ok(x)
    }

    /// Without so many values at the ends of an axis, which are given below zero.
    fn cropped(&mut self, x: &Array, axis: usize, sides: (i64, i64)) -> Reason<Array> {
        let length = x.shape()[axis];
        let [start, end] = [sides.0, sides.1].map(|side| side.unsigned_abs() as usize);
        match length.checked_sub(start).and_then(|left| left.checked_sub(end)) {
            Some(left) => self.slice(x, Part { axis, start, length: left, step: 1 }),
            None => Err(format!("{sides:?} are cut off an axis of {length}")),
        }
    }

    fn pad_axis(
        &mut self,
        x: &Array,
        axis: usize,
        sides: (i64, i64),
        mode: PadMode,
        value: f32,
    ) -> Reason<Array> {
        let (before, after) = (sides.0 as usize, sides.1 as usize);
        if (before, after) == (0, 0) {
            return Ok(x.clone());
        }
        let length = x.shape()[axis];
        let mut shape = x.shape().to_vec();
        shape[axis] = length.saturating_add(before).saturating_add(after);
        let most = match mode {
            PadMode::Constant => usize::MAX,
            PadMode::Reflect => length.saturating_sub(1),
            PadMode::Wrap => length,
            PadMode::Edge => {
                if length > 0 {
                    usize::MAX
                } else {
                    0
                }
            }
        };
        if before.max(after) > most {
            return Err(format!("{before} and {after} more of an axis of {length} ({mode:?})"));
        }
        if shapes::count(&shape)? == 0 {
            return Ok(empty(&shape, x.kind()));
        }
        if length == 0 {
            let filled = Values::float(value).cast(x.kind());
            self.afford(&shape)?;
            return host::fill(&shape, &filled).map(Array::from);
        }
        match x {
            Array::Known(known) => {
                self.afford(&shape)?;
                let value = Values::float(value);
                Ok(host::pad(&known.values, axis, (before, after), mode, &value).into())
            }
            Array::Computed(x) => {
                let filling = match mode {
                    PadMode::Constant => operator::Filling::Constant(value),
                    PadMode::Reflect => operator::Filling::Reflect,
                    PadMode::Edge => operator::Filling::Edge,
                    PadMode::Wrap => operator::Filling::Wrap,
                };
                let pad = operator::Pad { axis: x.order[axis], before, after, filling };
                let array = self.step(pad, &[Some(x.array)])?[0];
                Ok(Array::Computed(self.in_order_of(array, x, x.kind)))
            }
        }
    }

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
        use crate::program::operation::Binary;
        if places.kind() == Kind::Bool {
            return Ok(places.clone());
        }
        let below = self.binary(Binary::Less, places, &Values::integer(0).into())?;
        let length = Values::integer(length as i64);
        let counted = self.binary(Binary::Add, places, &length.into())?;
        self.select(&below, &counted, places)
    }

    fn gather(&mut self, x: &Array, places: &Array, axis: usize) -> Reason<Array> {
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
        use crate::program::operation::Binary;
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

    pub(super) fn range(&mut self, operands: &Operands) -> Reason<Array> {
        let value = |index: usize| -> Reason<&Values> {
            operands.get(index)?.known().ok_or_else(|| "its limits depend on values".to_string())
        };
        let (start, limit, step) = (value(0)?, value(1)?, value(2)?);
        let only = |values: &Values| match values.len() {
            1 => Ok(values.clone()),
            _ => Err(format!("a limit of shape {:?}", values.shape())),
        };
        let whole = [start, limit, step].iter().all(|values| values.kind() == Kind::Integer);
        let [start, limit, step] = [only(start)?, only(limit)?, only(step)?];
        if whole {
            let number = |values: &Values| values.numbers().and_then(|v| v.first().copied());
            let (Some(start), Some(limit), Some(step)) =
                (number(&start), number(&limit), number(&step))
            else {
                return Err("a limit is no number".into());
            };
            let span = i128::from(limit) - i128::from(start);
            if step == 0 {
                return Err("its step is 0".into());
            }
            let step = i128::from(step);
            let count = if (span > 0) == (step > 0) {
                (span.abs() + step.abs() - 1) / step.abs()
            } else {
                0
            };
            self.afford(&[usize::try_from(count).unwrap_or(usize::MAX)])?;
            let at = |index: i128| (i128::from(start) + index * step) as i64;
            return Ok(Values::integers((0..count).map(at)).into());
        }
        let number = |values: &Values| values.only().map(f64::from).unwrap_or(f64::NAN);
        let (start, limit, step) = (number(&start), number(&limit), number(&step));
        let count = ((limit - start) / step).ceil().max(0.0);
        if !count.is_finite() {
            return Err(format!("a range from {start} to {limit} in steps of {step}"));
        }
        self.afford(&[count as usize])?;
        let at = |index: usize| (start + index as f64 * step) as f32;
        let values: ndarray::Array1<f32> = (0..count as usize).map(at).collect();
        Ok(Values::Floats(values.into_dyn()).into())
    }

    pub(super) fn fill(&mut self, operands: &Operands) -> Reason<Array> {
        let shape = operands.lengths(0)?;
        let value = operands.get(1)?;
        match value.known() {
            Some(value) => {
                self.afford(&shape)?;
                host::fill(&shape, value).map(Array::from)
            }
            None => {
                let value = self.reshape(value, &[])?;
                self.expand(&value, &shape)
            }
        }
    }

    pub(super) fn triangle(&mut self, operands: &Operands, upper: bool) -> Reason<Array> {
        let (x, diagonal) = (operands.get(0)?, operands.number_or(1, 0)?);
        if let Some(known) = x.known() {
            self.afford(known.shape())?;
            return host::triangle(known, diagonal, upper).map(Array::from);
        }
        let matrix = &x.shape()[x.rank().saturating_sub(2)..];
        self.afford(matrix)?;
        let ones = host::fill(matrix, &Values::Bools(ndarray::arr0(true).into_dyn()))?;
        let inside = host::triangle(&ones, diagonal, upper)?;
        let zero = Values::float(0.0).cast(x.kind());
        self.select(&inside.into(), x, &zero.into())
    }

    pub(super) fn non_zero(&mut self, x: &Array) -> Reason<Array> {
        let known = x.known().ok_or("how many values aren't zero depends on an input")?;
        self.afford(&[x.rank(), known.len()])?;
        host::non_zero(known).map(Array::from)
    }

    pub(super) fn cumulative_sum(
        &mut self,
        operands: &Operands,
        exclusive: bool,
        reverse: bool,
    ) -> Reason<Array> {
        let x = operands.get(0)?;
        let axis = axis_of(operands.number_or(1, 0)?, x.rank())?;
        if let Some(known) = x.known() {
            self.afford(known.shape())?;
            return Ok(host::cumulative_sum(known, axis, exclusive, reverse).into());
        }
        // The product with a triangle of ones: row k of column j is 1 where k counts for j.
        let length = x.shape()[axis];
        self.afford(&[length, length])?;
        let ones = host::fill(&[length, length], &Values::float(1.0))?;
        let shift = i64::from(exclusive) * if reverse { -1 } else { 1 };
        let counts = host::triangle(&ones, shift, !reverse)?;
        let mut order: Vec<usize> = (0..x.rank()).collect();
        order.swap(axis, x.rank() - 1);
        let last = self.transpose(x, &order)?;
        let sums = self.product(&last, &counts.into())?;
        let sums = self.transpose(&sums, &order)?;
        Ok(match sums {
            Array::Computed(sums) => Array::Computed(Computed { kind: x.kind(), ..sums }),
            known => known,
        })
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
