//! From a file, or from a configuration and a file of weights, to a model.

use super::class::SUPPORTED;
use super::custom::{KerasOptions, Registry};
use super::entry::{self, Around, Entry};
use super::file::{self, KerasFile};
use super::graph;
use super::layer;
use super::level::Source;
use super::limits::KerasLimits;
use super::merged::Merged;
use super::messages::CONFIG;
use super::stateless::Calling;
use super::version::Version;
use super::{class, weights};
use crate::layer::default_name;
use crate::{Error, Layer, Model, Result};
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
        let mut entries = entry::entries(CONFIG, &source.config, usize::MAX, &source.registry)?;
        source.merged.apply(&mut entries);
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
        let (mut model, merged) = network(CONFIG, version, &config, &entries, &self.limits)?;
        model.attach(KerasSource { config, registry: self.registry.clone(), merged });
        Ok(model)
    }
}

impl KerasOptions {
    /// The layer that Keras's `keras.saving.serialize_keras_object(layer)` describes as JSON,
    /// without weights: for a [`CustomLayer`](crate::CustomLayer) whose parts are told in Keras's
    /// words. Of the JSON `class_name` and `config` are read, where `config` may lack a `name`,
    /// which is then the class's, and arguments that have a default in Keras. A `keras_version`
    /// beside them says whose meaning the arguments have; without it Keras 3's.
    ///
    /// # Errors
    /// As [`Model::from_keras_config`]; [`Error::UnsupportedLayer`] also of a layer that several of
    /// birnn's stand for, or that is a model.
    ///
    /// ```
    /// use birnn::{Dense, KerasOptions};
    /// let json = r#"{"class_name": "Dense", "config": {"units": 4, "use_bias": false}}"#;
    /// let layer = KerasOptions::new().load_layer(json)?;
    /// assert_eq!(layer, Dense::new(4).use_bias(false).named("dense"));
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn load_layer(&self, json: &str) -> Result<Layer> {
        let mut config = file::parse_config(CONFIG, json.as_bytes(), &self.limits)?;
        let version = match config.get("keras_version") {
            Some(_) => file::config_version(&config, json)?,
            None => Version::Keras3,
        };
        let class_name = config.get("class_name").and_then(Value::as_str).unwrap_or_default();
        let defaults = defaults(class_name);
        if let Some(arguments) = config.get_mut("config").and_then(Value::as_object_mut) {
            for (argument, default) in defaults {
                arguments.entry(argument).or_insert(default);
            }
        }
        let entry = entry::entry(CONFIG, 0, &config, &Around::default(), &self.registry)?;
        let built = layer::build(CONFIG, &entry, version, Calling::default(), false)?;
        match (<[Layer; 1]>::try_from(built.layers), built.unmasked) {
            (Ok(_), Some(unmasked)) => Err(unmasked.error),
            (Ok([layer]), None) => Ok(layer),
            (Err(_), _) => Err(Error::UnsupportedLayer {
                layer: entry.path,
                class_name: format!("{} of several cells", entry.class_name),
                supported: SUPPORTED,
            }),
        }
    }
}

/// What a layer of Keras's is made with where its constructor isn't told, of what a configuration
/// that Keras wrote always has.
fn defaults(class_name: &str) -> Vec<(&'static str, Value)> {
    let text = |value: &str| Value::String(value.to_string());
    let mut defaults = vec![("name", Value::String(default_name(class_name)))];
    match class_name {
        "LSTM" | "GRU" => {
            defaults.push(("activation", text("tanh")));
            defaults.push(("recurrent_activation", text("sigmoid")));
        }
        "SimpleRNN" => defaults.push(("activation", text("tanh"))),
        "Rescaling" => defaults.push(("offset", Value::from(0.0))),
        "Dense" | "Conv1D" | "Conv2D" | "Conv3D" | "Conv1DTranspose" | "Conv2DTranspose"
        | "DepthwiseConv1D" | "DepthwiseConv2D" | "SeparableConv1D" | "SeparableConv2D" => {
            defaults.push(("activation", text("linear")));
        }
        _ => {}
    }
    defaults
}

/// What a model was built from: the configuration, which says where in a file its weights stand,
/// and the caller's layers.
struct KerasSource {
    config: Value,
    registry: Registry,
    merged: Merged,
}

/// The model of a file, with its weights.
pub(super) fn build(file: KerasFile, options: &KerasOptions) -> Result<Model> {
    let KerasFile { config_label: label, config, version, mut weights } = file;
    let KerasOptions { limits, registry } = options;
    let mut entries = entry::entries(&label, &config, limits.layers, registry)?;
    let (mut model, merged) = network(&label, version, &config, &entries, limits)?;
    merged.apply(&mut entries);
    weights::load(&mut weights, &mut model, &entries)?;
    model.attach(KerasSource { config, registry: registry.clone(), merged });
    Ok(model)
}

/// The model that a configuration describes, without weights, and where axes are merged with the
/// batch in it.
pub(super) fn network(
    label: &str,
    version: Version,
    config: &Value,
    entries: &[Entry],
    limits: &KerasLimits,
) -> Result<(Model, Merged)> {
    let root = class::root(label, config)?;
    let (max_calls, masks) = (limits.calls, entries.iter().any(layer::makes_masks));
    graph::build(&Source { label, version, root, value: config, entries, max_calls, masks })
}
