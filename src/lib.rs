#![doc = include_str!("lib.md")]
// Not forbid, which refuses what ndarray's s! expands to.
#![deny(unsafe_code)]
#![warn(missing_docs)]

mod cpu;
mod device;
mod error;
#[cfg(feature = "gpu")]
mod gpu;
#[cfg(feature = "keras")]
mod import;
pub mod layer;
mod model;
mod order;
mod recovery;
pub mod reference;
mod session;

pub use device::{AdapterReport, Device, DeviceInfo, DeviceKind, DeviceOptions};
pub use error::{Error, Result};
#[cfg(feature = "kernel_list")]
#[doc(hidden)]
pub use gpu::{KernelEntry, kernel_list, kernel_settings};
#[cfg(feature = "gpu")]
pub use gpu::{PlanAdapter, PlanReport, PlannedDispatch};
#[cfg(feature = "keras")]
pub use import::{KerasFileReport, KerasLayerReport, KerasLimits, inspect_keras};
#[doc(no_inline)]
pub use layer::{
    Activation, Bidirectional, Cell, Dense, Direction, Embedding, Gru, Initializer, Layer, Lstm,
    Masking, MergeMode, SimpleRnn, TimeDistributed,
};
pub use model::{
    Call, DirectionOutputs, Graph, Inputs, LayerId, MaskOrigin, MaskOrigins, MaskRules, Model,
    Output, Outputs, Role, Summary, SummaryRow, Tensor,
};
pub use session::{Counters, Pending, Session};

/// The README's examples are compiled and run as tests.
#[cfg(all(doctest, feature = "keras"))]
#[doc = include_str!("../README.md")]
struct Readme;
