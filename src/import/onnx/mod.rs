//! ONNX models: a graph of nodes on arrays, which becomes a [`Program`](crate::program::Program).
//! Everything in a file is untrusted.
//!
//! The way of a file, which is also the order in which to read; no file uses one further down:
//!
//! * [`wire`] is protobuf's format, [`proto`] the messages in it, which borrow from the file.
//! * [`external`] reads values from files beside the model's, [`tensor`] makes arrays of them.
//! * [`importer`] is the program in the making, and a node at work; [`attributes`] reads a node's
//!   attributes.
//! * [`nodes`] has a function for each of ONNX's operators.
//! * [`load`] does all of it, as the caller's [`options`] say; [`inspect`] reports on a file,
//!   whether it can be loaded or not.

mod attributes;
mod external;
mod importer;
mod inspect;
mod load;
mod nodes;
mod options;
mod proto;
mod tensor;
mod wire;

pub use inspect::{
    OnnxAxis, OnnxFileReport, OnnxInputReport, OnnxNodeReport, inspect_onnx, onnx_operators,
};
pub use options::OnnxOptions;
