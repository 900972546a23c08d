//! What a recurrent cell is: its gates, its states and its activation functions with their
//! formulas. All of [birnn](https://docs.rs/birnn) stands on these words; use that crate, which
//! shows them under its own name.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod activation;
mod cell;
mod formula;

pub use activation::{Activation, Parameter};
pub use cell::Cell;
pub use formula::activate;
