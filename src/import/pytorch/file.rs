//! From a file to its tensors, whichever of the three formats it has.

use super::limits::TorchLimits;
use super::messages::malformed;
use super::tensor::{self, FileTensor};
use super::{legacy_file, safetensors_file, zip_file};
use crate::import::recognize::{self, Format};
use crate::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A file taken apart.
#[derive(Clone, Debug)]
pub(super) struct TensorFile {
    /// Stands for the file in messages.
    pub name: String,
    pub tensors: Vec<FileTensor>,
    /// How many bytes may be made of what is in it.
    pub unpacked: u64,
}

impl TensorFile {
    pub(super) fn read(path: &Path, limits: &TorchLimits) -> Result<TensorFile> {
        let name = path.display().to_string();
        if path.is_dir() {
            return malformed(&name, recognize::folder(path));
        }
        let io = |source| Error::Io { path: path.to_path_buf(), source };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(io)?;
        file.take(limits.file_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(io)?;
        TensorFile::open(&name, bytes, limits)
    }

    /// `name` stands for the file in messages.
    pub(super) fn open(name: &str, bytes: Vec<u8>, limits: &TorchLimits) -> Result<TensorFile> {
        let most = limits.file_bytes;
        if bytes.len() as u64 > most {
            let reason = format!("is larger than {most} bytes (TorchLimits::file_bytes)");
            return malformed(name, reason);
        }
        let unpacked = limits.unpacked(bytes.len());
        let format = recognize::format(&bytes[..bytes.len().min(recognize::HEAD)])
            .or_else(|reason| malformed(name, reason))?;
        let tensors = match format {
            Format::Zip => zip_file::tensors(name, bytes, limits)?,
            Format::TorchPickle => legacy_file::tensors(name, bytes, limits)?,
            Format::Safetensors => safetensors_file::tensors(name, bytes)?,
            Format::Hdf5 => return malformed(name, KERAS),
            Format::Onnx => return malformed(name, ONNX),
            Format::Portable => return malformed(name, recognize::PORTABLE),
        };
        tensor::check(name, &tensors, limits, unpacked)?;
        Ok(TensorFile { name: name.to_string(), tensors, unpacked })
    }
}

const ONNX: &str = "is an ONNX model, not a file of PyTorch: Model::from_onnx reads it";
const KERAS: &str = "is an HDF5 file, not one of PyTorch: Model::from_keras reads those of Keras";
