//! From a graph of operators and the device's limits to a list of kernel launches. Pure: nothing
//! here needs a device.
//!
//! A recurrence runs in chunks of timesteps ([`recurrent`]); the other operators are a launch or a
//! few each, in a file for each family. An array's vectors of features are filled up to a multiple
//! of four ([`layout`]). Arrays of operators that go along time are cut into segments that fit a
//! binding ([`segments`]), and a chunk ends where a segment does. A batch too large for the memory
//! budget runs in parts ([`rows`]).
//!
//! The kernels count in `u32`. Casts to it lose nothing: the numbers count elements of bindings,
//! which have fewer than 2^32 bytes.

mod affine;
mod array;
mod attention;
mod binary;
mod choice;
mod combine;
mod differs;
mod gather;
mod launch;
mod layout;
mod matmul;
mod moving;
mod normalize;
mod operators;
mod persistent;
mod planner;
mod pool;
mod recurrent;
mod reduce;
mod report;
mod rows;
mod segments;
mod tuned;
mod unary;
mod walk;
mod weight;
mod windows;

pub(super) use launch::{BufferId, EXCHANGE_HEAD, Launch, Placed, Plan, STEP_TABLE, Stage, Tuned};
pub(super) use layout::ArrayLayout;
pub(super) use operators::plan;
pub(super) use persistent::footprint;
pub use report::{PlanAdapter, PlanReport, PlannedDispatch};
pub(super) use rows::rows_at_once;
pub(super) use weight::{ConstantLayout, RecurrentWeight, Weight, WeightPart};

#[cfg(test)]
mod tests;
