//! What is particular to each cell: the gates that stand side by side in its matrices, and what
//! becomes of the sums of a timestep.

mod gru;
mod lstm;
mod simple_rnn;

use crate::beside::Beside;
use crate::matrix::Gates;
use crate::reader::Weights;
use crate::timestep::{Timestep, Written};
use birnn_cell::Cell;

/// Of each matrix of a cell its gates: there are as many matrices as products of the hidden state
/// that wait for one another.
pub(crate) fn matrices(cell: Cell) -> &'static [Gates] {
    match cell {
        Cell::Lstm => lstm::MATRICES,
        Cell::Gru { reset_after: true } => gru::RESET_AFTER,
        Cell::Gru { reset_after: false } => gru::RESET_BEFORE,
        Cell::SimpleRnn => simple_rnn::MATRICES,
    }
}

/// The bias that the projection starts from, of all gates.
pub(crate) fn bias(cell: Cell, weights: &Weights) -> Vec<f32> {
    match cell {
        Cell::Gru { reset_after: true } => gru::bias(weights),
        _ => weights.bias.to_vec(),
    }
}

/// Whether the product of the candidate has a bias of its own.
pub(crate) fn has_recurrent_bias(cell: Cell) -> bool {
    cell == Cell::Gru { reset_after: true }
}

/// Whether [`Written`] needs its update gate and reset hidden state.
pub(crate) fn keeps_gates(cell: Cell) -> bool {
    cell == Cell::Gru { reset_after: false }
}

/// Runs a timestep.
pub(crate) fn step<'a>(
    timestep: &Timestep<'a>,
    beside: impl Iterator<Item = Beside<'a>>,
    written: Written<'a>,
) {
    match timestep.reader.cell {
        Cell::Lstm => lstm::step(timestep, beside, written),
        Cell::Gru { reset_after: true } => gru::step(timestep, beside, written),
        Cell::Gru { reset_after: false } => gru::step_reset_before(timestep, beside, written),
        Cell::SimpleRnn => simple_rnn::step(timestep, beside, written),
    }
}
