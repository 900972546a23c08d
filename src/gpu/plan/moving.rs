//! The launches of operators that move values: reshape, transpose, slice, pad, concat, expand.

use super::array::Array;
use super::launch::BufferId;
use super::planner::Planner;
use super::walk::{Route, joined, lengths, side};
use crate::error::Result;
use crate::gpu::kernel::{Kernel, MoveValues};
use crate::graph::{ArrayId, Source, Step};
use crate::operator::{Concat, Filling, Operator, Pad, Slice, Transpose};

impl Planner<'_> {
    /// An operand that is read value by value.
    pub(super) fn operand(&mut self, step: &Step, operand: usize) -> Result<Array> {
        let array = self.read(step, operand)?;
        let read = self.array(array);
        let root = self.root(array);
        let is_ones = self.graph.arrays[root.0].source == Source::Ones;
        if is_ones && !self.plan.buffers.contains_key(&read.buffer) {
            let ones = self.array(root);
            self.need(ones.buffer, ones.bytes())?;
            self.fill(&ones, 1.0)?;
        }
        Ok(read)
    }

    /// An operand that may be missing.
    pub(super) fn optional(&mut self, step: &Step, operand: usize) -> Result<Option<Array>> {
        match step.reads.get(operand) {
            Some(Some(_)) => self.operand(step, operand).map(Some),
            _ => Ok(None),
        }
    }

    /// Copies what the next call starts from, as far as no recurrence has written it there.
    pub(super) fn hand_on(&mut self) -> Result<()> {
        let graph = self.graph;
        let recurrences =
            graph.steps.iter().filter(|step| matches!(step.operator, Operator::Recurrent(_)));
        let written: Vec<ArrayId> =
            recurrences.flat_map(|step| step.writes.iter().copied()).collect();
        let mut copies = Vec::new();
        for (state, array) in graph.carried.iter().filter(|(_, array)| !written.contains(array)) {
            let mut source = self.array(*array);
            // What the last call left may be overwritten before it is read.
            if matches!(source.buffer, BufferId::Carried(_)) {
                let scratch = self.scratch_array(source.shape.clone())?;
                self.copy(&source, &scratch)?;
                source = scratch;
            }
            copies.push((source, *state));
        }
        for (source, state) in copies {
            let target = Array { buffer: BufferId::Carried(state), shape: source.shape.clone() };
            self.need(target.buffer, target.bytes())?;
            self.copy(&source, &target)?;
        }
        Ok(())
    }

    /// All values, in order, to an array of the same shape or another.
    pub(super) fn copy(&mut self, source: &Array, target: &Array) -> Result<()> {
        self.walk(&[source.values()], source, Route::new([1]), target, Route::new([1]))
    }

    /// A number in all places.
    fn fill(&mut self, target: &Array, number: f32) -> Result<()> {
        self.fill_part(&[target.values()], number, target, Route::new([1]))
    }

    /// Moves the values of a box from one array to another.
    pub(super) fn walk(
        &mut self,
        axes: &[usize],
        source: &Array,
        from: Route,
        target: &Array,
        to: Route,
    ) -> Result<()> {
        let mut routes = [from, to];
        let axes = joined(axes, &mut routes);
        let [from, to] = routes;
        let values = MoveValues { source: side(source, &from), ..over(&axes, target, &to)? };
        self.flat(Kernel::MoveValues, vec![source.buffer, target.buffer], values, count(&axes));
        Ok(())
    }

    /// Puts a number in the places of a box.
    fn fill_part(&mut self, axes: &[usize], number: f32, target: &Array, to: Route) -> Result<()> {
        let mut routes = [to];
        let axes = joined(axes, &mut routes);
        let nothing = Array { buffer: BufferId::Zeros, shape: Vec::new() };
        let source = side(&nothing, &Route::new([]));
        let values = over(&axes, target, &routes[0])?;
        let values = MoveValues { source, fill: 1, number, ..values };
        let buffers = vec![nothing.buffer, target.buffer];
        self.flat(Kernel::MoveValues, buffers, values, count(&axes));
        Ok(())
    }

    /// Nothing runs where the values stay where they are.
    pub(super) fn reshape(&mut self, step: &Step) -> Result<()> {
        let from = self.read(step, 0)?;
        if self.root(step.writes[0]) == self.root(from) {
            return Ok(());
        }
        let (source, target) = (self.operand(step, 0)?, self.array(step.writes[0]));
        self.copy(&source, &target)
    }

    pub(super) fn transpose(&mut self, step: &Step, operator: &Transpose) -> Result<()> {
        let (source, target) = (self.operand(step, 0)?, self.array(step.writes[0]));
        let from = source.strides();
        let from: Vec<_> = operator.order.iter().map(|&axis| from[axis]).collect();
        self.walk(&target.shape, &source, Route::new(from), &target, Route::new(target.strides()))
    }

    pub(super) fn slice(&mut self, step: &Step, operator: &Slice) -> Result<()> {
        let (source, target) = (self.operand(step, 0)?, self.array(step.writes[0]));
        let mut from = source.strides();
        let offset = operator.start * from[operator.axis];
        from[operator.axis] = from[operator.axis].wrapping_mul(operator.step as usize);
        let (from, to) = (Route::new(from).from(offset), Route::new(target.strides()));
        self.walk(&target.shape, &source, from, &target, to)
    }

    pub(super) fn expand(&mut self, step: &Step) -> Result<()> {
        let (source, target) = (self.operand(step, 0)?, self.array(step.writes[0]));
        let from = Route::repeating(&source, target.shape.len());
        self.walk(&target.shape, &source, from, &target, Route::new(target.strides()))
    }

    pub(super) fn concat(&mut self, step: &Step, operator: &Concat) -> Result<()> {
        let target = self.array(step.writes[0]);
        let stride = target.strides()[operator.axis];
        let mut first = 0;
        for (operand, array) in step.reads.iter().flatten().enumerate() {
            let part = self.array(*array);
            let to = Route::new(target.strides()).from(first * stride);
            // Ones need no array of their own here.
            if self.graph.arrays[array.0].source == Source::Ones {
                self.fill_part(&part.shape, 1.0, &target, to)?;
            } else {
                let source = self.operand(step, operand)?;
                self.walk(&part.shape, &source, Route::new(part.strides()), &target, to)?;
            }
            first += part.shape[operator.axis];
        }
        Ok(())
    }

    /// The array itself, and what it is padded with on both sides.
    pub(super) fn pad(&mut self, step: &Step, operator: &Pad) -> Result<()> {
        let (source, target) = (self.operand(step, 0)?, self.array(step.writes[0]));
        let &Pad { axis, before, after, filling } = operator;
        let length = source.shape[axis];
        if let Filling::Constant(number) = filling {
            self.fill(&target, number)?;
        } else {
            let (first, last) = match filling {
                Filling::Reflect => (before, length.saturating_sub(2)),
                Filling::Edge => (0, length - 1),
                Filling::Wrap | Filling::Constant(_) => (length - before, 0),
            };
            let step = match filling {
                Filling::Reflect => 0usize.wrapping_sub(1),
                Filling::Edge => 0,
                Filling::Wrap | Filling::Constant(_) => 1,
            };
            let mut side =
                |from, to, count| self.along(&source, &target, axis, [from, to], step, count);
            side(first, 0, before)?;
            side(last, before + length, after)?;
        }
        self.along(&source, &target, axis, [0, before], 1, length)
    }

    /// Moves `count` indices of an axis, from one on in the source and one in the target; `step`:
    /// from one to the next in the source.
    fn along(
        &mut self,
        source: &Array,
        target: &Array,
        axis: usize,
        [first, to]: [usize; 2],
        step: usize,
        count: usize,
    ) -> Result<()> {
        let mut axes = source.shape.clone();
        axes[axis] = count;
        let (mut from, strides) = (source.strides(), target.strides());
        let (from_offset, to_offset) = (first * from[axis], to * strides[axis]);
        from[axis] = from[axis].wrapping_mul(step);
        let from = Route::new(from).from(from_offset);
        self.walk(&axes, source, from, target, Route::new(strides).from(to_offset))
    }
}

/// The values of a box.
fn count(axes: &[usize]) -> usize {
    axes.iter().product()
}

/// A walk over a box that fills the target with zeros.
fn over(axes: &[usize], target: &Array, to: &Route) -> Result<MoveValues> {
    let [axis1, axis2, axis3, axis4, axis5] = lengths(axes)?;
    let destination = side(target, to);
    let values = count(axes) as u32;
    Ok(MoveValues { values, axis1, axis2, axis3, axis4, axis5, destination, ..Default::default() })
}
