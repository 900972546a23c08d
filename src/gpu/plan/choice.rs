//! Which kernels a recurrent layer runs on, by its shape and the adapter. The choice depends on the
//! rows of the batch, never on the timesteps, so that a sequence run in pieces gives what it gives
//! as a whole.

use super::recurrent::Group;
use crate::gpu::kernel::{CellKernel, Tiling, Way};
use crate::gpu::limits::Limits;
use crate::gpu::software;
use crate::layer::Cell;

/// Invocations of a workgroup, where nothing asks for others.
const LANES: usize = 64;
/// The weights of a direction that one workgroup can stream every step in about the time that a
/// dispatch takes, and how much of them each invocation: it waits for what it loads.
const STREAMED_BYTES: usize = 384 << 10;
const STREAMED_BY_ONE: usize = 1536;
/// How often the sums of a step are split, and up to how many invocations: an H100 has room for
/// 270,000 at a time, and is slower where more share a sum than it takes to keep it busy.
const SPLITS: [(usize, usize); 3] = [(16, 24 << 10), (8, 28 << 10), (4, 128 << 10)];
/// The same of a sequence; twice whatever their number.
const SEQUENCE_BUSY: usize = 64 << 10;

/// How a group of directions runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// Whether a chunk of timesteps is one dispatch, of one workgroup or of several, or each
    /// timestep is one.
    pub way: Way,
    /// Of the recurrent kernels.
    pub recurrent: Tiling,
    pub projection: Tiling,
    /// Why, for people.
    pub reason: &'static str,
}

impl Choice {
    /// Rows of the batch in a group.
    pub fn group_rows(&self) -> usize {
        self.recurrent.group_rows as usize
    }

    /// The dispatches of a step, or of a chunk of a sequence.
    pub fn kernels(&self, cell: Cell) -> Vec<CellKernel> {
        CellKernel::of(cell, self.way)
    }
}

/// The kernels for so many rows of the batch, of those whose workgroups don't wait for each other.
pub(super) fn without_waiting(group: &Group, rows: usize, limits: &Limits) -> Choice {
    let gates = group.reader.cell.gates().len();
    let units = group.reader.units;
    let group_rows = if rows == 1 { 1 } else { 4 };
    let groups = rows.div_ceil(group_rows);
    let shared = Tiling {
        gates: gates as u32,
        group_rows: group_rows as u32,
        half_weights: limits.half_weights,
        panel: group.panel,
        workgroup: LANES.min(limits.invocations) as u32,
        ..Tiling::default()
    };
    if let Some(projection) = software::projection(units, shared, limits) {
        let fits =
            |tiling: &Tiling| sequence_fits(tiling, units, tiling.workgroup as usize, limits);
        if let Some(recurrent) = software::sequence(units, shared, limits).filter(fits) {
            let reason = "software adapter, the weights fit private memory: a dispatch a chunk";
            return Choice { way: Way::Sequence, recurrent, projection, reason };
        }
        if let Some(recurrent) = software::step(tiles(groups, 4), shared, limits) {
            let reason = "software adapter: a dispatch a step, rows handed on by subgroups";
            return Choice { way: Way::Steps, recurrent, projection, reason };
        }
    }
    on_gpu(gates, units, groups * group.directions.len(), shared, groups, limits)
}

fn on_gpu(
    gates: usize,
    units: usize,
    pairs: usize,
    shared: Tiling,
    groups: usize,
    limits: &Limits,
) -> Choice {
    let projection = Tiling { tiles: 2, block: 16, ..shared };
    let weights = if shared.half_weights { 2 } else { 4 } * gates * units * units;
    let streams = |tiling: &Tiling| {
        weights <= STREAMED_BYTES.min(STREAMED_BY_ONE * tiling.workgroup as usize)
    };
    if let Some(recurrent) = streamed(units, pairs, shared, limits).filter(streams) {
        let reason = "few weights, streamed from the caches: a dispatch a chunk";
        return Choice { way: Way::Sequence, recurrent, projection, reason };
    }
    let most = (units / 4).min(shared.workgroup as usize / 4);
    let busy = |&(split, invocations): &(usize, usize)| {
        split <= most && pairs * units * split <= invocations
    };
    let split = SPLITS.into_iter().find(busy).map(|(split, _)| split);
    if let Some(split) = split {
        let recurrent = split_step(split as u32, shared, limits);
        let reason = "a dispatch a step, its sums split to keep the GPU busy";
        return Choice { way: Way::Steps, recurrent, projection, reason };
    }
    let recurrent = Tiling { tiles: tiles(groups, 2), ..shared };
    let reason = "many rows: a dispatch a step, a tile of rows an invocation";
    Choice { way: Way::Steps, recurrent, projection, reason }
}

/// A step kernel whose sums are split. It loads many states at a time: its invocations wait for
/// each load, and multiply little.
pub(super) fn split_step(split: u32, shared: Tiling, limits: &Limits) -> Tiling {
    // Fewer parts: more units for what is loaded.
    let workgroup = if split == 4 { 2 * LANES } else { LANES }.min(limits.invocations) as u32;
    Tiling { split, workgroup, block: 128, ..shared }
}

/// A sequence kernel that streams its weights, where it fits: its sums are split as long as each
/// part has some to add, for a workgroup waits for its loads.
pub(super) fn streamed(
    units: usize,
    pairs: usize,
    shared: Tiling,
    limits: &Limits,
) -> Option<Tiling> {
    let lanes = units.next_multiple_of(32);
    let cut = |split: usize| Tiling {
        workgroup: (lanes * split) as u32,
        units: units as u32,
        split: split as u32,
        ..shared
    };
    let busy = |split: usize| {
        (split == 2 || pairs * lanes * split <= SEQUENCE_BUSY) && 4 * 4 * split <= units
    };
    [8, 4, 2]
        .into_iter()
        .filter(|&split| busy(split))
        .chain([1])
        .map(cut)
        .find(|tiling| sequence_fits(tiling, units, tiling.workgroup as usize, limits))
}

/// Whether the invocations and the workgroup memory are enough: for two sides of states, and the
/// parts of sums.
fn sequence_fits(tiling: &Tiling, units: usize, lanes: usize, limits: &Limits) -> bool {
    let side = Tiling { units: units as u32, ..*tiling }.side() as usize;
    let parts = if tiling.split > 1 { tiling.gates as usize * lanes } else { 0 };
    lanes <= limits.invocations
        && 4 * (2 * side + parts) * tiling.group_rows as usize <= limits.workgroup_bytes
}

/// The tiles for so many groups of rows: not more than there are, 1, 2 or 4.
fn tiles(groups: usize, most: u32) -> u32 {
    match groups {
        1 => 1,
        2 | 3 => 2.min(most),
        _ => most,
    }
}
