//! Model files of Keras, ONNX, PyTorch and birnn's own form: what is read of them, and what the
//! models compute on each backend beside what the frameworks computed.

#[cfg(any(feature = "keras", feature = "onnx", feature = "pytorch"))]
mod common;
#[cfg(feature = "gpu")]
#[path = "../common/device.rs"]
mod device;
#[cfg(feature = "keras")]
mod layers;
#[path = "../common/random_layers.rs"]
mod random_layers;
#[cfg(any(feature = "keras", feature = "pytorch"))]
mod tables;

#[cfg(feature = "keras")]
mod accuracy;
#[cfg(feature = "keras")]
mod arguments;
#[cfg(feature = "keras")]
mod keras_custom;
#[cfg(feature = "keras")]
mod keras_files;
#[cfg(all(feature = "gpu", feature = "keras"))]
mod keras_gpu;
#[cfg(feature = "keras")]
mod keras_layers;
#[cfg(all(feature = "keras", feature = "reference"))]
mod keras_operations;
#[cfg(all(feature = "onnx", feature = "reference"))]
mod onnx_files;
mod places;
mod portable;
#[cfg(feature = "pytorch")]
mod real_torch;
#[cfg(feature = "keras")]
mod support;
#[cfg(feature = "pytorch")]
mod torch_files;
