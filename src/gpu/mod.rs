//! The GPU path.
//!
//! When a model is compiled, [`network`] turns its recurrent layers into groups of directions that
//! share kernel launches and packs their weights, [`parameters`] packs the weights of the other
//! layers, and [`weights`] uploads them; [`session`] has the kernels built ([`kernels`],
//! [`pipelines`]) on the [`device`], which [`adapter`] chose.
//!
//! In a call [`plan`] turns the shapes into a list of launches, without a device; [`workspace`] binds
//! buffers to them and keeps all that for the next call of these shapes; [`session`] uploads the
//! inputs; [`encode`] submits the launches; and [`readback`] waits for them and reads the outputs
//! back. Inputs and outputs go through the buffers of [`staging`]. [`pace`] learns how much work a
//! submit should have; `tune` times the planner's choices, and `autotune` remembers the fastest.

mod adapter;
#[cfg(feature = "autotune")]
mod autotune;
mod device;
mod encode;
mod kernel;
#[cfg(feature = "kernel_list")]
mod listing;
mod network;
mod pace;
mod parameters;
mod pipelines;
mod plan;
mod readback;
mod session;
mod software;
mod staging;
mod timer;
#[cfg(feature = "autotune")]
mod tune;
mod weights;
mod workspace;

pub use plan::{PlanAdapter, PlanReport, PlannedDispatch};

pub(crate) use adapter::adapters;
pub(crate) use device::GpuDevice;
#[cfg(feature = "kernel_list")]
pub use kernel::SourceLine;
#[cfg(feature = "kernel_list")]
pub use listing::{KernelEntry, kernel_list, kernel_names, kernel_settings, planned_kernel};
pub(crate) use session::GpuSession;
