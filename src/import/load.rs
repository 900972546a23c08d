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
        match format_of(path)? {
            #[cfg(feature = "onnx")]
            Format::Onnx => Model::from_onnx(path),
            #[cfg(feature = "keras")]
            Format::Zip | Format::Hdf5 => Model::from_keras(path),
            #[allow(unreachable_patterns)] // with both features
            other => Err(Error::MalformedFile {
                file: path.display().to_string(),
                reason: format!("birnn was built without the importer of {other:?}"),
            }),
        }
    }
}

/// The format of a file, by its first bytes.
pub(crate) fn format_of(path: &Path) -> Result<Format> {
    let io = |source| Error::Io { path: path.to_path_buf(), source };
    let malformed =
        |reason| Error::MalformedFile { file: path.display().to_string(), reason };
    if path.is_dir() {
        return Err(malformed(recognize::folder(path)));
    }
    let mut head = Vec::new();
    let file = File::open(path).map_err(io)?;
    file.take(recognize::HEAD as u64).read_to_end(&mut head).map_err(io)?;
    let found = recognize::format(&head);
    found.map_err(|reason| malformed(recognize::by_name(path).unwrap_or(reason)))
}
