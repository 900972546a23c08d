//! Layers of classes of its own that Python says how to compute: `load(custom=…, lambdas=…)`, and
//! the activations of functions of its own: `load(activations=…)`.

use crate::error::{exception, raised};
use birnn::{Activation, CustomLayer, Error, KerasOptions};
use ndarray::ArrayD;
use numpy::{PyArray, PyArrayDyn, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// A layer in the file that Python builds: its names, and the arguments that its `get_config`
/// wrote.
#[pyclass(frozen, module = "birnn", get_all)]
pub struct KerasLayer {
    name: String,
    class_name: String,
    config: Py<PyAny>,
}

#[pymethods]
impl KerasLayer {
    fn __repr__(&self, py: Python<'_>) -> String {
        let (name, class_name) = (&self.name, &self.class_name);
        format!("KerasLayer({name:?}, {class_name:?}, {})", self.config.bind(py))
    }
}

/// The functions of a registry, and what the first of them that failed raised: birnn's errors hold
/// no exceptions.
#[derive(Clone, Default)]
pub struct Raised {
    error: Arc<Mutex<Option<PyErr>>>,
    /// The names of `lambdas` that no layer had so far.
    unused: Arc<Mutex<BTreeSet<String>>>,
}

impl Raised {
    /// The exception of a function of Python's, where that is why loading failed, or that of the
    /// error.
    pub fn or(&self, py: Python<'_>, error: &Error) -> PyErr {
        let raised_before = self.error.lock().unwrap_or_else(PoisonError::into_inner).take();
        raised_before.unwrap_or_else(|| raised(py, error))
    }

    /// An error that stands for the exception.
    fn keep(&self, error: PyErr) -> Error {
        let text = error.to_string();
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        Error::Graph(text)
    }

    /// That each of `lambdas` was asked for: another name would be passed over.
    pub fn check_used(&self, py: Python<'_>, model: &birnn::Model) -> PyResult<()> {
        let unused = self.unused.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(name) = unused.first() else { return Ok(()) };
        let layers = model.layer_names();
        let text =
            format!("lambdas: no Lambda is named {name:?}; the model's layers are {layers:?}");
        Err(exception(py, "UnknownNameError", &text))
    }

    fn is_used(&self, name: &str) {
        self.unused.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

/// The options that have these functions build layers, by class and by the name of a `Lambda`, and
/// say which of Keras's activations a function of another name computes.
pub fn options(
    py: Python<'_>,
    custom: Option<&Bound<'_, PyDict>>,
    lambdas: Option<&Bound<'_, PyDict>>,
    activations: Option<&BTreeMap<String, String>>,
    raised: &Raised,
) -> PyResult<KerasOptions> {
    let mut options = KerasOptions::new();
    for (name, function) in custom.into_iter().flatten() {
        let (build, raised) = (function.unbind(), raised.clone());
        options = options.custom(name.extract::<String>()?, move |layer| {
            Python::attach(|py| built(py, &build, layer, &raised).map_err(|e| raised.keep(e)))
        });
    }
    for (name, function) in lambdas.into_iter().flatten() {
        let (build, raised) = (function.unbind(), raised.clone());
        let name = name.extract::<String>()?;
        raised.unused.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        options = options.lambda(name.clone(), move |layer| {
            raised.is_used(&name);
            Python::attach(|py| built(py, &build, layer, &raised).map_err(|e| raised.keep(e)))
        });
    }
    for (name, keras) in activations.into_iter().flatten() {
        let Some(activation) = Activation::from_keras_name(keras) else {
            let text = format!("activations: {keras:?} is none of Keras's activations");
            return Err(exception(py, "UnknownNameError", &text));
        };
        options = options.activation(name, activation);
    }
    Ok(options)
}

/// What a function of Python's makes of a layer.
fn built(
    py: Python<'_>,
    build: &Py<PyAny>,
    layer: &birnn::KerasLayer<'_>,
    raised: &Raised,
) -> PyResult<CustomLayer> {
    let config = py.import("json")?.call_method1("loads", (layer.json(),))?.unbind();
    let (name, class_name) = (layer.name().to_string(), layer.class_name().to_string());
    let made = build.call1(py, (KerasLayer { name, class_name, config },))?;
    // Keras's configurations of the layers, as JSON.
    let described = py.import("birnn._custom")?.call_method1("described", (made,))?;
    let (layers, supports_masking, weights): (Vec<String>, bool, Option<Py<PyAny>>) =
        described.extract()?;
    let mut parts = Vec::new();
    for json in layers {
        let part = KerasOptions::new().load_layer(&json);
        parts.push(part.map_err(|error| crate::error::raised(py, &error))?);
    }
    let mut parts = parts.into_iter();
    let Some(first) = parts.next() else { unreachable!("birnn._custom gives a layer") };
    let layer = parts.fold(CustomLayer::new(first), CustomLayer::then);
    let layer = layer.supports_masking(supports_masking);
    let Some(weights) = weights else { return Ok(layer) };
    let raised = raised.clone();
    Ok(layer.weights(move |arrays| {
        Python::attach(|py| converted(py, &weights, arrays).map_err(|e| raised.keep(e)))
    }))
}

/// What a function of Python's makes of the weights in the file.
fn converted(
    py: Python<'_>,
    convert: &Py<PyAny>,
    arrays: Vec<(String, ArrayD<f32>)>,
) -> PyResult<Vec<ArrayD<f32>>> {
    let list = PyList::empty(py);
    for (name, array) in arrays {
        list.append((name, PyArray::from_owned_array(py, array)))?;
    }
    let made = convert.bind(py).call1((list,))?;
    let as_weight = py.import("birnn._arrays")?.getattr("as_weight")?;
    let mut weights = Vec::new();
    for array in made.try_iter()? {
        let array = as_weight.call1(PyTuple::new(py, [array?])?)?;
        weights.push(array.cast::<PyArrayDyn<f32>>()?.to_owned_array());
    }
    Ok(weights)
}
