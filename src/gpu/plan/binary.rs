//! The launches of functions of two or three arrays, which are broadcast.

use super::array::Array;
use super::planner::Planner;
use super::walk::{Route, joined, lengths, side};
use crate::error::Result;
use crate::gpu::kernel::{Broadcast, Kernel};
use crate::graph::Step;
use crate::operator::BinaryFunction;

/// The numbers of `broadcast.wgsl` for what is no [`BinaryFunction`].
const WHERE: u32 = BinaryFunction::Modulo as u32 + 1;
pub(super) const DIFFERS: u32 = WHERE + 1;

impl Planner<'_> {
    pub(super) fn binary(&mut self, step: &Step, function: BinaryFunction) -> Result<()> {
        let (a, b) = (self.operand(step, 0)?, self.operand(step, 1)?);
        let target = self.array(step.writes[0]);
        self.broadcast([&a, &b, &b], function as u32, &target)
    }

    pub(super) fn choose(&mut self, step: &Step) -> Result<()> {
        let (condition, a) = (self.operand(step, 0)?, self.operand(step, 1)?);
        let (b, target) = (self.operand(step, 2)?, self.array(step.writes[0]));
        self.broadcast([&a, &b, &condition], WHERE, &target)
    }

    /// A function of a, b and c; of two arrays the third is any that is there.
    pub(super) fn broadcast(
        &mut self,
        arrays: [&Array; 3],
        function: u32,
        target: &Array,
    ) -> Result<()> {
        let route = |array| (array, Route::repeating(array, target.shape.len()));
        self.broadcast_along(arrays.map(route), function, target)
    }

    /// The same along other routes over the arrays, of the target's axes.
    pub(super) fn broadcast_along(
        &mut self,
        arrays: [(&Array, Route); 3],
        function: u32,
        target: &Array,
    ) -> Result<()> {
        let buffers = arrays.iter().map(|(array, _)| array.buffer);
        let buffers: Vec<_> = buffers.chain([target.buffer]).collect();
        let [(of_a, a), (of_b, b), (of_c, c)] = arrays;
        let mut routes = [a, b, c];
        let axes = joined(&target.shape, &mut routes);
        let [axis1, axis2, axis3, axis4, axis5] = lengths(&axes)?;
        let [a, b, c] = [(of_a, 0), (of_b, 1), (of_c, 2)].map(|(array, i)| side(array, &routes[i]));
        let uniform = Broadcast {
            values: target.values() as u32,
            axis1,
            axis2,
            axis3,
            axis4,
            axis5,
            function,
            features: target.features() as u32,
            a,
            b,
            c,
        };
        self.flat(Kernel::Broadcast, buffers, uniform, target.values());
        Ok(())
    }
}
