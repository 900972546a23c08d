use crate::cells;
use crate::pack::PackedWeights;
use crate::parts::Machine;
use crate::run::{Run, Scratch};
use crate::sequence::Sequence;
use crate::weights::Weights;
use birnn_cell::Cell;

/// The weights of a direction, ready to run.
#[derive(Debug)]
pub struct Packed {
    weights: PackedWeights,
    /// What runs a sequence of the cell.
    run: Run,
}

impl Packed {
    /// With `half` the recurrent kernel is kept in 16 bits a weight. `lanes` are those of the
    /// instruction set that it will run on. `None`: no step was written for the cell.
    pub fn new(cell: Cell, weights: Weights, lanes: usize, half: bool) -> Option<Packed> {
        let run = cells::run_of(cell)?;
        Some(Packed { weights: PackedWeights::new(cell, weights, lanes, half), run })
    }

    /// Runs a sequence, whose reader has the same cell, from its first timestep to the last.
    pub fn run(&self, sequence: Sequence, machine: Machine, scratch: &mut Scratch) {
        (self.run)(&self.weights, sequence, machine, scratch);
    }

    /// What each timestep reads of the weights.
    pub fn recurrent_bytes(&self) -> usize {
        self.weights.recurrent_bytes()
    }
}
