//! Files to models. Nothing else in this crate knows a file format.

mod keras;
mod recognize;

pub(crate) use keras::KerasConfig;
pub use keras::{KerasFileReport, KerasLayerReport, KerasLimits, inspect_keras};
