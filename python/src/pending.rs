//! A call in flight.

use crate::error::raised;
use crate::outputs::Form;
use birnn::Outputs;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use std::mem::replace;
use std::sync::{Mutex, PoisonError};

/// A call in flight, of ``Session.submit``: ``pending.wait()`` or ``await pending``.
#[pyclass(frozen, module = "birnn")]
pub struct Pending {
    state: Mutex<State>,
    form: Form,
}

enum State {
    InFlight(birnn::Pending),
    Arrived(birnn::Result<Outputs>),
    Given(PyResult<Py<PyAny>>),
    /// Between two of the others.
    Taken,
}

impl Pending {
    pub fn new(pending: birnn::Pending, form: Form) -> Pending {
        Pending { state: Mutex::new(State::InFlight(pending)), form }
    }

    /// Waits without the interpreter's lock, so that other threads of Python run meanwhile.
    fn arrive(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::InFlight(_) = *state
            && let State::InFlight(pending) = replace(&mut *state, State::Taken)
        {
            *state = State::Arrived(pending.wait());
        }
    }
}

#[pymethods]
impl Pending {
    /// Waits for the outputs, which are those of a call; it can be called again.
    ///
    /// Raises:
    ///     DeviceError: the GPU failed meanwhile.
    fn wait(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        py.detach(|| self.arrive());
        let mut state = self.state.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        if let State::Arrived(_) = *state
            && let State::Arrived(arrived) = replace(&mut *state, State::Taken)
        {
            let given = match arrived {
                Ok(outputs) => self.form.give(py, outputs).map(Bound::unbind),
                Err(error) => Err(raised(py, &error)),
            };
            *state = State::Given(given);
        }
        match &*state {
            State::Given(Ok(outputs)) => Ok(outputs.clone_ref(py)),
            State::Given(Err(error)) => Err(error.clone_ref(py)),
            _ => unreachable!("it was waited for"),
        }
    }

    fn __await__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("birnn._async")?.call_method1("wait", (slf,))
    }

    fn __repr__(&self, py: Python<'_>) -> &'static str {
        let state = self.state.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::InFlight(_) => "<birnn.Pending in flight>",
            _ => "<birnn.Pending done>",
        }
    }
}
