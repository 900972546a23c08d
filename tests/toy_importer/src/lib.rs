//! Reads models of a small text format, with nothing but birnn's public interface: what an importer
//! of another crate can do. `tests/toy.rs` runs such models.
//!
//! [`import`] compiles birnn's own importers here, outside of birnn, so that they can't use what
//! is private there.

pub mod import;
mod toy;

pub use toy::{Comments, read};

// The importers name birnn's items as `crate::…`.
pub use birnn::*;
