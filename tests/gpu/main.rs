//! The GPU path: its numbers against the reference and itself, what a session does on a device, and
//! every kernel in every setting.
#![cfg(feature = "gpu")]

#[path = "../common/device.rs"]
mod device;

#[cfg(feature = "reference")]
mod device_faults;
mod in_flight;
mod layers;
mod limits;
mod random;
mod session;
mod stacks;
#[cfg(feature = "kernel_list")]
mod tint;
#[cfg(feature = "kernel_list")]
mod translation;
