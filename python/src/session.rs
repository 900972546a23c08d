//! A model made ready for a device.

use crate::device::{self, Device, DeviceInfo};
use crate::error::raised;
use crate::given::{Extras, Takes};
use crate::outputs::Form;
use crate::pending::Pending;
use crate::profile::Profile;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::sync::{Mutex, PoisonError};

/// A model made ready for a device by ``Model.compile``: ``outputs = session(x)``.
///
/// It runs any batch and any number of timesteps that the model takes. Threads can share it: their
/// calls come one after another. While birnn computes, other threads of Python run; arrays that it
/// was given must not be written to meanwhile.
#[pyclass(frozen, module = "birnn")]
pub struct Session {
    session: Mutex<birnn::Session>,
    takes: Takes,
    form: Form,
}

impl Session {
    pub fn new(py: Python<'_>, session: birnn::Session, time_major: bool) -> PyResult<Session> {
        let form = Form::new(py, session.model(), time_major)?;
        let takes = Takes { names: session.model().input_names(), time_major };
        Ok(Session { session: Mutex::new(session), takes, form })
    }

    /// Does something with birnn's session, without the interpreter's lock. Calls of several
    /// threads come one after another.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        act: impl Send + FnOnce(&mut birnn::Session) -> birnn::Result<T>,
    ) -> PyResult<T> {
        let done = self.done(py, act);
        done.map_err(|error| raised(py, &error))
    }

    fn done<T: Send>(
        &self,
        py: Python<'_>,
        act: impl Send + FnOnce(&mut birnn::Session) -> birnn::Result<T>,
    ) -> birnn::Result<T> {
        py.detach(|| act(&mut self.session.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// A call; what is wrong with the shape of an array is told in the layout of Python's.
    fn called<T: Send>(
        &self,
        py: Python<'_>,
        act: impl Send + FnOnce(&mut birnn::Session) -> birnn::Result<T>,
    ) -> PyResult<T> {
        self.done(py, act).map_err(|error| raised(py, &self.takes.explained(error)))
    }
}

/// Makes `session(x)` the method `run`, whose text it so has, too: of what Rust itself makes
/// `__call__` Python shows a text of its own.
pub fn make_callable(py: Python<'_>) -> PyResult<()> {
    let class = py.get_type::<Session>();
    class.setattr("__call__", class.getattr("run")?)
}

#[pymethods]
impl Session {
    /// Runs the model: ``session.run(x)``, or ``session(x)``, which is the same.
    ///
    /// Args:
    ///     *inputs: an array, or one for each input of the model in order; also one list of them,
    ///         or one dict of them by name. Sequences are [batch, timesteps, features], ids
    ///         [batch, timesteps]. Anything that NumPy, DLPack or the buffer protocol makes an
    ///         array of, in any memory order. float32 on the CPU is read where it is; smaller
    ///         floats, integers and bools are converted, float64 is rounded. Whole numbers that
    ///         float32 can't hold are refused.
    ///     mask: [batch, timesteps], true where the timestep counts; of several inputs a dict by
    ///         name, or a list.
    ///     lengths: in place of a mask how many timesteps each row has, [batch]; of several inputs
    ///         a dict by name, or a list. An input has a mask or lengths, not both.
    ///     initial_state: the states that the first recurrent layer starts from, each
    ///         [batch, units], in the order of Keras's initial_state; a dict gives them by layer.
    ///
    /// Returns:
    ///     What Keras's predict returns: a float32 array of a model with one output, and of any
    ///     other an Outputs, a tuple of arrays with names.
    ///
    /// Raises:
    ///     InputError (a ValueError): the inputs don't fit the model.
    ///     InputTypeError (also a TypeError): an input is no array of numbers.
    ///     UnknownNameError (a KeyError): initial states are given for a layer that isn't there.
    ///     DeviceError (a RuntimeError), OutOfMemoryError (a MemoryError): the call is too large,
    ///         or the GPU failed.
    #[pyo3(signature = (*inputs, mask=None, lengths=None, initial_state=None))]
    fn run<'py>(
        &self,
        py: Python<'py>,
        inputs: &Bound<'py, PyTuple>,
        mask: Option<&Bound<'py, PyAny>>,
        lengths: Option<&Bound<'py, PyAny>>,
        initial_state: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let given = self.takes.read(inputs, &Extras { mask, lengths, initial_state })?;
        let inputs = given.inputs();
        let outputs = self.called(py, |session| session.run(inputs))?;
        self.form.give(py, outputs)
    }

    /// Starts a call and returns while the GPU computes.
    ///
    /// Several calls can be in flight. The inputs are copied before it returns. On the CPU path it
    /// computes before it returns; run_async doesn't block there either. The arguments and errors
    /// are those of a call.
    ///
    /// Returns:
    ///     A Pending: ``pending.wait()`` or ``await pending`` gives the outputs.
    #[pyo3(signature = (*inputs, mask=None, lengths=None, initial_state=None))]
    fn submit<'py>(
        &self,
        py: Python<'py>,
        inputs: &Bound<'py, PyTuple>,
        mask: Option<&Bound<'py, PyAny>>,
        lengths: Option<&Bound<'py, PyAny>>,
        initial_state: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Pending> {
        let given = self.takes.read(inputs, &Extras { mask, lengths, initial_state })?;
        let inputs = given.inputs();
        let pending = self.called(py, |session| session.submit(inputs))?;
        Ok(Pending::new(pending, self.form.clone_ref(py)))
    }

    /// Runs the model and says where the time goes, layer by layer.
    ///
    /// Results, and the states that stateful layers are left with, are those of a call. The first
    /// call of a shape also plans its work: call the session before, where that is not to be
    /// measured. On a GPU, launches take some microseconds more while they are profiled.
    ///
    /// Args:
    ///     *inputs, mask, lengths, initial_state: as of a call.
    ///     calls: how many calls are made and added up (at least 1).
    ///
    /// Returns:
    ///     A Profile.
    ///
    /// Raises:
    ///     As a call; DeviceError also where a GPU has no timestamps, ValueError where calls is 0.
    #[pyo3(signature = (*inputs, mask=None, lengths=None, initial_state=None, calls=1))]
    fn profile<'py>(
        &self,
        py: Python<'py>,
        inputs: &Bound<'py, PyTuple>,
        mask: Option<&Bound<'py, PyAny>>,
        lengths: Option<&Bound<'py, PyAny>>,
        initial_state: Option<&Bound<'py, PyAny>>,
        calls: usize,
    ) -> PyResult<Profile> {
        if calls == 0 {
            return Err(PyValueError::new_err("calls is 0: at least one is profiled"));
        }
        let given = self.takes.read(inputs, &Extras { mask, lengths, initial_state })?;
        let inputs = given.inputs();
        let profile = self.called(py, |session| {
            let mut profile = session.profile(inputs.clone())?;
            for _ in 1..calls {
                profile += session.profile(inputs.clone())?;
            }
            Ok(profile)
        })?;
        let outputs = self.form.give(py, profile.outputs.clone())?.unbind();
        Ok(Profile::new(profile, outputs))
    }

    /// Runs the model on many rows, batch after batch; Ctrl-C is heard between batches.
    ///
    /// The results are those of one call with all rows; of a stateful model, whose states go from
    /// batch to batch, they are those of Keras's predict. Masks, lengths and initial states are
    /// those of all rows, too.
    ///
    /// Args:
    ///     *inputs: as of a call.
    ///     batch_size: how many rows a batch has (default 1024; all rows of a stateful model, of an
    ///         ONNX model, which doesn't say which axis is the batch, and of one whose operations
    ///         may read several rows at once: of the last two any batch_size is refused).
    ///     mask, lengths, initial_state: as of a call.
    ///     progress: whether a bar of tqdm's shows how far it is, where tqdm is installed (default:
    ///         in a terminal or notebook, after a second).
    ///
    /// Returns:
    ///     As a call.
    ///
    /// Raises:
    ///     As a call; InputError also where the rows can't run in batches.
    #[pyo3(signature = (*inputs, **options))]
    fn predict<'py>(
        slf: &Bound<'py, Self>,
        inputs: &Bound<'py, PyTuple>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let predict = slf.py().import("birnn._predict")?.getattr("predict")?;
        predict.call((slf, inputs), options)
    }

    /// Runs the model without blocking the event loop: ``outputs = await session.run_async(x)``.
    ///
    /// A thread of the loop's makes the call. The arguments, results and errors are those of a
    /// call. Arrays must not be written to before it is done.
    #[pyo3(signature = (*inputs, **options))]
    fn run_async<'py>(
        slf: &Bound<'py, Self>,
        inputs: &Bound<'py, PyTuple>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let run = slf.py().import("birnn._async")?.getattr("run")?;
        run.call((slf, inputs), options)
    }

    /// Makes stateful layers start from zeros in the next call, as Keras's reset_states.
    fn reset_states(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |session| {
            session.reset_states();
            Ok(())
        })
    }

    /// Builds the session again on a device, after DeviceLostError or to move it there.
    ///
    /// Args:
    ///     device: a Device, or a name as Model.compile takes it.
    ///
    /// Raises:
    ///     DeviceError, OutOfMemoryError: as Model.compile.
    fn rebuild(&self, py: Python<'_>, device: &Bound<'_, PyAny>) -> PyResult<()> {
        let device = match device.cast::<Device>() {
            Ok(device) => device.get().device.clone(),
            Err(_) => device::opened(py, Some(device), None)?.get().device.clone(),
        };
        self.with(py, move |session| session.rebuild(&device))
    }

    /// Makes calls go on when the GPU is lost: on the first of these devices that opens, such as
    /// ``session.recover_with("gpu", "cpu")``.
    #[pyo3(signature = (*devices))]
    fn recover_with(&self, py: Python<'_>, devices: Vec<String>) -> PyResult<()> {
        let options = devices.iter().map(|name| birnn::DeviceOptions::new().parse(name));
        let options: Vec<_> = options.collect();
        self.with(py, |session| {
            session.recover_with(options);
            Ok(())
        })
    }

    /// The device that it runs on, and why it was chosen.
    #[getter]
    fn device(&self, py: Python<'_>) -> PyResult<DeviceInfo> {
        self.with(py, |session| Ok(DeviceInfo::from(session.device_info())))
    }

    /// How many seconds the GPU worked on the last call.
    ///
    /// From the beginning of its first kernel to the end of its last one, without copies to and
    /// from the GPU. None before the first call, on the CPU path, and unless the device was opened
    /// with gpu_time=True and has timestamps.
    #[getter]
    fn gpu_time(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        self.with(py, |session| Ok(session.gpu_time().map(|time| time.as_secs_f64())))
    }

    /// The names of the model's inputs, in order.
    #[getter]
    fn input_names(&self) -> Vec<String> {
        self.takes.names.clone()
    }

    /// What the model returns, in order, such as ``output of lstm``.
    #[getter]
    fn output_names(&self, py: Python<'_>) -> Py<PyTuple> {
        self.form.names(py)
    }

    /// Which axis of an array of so many axes is the batch.
    fn _batch_axis(&self, axes: usize) -> usize {
        usize::from(self.takes.time_major && axes == 3)
    }

    /// Whether states go from call to call.
    fn _is_stateful(&self, py: Python<'_>) -> PyResult<bool> {
        self.with(py, |session| Ok(session.model().is_stateful()))
    }

    /// That the rows of a call with arrays of these shapes can run in batches.
    #[pyo3(signature = (inputs, mask=None, lengths=None, initial_state=None))]
    fn _check_parts<'py>(
        &self,
        py: Python<'py>,
        inputs: &Bound<'py, PyTuple>,
        mask: Option<&Bound<'py, PyAny>>,
        lengths: Option<&Bound<'py, PyAny>>,
        initial_state: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let given = self.takes.read(inputs, &Extras { mask, lengths, initial_state })?;
        let inputs = given.inputs();
        self.called(py, |session| session.model().check_parts(inputs))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let device = self.with(py, |session| Ok(session.device_info().to_string()))?;
        Ok(format!("<birnn.Session on {device}>"))
    }
}
