//! Persistent kernels: which recurrences they run, and how these are cut.
//!
//! All workgroups of a dispatch have to run side by side, for they wait for each other: there are
//! never more than the adapter was seen to run so. And their invocations hold all recurrent weights
//! between them.

use super::choice::{Choice, without_waiting};
use super::recurrent::Group;
use crate::gpu::kernel::{Tiling, Way};
use crate::gpu::limits::Limits;
use crate::graph::OperatorGraph;

/// The vectors of four k that an invocation holds the weights of at most: of a cell with four gates
/// that is 128 numbers, about half of what an invocation has registers for.
const HELD: usize = 8;
/// The invocations of a workgroup: the most that fit.
const WORKGROUPS: [usize; 3] = [256, 128, 64];
/// The most invocations that share a sum.
const SPLIT: usize = 64;
/// The most workgroup memory, in bytes.
const MEMORY: usize = 32 << 10;

/// What the workgroups that were seen to run side by side had: invocations, and bytes of memory.
pub(in crate::gpu) fn footprint(limits: &Limits) -> (usize, usize) {
    (WORKGROUPS[0].min(limits.invocations), MEMORY.min(limits.workgroup_bytes))
}

/// The limits for a graph. States that stateful layers carry over to the next call would be lost
/// with a call whose workgroups wait in vain, and it couldn't run again.
pub(super) fn limits_for(graph: &OperatorGraph, limits: &Limits) -> Limits {
    let persistent = limits.persistent.filter(|_| graph.carried.is_empty());
    Limits { persistent, ..*limits }
}

/// The kernels for so many rows of the batch: a persistent one wherever that is wanted and can be.
pub(super) fn choose(group: &Group, rows: usize, limits: &Limits) -> Choice {
    let own = without_waiting(group, rows, limits);
    match persistent(group, rows, own, limits) {
        Ok(persistent) => persistent,
        Err(_why_not) => own, // which a report says
    }
}

/// The choice with a persistent kernel in place of `own`; an error says why it can't be.
pub(super) fn persistent(
    group: &Group,
    rows: usize,
    own: Choice,
    limits: &Limits,
) -> Result<Choice, &'static str> {
    let allowed = limits.persistent.ok_or("not possible here")?;
    let kernel_buffers = 4 + usize::from(!group.reader.cell.unit_weights().is_empty());
    if kernel_buffers > limits.storage_buffers {
        return Err("it would bind more storage buffers than a kernel can");
    }
    let cuts: Vec<_> = WORKGROUPS
        .into_iter()
        .filter_map(|workgroup| cut(group, own.recurrent, workgroup, limits))
        .collect();
    if cuts.is_empty() {
        return Err("its workgroups couldn't hold the weights and the states");
    }
    let side_by_side = |cut: &&Tiling| workgroups(group, cut) <= allowed.workgroups;
    let Some(&recurrent) = cuts.iter().find(side_by_side) else {
        return Err("it needs more workgroups than were seen to run side by side");
    };
    if own.way == Way::Sequence && workgroups(group, &recurrent) == group.directions.len() {
        return Err("a workgroup has all units anyway");
    }
    let reason = "persistent: a dispatch a chunk, whose workgroups hold the weights and wait for \
                  each other";
    let choice = Choice { way: Way::Persistent, recurrent, reason, ..own };
    debug_assert!(groups_at_once(group, rows, &choice, limits) > 0);
    Ok(choice)
}

/// How a group's persistent kernel is cut into workgroups of so many invocations, where it fits.
fn cut(group: &Group, own: Tiling, workgroup: usize, limits: &Limits) -> Option<Tiling> {
    let units = group.reader.units;
    let split = units.div_ceil(4).div_ceil(HELD).next_power_of_two();
    let cut = Tiling {
        workgroup: workgroup as u32,
        units: units as u32,
        split: split as u32,
        sharing: Tiling::default().sharing,
        tiles: 1,
        block: Tiling::default().block,
        writes_outputs: false,
        ..own
    };
    let (invocations, bytes) = footprint(limits);
    let fits = split <= SPLIT.min(workgroup) && workgroup <= invocations;
    (fits && memory(&cut) <= bytes).then_some(cut)
}

/// The bytes of its workgroup memory.
fn memory(cut: &Tiling) -> usize {
    let (states, partial) = cut.received();
    // A vector of three takes the room of four.
    let gates = if (cut.gates, cut.group_rows) == (3, 1) { 4 } else { cut.gates };
    let leaves = 16;
    (4 * cut.group_rows * (states + partial * gates) + leaves) as usize
}

/// The workgroups for one group of rows.
fn workgroups(group: &Group, cut: &Tiling) -> usize {
    let lanes = (cut.workgroup / cut.split) as usize;
    group.directions.len() * group.reader.units.div_ceil(lanes)
}

/// How many groups of rows are computed side by side: as many as the workgroups that can be, each
/// of them as many as the others.
pub(super) fn groups_at_once(
    group: &Group,
    rows: usize,
    choice: &Choice,
    limits: &Limits,
) -> usize {
    let groups = rows.div_ceil(choice.group_rows());
    let allowed = limits.persistent.map_or(0, |persistent| persistent.workgroups);
    match allowed / workgroups(group, &choice.recurrent) {
        0 => 0,
        most => groups.div_ceil(groups.div_ceil(most)),
    }
}
