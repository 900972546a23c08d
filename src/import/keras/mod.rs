//! Models that Keras saved: `.keras` archives and legacy HDF5 files, of Keras 2 and Keras 3.
//!
//! The way of a file: [`file`] takes it apart into the configuration (JSON) and the weights ([`hdf5`]),
//! [`entry`] lists the layers, [`layer`] and [`arguments`] build them, [`graph`] and [`call`] connect
//! them, [`weights`] finds each layer's arrays. Everything in a file is untrusted.

mod activation;
mod archive;
mod arguments;
mod call;
mod class;
mod entry;
mod file;
mod graph;
mod hdf5;
mod layer;
mod legacy;
mod mask_operation;
mod order;
mod recurrent;
mod sequential;
mod stateless;
mod weights;

#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::model::Model;
use entry::Entry;
use file::{KerasFile, Version};
use serde_json::Value;
use std::path::Path;

impl Model {
    /// Reads a model that Keras saved with its weights: `model.save("model.keras")`, or the legacy
    /// `model.save("model.h5")`, of Keras 3 or Keras 2 (`tf.keras`). The content says which of the two
    /// formats it is, not the file's name.
    ///
    /// Sequential and functional models of `InputLayer`, `LSTM`, `GRU`, `SimpleRNN` and `Bidirectional`
    /// are read, with shared layers, several inputs and outputs, and initial states that are tensors.
    /// Inputs are `[batch, timesteps, features]`, or `[batch, units]` for an initial state; they keep the
    /// names of the `InputLayer`s, in the order of the Keras model's inputs. The outputs come in the order
    /// of Keras's flattened list. What only matters in training (dropout, regularizers, initializers,
    /// the optimizer) is passed over. A number of timesteps that the file fixes stays fixed.
    ///
    /// # Errors
    /// * [`Error::Io`] where the file can't be read.
    /// * [`Error::MalformedFile`] where it is no Keras model, is damaged, or lacks weights.
    /// * [`Error::UnsupportedLayer`], [`Error::UnsupportedArgument`] where the model would compute something
    ///   that this crate doesn't; nothing that changes a result is passed over.
    /// * [`Error::Argument`], [`Error::Graph`], [`Error::WeightShape`], [`Error::NonFiniteWeight`] where what the
    ///   file says doesn't fit together.
    ///
    /// ```
    /// use birnn::Model;
    /// use ndarray::Array3;
    ///
    /// let model = Model::from_keras("tests/fixtures/keras/notebook_lstm1.keras")?;
    /// assert_eq!(model.input_names(), ["input_layer"]);
    /// assert_eq!(model.layer_names(), ["bidirectional"]);
    /// let x = Array3::<f32>::ones((1, 8, 2)); // [batch, timesteps, features]
    /// let outputs = birnn::reference::run(&model, x.view())?;
    /// assert_eq!(outputs.output().shape(), [1, 8, 6]); // Bidirectional(LSTM(3, return_sequences=True, return_state=True))
    /// assert_eq!(outputs.backward().cell()?.shape(), [1, 3]);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn from_keras(path: impl AsRef<Path>) -> Result<Model> {
        let path = path.as_ref();
        let name = path.display().to_string();
        build(KerasFile::open(&name, file::read(path)?)?)
    }

    /// [`Model::from_keras`] on a file's content, for example one that was downloaded or compiled in;
    /// `name` stands for the file in messages.
    ///
    /// # Errors
    /// As [`Model::from_keras`], without [`Error::Io`].
    ///
    /// ```
    /// use birnn::{Error, Model};
    /// let error = Model::from_keras_bytes("notes.txt", b"plain text".to_vec()).unwrap_err();
    /// assert!(matches!(error, Error::MalformedFile { .. }));
    /// ```
    pub fn from_keras_bytes(name: &str, bytes: Vec<u8>) -> Result<Model> {
        build(KerasFile::open(name, bytes)?)
    }
}

fn build(mut file: KerasFile) -> Result<Model> {
    let config = std::mem::take(&mut file.config);
    let entries = entry::entries(&file.config_label, &config)?;
    let mut model = network(&file.config_label, file.version, &config, &entries)?;
    weights::load(&mut file.weights, &mut model, &entries)?;
    Ok(model)
}

/// The model that a configuration describes, without weights.
fn network(label: &str, version: Version, config: &Value, entries: &[Entry]) -> Result<Model> {
    match class::root(label, config)? {
        class::Root::Sequential => sequential::build(label, version, config, entries),
        class::Root::Functional => graph::build(label, version, config, entries),
    }
}

fn malformed<T>(file: &str, reason: impl Into<String>) -> Result<T> {
    Err(Error::MalformedFile { file: file.to_string(), reason: reason.into() })
}

/// A value of the file for a message: JSON, cut where it is long.
fn shown(value: &Value) -> String {
    let mut text = value.to_string();
    if let Some((end, _)) = text.char_indices().nth(80) {
        text.truncate(end);
        text.push('…');
    }
    text
}
