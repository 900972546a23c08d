//! The GPU path. The way of a call: [`network`] lowers the layers to groups of directions that
//! share kernel launches and packs their weights, [`parameters`] packs the others'; [`plan`] turns
//! a shape into a list of launches (pure, no device); [`session`] uploads the inputs and has the
//! kernels built ([`kernels`], [`pipelines`]), [`encode`] submits the launches; [`readback`] waits
//! and brings the outputs home, by the buffers of [`staging`].

#[cfg(feature = "autotune")]
mod autotune;
mod device;
mod encode;
mod kernels;
#[cfg(feature = "kernel_list")]
mod listing;
mod network;
mod parameters;
mod pipelines;
mod plan;
mod readback;
mod session;
#[cfg(any(test, feature = "kernel_list"))]
mod settings;
mod staging;

pub use plan::{PlanAdapter, PlanReport, PlannedDispatch};

pub(crate) use device::{GpuDevice, adapters};
#[cfg(feature = "kernel_list")]
pub use listing::{KernelEntry, kernel_list, kernel_settings};
pub(crate) use readback::{Flight, Wait};
pub(crate) use session::GpuSession;
pub(crate) use staging::IN_FLIGHT;
