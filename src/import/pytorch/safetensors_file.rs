//! The files of the library safetensors: a description in JSON, and all values behind it.

use super::messages::malformed;
use super::tensor::{Dtype, FileTensor, Float, c_order};
use crate::Result;
use crate::import::recognize;
use safetensors::SafeTensors;
use std::sync::Arc;

pub(super) fn tensors(file: &str, bytes: Vec<u8>) -> Result<Vec<FileTensor>> {
    let (header, metadata) = match SafeTensors::read_metadata(&bytes) {
        Ok(read) => read,
        Err(error) => return malformed(file, format!("is a damaged safetensors file: {error}")),
    };
    if metadata.metadata().as_ref().is_some_and(|all| all.contains_key("birnn")) {
        return malformed(file, recognize::PORTABLE);
    }
    let data = 8 + header; // the header's length is 8 bytes
    let bytes = Arc::new(bytes);
    let tensor = |name: String| {
        let info = metadata.info(&name)?;
        Some(FileTensor {
            dtype: dtype(info.dtype),
            shape: info.shape.clone(),
            strides: c_order(&info.shape),
            bytes: bytes.clone(),
            start: data + info.data_offsets.0,
            name,
        })
    };
    match metadata.offset_keys().into_iter().filter_map(tensor).collect::<Vec<_>>() {
        tensors if tensors.is_empty() => malformed(file, "holds no tensors"),
        tensors => Ok(tensors),
    }
}

fn dtype(dtype: safetensors::Dtype) -> Dtype {
    match dtype {
        safetensors::Dtype::F16 => Dtype::Float(Float::F16),
        safetensors::Dtype::BF16 => Dtype::Float(Float::Bf16),
        safetensors::Dtype::F32 => Dtype::Float(Float::F32),
        safetensors::Dtype::F64 => Dtype::Float(Float::F64),
        other => Dtype::Other(format!("{other:?}").to_lowercase(), other.bitsize().div_ceil(8)),
    }
}
