//! A direction's weights in the order in which the vectors read them.
//!
//! The columns of the kernels are cut into panels of a few vectors of `lanes` columns each: the
//! gates of the same units side by side, so that what a tile sums up is all that the new states of
//! these units need. A panel stands in one piece, `[row of the kernel][vector][lane]`.

use super::half::Half;
use super::pages::Pages;
use super::small::{Small, UNITS};
use crate::layer::{Cell, Recurrent, Weights};

/// Kernel, recurrent kernel and bias of some gates.
#[derive(Debug)]
pub(super) struct Matrix {
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

/// The weights that every timestep reads.
#[derive(Debug)]
pub(super) enum RecurrentKernel {
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

/// A direction's weights.
#[derive(Debug)]
pub(super) struct Packed {
    pub lanes: usize,
    pub units: usize,
    pub features: usize,
    /// One, but for a GRU with reset_after false: its candidate's recurrent matmul reads what the
    /// gates computed.
    pub matrices: Vec<Matrix>,
    /// GRU with reset_after: the candidate's recurrent bias, `[block][lane]`.
    pub recurrent_bias: Pages<f32>,
    /// Instead of all that, for few units.
    pub small: Option<Small>,
}

impl Packed {
    pub fn new(layer: &Recurrent, weights: &Weights, lanes: usize, half: bool) -> Packed {
        let (units, features) = (layer.units(), weights.kernel.nrows());
        if units <= UNITS {
            let small = Some(Small::new(layer, weights));
            return Packed {
                lanes,
                units,
                features,
                matrices: Vec::new(),
                recurrent_bias: Pages::zeros(0),
                small,
            };
        }
        let gates: &[(&[usize], usize)] = match layer.cell() {
            Cell::Lstm => &[(&[0, 1, 2, 3], 1)],
            Cell::Gru { reset_after: true } => &[(&[0, 1, 2], 1)],
            Cell::Gru { reset_after: false } => &[(&[0, 1], 2), (&[2], 4)],
            Cell::SimpleRnn => &[(&[0], 4)],
        };
        let reset_after = layer.cell() == Cell::Gru { reset_after: true };
        // The recurrent bias of z and r is only ever added to the other one.
        let bias: Vec<f32> = weights
            .bias
            .iter()
            .zip(&weights.recurrent_bias)
            .enumerate()
            .map(|(column, (b, r))| if column < 2 * units { b + r } else { *b })
            .collect();
        let bias = if reset_after { bias } else { weights.bias.to_vec() };
        let matrices = gates.iter().map(|(gates, blocks)| {
            let columns = Columns { gates, blocks: *blocks, lanes, units };
            let recurrent_kernel =
                columns.pack(units, |row, column| weights.recurrent_kernel[[row, column]]);
            Matrix {
                vectors: gates.len() * blocks,
                blocks: *blocks,
                panels: columns.panels(),
                kernel: columns
                    .pack(weights.kernel.nrows(), |row, column| weights.kernel[[row, column]]),
                recurrent_kernel: match half {
                    true => RecurrentKernel::Half(Half::new(
                        &recurrent_kernel,
                        units,
                        columns.panel(),
                        lanes,
                    )),
                    false => RecurrentKernel::Single(recurrent_kernel),
                },
                bias: columns.pack(1, |_, column| bias[column]),
            }
        });
        let matrices: Vec<_> = matrices.collect();
        let recurrent_bias = match reset_after {
            true => Columns { gates: &[2], blocks: 1, lanes, units }
                .pack(1, |_, column| weights.recurrent_bias[column]),
            false => Pages::zeros(0),
        };
        Packed { lanes, units, features, matrices, recurrent_bias, small: None }
    }

    /// Blocks of units that the states are kept in, those that only fill up a panel included.
    pub fn blocks(&self) -> usize {
        self.matrices.iter().map(|matrix| matrix.panels * matrix.blocks).max().unwrap_or(0)
    }

    /// What each timestep reads of it.
    pub fn recurrent_bytes(&self) -> usize {
        self.matrices.iter().map(|matrix| matrix.recurrent_kernel.bytes()).sum()
    }
}

/// Which columns of a kernel a matrix has.
struct Columns<'a> {
    gates: &'a [usize],
    blocks: usize,
    lanes: usize,
    units: usize,
}

impl Columns<'_> {
    fn panels(&self) -> usize {
        self.units.div_ceil(self.blocks * self.lanes)
    }

    /// Columns of a panel.
    fn panel(&self) -> usize {
        self.blocks * self.gates.len() * self.lanes
    }

    /// `[panel][row][vector][lane]`; zeros past the last unit.
    fn pack(&self, rows: usize, value: impl Fn(usize, usize) -> f32) -> Pages<f32> {
        let mut packed = Pages::zeros(self.panels() * rows * self.panel());
        let mut vectors = packed.chunks_exact_mut(self.lanes);
        for first in (0..self.panels()).map(|p| p * self.blocks * self.lanes) {
            for row in 0..rows {
                for block in 0..self.blocks {
                    for (gate, vector) in self.gates.iter().zip(&mut vectors) {
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
