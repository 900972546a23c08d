//! A group at work: what its launches have in common.

use super::group::Group;
use crate::gpu::kernel::{Recurrence, further_states};
use crate::gpu::plan::choice::Choice;
use crate::gpu::plan::launch::BufferId;
use crate::gpu::plan::layout::ArrayLayout;
use crate::gpu::plan::planner::Planner;
use crate::graph::{ArrayId, Step};
use crate::operator::{MergeMode, Recurrent};

/// The projection of a chunk is kept near this size, to stay in cache.
pub(super) const PROJECTION_BYTES: u64 = 32 << 20;

/// A group at one step of the graph.
pub(super) struct GroupCall<'a> {
    pub step: &'a Step,
    pub operator: &'a Recurrent,
    pub group: &'a Group,
    /// The sequence.
    pub x: ArrayId,
    pub input: ArrayLayout,
    /// The mask of the sequence.
    pub mask: Option<BufferId>,
    pub choice: Choice,
    /// Groups of rows.
    pub groups: usize,
    /// The most steps of a chunk.
    pub chunk: usize,
    pub slots: usize,
    /// Where each direction's hidden states go.
    pub outputs: Vec<Destination>,
    /// Whether the recurrent kernel writes them there.
    pub writes_outputs: bool,
    pub place: SharedPosition,
}

/// Where a group's directions stand in the arrays that the kernels share.
#[derive(Clone, Copy)]
pub(super) struct SharedPosition {
    /// The first of them, of how many directions whose projections and states are kept at a time.
    pub first: usize,
    pub count: usize,
    /// How many more directions stand before it in the recurrent weights.
    pub weights_before: usize,
}

/// Where a direction's output goes.
#[derive(Clone, Copy)]
pub(super) struct Destination {
    pub array: ArrayId,
    pub layout: ArrayLayout,
    pub first_feature: usize,
    /// How it joins the other direction's: the modes of `merge.wgsl`.
    pub mode: u32,
    /// The output stands in reversed order of steps.
    pub reversed: bool,
    /// Whether the other direction runs in the same launches, or ran before.
    pub other: Other,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Other {
    Before,
    Together,
    After,
}

/// Steps of a group, after `first`.
#[derive(Clone, Copy)]
pub(super) struct Chunk {
    pub first: usize,
    pub steps: usize,
}

impl GroupCall<'_> {
    pub fn directions(&self) -> usize {
        self.group.directions.len()
    }

    pub fn timesteps(&self) -> usize {
        self.input.timesteps
    }

    /// The rows of the sequence, filled up to whole groups.
    pub fn rows(&self) -> usize {
        self.groups * self.choice.group_rows()
    }

    /// The numbers of an array `[direction][group][unit]`.
    fn state(&self) -> usize {
        self.place.count * self.direction_state()
    }

    /// Those of one direction.
    pub fn direction_state(&self) -> usize {
        self.rows() * self.group.reader.units
    }

    /// Where what the cell keeps, and what the mask means, start in the states.
    pub fn cell_start(&self) -> usize {
        self.slots * self.state()
    }

    pub fn mask_start(&self) -> usize {
        self.cell_start() + further_states(self.group.reader.cell) * self.state()
    }

    /// Where the states of a direction of the group stand among those of the recurrence.
    pub fn first_state(&self, direction: usize) -> usize {
        let before = &self.operator.directions[..self.group.directions[direction]];
        before.iter().map(|reader| reader.cell.states()).sum()
    }

    /// Cuts the steps into chunks that fit the scratch buffers and stay within a segment of every
    /// array touched.
    pub fn chunks(&self) -> Vec<Chunk> {
        let timesteps = self.timesteps();
        // Of each array the length of a segment, and whether its time runs against the steps.
        let mut cuts: Vec<(usize, bool)> = Vec::new();
        for direction in 0..self.directions() {
            cuts.push((self.input.segment, (self.group.reversed >> direction) & 1 == 1));
            if self.group.return_sequences {
                let output = self.outputs[direction];
                cuts.push((output.layout.segment, output.reversed));
            }
        }
        let mut chunks = Vec::new();
        let mut first = 0;
        while first < timesteps {
            let mut end = (first + self.chunk).min(timesteps);
            for &(segment, reversed) in &cuts {
                end = end.min(match reversed {
                    false => (first / segment + 1) * segment,
                    true => timesteps - (timesteps - 1 - first) / segment * segment,
                });
            }
            chunks.push(Chunk { first, steps: end - first });
            first = end;
        }
        chunks
    }

    /// What the kernels of the recurrence are told of a chunk. `loaded`: whether the states of
    /// before the chunk were written.
    pub fn recurrence(&self, chunk: Chunk, loaded: bool) -> Recurrence {
        let group_rows = self.choice.group_rows();
        Recurrence {
            groups: self.groups as u32,
            units: self.group.reader.units as u32,
            slots: self.slots as u32,
            first_step: chunk.first as u32,
            steps: chunk.steps as u32,
            // The kernels count states in groups of rows.
            cell_start: (self.cell_start() / group_rows) as u32,
            mask_start: (self.mask_start() / group_rows) as u32,
            directions: self.place.count as u32,
            zeros: (!loaded).into(),
            first_direction: self.place.first as u32,
            weights_before: self.place.weights_before as u32,
            ..Recurrence::default()
        }
    }
}

impl Planner<'_> {
    /// Where the output of a direction of the recurrence goes.
    pub(super) fn destination(
        &self,
        step: &Step,
        operator: &Recurrent,
        group: &Group,
        direction: usize,
    ) -> Destination {
        let mode = match operator.merge_mode {
            MergeMode::Concat | MergeMode::None => 0,
            MergeMode::Sum => 1,
            MergeMode::Mul => 2,
            MergeMode::Ave => 3,
        };
        let before = &operator.directions[..direction];
        let (array, first_feature) = match operator.merge_mode {
            MergeMode::None => (step.writes[direction], 0),
            MergeMode::Concat => (step.writes[0], before.iter().map(|reader| reader.units).sum()),
            _ => (step.writes[0], 0),
        };
        let other = match (operator.merge_mode, group.directions.len(), direction) {
            (MergeMode::None, ..) => Other::After,
            (_, 2, _) => Other::Together,
            (_, _, 0) => Other::After,
            _ => Other::Before,
        };
        Destination {
            array,
            layout: self.layout(array),
            first_feature,
            mode,
            reversed: operator.directions[direction].reverse_output,
            other,
        }
    }
}
