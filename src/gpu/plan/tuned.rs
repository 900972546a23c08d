//! Choices that were found to be the fastest by timing them, instead of the planner's own.

use super::choice::{Choice, split_step, streamed, without_waiting};
use super::launch::Chosen;
use super::persistent::choose;
use super::planner::Planner;
use super::recurrent::Group;
use crate::gpu::kernel::{Tiling, Way};
use crate::gpu::limits::Limits;

/// The most ways that are timed.
const CANDIDATES: usize = 6;

impl Planner<'_> {
    /// What was found to be the fastest for so many rows of the batch, or else what the planner
    /// thinks is.
    pub(super) fn choice(&self, group: &Group, rows: usize) -> Choice {
        let own = choose(group, rows, self.limits);
        match self.tuned.get(&class(group, rows, self.limits)) {
            Some(name) => candidates(group, rows, self.limits)
                .into_iter()
                .find(|c| c.name() == *name)
                .unwrap_or(own),
            None => own,
        }
    }

    pub(super) fn note_choice(&mut self, group: &Group, rows: usize, choice: &Choice) {
        let names = candidates(group, rows, self.limits).iter().map(Choice::name).collect();
        let chosen = Chosen {
            class: class(group, rows, self.limits),
            name: choice.name(),
            candidates: names,
        };
        if !self.plan.choices.contains(&chosen) {
            self.plan.choices.push(chosen);
        }
    }
}

/// Batches up to a power of two are taken for alike.
fn class(group: &Group, rows: usize, limits: &Limits) -> String {
    let cell = group.reader.cell.description().title;
    let Group { features, directions, .. } = group;
    let weights = if limits.half_weights { ", 16-bit weights" } else { "" };
    // Where there is one way more to time.
    let persistent = if limits.persistent.is_some() { ", persistent kernels" } else { "" };
    let (units, directions, rows) =
        (group.reader.units, directions.len(), rows.next_power_of_two());
    format!(
        "{cell}, {units} units, {features} features, {directions} directions, up to {rows} \
         rows{weights}{persistent}"
    )
}

impl Choice {
    fn name(&self) -> String {
        let Tiling { workgroup, tiles, split, group_rows, .. } = self.recurrent;
        match self.way {
            Way::Sequence => format!("a dispatch a chunk, workgroup {workgroup}, split {split}"),
            Way::Steps => format!("a dispatch a step, rows {}, split {split}", tiles * group_rows),
            Way::Persistent => format!("persistent, workgroup {workgroup}, split {split}"),
        }
    }
}

/// The ways worth timing, the planner's own first.
fn candidates(group: &Group, rows: usize, limits: &Limits) -> Vec<Choice> {
    let own = without_waiting(group, rows, limits);
    let groups = rows.div_ceil(own.group_rows());
    let units = group.reader.units;
    let pairs = groups * group.directions.len();
    let workgroup = Tiling::default().workgroup.min(limits.invocations as u32);
    let plain = Tiling {
        workgroup,
        units: 0,
        tiles: 1,
        split: 1,
        block: Tiling::default().block,
        ..own.recurrent
    };
    let timed =
        |way: Way, recurrent: Tiling| Choice { way, recurrent, reason: "it was timed", ..own };
    let mut all = vec![choose(group, rows, limits), own];
    if !limits.software {
        all.extend(
            streamed(units, pairs, plain, limits).map(|recurrent| timed(Way::Sequence, recurrent)),
        );
        // Sums are split among invocations, of vectors of four, at least one each.
        let most = (units / 4).min(plain.workgroup as usize / 4);
        let splits = [4, 16].into_iter().filter(|&split| split <= most);
        all.extend(splits.map(|split| timed(Way::Steps, split_step(split as u32, plain, limits))));
    }
    let tiles: &[u32] = if limits.software { &[1, 2, 4] } else { &[2, 1] };
    let tiles = tiles.iter().filter(|&&tiles| tiles as usize <= groups);
    all.extend(tiles.map(|&tiles| timed(Way::Steps, Tiling { tiles, ..plain })));
    let mut found: Vec<Choice> = Vec::new();
    for choice in all {
        if found.iter().all(|other| other.name() != choice.name()) {
            found.push(choice);
        }
    }
    found.truncate(CANDIDATES);
    found
}
