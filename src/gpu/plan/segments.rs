//! Arrays in segments along time: how long these are, and the launches of a step for each.

use super::array::Array;
use super::layout::ArrayLayout;
use super::planner::Planner;
use super::walk::Route;
use crate::error::{Error, Result};
use crate::gpu::limits::Limits;
use crate::graph::{ArrayId, OperatorGraph, Step};

/// A plan with segments that fit a binding, all of the same number of timesteps, so that what a
/// step reads and writes is cut at the same places. Where something between the arrays doesn't fit,
/// which is in proportion to them, they are halved.
pub(super) fn in_segments<T>(
    graph: &OperatorGraph,
    limits: &Limits,
    plan: impl Fn(Vec<ArrayLayout>) -> Result<T>,
) -> Result<T> {
    let cut = graph.cut_along_time();
    let layouts = |segment: usize| -> Vec<_> {
        let arrays = graph.arrays.iter().zip(&cut);
        arrays.map(|(array, cut)| ArrayLayout::new(&array.shape, cut.then_some(segment))).collect()
    };
    let whole = layouts(usize::MAX);
    let (mut segment, mut longest) = (usize::MAX, 1);
    for (layout, _) in whole.iter().zip(&cut).filter(|(_, cut)| **cut) {
        let fits = limits.binding / layout.timestep_bytes().max(1);
        segment = segment.min(fits as usize);
        longest = longest.max(layout.timesteps);
    }
    segment = segment.clamp(1, longest);
    loop {
        match plan(layouts(segment)) {
            Err(Error::Limit { .. }) if segment > 1 => segment = segment.div_ceil(2),
            planned => return planned,
        }
    }
}

impl Planner<'_> {
    /// Adds the launches of a step for each segment of the arrays that it touches.
    pub(super) fn for_each_segment(&mut self, step: &Step) -> Result<()> {
        let arrays = || step.reads.iter().flatten().chain(&step.writes);
        let cut = arrays().find(|array| self.layouts[array.0].segments() > 1);
        let Some(&layout) = cut.map(|array| &self.layouts[array.0]) else {
            return self.other_step(step);
        };
        for segment in 0..layout.segments() {
            let times = [segment * layout.segment, layout.segment_timesteps(segment)];
            self.segment_of(step, segment, times)?;
            self.parts.clear();
            self.restart_scratch();
        }
        Ok(())
    }

    /// The launches for a segment; `times`: the first of its timesteps, and how many they are.
    fn segment_of(&mut self, step: &Step, segment: usize, times: [usize; 2]) -> Result<()> {
        let mut parts = Vec::new();
        for (operand, array) in step.reads.iter().enumerate() {
            let (Some(array), Some(axis)) = (*array, self.graph.time_of(step, operand)) else {
                continue; // needed whole
            };
            let part = match self.layouts[array.0].segments() > 1 {
                true => self.part(array, segment, times[1]),
                false => {
                    let whole = self.operand(step, operand)?;
                    self.copy_of_part(&whole, axis, times)?
                }
            };
            parts.push((array, part));
        }
        // What is written to an array that is whole goes there from an array of its own.
        let mut whole = Vec::new();
        for &array in &step.writes {
            let part = match self.layouts[array.0].segments() > 1 {
                true => self.part(array, segment, times[1]),
                false => {
                    let target = self.array(array);
                    let mut shape = target.shape.clone();
                    shape[1] = times[1];
                    let part = self.scratch_array(shape)?;
                    whole.push((part.clone(), target));
                    part
                }
            };
            parts.push((array, part));
        }
        self.parts = parts;
        self.other_step(step)?;
        for (part, target) in whole {
            let to = Route::new(target.strides()).from(times[0] * target.strides()[1]);
            self.walk(&part.shape, &part, Route::new(part.strides()), &target, to)?;
        }
        Ok(())
    }

    /// A segment of an array that is cut.
    fn part(&mut self, array: ArrayId, segment: usize, timesteps: usize) -> Array {
        let mut shape = self.graph.shape(array).to_vec();
        shape[1] = timesteps;
        Array { buffer: self.buffer(array, segment), shape }
    }

    /// A copy of some timesteps of an array that is whole, in which they are this axis.
    fn copy_of_part(&mut self, whole: &Array, axis: usize, times: [usize; 2]) -> Result<Array> {
        let mut shape = whole.shape.clone();
        shape[axis] = times[1];
        let part = self.scratch_array(shape)?;
        let from = Route::new(whole.strides()).from(times[0] * whole.strides()[axis]);
        self.walk(&part.shape, whole, from, &part, Route::new(part.strides()))?;
        Ok(part)
    }
}
