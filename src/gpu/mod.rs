//! The GPU path.
//!
//! When a model is compiled, [`network`] turns its recurrent layers into groups of directions that
//! share kernel launches and packs their weights, [`parameters`] packs the weights of the other
//! layers, and [`session`] uploads them and has the kernels built ([`kernel`], [`pipelines`]).
//!
//! In a call [`plan`] turns the shapes into a list of launches, without a device; [`session`]
//! uploads the inputs; [`encode`] submits the launches; and [`readback`] waits for them and reads
//! the outputs back. Inputs and outputs go through the buffers of [`staging`].

#[cfg(feature = "autotune")]
mod autotune;
mod device;
mod encode;
mod kernel;
#[cfg(feature = "kernel_list")]
mod listing;
mod network;
mod parameters;
mod pipelines;
mod plan;
mod readback;
mod session;
mod software;
mod staging;

pub use plan::{PlanAdapter, PlanReport, PlannedDispatch};

pub(crate) use device::{GpuDevice, adapters};
#[cfg(feature = "kernel_list")]
pub use kernel::SourceLine;
#[cfg(feature = "kernel_list")]
pub use listing::{KernelEntry, kernel_list, kernel_names, kernel_settings, planned_kernel};
pub(crate) use readback::{Flight, Wait};
pub(crate) use session::GpuSession;
pub(crate) use staging::IN_FLIGHT;
