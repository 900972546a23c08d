//! The program `birnn`, run as a user runs it.
#![cfg(feature = "cli")]

#[path = "../common/device.rs"]
mod device;

mod commands;
mod convert;
mod program;
