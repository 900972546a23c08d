//! What is particular to each cell: what becomes of the sums of a timestep. A file a cell (both
//! forms of the GRU in one), and a line in [`STEPS`].

mod gru;
mod lstm;
mod mgu;
mod simple_rnn;

use crate::beside::Beside;
use crate::matrix::Gates;
use crate::parts::Crew;
use crate::run::{Run, run};
use crate::timestep::{Timestep, Written};
use birnn_cell::Cell;

/// What a cell makes of a timestep.
pub(crate) trait CellStep {
    fn step<'b>(
        timestep: &Timestep<impl Crew>,
        beside: impl Iterator<Item = Beside<'b>>,
        written: Written,
    );
}

/// What runs a sequence, of the cells by their names.
const STEPS: &[(&str, Run)] = &[
    ("gru", run::<gru::Gru>),
    ("gru_reset_before", run::<gru::GruResetBefore>),
    ("lstm", run::<lstm::Lstm>),
    ("mgu", run::<mgu::Mgu>),
    ("simple_rnn", run::<simple_rnn::SimpleRnn>),
];

/// What runs a sequence of the cell.
pub(crate) fn run_of(cell: Cell) -> Option<Run> {
    STEPS.iter().find(|(name, _)| *name == cell.name()).map(|(_, run)| *run)
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
            assert!(run_of(*cell).is_some(), "{cell:?}");
        }
        assert_eq!(STEPS.len(), Cell::ALL.len());
    }
}
