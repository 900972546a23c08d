//! Kernels in the order in which the vectors read them.
//!
//! The columns of the kernels are cut into panels of a few vectors of `lanes` columns each: the
//! gates of the same units side by side, so that what a tile sums up is all that the new states of
//! these units need. A panel stands in one piece, `[row of the kernel][vector][lane]`.

use crate::half::Half;
use crate::pages::Pages;
use crate::weights::Weights;
use birnn_cell::Cell;

/// Kernel, recurrent kernel and bias of some gates.
#[derive(Debug)]
pub(crate) struct Matrix {
    /// Vectors of a panel: 3 or 4.
    pub vectors: usize,
    /// Blocks of `lanes` units that a panel covers: vectors / gates.
    pub blocks: usize,
    pub panels: usize,
    /// `[panel][feature][vector][lane]`
    pub kernel: Pages<f32>,
    pub recurrent_kernel: RecurrentKernel,
    /// `[panel][vector][lane]`
    pub bias: Pages<f32>,
}

impl Matrix {
    pub fn new(columns: &Columns, weights: &Weights, half: bool) -> Matrix {
        let Columns { gates, lanes, units } = *columns;
        let recurrent_kernel =
            columns.pack(units, |row, column| weights.recurrent_kernel[[row, column]]);
        let recurrent_kernel = match half {
            true => {
                RecurrentKernel::Half(Half::new(&recurrent_kernel, units, columns.panel(), lanes))
            }
            false => RecurrentKernel::Single(recurrent_kernel),
        };
        let features = weights.kernel.nrows();
        Matrix {
            vectors: gates.columns.len() * gates.blocks,
            blocks: gates.blocks,
            panels: columns.panels(),
            kernel: columns.pack(features, |row, column| weights.kernel[[row, column]]),
            recurrent_kernel,
            bias: columns.pack(1, |_, column| weights.bias[column]),
        }
    }
}

/// The weights that every timestep reads.
#[derive(Debug)]
pub(crate) enum RecurrentKernel {
    /// `[panel][unit][vector][lane]`
    Single(Pages<f32>),
    Half(Half),
}

impl RecurrentKernel {
    /// Its bytes.
    pub fn bytes(&self) -> usize {
        match self {
            RecurrentKernel::Single(kernel) => size_of_val(&kernel[..]),
            RecurrentKernel::Half(half) => size_of_val(&half.pairs[..]),
        }
    }
}

/// The gates of a matrix.
pub(crate) struct Gates {
    /// Where they stand among those of the kernels.
    pub columns: Vec<usize>,
    /// Blocks of units in a panel, so that it has three or four vectors.
    pub blocks: usize,
}

/// Of each matrix of a cell its gates: there are as many matrices as products of the hidden state
/// that wait for one another.
pub(crate) fn matrices(cell: Cell) -> Vec<Gates> {
    let gates = [cell.first_gates(), cell.second_gates()];
    // A panel has three or four vectors.
    let matrix = |columns: Vec<usize>| Gates { blocks: (4 / columns.len()).max(1), columns };
    gates.into_iter().filter(|gates| !gates.is_empty()).map(matrix).collect()
}

/// Which columns of a kernel a matrix has.
pub(crate) struct Columns<'a> {
    pub gates: &'a Gates,
    pub lanes: usize,
    pub units: usize,
}

impl Columns<'_> {
    fn panels(&self) -> usize {
        self.units.div_ceil(self.gates.blocks * self.lanes)
    }

    /// Columns of a panel.
    fn panel(&self) -> usize {
        self.gates.blocks * self.gates.columns.len() * self.lanes
    }

    /// `[panel][row][vector][lane]`; zeros past the last unit.
    pub fn pack(&self, rows: usize, value: impl Fn(usize, usize) -> f32) -> Pages<f32> {
        let mut packed = Pages::zeros(self.panels() * rows * self.panel());
        let mut vectors = packed.chunks_exact_mut(self.lanes);
        for first in (0..self.panels()).map(|p| p * self.gates.blocks * self.lanes) {
            for row in 0..rows {
                for block in 0..self.gates.blocks {
                    for (gate, vector) in self.gates.columns.iter().zip(&mut vectors) {
                        let units = first + block * self.lanes..self.units;
                        for (unit, slot) in units.zip(vector) {
                            *slot = value(row, gate * self.units + unit);
                        }
                    }
                }
            }
        }
        packed
    }
}
