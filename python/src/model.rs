//! A model, and where it comes from.

use crate::custom::{self, Raised};
use crate::device::{self, Device, count};
use crate::error::{exception, raised};
use crate::session::Session;
use crate::summary::Summary;
use birnn::program::Values;
use birnn::torch::TorchOptions;
use birnn::{Activation, FileFormat, KerasOptions, OnnxOptions, SaveOptions};
use numpy::{PyArray, PyArrayDyn, PyArrayMethods};
use pyo3::exceptions::PyUserWarning;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// A network: its layers, how they are connected, and their weights.
///
/// It comes from load, from_keras or from_torch; compile makes it ready to run.
#[pyclass(frozen, module = "birnn")]
pub struct Model {
    model: birnn::Model,
    /// Whether sequences are `[timesteps, batch, features]` in Python, as a module of PyTorch's
    /// with `batch_first=False` has them.
    time_major: bool,
}

#[pymethods]
impl Model {
    /// Makes the model ready to run: uploads its weights and builds the kernels.
    ///
    /// Args:
    ///     device: a Device, or "best" (a GPU, or else the CPU path; what the environment
    ///         variable BIRNN_DEVICE names, where it is set), "gpu", "cpu", "reference", "gpu:1" or
    ///         "pci:0000:3b:00.0" (see DeviceInfo), or part of an adapter's name.
    ///     threads: how many threads the CPU path computes on (default: as many as cores).
    ///     half_weights: whether weights of recurrent layers are stored in 16 bits, which changes
    ///         results by up to 1e-3.
    ///     allow_software: whether a software adapter may be chosen.
    ///     autotune: whether a GPU times a few ways of running each layer.
    ///     persistent: whether a GPU may run timesteps by workgroups that wait for each other.
    ///     memory_budget: how many bytes of a GPU's memory a call may take.
    ///     gpu_time: whether a GPU records how long it works on a call, for Session.gpu_time.
    ///
    /// Raises:
    ///     DeviceError: there is no such device, or it can't be opened.
    ///     ModelError: a layer has no weights, an option is no number that it can be, or a Device
    ///         and options are given.
    ///     OutOfMemoryError: there is not enough memory.
    #[pyo3(signature = (device=None, **options))]
    fn compile(
        &self,
        py: Python<'_>,
        device: Option<&Bound<'_, PyAny>>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Session> {
        let device = match device.map(|device| device.cast::<Device>()) {
            Some(Ok(device)) if options.is_none() => device.clone(),
            Some(Ok(_)) => {
                let text = "a Device has its options already: give them to birnn.Device";
                return Err(exception(py, "ModelError", text));
            }
            // A name, or nothing.
            _ => device::opened(py, device, options)?,
        };
        let device = &device.get().device;
        let session = py.detach(|| device.compile(&self.model));
        let session = session.map_err(|error| raised(py, &error))?;
        Session::new(py, session, self.time_major)
    }

    /// Lists the model's inputs and layers, with shapes and numbers of weights.
    fn summary(&self, py: Python<'_>) -> PyResult<Summary> {
        Summary::of(py, &self.model)
    }

    /// The names of the inputs, in order.
    #[getter]
    fn input_names(&self) -> Vec<String> {
        self.model.input_names()
    }

    /// What the model returns, in order, such as ``output of lstm``.
    #[getter]
    fn output_names(&self) -> Vec<String> {
        self.model.output_names()
    }

    /// The names of the layers, in order.
    #[getter]
    fn layer_names(&self) -> Vec<String> {
        self.model.layer_names()
    }

    /// Copies the weights of a layer: the arrays of Keras's get_weights, in the same order.
    ///
    /// Raises:
    ///     UnknownNameError (a KeyError): no layer has this name.
    ///     ModelError: the layer's weights aren't set.
    fn weights<'py>(&self, py: Python<'py>, layer: &str) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let arrays = self.model.weights(layer).map_err(|error| raised(py, &error))?;
        let array = |array| PyArray::from_owned_array(py, array).into_any();
        Ok(arrays.into_iter().map(array).collect())
    }

    /// Writes the model in birnn's own form, which load reads: a ``.safetensors`` file.
    ///
    /// Args:
    ///     path: the file, which is replaced; its name ends in ``.safetensors``.
    ///     half_weights: whether weights are rounded to 16 bits.
    ///     batch_first: of a model that takes ``[timesteps, batch, features]``, as a module of
    ///         PyTorch's with ``batch_first=False``, True writes one that takes
    ///         ``[batch, timesteps, features]``: no file says which. A pickle keeps the layout.
    ///
    /// Raises:
    ///     OSError: the file can't be written.
    ///     FileError: the name ends otherwise, as that of another form.
    ///     ModelError: a layer has no weights, or the model takes the timesteps first.
    #[pyo3(signature = (path, *, half_weights=false, batch_first=None))]
    fn save(
        &self,
        py: Python<'_>,
        path: PathBuf,
        half_weights: bool,
        batch_first: Option<bool>,
    ) -> PyResult<()> {
        if batch_first == Some(false) || self.time_major && batch_first.is_none() {
            let path = path.display().to_string();
            let text = format!(
                "a file doesn't say that sequences are [timesteps, batch, features], and is read \
                 as of [batch, timesteps, features]: save({path:?}, batch_first=True) writes the \
                 model so, and birnn.load({path:?}, batch_first=False) reads it with the timesteps \
                 first; a pickle keeps the layout"
            );
            return Err(exception(py, "ModelError", &text));
        }
        let options = SaveOptions::new().half_weights(half_weights);
        let saved = py.detach(|| options.save(&self.model, path));
        saved.map_err(|error| raised(py, &error))
    }

    /// A pickle has the model in birnn's own form.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let bytes = py.detach(|| self.model.to_portable_bytes());
        let bytes = bytes.map_err(|error| raised(py, &error))?;
        let reading = py.import("birnn._loading")?.getattr("reading")?.call0()?;
        let bytes = PyBytes::new(py, &bytes);
        let arguments = ("portable", "the pickled model", bytes, reading, self.time_major);
        let from_bytes = py.import("birnn._birnn")?.getattr("from_bytes")?;
        Ok((from_bytes, arguments.into_pyobject(py)?.into_any()))
    }

    fn __repr__(&self) -> String {
        let summary = self.model.summary();
        let (inputs, layers) = (self.model.input_names(), self.model.layer_names().len());
        let layout = if self.time_major { ", [timesteps, batch, features]" } else { "" };
        let parameters = summary.parameters;
        format!("<birnn.Model of {inputs:?}, {layers} layers, {parameters} parameters{layout}>")
    }

    fn _repr_html_(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.summary(py)?.html())
    }
}

/// What the keyword arguments of `load` say; each is of one format.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Reading<'py> {
    custom: Option<Bound<'py, PyDict>>,
    lambdas: Option<Bound<'py, PyDict>>,
    activations: Option<BTreeMap<String, String>>,
    config: Option<String>,
    prefix: Option<String>,
    nonlinearity: Option<String>,
    tied: Option<HashMap<String, String>>,
    axis_lengths: Option<HashMap<String, Bound<'py, PyAny>>>,
    fixed_inputs: Option<Bound<'py, PyDict>>,
    batch_first: Option<bool>,
}

impl Reading<'_> {
    /// That no option is of another format than the file's.
    fn check(&self, py: Python<'_>, format: FileFormat) -> PyResult<()> {
        use FileFormat::{Keras, Onnx, Portable, Torch};
        if self.batch_first.is_some() && !matches!(format, Torch | Portable) {
            let text = format!(
                "batch_first is an option of PyTorch's modules, of files of their weights and of \
                 birnn's own; this one is {format:?}'s"
            );
            return Err(exception(py, "FileError", &text));
        }
        let given = [
            ("custom", Keras, self.custom.is_some()),
            ("lambdas", Keras, self.lambdas.is_some()),
            ("activations", Keras, self.activations.is_some()),
            ("config", Keras, self.config.is_some()),
            ("prefix", Torch, self.prefix.is_some()),
            ("nonlinearity", Torch, self.nonlinearity.is_some()),
            ("tied", Onnx, self.tied.is_some()),
            ("axis_lengths", Onnx, self.axis_lengths.is_some()),
            ("fixed_inputs", Onnx, self.fixed_inputs.is_some()),
        ];
        match given.iter().find(|(_, of, given)| *given && *of != format) {
            Some((name, of, _)) => {
                let text = format!("{name} is an option of {of:?} files; this one is {format:?}'s");
                Err(exception(py, "FileError", &text))
            }
            None => Ok(()),
        }
    }

    /// Whether sequences are `[timesteps, batch, features]` in Python, as far as the options say.
    fn time_major(&self, py: Python<'_>, model: &birnn::Model) -> PyResult<bool> {
        if self.batch_first.is_some() && model.is_program() {
            let text = "batch_first: the arrays of an ONNX model are what the file says";
            return Err(exception(py, "FileError", text));
        }
        let summary = model.summary();
        let mut inputs = summary.rows.iter().filter(|row| row.class_name == "InputLayer");
        let other = inputs.find(|row| row.output_shapes.iter().any(|shape| shape.len() != 3));
        if let (Some(false), Some(row)) = (self.batch_first, other) {
            let text = format!(
                "batch_first: the input {:?} is no sequence [batch, timesteps, features]",
                row.name
            );
            return Err(exception(py, "FileError", &text));
        }
        Ok(self.batch_first == Some(false))
    }

    fn onnx(&self, py: Python<'_>) -> PyResult<OnnxOptions> {
        let mut options = OnnxOptions::new();
        for (input, output) in self.tied.iter().flatten() {
            options = options.tied(input, output);
        }
        for (axis, length) in self.axis_lengths.iter().flatten() {
            let length = count(py, &format!("axis_lengths[{axis:?}]"), length)?;
            options = options.length(axis, length);
        }
        for (input, value) in self.fixed_inputs.iter().flatten() {
            options = options.fixed_input(&input.extract::<String>()?, values(&value, &input)?);
        }
        Ok(options)
    }

    fn torch(&self, py: Python<'_>) -> PyResult<TorchOptions> {
        let mut options = TorchOptions::new();
        if let Some(prefix) = &self.prefix {
            options = options.prefix(prefix);
        }
        match self.nonlinearity.as_deref() {
            None | Some("tanh") => Ok(options),
            Some("relu") => Ok(options.nonlinearity(Activation::Relu)),
            Some(other) => {
                let text = format!("nonlinearity is {other:?}; PyTorch has 'tanh' and 'relu'");
                Err(exception(py, "ModelError", &text))
            }
        }
    }
}

/// The value of an input that no call gives: whole numbers, truth values or floats.
fn values(value: &Bound<'_, PyAny>, input: &Bound<'_, PyAny>) -> PyResult<Values> {
    let array = value.py().import("birnn._arrays")?.call_method1("as_values", (value, input))?;
    if let Ok(integers) = array.cast::<PyArrayDyn<i64>>() {
        return Ok(Values::Integers(integers.to_owned_array()));
    }
    if let Ok(bytes) = array.cast::<PyArrayDyn<u8>>() {
        return Ok(Values::Bools(bytes.to_owned_array().mapv(|byte| byte != 0)));
    }
    Ok(Values::Floats(array.cast::<PyArrayDyn<f32>>()?.to_owned_array()))
}

/// Where a model is read from.
enum Source<'a> {
    Path(&'a Path),
    Bytes(&'a str, &'a [u8]),
}

/// Reads a model; the interpreter's lock is given up meanwhile.
fn read(
    py: Python<'_>,
    format: FileFormat,
    source: Source<'_>,
    reading: &Reading<'_>,
) -> PyResult<birnn::Model> {
    reading.check(py, format)?;
    let raising = Raised::default();
    let (custom, lambdas) = (reading.custom.as_ref(), reading.lambdas.as_ref());
    let keras = custom::options(py, custom, lambdas, reading.activations.as_ref(), &raising)?;
    let (onnx, torch) = (reading.onnx(py)?, reading.torch(py)?);
    let config = reading.config.as_deref();
    let model = py.detach(|| match (format, source) {
        (FileFormat::Keras, source) => read_keras(&keras, config, source),
        (FileFormat::Onnx, Source::Path(path)) => onnx.load(path),
        (FileFormat::Onnx, Source::Bytes(name, bytes)) => onnx.load_bytes(name, bytes),
        (FileFormat::Torch, Source::Path(path)) => torch.load(path),
        (FileFormat::Torch, Source::Bytes(name, bytes)) => torch.load_bytes(name, bytes.to_vec()),
        (_, Source::Path(path)) => birnn::Model::load(path),
        (_, Source::Bytes(name, bytes)) => birnn::Model::from_portable_bytes(name, bytes),
    });
    let model = model.map_err(|error| raising.or(py, &error))?;
    raising.check_used(py, &model)?;
    if format == FileFormat::Torch && reading.nonlinearity.is_none() && is_rnn(&model) {
        let text = c"the state dict doesn't say whether its RNN computes tanh or relu: tanh is \
                     taken (nonlinearity=\"tanh\" or \"relu\" says it)";
        PyErr::warn(py, &py.get_type::<PyUserWarning>(), text, 2)?;
    }
    Ok(model)
}

/// Whether a layer of it is an RNN, whose nonlinearity no state dict says.
fn is_rnn(model: &birnn::Model) -> bool {
    let is_rnn = |(_, layer): &(_, &birnn::layer::Recurrent)| !layer.cell().has_gates();
    model.layers().any(|layer| layer.directions().iter().any(is_rnn))
}

fn read_keras(
    options: &KerasOptions,
    config: Option<&str>,
    source: Source<'_>,
) -> birnn::Result<birnn::Model> {
    match (config, source) {
        (None, Source::Path(path)) => options.load(path),
        (None, Source::Bytes(name, bytes)) => options.load_bytes(name, bytes.to_vec()),
        (Some(json), source) => {
            let mut model = options.load_config(json)?;
            match source {
                Source::Path(path) => model.load_keras_weights(path)?,
                Source::Bytes(name, bytes) => {
                    model.load_keras_weights_bytes(name, bytes.to_vec())?;
                }
            }
            Ok(model)
        }
    }
}

/// Reads a file of any format, which its content tells.
#[pyfunction]
#[pyo3(signature = (path, reading))]
pub fn load(py: Python<'_>, path: PathBuf, reading: Reading<'_>) -> PyResult<Model> {
    let format = FileFormat::of(&path).map_err(|error| raised(py, &error))?;
    let model = read(py, format, Source::Path(&path), &reading)?;
    let time_major = reading.time_major(py, &model)?;
    Ok(Model { model, time_major })
}

/// Reads the content of a file; `name` stands for it in messages.
#[pyfunction]
#[pyo3(signature = (format, name, bytes, reading, time_major))]
pub fn from_bytes(
    py: Python<'_>,
    format: &str,
    name: &str,
    bytes: &Bound<'_, PyBytes>,
    reading: Reading<'_>,
    time_major: bool,
) -> PyResult<Model> {
    let format = match format {
        "keras" => FileFormat::Keras,
        "onnx" => FileFormat::Onnx,
        "torch" => FileFormat::Torch,
        _ => FileFormat::Portable,
    };
    let model = read(py, format, Source::Bytes(name, bytes.as_bytes()), &reading)?;
    let time_major = time_major || reading.time_major(py, &model)?;
    Ok(Model { model, time_major })
}
