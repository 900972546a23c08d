//! Arrays in segments along time: how long these are, and the launches of a step for each.

use super::array::Array;
use super::layout::{ArrayLayout, Segments};
use super::planner::Planner;
use super::walk::Route;
use crate::error::{Error, Result};
use crate::gpu::limits::Limits;
use crate::graph::{self, ArrayId, OperatorGraph, Step};
use std::cell::Cell;
use std::collections::BTreeMap;

/// A plan with segments that fit a binding. Arrays of as many timesteps have equally long ones, so
/// that what a step reads and writes is cut at the same places. Where what is between the arrays of
/// a step doesn't fit, which is in proportion to them, all are halved.
pub(super) fn in_segments<T>(
    graph: &OperatorGraph,
    limits: &Limits,
    plan: impl Fn(&Segments) -> Result<T>,
) -> Result<T> {
    let able = graph.cut_along_time().into_iter().zip(graph.used());
    let cut: Vec<_> = able.map(|(able, used)| able && used).collect();
    // Of each number of timesteps how many of them fit.
    let mut longest: BTreeMap<usize, u64> = BTreeMap::new();
    for (array, _) in graph.arrays.iter().zip(&cut).filter(|(_, cut)| **cut) {
        let layout = ArrayLayout::new(&array.shape, None);
        let fit = limits.binding / layout.timestep_bytes().max(1);
        let longest = longest.entry(layout.timesteps).or_insert(layout.timesteps as u64);
        *longest = fit.clamp(1, *longest);
    }
    loop {
        let layout = |(array, cut): (&graph::Array, &bool)| {
            let segment = if *cut { longest.get(&array.shape[1]) } else { None };
            ArrayLayout::new(&array.shape, segment.map(|&segment| segment as usize))
        };
        let layouts = graph.arrays.iter().zip(&cut).map(layout).collect();
        let segments = Segments { layouts, cut: cut.clone(), too_long: Cell::new(false) };
        match plan(&segments) {
            Err(Error::Limit { .. })
                if segments.too_long.get() && longest.values().any(|&segment| segment > 1) =>
            {
                longest.values_mut().for_each(|segment| *segment = segment.div_ceil(2));
            }
            planned => return planned,
        }
    }
}

impl Planner<'_> {
    /// Adds the launches of a step for each segment of the arrays that it touches.
    pub(super) fn for_each_segment(&mut self, step: &Step) -> Result<()> {
        let segments = self.segments;
        let mut arrays = step.reads.iter().flatten().chain(&step.writes);
        let Some(array) = arrays.find(|array| segments.cut[array.0]) else {
            return self.other_step(step);
        };
        let layout = segments.layouts[array.0];
        let planned = match layout.segments() {
            0 | 1 => self.other_step(step),
            count => (0..count).try_for_each(|segment| {
                let times = [segment * layout.segment, layout.segment_timesteps(segment)];
                let planned = self.segment_of(step, segment, times);
                self.parts.clear();
                self.restart_scratch();
                planned
            }),
        };
        if let Err(Error::Limit { .. }) = planned {
            segments.too_long.set(true);
        }
        planned
    }

    /// The launches for a segment; `times`: the first of its timesteps, and how many they are.
    fn segment_of(&mut self, step: &Step, segment: usize, times: [usize; 2]) -> Result<()> {
        let mut parts = Vec::new();
        for (operand, array) in step.reads.iter().enumerate() {
            let (Some(array), Some(axis)) = (*array, self.graph.time_of(step, operand)) else {
                continue; // needed whole
            };
            let part = match self.layout(array).segments() > 1 {
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
            let part = match self.layout(array).segments() > 1 {
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

    /// A copy of some timesteps of an array that is whole, in which they are this axis; with the
    /// zeros that fill up its vectors, which kernels read that take four features at a time.
    fn copy_of_part(&mut self, whole: &Array, axis: usize, times: [usize; 2]) -> Result<Array> {
        let mut shape = whole.shape.clone();
        shape[axis] = times[1];
        let part = self.scratch_array(shape)?;
        let filled_up = |array: &Array| {
            let mut filled_up = array.clone();
            if axis + 1 < array.shape.len() {
                filled_up.shape[array.shape.len() - 1] = array.features_padded();
            }
            filled_up
        };
        let (from, to) = (filled_up(whole), filled_up(&part));
        let route = Route::new(from.strides()).from(times[0] * from.strides()[axis]);
        self.walk(&to.shape, &from, route, &to, Route::new(to.strides()))?;
        Ok(part)
    }
}
