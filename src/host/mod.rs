//! What an operating system and a web page do differently: waiting, threads and clocks. Both files
//! have the same functions; nothing else in the crate blocks a thread, starts one or reads a clock.
//! (The CPU path's pools are rayon's, which falls back to the calling thread on a page.)

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(target_arch = "wasm32")]
mod web;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::*;
#[cfg(target_arch = "wasm32")]
pub(crate) use web::*;
