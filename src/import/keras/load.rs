//! From a file, or from a configuration and a file of weights, to a model.

use super::entry::{self, Entry};
use super::file::{self, KerasFile};
use super::graph::{self, Source};
use super::limits::KerasLimits;
use super::messages::CONFIG;
use super::version::Version;
use super::{class, weights};
use crate::{Error, Model, Result};
use serde_json::Value;
use std::path::Path;

impl KerasLimits {
    /// [`Model::from_keras`] within these limits.
    ///
    /// # Errors
    /// As [`Model::from_keras`].
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Model> {
        let path = path.as_ref();
        self.load_bytes(&path.display().to_string(), file::read(path, self)?)
    }

    /// [`Model::from_keras_bytes`] within these limits.
    ///
    /// # Errors
    /// As [`Model::from_keras_bytes`].
    pub fn load_bytes(&self, name: &str, bytes: Vec<u8>) -> Result<Model> {
        build(KerasFile::open(name, bytes, self)?, self)
    }

    /// [`Model::from_keras_config`] within these limits.
    ///
    /// # Errors
    /// As [`Model::from_keras_config`].
    pub fn load_config(&self, json: &str) -> Result<Model> {
        let config = file::parse_config(CONFIG, json.as_bytes(), self)?;
        let version = file::config_version(&config, json)?;
        let entries = entry::entries(CONFIG, &config, self.layers)?;
        let mut model = network(CONFIG, version, &config, &entries, self)?;
        model.attach(KerasConfig(config));
        Ok(model)
    }

    /// [`Model::load_keras_weights`] within these limits.
    ///
    /// # Errors
    /// As [`Model::load_keras_weights`].
    pub fn load_weights(&self, model: &mut Model, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        self.load_weights_bytes(model, &path.display().to_string(), file::read(path, self)?)
    }

    /// [`Model::load_keras_weights_bytes`] within these limits.
    ///
    /// # Errors
    /// As [`Model::load_keras_weights_bytes`].
    pub fn load_weights_bytes(&self, model: &mut Model, name: &str, bytes: Vec<u8>) -> Result<()> {
        let Some(config) = model.attachment::<KerasConfig>() else {
            return Err(Error::Graph(
                "weights are only read into a model from Model::from_keras_config or \
                 Model::from_keras; use Model::set_weights"
                    .into(),
            ));
        };
        // The configuration was read already, perhaps within other limits.
        let entries = entry::entries(CONFIG, &config.0, usize::MAX)?;
        weights::load(&mut file::open_weights(name, bytes, self)?, model, &entries)
    }
}

/// The configuration that a model was built from, which says where in a file its weights stand.
struct KerasConfig(Value);

/// The model of a file, with its weights.
pub(super) fn build(file: KerasFile, limits: &KerasLimits) -> Result<Model> {
    let KerasFile { config_label: label, config, version, mut weights } = file;
    let entries = entry::entries(&label, &config, limits.layers)?;
    let mut model = network(&label, version, &config, &entries, limits)?;
    weights::load(&mut weights, &mut model, &entries)?;
    model.attach(KerasConfig(config));
    Ok(model)
}

/// The model that a configuration describes, without weights.
pub(super) fn network(
    label: &str,
    version: Version,
    config: &Value,
    entries: &[Entry],
    limits: &KerasLimits,
) -> Result<Model> {
    let root = class::root(label, config)?;
    let max_calls = limits.calls;
    graph::build(&Source { label, version, root, value: config, entries, max_calls })
}
