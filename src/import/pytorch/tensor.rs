//! The tensors of a file: what they are, and their values.

use super::limits::TorchLimits;
use super::messages::malformed;
use crate::Result;
use ndarray::{ArrayD, ArrayView, IxDyn, ShapeBuilder};
use std::fmt;
use std::sync::Arc;

/// A type of values that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Float {
    F16,
    Bf16,
    F32,
    F64,
}

/// What a tensor's values are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Dtype {
    Float(Float),
    /// Whole numbers and others, whose values nobody asks for: their name and size in bytes.
    Other(String, usize),
}

impl Dtype {
    /// Its size in bytes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Dtype::Float(Float::F16 | Float::Bf16) => 2,
            Dtype::Float(Float::F32) => 4,
            Dtype::Float(Float::F64) => 8,
            Dtype::Other(_, bytes) => *bytes,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dtype::Float(Float::F16) => "f16",
            Dtype::Float(Float::Bf16) => "bf16",
            Dtype::Float(Float::F32) => "f32",
            Dtype::Float(Float::F64) => "f64",
            Dtype::Other(name, _) => name,
        })
    }
}

/// A tensor: a view of bytes, which others may share.
#[derive(Clone)]
pub(super) struct FileTensor {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// How many values further the next index of each axis is.
    pub strides: Vec<usize>,
    pub bytes: Arc<Vec<u8>>,
    /// Where in `bytes` its first value begins.
    pub start: usize,
}

impl fmt::Debug for FileTensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {:?}", self.name, self.dtype, self.shape)
    }
}

impl FileTensor {
    /// How many bytes its values take by themselves; none where that is beyond all bounds.
    fn size(&self) -> Option<usize> {
        let product = |product: usize, &length: &usize| product.checked_mul(length);
        self.shape.iter().try_fold(self.dtype.bytes(), product)
    }

    /// The bytes from its first value to its last one; none where they aren't there.
    fn window(&self) -> Option<&[u8]> {
        if self.shape.contains(&0) {
            return Some(&[]);
        }
        let mut last = 0usize;
        for (&length, &stride) in self.shape.iter().zip(&self.strides) {
            last = last.checked_add(stride.checked_mul(length - 1)?)?;
        }
        let bytes = last.checked_add(1)?.checked_mul(self.dtype.bytes())?;
        self.bytes.get(self.start..self.start.checked_add(bytes)?)
    }

    /// The type of its values, which has to be one that is read.
    pub(super) fn float(&self, file: &str) -> Result<Float> {
        match &self.dtype {
            Dtype::Float(float) => Ok(*float),
            Dtype::Other(dtype, _) => {
                let reason = format!("is {dtype}; only f16, bf16, f32 and f64 are read");
                malformed(file, format!("tensor {:?} {reason}", self.name))
            }
        }
    }

    /// Its values in f32.
    pub(super) fn array(&self, file: &str) -> Result<ArrayD<f32>> {
        let wrong = |reason: String| malformed(file, format!("tensor {:?} {reason}", self.name));
        let float = self.float(file)?;
        let Some(window) = self.window() else {
            return wrong("reaches beyond its values".to_string());
        };
        if self.shape.contains(&0) {
            return Ok(ArrayD::zeros(IxDyn(&self.shape)));
        }
        let values = values(float, window);
        let layout = IxDyn(&self.shape).strides(IxDyn(&self.strides));
        match ArrayView::from_shape(layout, &values) {
            Ok(view) => Ok(view.as_standard_layout().into_owned()),
            Err(error) => wrong(format!("of shape {:?} can't be read: {error}", self.shape)),
        }
    }
}

/// Values of a type, each with its least significant byte first.
fn values(float: Float, bytes: &[u8]) -> Vec<f32> {
    match float {
        Float::F16 => each(bytes, |bytes| half::f16::from_le_bytes(bytes).to_f32()),
        Float::Bf16 => each(bytes, |bytes| half::bf16::from_le_bytes(bytes).to_f32()),
        Float::F32 => each(bytes, f32::from_le_bytes),
        Float::F64 => each(bytes, |bytes| f64::from_le_bytes(bytes) as f32),
    }
}

fn each<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<N>().0.iter().map(|&bytes| value(bytes)).collect()
}

/// The strides of an array in C order.
pub(super) fn c_order(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis].max(1));
    }
    strides
}

/// That the tensors of a file are no more, no larger and not named longer than is sensible, have
/// names of their own, and that all their values are there.
pub(super) fn check(
    file: &str,
    tensors: &[FileTensor],
    limits: &TorchLimits,
    unpacked: u64,
) -> Result<()> {
    if tensors.len() > limits.tensors {
        let most = limits.tensors;
        let reason = format!("holds more than {most} tensors (TorchLimits::tensors)");
        return malformed(file, reason);
    }
    let mut names = std::collections::HashSet::new();
    let mut left = unpacked;
    for tensor in tensors {
        check_name(file, &tensor.name)?;
        if !names.insert(&tensor.name) {
            return malformed(file, format!("holds two tensors named {:?}", tensor.name));
        }
        left = match tensor.size().and_then(|size| left.checked_sub(size as u64)) {
            Some(left) => left,
            None => return malformed(file, too_large(&tensor.name, unpacked)),
        };
        if matches!(tensor.dtype, Dtype::Float(_)) && tensor.window().is_none() {
            let (name, shape) = (&tensor.name, &tensor.shape);
            return malformed(file, format!("tensor {name:?} {shape:?} reaches beyond its values"));
        }
    }
    Ok(())
}

fn too_large(name: &str, unpacked: u64) -> String {
    format!(
        "with tensor {name:?} the tensors take more than {unpacked} bytes, the most that is read \
         (TorchLimits::unpacked_bytes)"
    )
}

/// The most characters of a tensor's name and axes of its shape.
const LONGEST_NAME: usize = 1024;
pub(super) const MOST_AXES: usize = 64;

pub(super) fn check_name(file: &str, name: &str) -> Result<()> {
    match name.len() <= LONGEST_NAME {
        true => Ok(()),
        false => malformed(file, format!("a tensor's name is longer than {LONGEST_NAME} bytes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[usize], strides: &[usize], values: &[f32]) -> FileTensor {
        FileTensor {
            name: "x".to_string(),
            dtype: Dtype::Float(Float::F32),
            shape: shape.to_vec(),
            strides: strides.to_vec(),
            bytes: Arc::new(values.iter().flat_map(|value| value.to_le_bytes()).collect()),
            start: 0,
        }
    }

    #[test]
    fn views_are_read() {
        let six = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        let read = |shape: &[usize], strides: &[usize]| {
            tensor(shape, strides, &six).array("file").unwrap().into_iter().collect::<Vec<_>>()
        };
        assert_eq!(read(&[2, 3], &[3, 1]), six);
        assert_eq!(read(&[3, 2], &[1, 3]), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]); // a transpose
        assert_eq!(read(&[2, 2], &[0, 1]), [0.0, 1.0, 0.0, 1.0]); // expanded
        assert_eq!(read(&[2], &[4]), [0.0, 4.0]);
        assert_eq!(read(&[], &[]), [0.0]);
        assert_eq!(read(&[0, 3], &[3, 1]), [0.0; 0]);
        assert_eq!(c_order(&[2, 3, 4]), [12, 4, 1]);
    }

    #[test]
    fn every_type_is_read() {
        let read = |float, bytes: &[u8]| values(float, bytes);
        assert_eq!(read(Float::F16, &[0x00, 0x3e, 0x00, 0xc0]), [1.5, -2.0]);
        assert_eq!(read(Float::Bf16, &[0xc0, 0x3f, 0x00, 0xc0]), [1.5, -2.0]);
        assert_eq!(read(Float::F64, &1.5f64.to_le_bytes()), [1.5]);
    }

    #[test]
    fn tensors_that_reach_too_far_are_refused() {
        let limits = TorchLimits::new().tensors(2);
        let fails = |tensors: &[FileTensor], words: &str| {
            let error = check("file", tensors, &limits, 100).unwrap_err().to_string();
            assert!(error.contains(words), "{error:?} doesn't say {words:?}");
        };
        let good = tensor(&[2, 3], &[3, 1], &[0.0; 6]);
        assert!(check("file", std::slice::from_ref(&good), &limits, 24).is_ok());
        fails(&[good.clone(), good.clone()], "two tensors named");
        fails(&[good.clone(), good.clone(), good], "TorchLimits::tensors");
        fails(&[tensor(&[2, 4], &[4, 1], &[0.0; 7])], "beyond its values");
        fails(&[tensor(&[2, 2], &[usize::MAX, 1], &[0.0; 7])], "beyond its values");
        fails(&[tensor(&[1 << 20], &[0], &[0.0])], "TorchLimits::unpacked_bytes");
        fails(&[tensor(&[1 << 40, 1 << 40], &[0, 0], &[0.0])], "TorchLimits::unpacked_bytes");
        let late = FileTensor { start: usize::MAX, ..tensor(&[1], &[1], &[0.0]) };
        fails(&[late], "beyond its values");
    }
}
