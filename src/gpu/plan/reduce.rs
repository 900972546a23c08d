//! The launch that reduces arrays along axes.

use super::array::Array;
use super::planner::Planner;
use super::walk::{Route, behind, check_axes, joined};
use crate::error::Result;
use crate::gpu::kernel::{self, Kernel};
use crate::graph::Step;
use crate::operator::Reduce;

/// The axes that stay, and those that go, at most: `reduce.wgsl` names them.
const AXES: usize = 3;

impl Planner<'_> {
    pub(super) fn reduce(&mut self, step: &Step, operator: &Reduce) -> Result<()> {
        let (x, target) = (self.operand(step, 0)?, self.array(step.writes[0]));
        let is_kept = |axis: &usize| !operator.axes.contains(axis);
        let kept = part_of(&x, (0..x.shape.len()).filter(is_kept))?;
        let reduced = part_of(&x, operator.axes.iter().copied())?;
        let [_, kept1, kept2] = behind::<AXES>(&kept.0, 1);
        let [kept_stride0, kept_stride1, kept_stride2] = behind::<AXES>(&kept.1, 0);
        let [length0, length1, length2] = behind::<AXES>(&reduced.0, 1);
        let [stride0, stride1, stride2] = behind::<AXES>(&reduced.1, 0);
        let uniform = kernel::Reduce {
            outputs: target.values() as u32,
            kept1,
            kept2,
            kept_stride0,
            kept_stride1,
            kept_stride2,
            length0,
            length1,
            length2,
            stride0,
            stride1,
            stride2,
            x_features: x.features().max(1) as u32,
            features: target.features() as u32,
            function: operator.function as u32,
        };
        self.flat(Kernel::Reduce, vec![x.buffer, target.buffer], uniform, target.values());
        Ok(())
    }
}

/// The lengths and strides of some axes of an array, as few as there can be.
fn part_of(x: &Array, axes: impl Iterator<Item = usize>) -> Result<(Vec<usize>, Vec<usize>)> {
    let strides = x.strides();
    let (lengths, strides): (Vec<_>, Vec<_>) =
        axes.map(|axis| (x.shape[axis], strides[axis])).unzip();
    let mut routes = [Route::new(strides)];
    let lengths = joined(&lengths, &mut routes);
    check_axes(lengths.len(), AXES)?;
    let [route] = routes;
    Ok((lengths, route.strides))
}
