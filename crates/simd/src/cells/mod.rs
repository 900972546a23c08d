//! What is particular to each cell: what becomes of the sums of a timestep. A file a cell (both
//! forms of the GRU in one), and a line in [`STEPS`].

mod gru;
mod lstm;
mod mgu;
mod simple_rnn;

use crate::beside::Beside;
use crate::matrix::Gates;
use crate::timestep::{Timestep, Written};
use birnn_cell::Cell;

/// Runs a timestep of a cell.
pub(crate) type Step = for<'a> fn(&Timestep<'a>, &mut dyn Iterator<Item = Beside<'a>>, Written<'a>);

/// Of the cells by their names.
const STEPS: &[(&str, Step)] = &[
    ("gru", gru::step),
    ("gru_reset_before", gru::step_reset_before),
    ("lstm", lstm::step),
    ("mgu", mgu::step),
    ("simple_rnn", simple_rnn::step),
];

/// What runs a timestep of the cell.
pub(crate) fn step(cell: Cell) -> Option<Step> {
    STEPS.iter().find(|(name, _)| *name == cell.name()).map(|(_, step)| *step)
}

/// Of each matrix of a cell its gates: there are as many matrices as products of the hidden state
/// that wait for one another.
pub(crate) fn matrices(cell: Cell) -> Vec<Gates> {
    let gates = [cell.first_gates(), cell.second_gates()];
    // A panel has three or four vectors.
    let matrix = |columns: Vec<usize>| Gates { blocks: (4 / columns.len()).max(1), columns };
    gates.into_iter().filter(|gates| !gates.is_empty()).map(matrix).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_has_its_step() {
        for cell in Cell::ALL {
            assert!(step(*cell).is_some(), "{cell:?}");
        }
        assert_eq!(STEPS.len(), Cell::ALL.len());
    }
}
