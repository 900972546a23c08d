//! Devices that models run on.

use crate::error::{exception, raised};
use crate::words;
use birnn::{CpuOptions, DeviceOptions, GpuOptions};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

/// A device that models are compiled for. Sessions on the same Device share it.
///
/// Args:
///     wanted: "best" (a GPU, or else the CPU path; what the environment
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
///     ModelError: an option is no number that it can be.
#[pyclass(frozen, module = "birnn")]
pub struct Device {
    pub device: birnn::Device,
}

/// Describes a device.
///
/// It has its ``name``, ``kind``, ``backend`` and ``driver``; its ``index`` among the adapters
/// and its ``pci`` address, for ``"gpu:1"`` and ``"pci:0000:3b:00.0"``; and the ``reason`` why
/// it was chosen.
#[pyclass(frozen, module = "birnn", get_all)]
pub struct DeviceInfo {
    name: String,
    kind: String,
    backend: String,
    driver: String,
    index: Option<usize>,
    pci: String,
    reason: String,
}

/// An adapter that was found, or the CPU path.
///
/// It has its ``info``, why it is ``unusable`` (None where it isn't), and its limits in bytes.
#[pyclass(frozen, module = "birnn", get_all)]
pub struct Adapter {
    info: Py<DeviceInfo>,
    unusable: Option<String>,
    max_buffer_size: Option<u64>,
    max_storage_buffer_binding_size: Option<u64>,
}

#[pymethods]
impl Device {
    #[new]
    #[expect(clippy::too_many_arguments)] // keyword arguments of Python's
    #[pyo3(signature = (
        wanted="best", *, threads=None, half_weights=false, allow_software=None, autotune=false,
        persistent=false, memory_budget=None, gpu_time=false
    ))]
    fn new(
        py: Python<'_>,
        wanted: &str,
        threads: Option<&Bound<'_, PyAny>>,
        half_weights: bool,
        allow_software: Option<bool>,
        autotune: bool,
        persistent: bool,
        memory_budget: Option<&Bound<'_, PyAny>>,
        gpu_time: bool,
    ) -> PyResult<Device> {
        // What the best device is, the environment may say.
        let wanted = match wanted.trim() {
            "" | "best" | "auto" => std::env::var("BIRNN_DEVICE").unwrap_or_default(),
            wanted => wanted.to_string(),
        };
        let mut gpu = GpuOptions::new().gpu_time(gpu_time);
        if autotune {
            gpu = gpu.autotune(true);
        }
        if persistent {
            gpu = gpu.persistent(true);
        }
        if let Some(bytes) = memory_budget {
            gpu = gpu.memory_budget(count(py, "memory_budget", bytes)? as u64);
        }
        let mut options = DeviceOptions::new().parse(&wanted).half_weights(half_weights);
        options = options.with_gpu(gpu);
        if let Some(threads) = threads {
            let threads = count(py, "threads", threads)?;
            options = options.with_cpu(CpuOptions::new().threads(threads));
        }
        if let Some(yes) = allow_software {
            options = options.allow_software(yes);
        }
        let device = py.detach(|| options.open());
        device.map(|device| Device { device }).map_err(|error| raised(py, &error))
    }

    /// Describes the device, and says why it was chosen.
    #[getter]
    fn info(&self) -> DeviceInfo {
        self.device.info().into()
    }

    fn __repr__(&self) -> String {
        format!("<birnn.Device {}>", self.device.info())
    }
}

/// The device that a caller names, or nothing, with the options that `birnn.Device` takes.
pub fn opened<'py>(
    py: Python<'py>,
    name: Option<&Bound<'py, PyAny>>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, Device>> {
    if let Some(name) = name
        && !name.is_instance_of::<PyString>()
    {
        let kind = name.get_type().name()?;
        let text = format!("a device is a birnn.Device or a name such as \"cpu\", got {kind}");
        return Err(exception(py, "InputTypeError", &text));
    }
    let name = name.into_iter().cloned().collect::<Vec<_>>();
    let opened = py.get_type::<Device>().call(PyTuple::new(py, name)?, options);
    let opened = opened.map_err(|error| match error.is_instance_of::<PyTypeError>(py) {
        // The options were given to a function that hands them on.
        true => PyTypeError::new_err(error.value(py).to_string().replace("Device.__new__()", WHO)),
        false => error,
    });
    Ok(opened?.cast_into::<Device>()?)
}

/// Whose options they are in an error of Python's.
const WHO: &str = "Model.compile()";

/// A whole number from 0 on that an argument of this name has.
pub fn count(py: Python<'_>, name: &str, value: &Bound<'_, PyAny>) -> PyResult<usize> {
    value.extract::<usize>().map_err(|_| {
        let text = format!("{name} is {}; it has to be a whole number from 0 on", shown(value));
        exception(py, "ModelError", &text)
    })
}

/// A value as Python writes it.
fn shown(value: &Bound<'_, PyAny>) -> String {
    value.repr().map_or_else(|_| "no value".to_string(), |text| text.to_string())
}

impl From<&birnn::DeviceInfo> for DeviceInfo {
    fn from(info: &birnn::DeviceInfo) -> DeviceInfo {
        let birnn::DeviceInfo { kind, name, backend, driver, index, pci, reason } = info.clone();
        let (kind, reason) = (kind.to_string(), words::told(&reason));
        DeviceInfo { name, kind, backend, driver, index, pci, reason }
    }
}

#[pymethods]
impl DeviceInfo {
    fn __repr__(&self) -> String {
        let driver = if self.driver.is_empty() { "" } else { ", driver " };
        format!("{} ({}, {}{driver}{})", self.name, self.kind, self.backend, self.driver)
    }
}

#[pymethods]
impl Adapter {
    fn __repr__(&self) -> String {
        let unusable = self.unusable.as_ref().map(|reason| format!("; unusable: {reason}"));
        format!("<birnn.Adapter {}{}>", self.info.get().__repr__(), unusable.unwrap_or_default())
    }
}

/// Lists the adapters that were found, best first, and the CPU path.
#[pyfunction]
pub fn devices(py: Python<'_>) -> PyResult<Vec<Adapter>> {
    let mut list = Vec::new();
    for adapter in py.detach(birnn::Device::adapters) {
        list.push(Adapter {
            info: Py::new(py, DeviceInfo::from(&adapter.info))?,
            unusable: adapter.unusable.as_deref().map(words::told),
            max_buffer_size: Some(adapter.max_buffer_size),
            max_storage_buffer_binding_size: Some(adapter.max_storage_buffer_binding_size),
        });
    }
    let info = Py::new(py, DeviceInfo::from(birnn::Device::cpu().info()))?;
    let (max_buffer_size, max_storage_buffer_binding_size) = (None, None);
    list.push(Adapter { info, unusable: None, max_buffer_size, max_storage_buffer_binding_size });
    Ok(list)
}
