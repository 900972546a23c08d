//! A direction's weights in the order in which the vectors read them.

use crate::matrix::{Columns, Gates, Matrix, matrices};
use crate::pages::Pages;
use crate::weights::Weights;
use birnn_cell::Cell;
use ndarray::ArrayView1;

/// A direction's weights, ready for vectors of `lanes` values.
#[derive(Debug)]
pub(crate) struct PackedWeights {
    pub lanes: usize,
    /// One, or two: the second one's recurrent matmul reads what the gates of the first computed.
    pub matrices: Vec<Matrix>,
    /// What each unit has one value of, as a recurrent bias or a peephole: each `[block][lane]`.
    pub unit_weights: Vec<Pages<f32>>,
}

impl PackedWeights {
    /// With `half` the recurrent kernel is kept in 16 bits a weight. `lanes` are those of the
    /// instruction set that it will run on.
    pub fn new(cell: Cell, weights: Weights, lanes: usize, half: bool) -> PackedWeights {
        let units = weights.recurrent_kernel.nrows();
        let mut packed = PackedWeights { lanes, matrices: Vec::new(), unit_weights: Vec::new() };
        let matrix = |gates: &Gates| {
            let columns = Columns { gates, lanes, units };
            Matrix::new(&columns, &weights, half)
        };
        packed.matrices = matrices(cell).iter().map(matrix).collect();
        let one = &Gates { columns: vec![0], blocks: 1 };
        let columns = Columns { gates: one, lanes, units };
        let of_units = |weight: &ArrayView1<f32>| columns.pack(1, |_, unit| weight[unit]);
        packed.unit_weights = weights.unit_weights.iter().map(of_units).collect();
        packed
    }

    /// Blocks of units that the states are kept in, those that only fill up a panel included.
    pub fn blocks(&self) -> usize {
        self.matrices.iter().map(|matrix| matrix.panels * matrix.blocks).max().unwrap_or(0)
    }

    /// Whether nothing of a timestep can be shared.
    pub fn is_one_panel(&self) -> bool {
        self.matrices.iter().all(|matrix| matrix.panels == 1)
    }

    /// What each timestep reads of it.
    pub fn recurrent_bytes(&self) -> usize {
        self.matrices.iter().map(|matrix| matrix.recurrent_kernel.bytes()).sum()
    }
}
