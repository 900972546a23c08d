//! One timestep of a direction: all panels of a matrix, in parts that threads share.

use crate::beside::Beside;
use crate::matmul::Blocks;
use crate::matrix::Matrix;
use crate::pages::Pages;
use crate::parts::{Machine, each, split};
use crate::reader::Reader;
use crate::step::{Finish, States, Step, goes_back, sums_kept};

/// What a timestep reads.
pub(crate) struct Timestep<'a> {
    pub machine: Machine,
    pub reader: &'a Reader,
    pub matrices: &'a [Matrix],
    /// Those of the cell, each `[block][lane]`.
    pub unit_weights: &'a [Pages<f32>],
    /// Of each matrix, `[panel][step of the chunk][row][vector][lane]`.
    pub projections: &'a [Vec<f32>],
    /// Counted from the first of the chunk.
    pub step: usize,
    pub rows: usize,
    pub lanes: usize,
    /// `[block][row][lane]`
    pub hidden: &'a [f32],
    /// For each row whether the timestep counts.
    pub mask: Option<&'a [bool]>,
}

/// What a timestep writes, `[block][row][lane]`; a cell uses those of these arrays that it needs.
pub(crate) struct Written<'a> {
    /// The next hidden states.
    pub next: &'a mut [f32],
    pub cell: &'a mut [f32],
    /// What a first product hands on to a second: a gate, and the gated hidden state.
    pub gate: &'a mut [f32],
    pub gated: &'a mut [f32],
    /// Of each part, `[panel][row][vector][lane]`.
    pub sums: &'a mut [f32],
}

impl<'a> Timestep<'a> {
    /// The states before it, and a part of those after it.
    pub fn states(&self, next: &'a mut [f32]) -> States<'a> {
        States { hidden: self.hidden, next, mask: self.mask, reader: self.reader }
    }

    /// One of its matrices: `read` is multiplied with the recurrent kernel; `finish` is made of the
    /// parts of the two arrays that it writes, of which one may be empty.
    pub fn run<'w, 'b, F: Finish<V> + Send, const V: usize>(
        &self,
        matrix: usize,
        read: &[f32],
        sums: &mut [f32],
        mut beside: impl Iterator<Item = Beside<'b>>,
        [first, second]: [&'w mut [f32]; 2],
        finish: impl Fn(&'w mut [f32], &'w mut [f32]) -> F,
    ) {
        let (rows, lanes, units) = (self.rows, self.lanes, self.reader.units);
        let (matrix, projection) = (&self.matrices[matrix], &self.projections[matrix]);
        let parts = self.machine.cut(matrix.panels);
        let a_panel = matrix.blocks * rows * lanes;
        let sums = sums.chunks_mut(sums_kept(rows) * lanes);
        let steps_panel = projection.len() / matrix.panels;
        let arrays = split(first, parts.clone(), a_panel)
            .zip(split(second, parts.clone(), a_panel))
            .zip(sums);
        let back = goes_back(matrix, self.step);
        each(
            parts.zip(arrays).map(|(panels, ((first, second), sums))| {
                let step = Step {
                    matrix,
                    read: Blocks { values: read, rows, lanes, units },
                    projection: &projection[panels.start * steps_panel..panels.end * steps_panel],
                    panels,
                    step: self.step,
                    back,
                    sums,
                    beside: beside.next(),
                    finish: finish(first, second),
                };
                move || self.machine.arch.dispatch(step)
            }),
            back.then_some(self.machine.parts),
        );
    }
}
