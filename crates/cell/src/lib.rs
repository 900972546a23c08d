//! What a recurrent cell is: its gates, its states and its activation functions with their
//! formulas. All of [birnn](https://docs.rs/birnn) stands on these words; use that crate, which
//! shows them under its own name.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod activation;
mod cell;
mod formula;
mod gru;
mod lstm;
mod mgu;
mod options;
mod reader;
mod simple_rnn;
mod timestep;

pub use activation::{Activation, Parameter};
pub use cell::{Cell, Description, Gate, GateActivation, HiddenProduct, UnitWeight, WeightRole};
pub use formula::activate;
pub use options::CellOptions;
pub use reader::Reader;
pub use timestep::{CellWeights, Formula, GateValues, Real, State, Timestep};

impl Cell {
    /// Every cell, without options: the registry.
    pub const ALL: &'static [Cell] =
        &[Cell::LSTM, Cell::GRU, Cell::GRU_RESET_BEFORE, Cell::SIMPLE_RNN, Cell::MGU];
}
