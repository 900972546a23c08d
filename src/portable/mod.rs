//! birnn's own form of a model: a `.safetensors` file with its weights and, in the metadata, how
//! its layers or operations are connected. It is read in every build, without an importer.
//! `docs/portable.md` describes it for those who write a reader of their own.
//!
//! What there is to say of a layer stands in its struct, and of a graph or a program in
//! `src/model/parts.rs` and `src/program/parts.rs`; serde makes JSON of it. A file is built again
//! by the functions that anybody builds models with, so that nothing in it passes unchecked.

// `messages` and `limits`: what errors say of a file, and how much it may ask for. `tensors`:
// arrays. `description`: the JSON, and its version.

mod description;
mod limits;
mod messages;
mod options;
mod tensors;
#[cfg(test)]
mod tests;

pub use limits::PortableLimits;
pub use options::SaveOptions;

use crate::error::{Error, Result};
use crate::model::{Model, Parts};
use messages::malformed;
use safetensors::SafeTensors;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The key of the description in the metadata of a file.
const KEY: &str = "birnn";

impl Model {
    /// Writes the model with its weights to a file in birnn's own form, which every build of birnn
    /// reads ([`Model::from_portable`], [`Model::load`]), whatever file the model came from. Models
    /// that are read from it compute the same, to the bit.
    ///
    /// The file is a `.safetensors` file, which is this extension's usual content: its tensors are
    /// the weights, and its metadata say how the layers are connected.
    ///
    /// # Errors
    /// [`Error::MissingWeights`] where a layer has no weights, [`Error::Graph`] where one has an
    /// argument that is NaN or infinite, [`Error::MalformedFile`] where the name ends otherwise
    /// than in `.safetensors`, as that of another form, [`Error::Io`] where the file can't be
    /// written.
    ///
    /// ```
    /// use birnn::{Device, Gru, Model};
    /// let model = Model::sequential(2, [Gru::new(3)])?.initialize(1)?;
    /// let path = std::env::temp_dir().join("birnn_save.safetensors");
    /// model.save(&path)?;
    /// let loaded = Model::load(&path)?;
    /// # std::fs::remove_file(&path).ok();
    /// let x = ndarray::Array3::<f32>::ones((1, 5, 2)); // [batch, timesteps, features]
    /// let run = |model: &Model| Device::cpu().compile(model)?.run(x.view());
    /// assert_eq!(run(&model)?.output(), run(&loaded)?.output());
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        SaveOptions::new().save(self, path)
    }

    /// What [`Model::save`] writes.
    ///
    /// # Errors
    /// As [`Model::save`], but for those of the file.
    ///
    /// ```
    /// use birnn::{Gru, Model};
    /// let model = Model::sequential(2, [Gru::new(3)])?.initialize(1)?;
    /// let bytes = model.to_portable_bytes()?;
    /// let loaded = Model::from_portable_bytes("gru", &bytes)?;
    /// assert_eq!(loaded.weights("gru")?, model.weights("gru")?);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn to_portable_bytes(&self) -> Result<Vec<u8>> {
        SaveOptions::new().bytes(self)
    }

    /// Reads a model that [`Model::save`] or `birnn convert` wrote.
    ///
    /// # Errors
    /// * [`Error::Io`] where the file can't be read.
    /// * [`Error::MalformedFile`] where it is no such file, is damaged, or is of a version that
    ///   this birnn doesn't know; the text says which and what to do.
    /// * [`Error::Argument`], [`Error::Graph`], [`Error::WeightCount`], [`Error::WeightShape`],
    ///   [`Error::NonFiniteWeight`] where what the file says doesn't fit together.
    ///
    /// ```
    /// use birnn::Model;
    /// let model = Model::from_portable("tests/fixtures/portable/version_1.safetensors")?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn from_portable(path: impl AsRef<Path>) -> Result<Model> {
        PortableLimits::new().load(path)
    }

    /// [`Model::from_portable`] on a file's content, for example one that was downloaded or
    /// compiled in; `name` stands for the file in messages.
    ///
    /// # Errors
    /// As [`Model::from_portable`], without [`Error::Io`].
    ///
    /// ```
    /// use birnn::{Error, Model};
    /// let error = Model::from_portable_bytes("notes.txt", b"plain text").unwrap_err();
    /// assert!(matches!(error, Error::MalformedFile { .. }));
    /// ```
    pub fn from_portable_bytes(name: &str, bytes: &[u8]) -> Result<Model> {
        PortableLimits::new().load_bytes(name, bytes)
    }
}

impl SaveOptions {
    /// [`Model::save`] with these options.
    ///
    /// # Errors
    /// As [`Model::save`].
    pub fn save(&self, model: &Model, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        // A file of another form's name would be taken for one.
        if !path.extension().is_some_and(|end| end.eq_ignore_ascii_case("safetensors")) {
            let text = "models are written in birnn's own form alone, which Model::load reads: \
                        give the file a name that ends in .safetensors";
            return malformed(&path.display().to_string(), text);
        }
        let io = |source| Error::Io { path: path.to_path_buf(), source };
        std::fs::write(path, self.bytes(model)?).map_err(io)
    }

    /// [`Model::to_portable_bytes`] with these options.
    ///
    /// # Errors
    /// As [`Model::to_portable_bytes`].
    pub fn bytes(&self, model: &Model) -> Result<Vec<u8>> {
        let mut tensors = tensors::Written::new(self.half_weights);
        let parts = model.parts(&mut |name, values| tensors.store(name, values))?;
        let description = description::write(parts)?;
        let metadata = [(KEY.to_string(), description)].into_iter().collect();
        safetensors::serialize(tensors.iter(), Some(metadata))
            .map_err(|error| Error::Graph(format!("the model can't be saved: {error}")))
    }
}

impl PortableLimits {
    /// [`Model::from_portable`] within these limits.
    ///
    /// # Errors
    /// As [`Model::from_portable`].
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Model> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let io = |source| Error::Io { path: path.to_path_buf(), source };
        if path.is_dir() {
            return malformed(&name, "is a folder: give the model's file");
        }
        let file = File::open(path).map_err(io)?;
        self.check_size(&name, file.metadata().map_err(io)?.len())?;
        let mut bytes = Vec::new();
        // It may grow while it is read.
        file.take(self.file_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(io)?;
        self.load_bytes(&name, &bytes)
    }

    /// [`Model::from_portable_bytes`] within these limits.
    ///
    /// # Errors
    /// As [`Model::from_portable_bytes`].
    pub fn load_bytes(&self, name: &str, bytes: &[u8]) -> Result<Model> {
        self.check_size(name, bytes.len() as u64)?;
        if let Some((length, _)) = bytes.split_first_chunk::<8>()
            && u64::from_le_bytes(*length) <= bytes.len() as u64
            && u64::from_le_bytes(*length) > self.description_bytes
        {
            let length = u64::from_le_bytes(*length);
            let text = format!("its header has {length} bytes");
            return malformed(name, text + ", more than PortableLimits::description_bytes");
        }
        let (header, metadata) = match SafeTensors::read_metadata(bytes) {
            Ok(read) => read,
            Err(error) => {
                let text = "is no file of birnn's own form, or a damaged one";
                return malformed(name, format!("{text}: {error}"));
            }
        };
        let Some(text) = metadata.metadata().as_ref().and_then(|all| all.get(KEY)) else {
            let text = "holds tensors without a model: where it is a state dict of PyTorch's, read \
                        it with Model::from_torch, or Model::load";
            return malformed(name, text);
        };
        let parts = description::read(name, text)?;
        self.check_parts(name, &parts)?;
        let data = &bytes[8 + header..]; // the header's length is 8 bytes
        let unpacked = self.unpacked(bytes.len());
        let mut tensors = tensors::Read { file: name, metadata, data, unpacked };
        parts.model(&mut |tensor| tensors.values(tensor))
    }

    fn check_size(&self, name: &str, bytes: u64) -> Result<()> {
        match bytes <= self.file_bytes {
            true => Ok(()),
            false => {
                malformed(name, format!("has {bytes} bytes, more than PortableLimits::file_bytes"))
            }
        }
    }

    fn check_parts(&self, name: &str, parts: &Parts) -> Result<()> {
        let (layers, calls) = (parts.layers().count(), parts.calls());
        if layers > self.layers {
            let text = format!("has {layers} layers, more than PortableLimits::layers");
            return malformed(name, text);
        }
        if calls > self.calls {
            let text = format!("has {calls} inputs and calls, more than PortableLimits::calls");
            return malformed(name, text);
        }
        Ok(())
    }
}
