//! From a file, or from a configuration and a file of weights, to a model.

use super::custom::{KerasOptions, Registry};
use super::entry::{self, Entry};
use super::file::{self, KerasFile};
use super::graph;
use super::level::Source;
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
        KerasOptions::from(self.clone()).load(path)
    }

    /// [`Model::from_keras_bytes`] within these limits.
    ///
    /// # Errors
    /// As [`Model::from_keras_bytes`].
    pub fn load_bytes(&self, name: &str, bytes: Vec<u8>) -> Result<Model> {
        KerasOptions::from(self.clone()).load_bytes(name, bytes)
    }

    /// [`Model::from_keras_config`] within these limits.
    ///
    /// # Errors
    /// As [`Model::from_keras_config`].
    pub fn load_config(&self, json: &str) -> Result<Model> {
        KerasOptions::from(self.clone()).load_config(json)
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
        let Some(source) = model.attachment::<KerasSource>() else {
            return Err(Error::Graph(
                "weights are only read into a model from Model::from_keras_config or \
                 Model::from_keras; use Model::set_weights"
                    .into(),
            ));
        };
        // The configuration was read already, perhaps within other limits.
        let entries = entry::entries(CONFIG, &source.config, usize::MAX, &source.registry)?;
        weights::load(&mut file::open_weights(name, bytes, self)?, model, &entries)
    }
}

impl KerasOptions {
    /// [`Model::from_keras`] with these options.
    ///
    /// # Errors
    /// As [`Model::from_keras`], and those of the functions that build layers.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Model> {
        let path = path.as_ref();
        self.load_bytes(&path.display().to_string(), file::read(path, &self.limits)?)
    }

    /// [`Model::from_keras_bytes`] with these options.
    ///
    /// # Errors
    /// As [`Model::from_keras_bytes`], and those of the functions that build layers.
    pub fn load_bytes(&self, name: &str, bytes: Vec<u8>) -> Result<Model> {
        build(KerasFile::open(name, bytes, &self.limits)?, self)
    }

    /// [`Model::from_keras_config`] with these options; [`Model::load_keras_weights`] reads the
    /// weights of its custom layers, too.
    ///
    /// # Errors
    /// As [`Model::from_keras_config`], and those of the functions that build layers.
    pub fn load_config(&self, json: &str) -> Result<Model> {
        let config = file::parse_config(CONFIG, json.as_bytes(), &self.limits)?;
        let version = file::config_version(&config, json)?;
        let entries = entry::entries(CONFIG, &config, self.limits.layers, &self.registry)?;
        let mut model = network(CONFIG, version, &config, &entries, &self.limits)?;
        model.attach(KerasSource { config, registry: self.registry.clone() });
        Ok(model)
    }
}

/// What a model was built from: the configuration, which says where in a file its weights stand,
/// and the caller's layers.
struct KerasSource {
    config: Value,
    registry: Registry,
}

/// The model of a file, with its weights.
pub(super) fn build(file: KerasFile, options: &KerasOptions) -> Result<Model> {
    let KerasFile { config_label: label, config, version, mut weights } = file;
    let KerasOptions { limits, registry } = options;
    let entries = entry::entries(&label, &config, limits.layers, registry)?;
    let mut model = network(&label, version, &config, &entries, limits)?;
    weights::load(&mut weights, &mut model, &entries)?;
    model.attach(KerasSource { config, registry: registry.clone() });
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
