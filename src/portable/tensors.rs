//! Arrays as tensors of a file, and back.

use super::messages::{malformed, short};
use crate::error::Result;
use crate::program::Values;
use half::f16;
use ndarray::{ArrayD, IxDyn};
use safetensors::tensor::{Dtype, Metadata, TensorInfo, View};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Arrays of numbers with so many values and two axes may be stored as 16-bit floats: kernels and
/// tables. Smaller ones, such as biases, matter more and take less.
const HALF_VALUES: usize = 256;

/// Equal arrays of at least so many bytes are one tensor. Smaller ones stay apart, where their
/// names say more than they take.
const SHARED_BYTES: usize = 1024;

/// An array as a file holds it: little-endian, in C order.
#[derive(PartialEq, Eq)]
pub(super) struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Tensor {
    /// `half`: whether as 16-bit floats, where all its values are in their range.
    fn new(values: &Values, half: bool) -> Tensor {
        let (dtype, bytes) = match values {
            Values::Floats(array) if half && fits_in_half(array) => {
                let bytes = array.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes());
                (Dtype::F16, bytes.collect())
            }
            Values::Floats(array) => {
                (Dtype::F32, array.iter().flat_map(|v| v.to_le_bytes()).collect())
            }
            Values::Integers(array) => {
                (Dtype::I64, array.iter().flat_map(|v| v.to_le_bytes()).collect())
            }
            Values::Bools(array) => (Dtype::BOOL, array.iter().map(|&v| u8::from(v)).collect()),
        };
        Tensor { dtype, shape: values.shape().to_vec(), bytes }
    }
}

fn fits_in_half(array: &ArrayD<f32>) -> bool {
    array.ndim() >= 2
        && array.len() >= HALF_VALUES
        && array.iter().all(|&value| f16::from_f32(value).is_finite())
}

impl View for &Tensor {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// The tensors of a file that is written.
#[derive(Default)]
pub(super) struct Written {
    /// Whether kernels are stored as 16-bit floats.
    half_weights: bool,
    tensors: Vec<(String, Tensor)>,
    names: HashSet<String>,
    /// The places of the tensors that may be shared, by a hash of each.
    shared: HashMap<u64, Vec<usize>>,
}

impl Written {
    pub(super) fn new(half_weights: bool) -> Written {
        Written { half_weights, ..Written::default() }
    }

    /// Keeps an array under this name, or one like it where it is taken, and returns the name of
    /// the tensor that holds its values.
    pub(super) fn store(&mut self, name: String, values: &Values) -> String {
        let tensor = Tensor::new(values, self.half_weights);
        let place = self.tensors.len();
        if tensor.bytes.len() >= SHARED_BYTES {
            let mut hasher = DefaultHasher::new();
            tensor.bytes.hash(&mut hasher);
            let alike = self.shared.entry(hasher.finish()).or_default();
            if let Some(&same) = alike.iter().find(|&&place| self.tensors[place].1 == tensor) {
                return self.tensors[same].0.clone();
            }
            alike.push(place);
        }
        let mut name = name;
        while name == "__metadata__" || !self.names.insert(name.clone()) {
            name.push('\'');
        }
        self.tensors.push((name.clone(), tensor));
        name
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }
}

/// The tensors of a file that is read.
pub(super) struct Read<'b> {
    pub file: &'b str,
    pub metadata: Metadata,
    /// What stands behind the header.
    pub data: &'b [u8],
    /// How many bytes arrays may still take.
    pub unpacked: u64,
}

impl Read<'_> {
    /// The values of the tensor of this name.
    pub(super) fn values(&mut self, name: &str) -> Result<Values> {
        let Some(TensorInfo { dtype, shape, data_offsets: (start, end) }) =
            self.metadata.info(name)
        else {
            return malformed(self.file, format!("has no tensor {:?}", short(name)));
        };
        let Some(bytes) = self.data.get(*start..*end) else {
            return malformed(self.file, format!("is cut off in tensor {:?}", short(name)));
        };
        // A truth value or a 16-bit float takes more as an array.
        let taken = shape.iter().fold(4u64, |bytes, &n| bytes.saturating_mul(n as u64));
        self.unpacked = match self.unpacked.checked_sub(taken.max(bytes.len() as u64)) {
            Some(left) => left,
            None => {
                let text = "its layers' arrays take more than PortableLimits::unpacked_bytes";
                return malformed(self.file, text);
            }
        };
        let shape = IxDyn(shape);
        let array = match dtype {
            Dtype::F32 => ArrayD::from_shape_vec(shape, floats(bytes)).map(Values::Floats),
            Dtype::F16 => ArrayD::from_shape_vec(shape, halves(bytes)).map(Values::Floats),
            Dtype::I64 => ArrayD::from_shape_vec(shape, integers(bytes)).map(Values::Integers),
            Dtype::BOOL => {
                let bools = bytes.iter().map(|&byte| byte != 0).collect();
                ArrayD::from_shape_vec(shape, bools).map(Values::Bools)
            }
            other => {
                let text = format!("tensor {:?} is of the type {other:?}", short(name));
                return malformed(self.file, text + "; F32, F16, I64 and BOOL are known");
            }
        };
        array.or_else(|error| malformed(self.file, format!("tensor {:?}: {error}", short(name))))
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

fn halves(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect()
}

fn integers(bytes: &[u8]) -> Vec<i64> {
    bytes.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes)).collect()
}
