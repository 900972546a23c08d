#![doc = include_str!("lib.md")]
// Not forbid, which refuses what ndarray's s! expands to.
#![deny(unsafe_code)]
#![warn(missing_docs)]

mod cpu;
mod device;
mod error;
#[cfg(feature = "gpu")]
mod gpu;
mod graph;
mod host;
mod import;
pub mod layer;
mod model;
mod operator;
mod order;
mod pending;
mod portable;
mod profile;
pub mod program;
mod recovery;
pub mod reference;
mod runner;
mod session;

#[cfg(feature = "gpu")]
pub use device::GpuOptions;
pub use device::{AdapterReport, CpuOptions, Device, DeviceInfo, DeviceKind, DeviceOptions};
pub use error::{Error, Result};
#[cfg(feature = "kernel_list")]
#[doc(hidden)]
pub use gpu::{
    KernelEntry, SourceLine, kernel_list, kernel_names, kernel_settings, planned_kernel,
};
#[cfg(feature = "gpu")]
pub use gpu::{PlanAdapter, PlanReport, PlannedDispatch};
pub use import::FileFormat;
#[cfg(feature = "pytorch")]
pub use import::pytorch as torch;
#[cfg(feature = "keras")]
pub use import::{
    CustomLayer, KerasFileReport, KerasLayer, KerasLayerReport, KerasLimits, KerasOptions,
    inspect_keras, keras_operations,
};
#[cfg(feature = "onnx")]
pub use import::{
    OnnxAxis, OnnxFileReport, OnnxInputReport, OnnxNodeReport, OnnxOptions, inspect_onnx,
    onnx_operators,
};
#[doc(no_inline)]
pub use layer::{
    Activation, Bidirectional, Cell, Dense, Direction, Embedding, Gru, Initializer, Layer, Lstm,
    Masking, MergeMode, Role, SimpleRnn, TimeDistributed,
};
pub use model::{
    Call, DirectionOutputs, Graph, Inputs, LayerId, MaskOrigin, MaskOrigins, MaskRules, Model,
    Output, Outputs, OutputsMut, Summary, SummaryRow, Tensor,
};
pub use pending::Pending;
pub use portable::{PortableLimits, SaveOptions};
pub use profile::{OperatorTime, Profile, Span, Track};
pub use runner::Counters;
pub use session::Session;

/// The README's examples are compiled and run as tests.
#[cfg(all(doctest, feature = "keras", feature = "pytorch"))]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(all(doctest, feature = "pytorch"))]
#[doc = include_str!("../docs/pytorch.md")]
struct PyTorch;

#[cfg(all(doctest, feature = "onnx"))]
#[doc = include_str!("../docs/onnx.md")]
struct Onnx;
