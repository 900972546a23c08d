//! Which format a file has.

use super::recognize::{self, Format};
use crate::{Error, Result};
use std::fs::File;
#[cfg(any(feature = "keras", feature = "onnx", feature = "pytorch"))]
use std::io::BufReader;
use std::io::{Cursor, Read, Seek};
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
        match of_content(&mut file).map_err(io)? {
            Ok(format) => Ok(format),
            Err(reason) => wrong(recognize::by_name(path).unwrap_or(reason)),
        }
    }

    /// The format of a file's content, as [`FileFormat::of`] says that of a file; `name` stands for
    /// the file in messages.
    ///
    /// # Errors
    /// [`Error::MalformedFile`] where it has no format of a model.
    ///
    /// ```
    /// use birnn::{Error, FileFormat};
    /// let bytes = std::fs::read("tests/fixtures/onnx/lstm_bidirectional.onnx").expect("a file");
    /// assert_eq!(FileFormat::of_bytes("model.onnx", &bytes)?, FileFormat::Onnx);
    /// let error = FileFormat::of_bytes("notes.txt", b"plain text").unwrap_err();
    /// assert!(matches!(error, Error::MalformedFile { .. }));
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn of_bytes(name: &str, bytes: &[u8]) -> Result<FileFormat> {
        let path = Path::new(name);
        let format = of_content(&mut Cursor::new(bytes));
        let format = format.map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
        format.map_err(|reason| malformed(path, recognize::by_name(path).unwrap_or(reason)))
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

/// The format, or the sentence for what it is instead.
fn of_content(content: &mut (impl Read + Seek)) -> std::io::Result<Result<FileFormat, String>> {
    let mut head = Vec::new();
    content.by_ref().take(recognize::HEAD as u64).read_to_end(&mut head)?;
    Ok(recognize::format(&head).map(|format| match format {
        Format::Zip => of_archive(content),
        Format::Hdf5 => FileFormat::Keras,
        Format::Onnx => FileFormat::Onnx,
        Format::TorchPickle => FileFormat::Torch,
        Format::Portable => FileFormat::Portable,
        Format::Safetensors => of_safetensors(&head, content),
    }))
}

/// By the header, of which this is the beginning. One that is longer than any of birnn's, or cut
/// off, is left to the reader of PyTorch's.
fn of_safetensors(head: &[u8], rest: &mut impl Read) -> FileFormat {
    const LONGEST: u64 = 100_000_000; // safetensors' own limit
    let Some((length, begun)) = head.split_first_chunk::<8>() else { return FileFormat::Torch };
    let length = u64::from_le_bytes(*length).min(LONGEST);
    let mut header = begun.to_vec();
    let missing = length.saturating_sub(begun.len() as u64);
    let is_whole = rest.by_ref().take(missing).read_to_end(&mut header).is_ok();
    header.truncate(length as usize);
    match is_whole && recognize::is_portable(&header) {
        true => FileFormat::Portable,
        false => FileFormat::Torch,
    }
}

/// PyTorch keeps a pickle of this name in its archives. Of an archive that can't be opened, or of
/// something else, the reader of Keras's says what is wrong.
#[cfg(any(feature = "keras", feature = "onnx", feature = "pytorch"))]
fn of_archive(file: &mut (impl Read + Seek)) -> FileFormat {
    let archive = recognize::torch_archive(BufReader::new(file));
    let is_pickle = |name: &str| name == "data.pkl" || name.ends_with("/data.pkl");
    match archive.is_ok_and(|zip| zip.file_names().flatten().any(|name| is_pickle(&name))) {
        true => FileFormat::Torch,
        false => FileFormat::Keras,
    }
}

/// Which of the two it is, no reader is there to ask.
#[cfg(not(any(feature = "keras", feature = "onnx", feature = "pytorch")))]
fn of_archive<R>(_: &mut R) -> FileFormat {
    FileFormat::Keras
}
