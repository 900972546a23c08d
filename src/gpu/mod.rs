//! The GPU path. The way of a call: [`network`] lowers the layers to groups of directions that share kernel
//! launches and packs their weights, [`parameters`] packs the others'; [`plan`] turns a shape into a list of launches (pure, no device);
//! [`session`] encodes and submits them; [`readback`] waits and brings the outputs home.

mod device;
mod kernels;
mod network;
mod parameters;
mod plan;
mod readback;
mod session;

pub(crate) use device::{GpuDevice, adapters};
pub(crate) use session::GpuSession;
