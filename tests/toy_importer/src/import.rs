//! The files of `src/import`, without the functions of `Model` that call them: only birnn itself
//! can give its types functions.

#[path = "../../../src/import/angles.rs"]
mod angles;
#[path = "../../../src/import/einsum.rs"]
mod einsum;
#[path = "../../../src/import/keras/mod.rs"]
pub mod keras;
#[path = "../../../src/import/onnx/mod.rs"]
pub mod onnx;
#[path = "../../../src/import/operations.rs"]
mod operations;
#[path = "../../../src/import/pytorch/mod.rs"]
pub mod pytorch;
#[allow(dead_code)] // what only `Model::load` asks
#[path = "../../../src/import/recognize.rs"]
mod recognize;
