//! Damaged and hostile model files: each loads or is an error, soon, without a panic and without
//! much memory. A program of its own, because the memory that is measured is the process's.

#[cfg(any(feature = "keras", feature = "onnx", feature = "pytorch"))]
mod files;

#[cfg(feature = "keras")]
mod keras;
#[cfg(feature = "onnx")]
mod onnx;
#[cfg(all(feature = "keras", feature = "onnx"))]
mod portable;
#[cfg(feature = "pytorch")]
mod torch;
