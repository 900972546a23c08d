//! Moving values.

use super::operands::Operands;
use super::reshape::without_moving;
use super::{Array, Computed, Evaluator, REPEATED_ON_HOST, empty};
use crate::operator;
use crate::program::host;
use crate::program::operation::PadMode;
use crate::program::shapes::{self, Part, Reason, axis as axis_of};
use crate::program::values::Values;

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
            Array::Known(known) if !self.repeats_on_device(known.values.shape(), shape)? => {
                self.afford(shape)?;
                host::expand(&known.values, shape).map(Array::from)
            }
            x if shapes::count(shape)? == 0 => Ok(empty(shape, x.kind())),
            x => {
                let longer = self.reshape(x, &shapes::at_rank(x.shape(), shape.len()))?;
                let longer = self.computed(&longer)?;
                let base = longer.inverse().iter().map(|&axis| shape[axis]).collect();
                let expand = operator::Expand { shape: base };
                let array = self.step(expand, &[Some(longer.array)])?[0];
                Ok(Array::Computed(self.in_order_of(array, &longer, x.kind())))
            }
        }
    }

    /// Whether known values of a shape that are repeated to another one are too many to keep all.
    pub(super) fn repeats_on_device(&self, from: &[usize], to: &[usize]) -> Reason<bool> {
        let (values, all) = (shapes::count(from)?, shapes::count(to)?);
        Ok(!self.known_only && all > REPEATED_ON_HOST && all / 2 >= values)
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
}
