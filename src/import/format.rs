//! Which format a file has.

use super::recognize::{self, Format};
use crate::{Error, Result};
use std::fs::File;
#[cfg(any(feature = "keras", feature = "onnx", feature = "pytorch"))]
use std::io::BufReader;
use std::io::Read;
use std::path::Path;

/// A format that models are read from.
///
/// ```
/// use birnn::FileFormat;
/// let format = FileFormat::of("tests/fixtures/keras/notebook_lstm2.keras")?;
/// assert_eq!(format, FileFormat::Keras);
/// # Ok::<(), birnn::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileFormat {
    /// A `.keras` archive, or HDF5 of Keras's.
    Keras,
    /// ONNX.
    Onnx,
    /// A state dict of PyTorch's: `.safetensors`, `.pt`, `.pth`.
    Torch,
    /// birnn's own form, which [`Model::save`](crate::Model::save) writes: `.safetensors`.
    Portable,
}

impl FileFormat {
    /// The format of a file, by its content: its first bytes, and of an archive the names in it.
    /// The file may still be damaged.
    ///
    /// # Errors
    /// [`Error::Io`] where the file can't be read, [`Error::MalformedFile`] where it has no format
    /// of a model; the text says what it is and what to do.
    pub fn of(path: impl AsRef<Path>) -> Result<FileFormat> {
        let path = path.as_ref();
        let wrong = |reason| Err(malformed(path, reason));
        if path.is_dir() {
            return wrong(recognize::folder(path));
        }
        let io = |source| Error::Io { path: path.to_path_buf(), source };
        let mut file = File::open(path).map_err(io)?;
        let mut head = Vec::new();
        file.by_ref().take(recognize::HEAD as u64).read_to_end(&mut head).map_err(io)?;
        match recognize::format(&head) {
            Ok(Format::Zip) => Ok(of_archive(&file)),
            Ok(Format::Hdf5) => Ok(FileFormat::Keras),
            Ok(Format::Onnx) => Ok(FileFormat::Onnx),
            Ok(Format::TorchPickle) => Ok(FileFormat::Torch),
            Ok(Format::Portable) => Ok(FileFormat::Portable),
            Ok(Format::Safetensors) => Ok(of_safetensors(&head, file)),
            Err(reason) => wrong(recognize::by_name(path).unwrap_or(reason)),
        }
    }

    /// That this build can't read it.
    #[cfg(not(all(feature = "keras", feature = "onnx", feature = "pytorch")))]
    pub(super) fn is_not_built<T>(self, path: &Path) -> Result<T> {
        let feature = match self {
            FileFormat::Keras => "keras",
            FileFormat::Onnx => "onnx",
            FileFormat::Torch => "pytorch",
            FileFormat::Portable => return Err(malformed(path, "is read by every build".into())),
        };
        let reason = format!("birnn was built without its feature `{feature}`, which reads it");
        Err(malformed(path, reason))
    }
}

fn malformed(path: &Path, reason: String) -> Error {
    Error::MalformedFile { file: path.display().to_string(), reason }
}

/// By the header, of which this is the beginning. One that is longer than any of birnn's, or cut
/// off, is left to the reader of PyTorch's.
fn of_safetensors(head: &[u8], rest: File) -> FileFormat {
    const LONGEST: u64 = 100_000_000; // safetensors' own limit
    let Some((length, begun)) = head.split_first_chunk::<8>() else { return FileFormat::Torch };
    let length = u64::from_le_bytes(*length).min(LONGEST);
    let mut header = begun.to_vec();
    let missing = length.saturating_sub(begun.len() as u64);
    let is_whole = rest.take(missing).read_to_end(&mut header).is_ok();
    header.truncate(length as usize);
    match is_whole && recognize::is_portable(&header) {
        true => FileFormat::Portable,
        false => FileFormat::Torch,
    }
}

/// PyTorch keeps a pickle of this name in its archives. Of an archive that can't be opened, or of
/// something else, the reader of Keras's says what is wrong.
#[cfg(any(feature = "keras", feature = "onnx", feature = "pytorch"))]
fn of_archive(file: &File) -> FileFormat {
    let archive = recognize::torch_archive(BufReader::new(file));
    let is_pickle = |name: &str| name == "data.pkl" || name.ends_with("/data.pkl");
    match archive.is_ok_and(|zip| zip.file_names().flatten().any(|name| is_pickle(&name))) {
        true => FileFormat::Torch,
        false => FileFormat::Keras,
    }
}

/// Which of the two it is, no reader is there to ask.
#[cfg(not(any(feature = "keras", feature = "onnx", feature = "pytorch")))]
fn of_archive(_: &File) -> FileFormat {
    FileFormat::Keras
}
