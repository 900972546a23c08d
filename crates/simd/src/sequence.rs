use birnn_cell::Reader;
use ndarray::{ArrayView2, ArrayView3, ArrayViewMut2, ArrayViewMut3, Axis};

/// What a direction reads and writes for some rows of the batch.
#[derive(Debug)]
pub struct Sequence<'a> {
    /// The cell, and how it reads and writes.
    pub reader: &'a Reader,
    /// `[rows, timesteps, features]`; of a timestep the features stand in one piece.
    pub x: ArrayView3<'a, f32>,
    /// Rows of the batch.
    pub rows: usize,
    /// Timesteps of each row.
    pub timesteps: usize,
    /// `[rows, timesteps]`: whether a timestep counts.
    pub mask: Option<ArrayView2<'a, bool>>,
    /// Where the output goes.
    pub output: Output<'a>,
    /// `[rows, units]`: the initial states, and in the end the final ones.
    pub hidden: ArrayViewMut2<'a, f32>,
    /// The same of the cell states, if the cell has them.
    pub cell: Option<ArrayViewMut2<'a, f32>>,
}

/// Where the output goes.
#[derive(Debug)]
pub enum Output<'a> {
    /// `[rows, timesteps, units]` in the order in which the direction reads.
    Every(ArrayViewMut3<'a, f32>),
    /// `[rows, units]`
    Last(ArrayViewMut2<'a, f32>),
}

impl<'a> Output<'a> {
    /// Some rows each.
    pub fn groups(self, rows: usize) -> Vec<Output<'a>> {
        let mut groups = Vec::new();
        let mut rest = self;
        while let Some((group, after)) = rest.split(rows) {
            groups.push(group);
            rest = after;
        }
        groups
    }

    fn split(self, rows: usize) -> Option<(Output<'a>, Output<'a>)> {
        match self {
            Output::Every(array) if !array.is_empty() => {
                let rows = rows.min(array.len_of(Axis(0)));
                let (group, after) = array.split_at(Axis(0), rows);
                Some((Output::Every(group), Output::Every(after)))
            }
            Output::Last(array) if !array.is_empty() => {
                let rows = rows.min(array.len_of(Axis(0)));
                let (group, after) = array.split_at(Axis(0), rows);
                Some((Output::Last(group), Output::Last(after)))
            }
            _ => None,
        }
    }
}
