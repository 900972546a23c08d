//! The GPU path.
//!
//! In a call [`plan`] turns the graph of operators into a list of launches, without a device;
//! [`workspace`] binds buffers to them and keeps all that for the next call of these shapes;
//! [`session`] uploads the inputs; [`encode`] submits the launches; and [`flight`] waits for them
//! and reads back the outputs ([`readback`]). Inputs and outputs go through the buffers of
//! [`staging`]. [`pace`] learns how much work a submit should have; [`recording`] and [`stamps`]
//! note how long each launch of a call takes that is profiled; `tune` times the planner's choices,
//! and `autotune` remembers the fastest. [`meeting`] finds out how many workgroups may wait for
//! each other, and [`residency`] remembers it.
//!
//! When a model is compiled, [`session`] makes the plan of a small call: the weights that it reads
//! are packed ([`pack`]) and uploaded, and its kernels built ([`kernel`], [`pipelines`]) on the
//! [`device`], which [`adapter`] chose. What only other calls need follows when they come.

mod adapter;
#[cfg(feature = "autotune")]
mod autotune;
mod calls;
mod device;
mod encode;
mod flight;
mod kernel;
mod limits;
#[cfg(feature = "kernel_list")]
mod listing;
mod meeting;
#[cfg(test)]
mod operator_fixtures;
#[cfg(test)]
mod operator_tests;
mod pace;
mod pack;
#[cfg(test)]
mod persistent_tests;
mod pipelines;
mod plan;
#[cfg(test)]
mod product_tests;
mod readback;
mod recording;
mod residency;
mod session;
mod software;
mod staging;
mod stamps;
mod timer;
#[cfg(feature = "autotune")]
mod tune;
mod upload;
mod weights;
mod workspace;

pub use plan::{PlanAdapter, PlanReport, PlannedDispatch};

pub(crate) use adapter::adapters;
pub(crate) use device::GpuDevice;
#[cfg(feature = "kernel_list")]
pub use kernel::SourceLine;
#[cfg(feature = "kernel_list")]
pub use listing::{KernelEntry, kernel_list, kernel_names, kernel_settings, planned_kernel};
pub(crate) use meeting::open;
pub(crate) use session::GpuSession;
