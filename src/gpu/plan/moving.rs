//! The launches of operators that move values: reshape, transpose, slice, pad, concat, repeat; and
//! the walk over a box of values that these and others are made of.

use super::array::Array;
use super::launch::BufferId;
use super::layout::strides;
use super::planner::Planner;
use crate::error::{Error, Result};
use crate::gpu::kernel::{Combine, Kernel, Side};
use crate::graph::{ArrayId, Source, Step};
use crate::operator::{Operator, Concat, Pad, Repeat, Slice, Transpose};

/// How a value joins what is in its place; the numbers of `combine.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    Store = 0,
    Add = 1,
    Subtract = 2,
    Multiply = 3,
    /// The sum with it, divided by the count.
    Mean = 4,
    Maximum = 5,
    Minimum = 6,
    Zero = 7,
    One = 8,
    /// One where it is not zero.
    NotZero = 9,
}

/// A walk over a box: how far a step along each axis goes in the source and in the target.
pub(super) struct Walk {
    pub axes: Vec<usize>,
    pub source_strides: Vec<usize>,
    pub target_strides: Vec<usize>,
    pub source_offset: usize,
    pub target_offset: usize,
}

impl Walk {
    /// From the first value of both.
    pub fn new(
        axes: impl Into<Vec<usize>>,
        source_strides: impl Into<Vec<usize>>,
        target_strides: impl Into<Vec<usize>>,
    ) -> Walk {
        Walk {
            axes: axes.into(),
            source_strides: source_strides.into(),
            target_strides: target_strides.into(),
            source_offset: 0,
            target_offset: 0,
        }
    }
}

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
            self.copy(&ones, &ones, Join::One)?;
        }
        Ok(read)
    }

    /// All values, in order, to an array of the same shape or another.
    pub(super) fn copy(&mut self, source: &Array, target: &Array, join: Join) -> Result<()> {
        self.walk(source, target, Walk::new([source.values()], [1], [1]), join)
    }

    /// All values to a part of the target that starts at `first` along `axis`.
    fn copy_into(
        &mut self,
        source: &Array,
        target: &Array,
        axis: usize,
        first: usize,
        join: Join,
    ) -> Result<()> {
        // All axes before it as one, and all from it on.
        let outer = source.shape[..axis].iter().product();
        let inner: usize = source.shape[axis..].iter().product();
        let stride: usize = target.shape[axis..].iter().product();
        let walk = Walk {
            target_offset: first * target.strides()[axis],
            ..Walk::new([outer, inner], [inner, 1], [stride, 1])
        };
        self.walk(source, target, walk, join)
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
                self.copy(&source, &scratch, Join::Store)?;
                source = scratch;
            }
            copies.push((source, *state));
        }
        for (source, state) in copies {
            let target = Array { buffer: BufferId::Carried(state), shape: source.shape.clone() };
            self.need(target.buffer, target.bytes())?;
            self.copy(&source, &target, Join::Store)?;
        }
        Ok(())
    }

    /// The features of each vector from `first` on, as many as the target has.
    pub(super) fn take_features(
        &mut self,
        source: &Array,
        target: &Array,
        first: usize,
        join: Join,
    ) -> Result<()> {
        let (vectors, features) = (target.vectors(), target.features());
        let walk = Walk {
            source_offset: first,
            ..Walk::new([vectors, features], [source.features(), 1], [features, 1])
        };
        self.walk(source, target, walk, join)
    }

    pub(super) fn walk(
        &mut self,
        source: &Array,
        target: &Array,
        walk: Walk,
        join: Join,
    ) -> Result<()> {
        self.walk_counted(source, target, walk, join, 1)
    }

    /// `count`: how many arrays a mean is of.
    pub(super) fn walk_counted(
        &mut self,
        source: &Array,
        target: &Array,
        walk: Walk,
        join: Join,
        count: usize,
    ) -> Result<()> {
        four_axes(walk.axes.len())?;
        let values = walk.axes.iter().product();
        let [_, axis1, axis2, axis3] = four(&walk.axes, 1);
        let uniform = Combine {
            values: values as u32,
            axis1,
            axis2,
            axis3,
            source: side(source, walk.source_offset, &walk.source_strides),
            destination: side(target, walk.target_offset, &walk.target_strides),
            operation: join as u32,
            count: count as u32,
        };
        let reads = !matches!(join, Join::Zero | Join::One);
        let source = if reads { source.buffer } else { BufferId::Zeros };
        self.flat(Kernel::Combine, vec![source, target.buffer], uniform, values);
        Ok(())
    }

    /// Nothing runs where the values stay where they are.
    pub(super) fn reshape(&mut self, step: &Step) -> Result<()> {
        let from = self.read(step, 0)?;
        if self.root(step.writes[0]) == self.root(from) {
            return Ok(());
        }
        let (source, target) = (self.operand(step, 0)?, self.array(step.writes[0]));
        self.copy(&source, &target, Join::Store)
    }

    pub(super) fn transpose(&mut self, step: &Step, operator: &Transpose) -> Result<()> {
        let (source, target) = (self.operand(step, 0)?, self.array(step.writes[0]));
        let from = source.strides();
        let from: Vec<_> = operator.order.iter().map(|&axis| from[axis]).collect();
        let walk = Walk::new(&target.shape[..], from, target.strides());
        self.walk(&source, &target, walk, Join::Store)
    }

    pub(super) fn slice(&mut self, step: &Step, operator: &Slice) -> Result<()> {
        let (source, target) = (self.operand(step, 0)?, self.array(step.writes[0]));
        let from = source.strides();
        let walk = Walk {
            source_offset: operator.start * from[operator.axis],
            ..Walk::new(&target.shape[..], from, target.strides())
        };
        self.walk(&source, &target, walk, Join::Store)
    }

    pub(super) fn pad(&mut self, step: &Step, operator: &Pad) -> Result<()> {
        let (source, target) = (self.operand(step, 0)?, self.array(step.writes[0]));
        self.copy(&target, &target, Join::Zero)?;
        self.copy_into(&source, &target, operator.axis, operator.before, Join::Store)
    }

    pub(super) fn concat(&mut self, step: &Step, operator: &Concat) -> Result<()> {
        let target = self.array(step.writes[0]);
        let mut first = 0;
        for (operand, array) in step.reads.iter().flatten().enumerate() {
            let length = self.graph.shape(*array)[operator.axis];
            // Ones need no array of their own here.
            let (source, join) = match self.graph.arrays[array.0].source {
                Source::Ones => (self.array(*array), Join::One),
                _ => (self.operand(step, operand)?, Join::Store),
            };
            self.copy_into(&source, &target, operator.axis, first, join)?;
            first += length;
        }
        Ok(())
    }

    pub(super) fn repeat(&mut self, step: &Step, operator: &Repeat) -> Result<()> {
        let (source, target) = (self.operand(step, 0)?, self.array(step.writes[0]));
        let (outer, rest) = source.shape.split_at(operator.axis);
        let (length, inner): (usize, usize) = (rest[0], rest[1..].iter().product());
        let axes = [outer.iter().product(), length, operator.times, inner];
        let walk = Walk::new(axes, [length * inner, inner, 0, 1], strides(&axes));
        self.walk(&source, &target, walk, Join::Store)
    }
}

/// One side of a walk.
fn side(array: &Array, offset: usize, strides: &[usize]) -> Side {
    let [stride0, stride1, stride2, stride3] = four(strides, 0);
    Side {
        offset: offset as u32,
        stride0,
        stride1,
        stride2,
        stride3,
        features: array.features() as u32,
        features_padded: array.features_padded() as u32,
        unused: 0,
    }
}

/// Up to four numbers, behind as many others as are missing.
fn four(values: &[usize], fill: u32) -> [u32; 4] {
    let mut four = [fill; 4];
    for (place, &value) in four.iter_mut().rev().zip(values.iter().rev()) {
        *place = value as u32;
    }
    four
}

/// That the kernels, which walk over four axes, can take an array of so many.
pub(super) fn four_axes(axes: usize) -> Result<()> {
    match axes {
        0..=4 => Ok(()),
        _ => Err(Error::Graph(format!(
            "an array of {axes} axes: the GPU path takes 4; use Device::cpu()"
        ))),
    }
}
