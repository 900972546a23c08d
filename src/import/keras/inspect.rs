//! What stands in a file, also in one that can't be loaded.

use super::class::Class;
use super::file::{self, KerasFile};
use super::limits::KerasLimits;
use super::load::build;
use super::version::Version;
use super::{call, class, entry, layer};
use crate::{Error, Model, Result};
use serde_json::Value;
use std::path::Path;

/// A file of Keras's, layer by layer; see [`inspect_keras`].
#[derive(Debug)]
#[non_exhaustive]
pub struct KerasFileReport {
    /// The layers, in the order of the file, with the operations between them.
    pub layers: Vec<KerasLayerReport>,
    /// The model, or why it can't be loaded.
    pub model: Result<Model>,
}

/// A layer of a file.
#[derive(Debug)]
#[non_exhaustive]
pub struct KerasLayerReport {
    /// Its name.
    pub name: String,
    /// Its Keras class, or the name of an operation.
    pub class_name: String,
    /// Why it can't be loaded, as far as the layer alone tells.
    pub problem: Option<Error>,
}

/// Lists the layers of a file that [`Model::from_keras`] reads, each with whether it is supported:
/// all problems at once, where loading stops at the first.
///
/// ```
/// let report = birnn::inspect_keras("tests/fixtures/keras/unsupported/lambda.keras")?;
/// assert!(report.model.is_err());
/// let unsupported = report.layers.iter().filter(|layer| layer.problem.is_some());
/// assert_eq!(unsupported.map(|layer| layer.class_name.as_str()).collect::<Vec<_>>(), ["Lambda"]);
/// # Ok::<(), birnn::Error>(())
/// ```
///
/// # Errors
/// [`Error::Io`], [`Error::MalformedFile`] or [`Error::UnsupportedModel`] where the file has no
/// list of layers.
pub fn inspect_keras(path: impl AsRef<Path>) -> Result<KerasFileReport> {
    KerasLimits::new().inspect(path)
}

impl KerasLimits {
    /// [`inspect_keras`](crate::inspect_keras) within these limits.
    ///
    /// # Errors
    /// As [`inspect_keras`](crate::inspect_keras).
    pub fn inspect(&self, path: impl AsRef<Path>) -> Result<KerasFileReport> {
        let path = path.as_ref();
        report(KerasFile::open(&path.display().to_string(), file::read(path, self)?, self)?, self)
    }
}

fn report(file: KerasFile, limits: &KerasLimits) -> Result<KerasFileReport> {
    let (label, version) = (file.config_label.clone(), file.version);
    let root = class::root(&label, &file.config);
    let is_functional = matches!(root, Ok(class::Root::Functional));
    // A model of a class of its own may have no list of layers, for which that is the reason.
    let layers = entry::listed(&label, &file.config, limits.layers)
        .map_err(|error| root.err().unwrap_or(error))?;
    let report =
        |(index, value): (usize, &Value)| one(&label, version, is_functional, index, value);
    let layers = layers.iter().enumerate().map(report).collect();
    Ok(KerasFileReport { layers, model: build(file, limits) })
}

fn one(
    label: &str,
    version: Version,
    is_functional: bool,
    index: usize,
    value: &Value,
) -> KerasLayerReport {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    let name = text("/name").or(text("/config/name")).unwrap_or_default();
    KerasLayerReport {
        name: name.to_string(),
        class_name: text("/class_name").unwrap_or("(none)").to_string(),
        // What it warns of, building the model warns of again.
        problem: tracing::subscriber::with_default(
            tracing::subscriber::NoSubscriber::new(),
            || check(label, version, is_functional, index, value).err(),
        ),
    }
}

/// That a layer can be built, and called as it is called.
fn check(
    label: &str,
    version: Version,
    is_functional: bool,
    index: usize,
    value: &Value,
) -> Result<()> {
    let entry = entry::entry(label, index, value)?;
    match entry.class {
        Class::Input => layer::input(&entry, version).map(|_| ()),
        Class::MaskOperation(_) => Ok(()),
        _ => {
            layer::build(label, &entry, version, false)?;
            if is_functional {
                call::calls(label, entry.name, entry.class, entry.inbound_nodes)?;
            }
            Ok(())
        }
    }
}
