//! Layers that a caller builds: of classes of their own, and of `Lambda`s.

use super::class::{self, Class};
use super::json;
use super::limits::KerasLimits;
use super::messages::excerpt;
use crate::{Activation, Error, Layer, Result};
use ndarray::ArrayD;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// How a file of Keras's is read: within which limits, and which layers the caller builds because
/// their code isn't in the file.
///
/// ```
/// use birnn::layer::Rescaling;
/// use birnn::{CustomLayer, KerasOptions};
///
/// // keras.layers.Lambda(lambda t: t * 2, name="double")
/// let options = KerasOptions::new()
///     .lambda("double", |_| Ok(CustomLayer::new(Rescaling::new(2.0))));
/// let model = options.load("tests/fixtures/layers/refused/lambda.keras")?;
/// assert_eq!(model.layer_names(), ["double", "gru"]);
/// # Ok::<(), birnn::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct KerasOptions {
    pub(super) limits: KerasLimits,
    pub(super) registry: Registry,
}

impl KerasOptions {
    /// The default limits, and no layers of the caller's.
    pub fn new() -> KerasOptions {
        KerasOptions::default()
    }

    /// Sets how much a file may ask for.
    pub fn limits(mut self, limits: KerasLimits) -> KerasOptions {
        self.limits = limits;
        self
    }

    /// Has `build` make every layer of this class: the name in
    /// `@keras.saving.register_keras_serializable("package", "Name")`, `package>Name`, or of a
    /// class that wasn't registered the name that [`Error::UnsupportedLayer`] gives it. A class
    /// that birnn has itself isn't asked for here.
    ///
    /// So are those that Keras's `TimeDistributed` and `Bidirectional` wrap, and the cell of an
    /// `RNN`. What `Bidirectional` wraps and a cell have to be one recurrent layer, such as an
    /// [`Lstm`](crate::Lstm), which may have any of its cell's arguments; of a cell the layer's own
    /// (`return_sequences` and its kin) are those of the `RNN`.
    ///
    /// ```
    /// use birnn::layer::Rescaling;
    /// use birnn::{CustomLayer, KerasOptions};
    /// // @keras.saving.register_keras_serializable("birnn_fixtures")
    /// // class Doubled(keras.layers.Layer):
    /// //     def call(self, x):
    /// //         return x * 2
    /// let options = KerasOptions::new().custom("birnn_fixtures>Doubled", |layer| {
    ///     assert_eq!(layer.name(), "mine");
    ///     Ok(CustomLayer::new(Rescaling::new(2.0)))
    /// });
    /// let model = options.load("tests/fixtures/layers/refused/custom_layer.keras")?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn custom(
        mut self,
        class_name: impl Into<String>,
        build: impl Fn(&KerasLayer) -> Result<CustomLayer> + Send + Sync + 'static,
    ) -> KerasOptions {
        self.registry.classes.insert(class_name.into(), Builder(Arc::new(build)));
        self
    }

    /// Says which activation a function of this name computes, where a layer has it as its
    /// activation: the name in `@keras.saving.register_keras_serializable("package", "name")`,
    /// `package>name`, or of a function that wasn't registered the name that
    /// [`Error::UnsupportedArgument`] gives it. A name of Keras's own isn't asked for here.
    ///
    /// ```
    /// use birnn::{Activation, KerasOptions};
    /// // @keras.saving.register_keras_serializable("birnn_fixtures")
    /// // def scaled_tanh(x):
    /// //     return keras.ops.tanh(x) * 0.5
    /// let activation = Activation::ScaledTanh(0.5.into(), 1.0.into());
    /// let options = KerasOptions::new().activation("birnn_fixtures>scaled_tanh", activation);
    /// let model = options.load("tests/fixtures/layers/refused/custom_activation.keras")?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn activation(mut self, name: impl Into<String>, activation: Activation) -> KerasOptions {
        self.registry.activations.insert(name.into(), activation);
        self
    }

    /// Has `build` make the `Lambda` of this name, whose code isn't in the file in a form that can
    /// be read. One in a model that is a layer may be told from others by that one's name before
    /// its own: `encoder/double`. One that a `TimeDistributed` wraps has a name of its own beside
    /// that one's; either will do.
    pub fn lambda(
        mut self,
        name: impl Into<String>,
        build: impl Fn(&KerasLayer) -> Result<CustomLayer> + Send + Sync + 'static,
    ) -> KerasOptions {
        self.registry.lambdas.insert(name.into(), Builder(Arc::new(build)));
        self
    }
}

impl From<KerasLimits> for KerasOptions {
    fn from(limits: KerasLimits) -> KerasOptions {
        KerasOptions::new().limits(limits)
    }
}

/// What computes a layer of the caller's: one of birnn's layers, or several, each on what the one
/// before returns.
///
/// The weights in the file go to these layers in their order, and in the order of
/// [`Model::weight_specs`](crate::Model::weight_specs) within each; [`CustomLayer::weights`] brings
/// others into that form.
#[derive(Clone)]
pub struct CustomLayer {
    pub(super) layers: Vec<Layer>,
    pub(super) supports_masking: bool,
    convert: Option<Arc<Convert>>,
}

type Convert = dyn Fn(Vec<(String, ArrayD<f32>)>) -> Result<Vec<ArrayD<f32>>> + Send + Sync;

impl CustomLayer {
    /// One layer.
    pub fn new(layer: impl Into<Layer>) -> CustomLayer {
        CustomLayer { layers: vec![layer.into()], supports_masking: false, convert: None }
    }

    /// A further layer, which reads what the one before it returns.
    pub fn then(mut self, layer: impl Into<Layer>) -> CustomLayer {
        self.layers.push(layer.into());
        self
    }

    /// Says that with masks the layers do what the custom class does. Without it the layer is
    /// refused where its input has a mask (default: false, as in Keras).
    pub fn supports_masking(mut self, supports_masking: bool) -> CustomLayer {
        self.supports_masking = supports_masking;
        self
    }

    /// Sets what makes the layers' weights of those in the file, which come with their names in the
    /// layer's group: `vars/0`, `vars/1` and, of a layer in it, `dense/vars/0` in a `.keras` file,
    /// `scale/gamma:0` in a legacy one. By default they are taken as they are.
    ///
    /// ```
    /// use birnn::{CustomLayer, Dense};
    /// // A Dense that keeps the transpose of its kernel.
    /// let layer = CustomLayer::new(Dense::new(4).use_bias(false))
    ///     .weights(|arrays| {
    ///         Ok(arrays.into_iter().map(|(_, array)| array.reversed_axes()).collect())
    ///     });
    /// ```
    pub fn weights<F>(mut self, convert: F) -> CustomLayer
    where
        F: Fn(Vec<(String, ArrayD<f32>)>) -> Result<Vec<ArrayD<f32>>> + Send + Sync + 'static,
    {
        self.convert = Some(Arc::new(convert));
        self
    }

    /// One layer or several, with another function that makes their weights.
    pub(super) fn converting<F>(layers: Vec<Layer>, supports_masking: bool, convert: F) -> Self
    where
        F: Fn(Vec<(String, ArrayD<f32>)>) -> Result<Vec<ArrayD<f32>>> + Send + Sync + 'static,
    {
        CustomLayer { layers, supports_masking, convert: Some(Arc::new(convert)) }
    }

    pub(super) fn converted(&self, arrays: Vec<(String, ArrayD<f32>)>) -> Result<Vec<ArrayD<f32>>> {
        match &self.convert {
            Some(convert) => convert(arrays),
            None => Ok(arrays.into_iter().map(|(_, array)| array).collect()),
        }
    }
}

impl fmt::Debug for CustomLayer {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("CustomLayer")
            .field("layers", &self.layers)
            .field("supports_masking", &self.supports_masking)
            .finish_non_exhaustive()
    }
}

/// A layer in the file that the caller builds: its names, and the arguments that its `get_config`
/// wrote. What a caller reads from it has to be checked: it comes from the file.
#[derive(Clone, Copy, Debug)]
pub struct KerasLayer<'a> {
    name: &'a str,
    class_name: &'a str,
    config: &'a Map<String, Value>,
}

impl<'a> KerasLayer<'a> {
    pub(super) fn new(
        name: &'a str,
        class_name: &'a str,
        config: &'a Map<String, Value>,
    ) -> KerasLayer<'a> {
        KerasLayer { name, class_name, config }
    }

    /// The layer's name in the model; of one that is wrapped, the wrapper's.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Its class in the file.
    pub fn class_name(&self) -> &'a str {
        self.class_name
    }

    /// The names of its arguments, in alphabetical order.
    pub fn arguments(&self) -> Vec<&'a str> {
        let mut names: Vec<_> = self.config.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// An argument that is a number.
    ///
    /// # Errors
    /// [`Error::Argument`] where it is missing or no number.
    pub fn number(&self, argument: &str) -> Result<f64> {
        self.read(argument, "a number", json::number)
    }

    /// An argument that is a whole number from 0 on, below 2^24.
    ///
    /// # Errors
    /// [`Error::Argument`] where it is missing or none.
    pub fn size(&self, argument: &str) -> Result<usize> {
        let size = |value: &Value| {
            value
                .as_u64()
                .filter(|size| *size < 1 << 24)
                .and_then(|size| usize::try_from(size).ok())
        };
        self.read(argument, "a whole number below 2^24", size)
    }

    /// An argument that is true or false.
    ///
    /// # Errors
    /// [`Error::Argument`] where it is missing or neither.
    pub fn flag(&self, argument: &str) -> Result<bool> {
        self.read(argument, "true or false", Value::as_bool)
    }

    /// An argument that is a text.
    ///
    /// # Errors
    /// [`Error::Argument`] where it is missing or no text.
    pub fn text(&self, argument: &str) -> Result<&'a str> {
        self.read(argument, "a text", Value::as_str)
    }

    /// An argument that is a list of numbers.
    ///
    /// # Errors
    /// [`Error::Argument`] where it is missing or no such list.
    pub fn numbers(&self, argument: &str) -> Result<Vec<f64>> {
        let numbers = |value: &Value| value.as_array()?.iter().map(json::number).collect();
        self.read(argument, "a list of numbers", numbers)
    }

    /// All arguments as JSON, for what the other functions don't read; infinite numbers and NaN are
    /// texts in it.
    pub fn json(&self) -> String {
        serde_json::to_string(self.config).unwrap_or_default()
    }

    fn read<T>(
        &self,
        argument: &str,
        what: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<T> {
        let value = self.config.get(argument);
        value.and_then(read).ok_or_else(|| Error::Argument {
            layer: self.name.to_string(),
            argument: argument.to_string(),
            reason: match value {
                None => "is missing".to_string(),
                Some(value) => format!("{} is not {what}", excerpt(value)),
            },
        })
    }
}

type Build = dyn Fn(&KerasLayer) -> Result<CustomLayer> + Send + Sync;

/// A function of the caller's that builds layers.
#[derive(Clone)]
pub(super) struct Builder(Arc<Build>);

impl Builder {
    pub(super) fn build(&self, layer: &KerasLayer) -> Result<CustomLayer> {
        (self.0)(layer)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Builder")
    }
}

/// The classes and `Lambda`s that a caller builds, and the activations that it names.
#[derive(Clone, Debug, Default)]
pub(super) struct Registry {
    classes: BTreeMap<String, Builder>,
    lambdas: BTreeMap<String, Builder>,
    activations: BTreeMap<String, Activation>,
}

impl Registry {
    /// What builds a layer or a cell of a class that birnn hasn't: `full_name` is that of errors,
    /// and `path` the name in the whole model, of a wrapped one the wrapper's.
    pub(super) fn find(&self, value: &Value, full_name: &str, path: &str) -> Option<&Builder> {
        let text = |key: &str| value.pointer(key).and_then(Value::as_str);
        if full_name == "Lambda" {
            let own = text("/name").or(text("/config/name"));
            return self.lambdas.get(path).or_else(|| self.lambdas.get(own?));
        }
        let names = [Some(full_name), text("/registered_name"), text("/class_name")];
        names.into_iter().flatten().find_map(|name| self.classes.get(name))
    }

    /// Whether the caller builds a layer, or one that it wraps.
    pub(super) fn builds(&self, value: &Value, path: &str) -> bool {
        let argument = |name: &str| value.get("config")?.get(name);
        match class::of(value) {
            Err(class_name) => self.find(value, &class_name, path).is_some(),
            Ok(Class::TimeDistributed | Class::Bidirectional) => ["layer", "backward_layer"]
                .into_iter()
                .filter_map(argument)
                .any(|inside| self.builds(inside, path)),
            Ok(Class::Rnn) => argument("cell").is_some_and(|cell| {
                let listed =
                    cell.as_array().or(cell.pointer("/config/cells").and_then(Value::as_array));
                let mut cells = std::iter::once(cell).chain(listed.into_iter().flatten());
                cells.any(|cell| self.find_cell(cell, path).is_some())
            }),
            Ok(_) => false,
        }
    }

    /// What builds a cell of a class that birnn hasn't.
    pub(super) fn find_cell(&self, cell: &Value, path: &str) -> Option<&Builder> {
        let class_name = class::cell(cell).err()?;
        self.find(cell, &class_name, path)
    }

    /// The activation that the caller names so.
    pub(super) fn activation(&self, name: &str) -> Option<Activation> {
        self.activations.get(name).copied()
    }
}
