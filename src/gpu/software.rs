//! What serves software adapters alone, which compute on the CPU: how recurrent layers run on the
//! kernels of `shaders/software/`, and what that is expected to cost. On such adapters the GPU path
//! is for tests: the CPU path is faster on the same cores. These kernels keep the tests quick
//! (docs/performance.md, "Special paths").
//!
//! On a CPU every load is costly, a shuffle within a subgroup is one instruction, and a subgroup
//! runs to its end before the next one starts. So an invocation loads one row for all of its
//! subgroup, holds its weights in private memory where they fit, and weights stand in panels, in
//! the order in which a subgroup reads them.

use super::kernel::{Sharing, Tiling};
use super::plan::Limits;

/// Above this many units invocations don't hold their weights: these no longer fit the caches.
const HELD_UNITS: usize = 256;
/// What a dispatch takes, in the floating-point operations of that time.
const DISPATCH_FLOPS: f64 = 600e3;
/// What a sequence takes to read a weight that it holds, in the floating-point operations of that
/// time.
const HELD_WEIGHT_FLOPS: f64 = 200.0;

/// The size of every subgroup, where the adapter is a software adapter that has subgroups.
fn subgroup(limits: &Limits) -> Option<u32> {
    limits.subgroup.filter(|_| limits.software)
}

/// The width in units of a panel of a recurrent layer's weights, where it is a subgroup's and the
/// units come out even; `None`: one panel has all units.
pub(super) fn panel(units: usize, limits: &Limits) -> Option<u32> {
    subgroup(limits).filter(|&size| units.is_multiple_of(size as usize))
}

/// How the input projection is cut.
pub(super) fn projection(units: usize, shared: Tiling, limits: &Limits) -> Option<Tiling> {
    let size = subgroup(limits)?;
    // A subgroup without units would take as long as the others.
    let workgroup = shared.workgroup.min(units.next_multiple_of(size as usize) as u32);
    Some(Tiling { sharing: Sharing::Subgroup(size), tiles: 4, workgroup, ..shared })
}

/// How a step kernel is cut that computes at most `tiles` groups of rows an invocation.
pub(super) fn step(tiles: u32, shared: Tiling, limits: &Limits) -> Option<Tiling> {
    Some(Tiling { sharing: Sharing::Subgroup(subgroup(limits)?), tiles, ..shared })
}

/// How a sequence kernel is cut whose invocations hold their weights, where these fit.
pub(super) fn sequence(units: usize, shared: Tiling, limits: &Limits) -> Option<Tiling> {
    let size = subgroup(limits)?;
    let workgroup = units.next_multiple_of(size as usize) as u32;
    let sharing = Sharing::Subgroup(size);
    (units <= HELD_UNITS).then_some(Tiling { sharing, workgroup, units: units as u32, ..shared })
}

/// How many layers of a stack run in the time of one, of so many workgroups each.
pub(super) fn layers_at_once(workgroups: usize, limits: &Limits) -> f64 {
    limits.cores as f64 / workgroups as f64
}

/// What a dispatch takes, in the time of a step of one layer, which has so many floating-point
/// operations.
pub(super) fn dispatch_time(step_flops: f64, sequence: bool) -> f64 {
    match sequence {
        true => DISPATCH_FLOPS / step_flops,
        false => DISPATCH_FLOPS / (DISPATCH_FLOPS + step_flops),
    }
}

/// What a sequence takes before its first step to read so many weights that it holds, in the time
/// of a step of one layer.
pub(super) fn holding_time(weights: usize, step_flops: f64) -> f64 {
    HELD_WEIGHT_FLOPS * weights as f64 / step_flops
}
