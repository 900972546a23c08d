//! What stands in a file, also in one that can't be loaded.

use super::class::Class;
use super::custom::{KerasOptions, Registry};
use super::entry::{Around, Count};
use super::file::{self, KerasFile};
use super::limits::KerasLimits;
use super::load::build;
use super::stateless::Calling;
use super::version::Version;
use super::{call, class, entry, layer};
use crate::{Error, Model, Result};
use serde_json::Value;
use std::path::Path;

/// A file of Keras's, layer by layer; see [`inspect_keras`].
#[derive(Debug)]
#[non_exhaustive]
pub struct KerasFileReport {
    /// The layers, in the order of the file, with the operations between them, and behind a model
    /// that is a layer the layers in it.
    pub layers: Vec<KerasLayerReport>,
    /// The model, or why it can't be loaded.
    pub model: Result<Model>,
}

/// A layer of a file.
#[derive(Debug)]
#[non_exhaustive]
pub struct KerasLayerReport {
    /// Its name; of a layer of a model that is a layer itself behind that one's: `encoder/lstm`.
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
        KerasOptions::from(self.clone()).inspect(path)
    }
}

impl KerasOptions {
    /// [`inspect_keras`](crate::inspect_keras) with these options.
    ///
    /// # Errors
    /// As [`inspect_keras`](crate::inspect_keras).
    pub fn inspect(&self, path: impl AsRef<Path>) -> Result<KerasFileReport> {
        let (path, limits) = (path.as_ref(), &self.limits);
        let bytes = file::read(path, limits)?;
        report(KerasFile::open(&path.display().to_string(), bytes, limits)?, self)
    }
}

fn report(file: KerasFile, options: &KerasOptions) -> Result<KerasFileReport> {
    let (label, version) = (file.config_label.clone(), file.version);
    let root = class::root(&label, &file.config);
    let is_functional = matches!(root, Ok(class::Root::Functional));
    // A model of a class of its own may have no list of layers, for which that is the reason.
    let mut reports = Reports {
        label: &label,
        version,
        registry: &options.registry,
        count: Count::new(options.limits.layers),
        layers: Vec::new(),
    };
    reports
        .of_model(&file.config, is_functional, &Around::default())
        .map_err(|error| root.err().unwrap_or(error))?;
    let layers = reports.layers;
    Ok(KerasFileReport { layers, model: build(file, options) })
}

/// The reports on the layers of a file so far.
struct Reports<'l> {
    label: &'l str,
    version: Version,
    registry: &'l Registry,
    count: Count,
    layers: Vec<KerasLayerReport>,
}

impl Reports<'_> {
    /// Those on a model's layers, each followed by those on the layers in it.
    fn of_model(&mut self, model: &Value, is_functional: bool, around: &Around) -> Result<()> {
        around.check_depth(self.label)?;
        for (index, value) in entry::listed(self.label, model, &mut self.count)?.iter().enumerate()
        {
            let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
            let name = text("/name").or(text("/config/name")).unwrap_or_default();
            let name = format!("{}{name}", around.prefix);
            let inner = entry::model_of(value, &name, around);
            // What it warns of, building the model warns of again.
            let silent = tracing::subscriber::NoSubscriber::new();
            let problem = tracing::subscriber::with_default(silent, || {
                self.check(is_functional, index, value, around, inner.is_some()).err()
            });
            let class_name = text("/class_name").unwrap_or("(none)").to_string();
            self.layers.push(KerasLayerReport { name, class_name, problem });
            if let Some((model, root, around)) = inner {
                self.of_model(model, root == class::Root::Functional, &around)?;
            }
        }
        Ok(())
    }

    /// That a layer can be built, and called as it is called.
    fn check(
        &self,
        is_functional: bool,
        index: usize,
        value: &Value,
        around: &Around,
        is_model: bool,
    ) -> Result<()> {
        let entry = entry::entry(self.label, index, value, around, self.registry)?;
        match entry.class {
            Class::Input => return layer::input(&entry, self.version).map(|_| ()),
            Class::Operation(_) => {}
            _ if is_model => {}
            _ => {
                layer::build(self.label, &entry, self.version, Calling::default(), false)?;
            }
        }
        if is_functional {
            call::calls(self.label, &entry.path, entry.class, entry.inbound_nodes)?;
        }
        Ok(())
    }
}
