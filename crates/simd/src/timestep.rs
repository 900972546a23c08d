//! One timestep of a direction: all panels of a matrix, in parts that threads share.

use crate::lines::Lines;
use crate::matmul::Blocks;
use crate::matrix::Matrix;
use crate::pages::Pages;
use crate::parts::{Crew, split};
use crate::product_beside::ProductBeside;
use crate::step::{Finish, States, Step, is_read_there_and_back, sums_kept};
use birnn_cell::Reader;
use std::ops::Range;

/// What a timestep reads.
pub(crate) struct Timestep<'a, C> {
    pub crew: C,
    pub reader: &'a Reader,
    pub matrices: &'a [Matrix],
    /// Those of the cell, each `[block][lane]`.
    pub unit_weights: &'a [Pages<f32>],
    /// Of each matrix, `[panel][step of the chunk][row][vector][lane]`.
    pub projections: &'a [Lines<f32>],
    /// Of the chunk.
    pub timesteps: usize,
    /// Counted from the first of the chunk.
    pub step: usize,
    /// Whether a large recurrent kernel is read from its end to its start.
    pub turns_back: bool,
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

/// What a cell makes of a timestep.
pub(crate) trait CellStep {
    fn step<'b>(
        timestep: &Timestep<impl Crew>,
        beside: impl Iterator<Item = ProductBeside<'b>>,
        written: Written,
    );
}

impl<'a, C: Crew> Timestep<'a, C> {
    /// The states before it, and a part of those after it.
    pub fn states(&self, next: &'a mut [f32]) -> States<'a> {
        States { hidden: self.hidden, next, mask: self.mask, reader: self.reader }
    }

    /// One of its matrices: `read` is multiplied with the recurrent kernel; `finish` is made of the
    /// parts of the two arrays that it writes, of which one may be empty.
    #[inline(always)]
    pub fn run<'w, 'b, F: Finish<V> + Send, const V: usize>(
        &self,
        matrix: usize,
        read: &[f32],
        sums: &mut [f32],
        mut beside: impl Iterator<Item = ProductBeside<'b>>,
        [first, second]: [&'w mut [f32]; 2],
        finish: impl Fn(&'w mut [f32], &'w mut [f32]) -> F,
    ) {
        let panels = self.matrices[matrix].panels;
        if self.crew.parts() == 1 {
            let finish = finish(first, second);
            let step = self.part(matrix, 0..panels, read, sums, beside.next(), finish);
            return self.crew.for_each(std::iter::once(step));
        }
        let parts = self.crew.cut(panels);
        let a_panel = self.matrices[matrix].blocks * self.rows * self.lanes;
        let arrays =
            split(first, parts.clone(), a_panel).zip(split(second, parts.clone(), a_panel));
        let sums = sums.chunks_mut(sums_kept(self.rows) * self.lanes);
        self.crew.for_each(parts.zip(arrays).zip(sums).map(|((panels, (first, second)), sums)| {
            self.part(matrix, panels, read, sums, beside.next(), finish(first, second))
        }));
    }

    /// What is to be done for some panels.
    #[inline(always)]
    fn part<'s, F, const V: usize>(
        &'s self,
        matrix: usize,
        panels: Range<usize>,
        read: &'s [f32],
        sums: &'s mut [f32],
        beside: Option<ProductBeside<'s>>,
        finish: F,
    ) -> Step<'s, F, V> {
        let (matrix, projection) = (&self.matrices[matrix], &self.projections[matrix][..]);
        let a_panel = self.timesteps * self.rows * matrix.vectors * self.lanes;
        Step {
            matrix,
            read: Blocks {
                values: read,
                rows: self.rows,
                lanes: self.lanes,
                units: self.reader.units,
            },
            projection: &projection[panels.start * a_panel..panels.end * a_panel],
            panels,
            timesteps: self.timesteps,
            step: self.step,
            back: self.turns_back && is_read_there_and_back(matrix),
            sums,
            beside,
            finish,
        }
    }
}
