//! A model's file, of any format that is known.

use crate::import::recognize::{self, Format};
use crate::{Error, Model, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;

impl Model {
    /// Reads a model's file, of any format that this crate was built for: what
    /// `Model::from_keras` (`.keras` and legacy `.h5`) and `Model::from_onnx` read. The content
    /// says which of them it is, not the file's name.
    ///
    /// # Errors
    /// Those of the format's function; [`Error::MalformedFile`] where the file is of another
    /// format, with what it is and what to do.
    ///
    /// ```
    /// # #[cfg(feature = "keras")] {
    /// use birnn::Model;
    /// let model = Model::load("tests/fixtures/keras/notebook_lstm2.keras")?;
    /// assert_eq!(model.layer_names(), ["bidirectional"]);
    /// # }
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn load(path: impl AsRef<Path>) -> Result<Model> {
        let path = path.as_ref();
        match FileFormat::of(path)? {
            #[cfg(feature = "onnx")]
            FileFormat::Onnx => Model::from_onnx(path),
            #[cfg(feature = "keras")]
            FileFormat::Keras => Model::from_keras(path),
            #[allow(unreachable_patterns)] // with all features
            format => Err(Error::MalformedFile {
                file: path.display().to_string(),
                reason: format!("birnn was built without its importer for {format:?}"),
            }),
        }
    }
}

/// The format of a model's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileFormat {
    /// What Keras saves: `.keras` and legacy `.h5`.
    Keras,
    /// ONNX.
    Onnx,
}

impl FileFormat {
    /// The format of a file by its first bytes.
    ///
    /// # Errors
    /// [`Error::Io`] where it can't be read, [`Error::MalformedFile`] where it is of another format,
    /// with what it is and what to do.
    ///
    /// ```
    /// use birnn::FileFormat;
    /// let format = FileFormat::of("tests/fixtures/onnx/lstm_bidirectional.onnx")?;
    /// assert_eq!(format, FileFormat::Onnx);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn of(path: impl AsRef<Path>) -> Result<FileFormat> {
        let path = path.as_ref();
        let io = |source| Error::Io { path: path.to_path_buf(), source };
        let malformed = |reason| Error::MalformedFile { file: path.display().to_string(), reason };
        if path.is_dir() {
            return Err(malformed(recognize::folder(path)));
        }
        let mut head = Vec::new();
        let file = File::open(path).map_err(io)?;
        file.take(recognize::HEAD as u64).read_to_end(&mut head).map_err(io)?;
        match recognize::format(&head) {
            Ok(Format::Onnx) => Ok(FileFormat::Onnx),
            Ok(Format::Zip | Format::Hdf5) => Ok(FileFormat::Keras),
            Err(reason) => Err(malformed(recognize::by_name(path).unwrap_or(reason))),
        }
    }
}
