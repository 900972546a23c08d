//! What is particular to each cell: what becomes of the sums of a timestep. A file a cell (both
//! forms of the GRU in one), and a line in [`STEPS`].

mod gru;
mod lstm;
mod mgu;
mod simple_rnn;

use crate::run::{Run, run};
use birnn_cell::Cell;

/// What runs a sequence, of the cells by their names.
const STEPS: &[(&str, Run)] = &[
    ("gru", run::<gru::Gru>),
    ("gru_reset_before", run::<gru::GruResetBefore>),
    ("lstm", run::<lstm::Lstm>),
    ("mgu", run::<mgu::Mgu>),
    ("simple_rnn", run::<simple_rnn::SimpleRnn>),
];

/// What runs a sequence of the cell. `tests/cpu_cells` runs every cell; a test here would have all
/// of them compiled a second time.
pub(crate) fn run_of(cell: Cell) -> Option<Run> {
    STEPS.iter().find(|(name, _)| *name == cell.name()).map(|(_, run)| *run)
}
