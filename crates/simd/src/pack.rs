//! A direction's weights in the order in which the vectors read them.

use crate::cells;
use crate::matrix::{Columns, Gates, Matrix};
use crate::pages::Pages;
use crate::reader::{Reader, Weights};
use crate::small::{Small, UNITS};

/// A direction's weights, ready for vectors of `lanes` values.
#[derive(Debug)]
pub struct Packed {
    pub(crate) reader: Reader,
    pub(crate) lanes: usize,
    pub(crate) features: usize,
    /// One, but for a GRU with reset_after false: its candidate's recurrent matmul reads what the
    /// gates computed.
    pub(crate) matrices: Vec<Matrix>,
    /// GRU with reset_after: the candidate's recurrent bias, `[block][lane]`.
    pub(crate) recurrent_bias: Pages<f32>,
    /// Instead of all that, for few units.
    pub(crate) small: Option<Small>,
}

impl Packed {
    /// With `half` the recurrent kernel is kept in 16 bits a weight. `lanes` are those of the
    /// instruction set that it will run on.
    pub fn new(reader: Reader, weights: Weights, lanes: usize, half: bool) -> Packed {
        let features = weights.kernel.nrows();
        let (matrices, recurrent_bias) = (Vec::new(), Pages::zeros(0));
        let mut packed = Packed { reader, lanes, features, matrices, recurrent_bias, small: None };
        if reader.units <= UNITS {
            packed.small = Some(Small::new(&reader, &weights));
            return packed;
        }
        let bias = cells::bias(reader.cell, &weights);
        let matrix = |gates: &Gates| {
            let columns = Columns { gates, lanes, units: reader.units };
            Matrix::new(&columns, &weights, &bias, half)
        };
        packed.matrices = cells::matrices(reader.cell).iter().map(matrix).collect();
        if cells::has_recurrent_bias(reader.cell) {
            let candidate = &Gates { columns: &[2], blocks: 1 };
            packed.recurrent_bias = Columns { gates: candidate, lanes, units: reader.units }
                .pack(1, |_, column| weights.recurrent_bias[column]);
        }
        packed
    }

    /// Blocks of units that the states are kept in, those that only fill up a panel included.
    pub(crate) fn blocks(&self) -> usize {
        self.matrices.iter().map(|matrix| matrix.panels * matrix.blocks).max().unwrap_or(0)
    }

    /// What each timestep reads of it.
    pub fn recurrent_bytes(&self) -> usize {
        self.matrices.iter().map(|matrix| matrix.recurrent_kernel.bytes()).sum()
    }
}
