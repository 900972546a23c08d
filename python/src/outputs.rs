//! What birnn returns, as NumPy's arrays.

use birnn::Outputs;
use ndarray::ArrayD;
use numpy::PyArray;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

/// How the outputs of a session are given back; each session has one.
pub struct Form {
    /// The name of each output, such as `output of lstm`.
    names: Py<PyTuple>,
    /// The class `birnn.Outputs`.
    class: Py<PyType>,
    /// Whether sequences are `[timesteps, batch, features]` in Python.
    time_major: bool,
}

impl Form {
    pub fn new(py: Python<'_>, model: &birnn::Model, time_major: bool) -> PyResult<Form> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let names = PyTuple::new(py, model.output_names())?.unbind();
        let class = CLASS.import(py, "birnn._outputs", "Outputs")?.clone().unbind();
        Ok(Form { names, class, time_major })
    }

    pub fn names(&self, py: Python<'_>) -> Py<PyTuple> {
        self.names.clone_ref(py)
    }

    pub fn clone_ref(&self, py: Python<'_>) -> Form {
        Form {
            names: self.names.clone_ref(py),
            class: self.class.clone_ref(py),
            time_major: self.time_major,
        }
    }

    /// The array of a model with one output, and else `birnn.Outputs` of all. The arrays own the
    /// memory that birnn wrote them to.
    pub fn give<'py>(&self, py: Python<'py>, outputs: Outputs) -> PyResult<Bound<'py, PyAny>> {
        let list = outputs.into_list();
        let array = |array: ArrayD<f32>| PyArray::from_owned_array(py, self.in_python(array));
        if let [_] = &list[..] {
            let only = list.into_iter().next().map(|output| array(output.array).into_any());
            return only.ok_or_else(|| unreachable!("the list has one output"));
        }
        let arrays = PyTuple::new(py, list.into_iter().map(|output| array(output.array)))?;
        self.class.bind(py).call1((arrays, self.names.bind(py)))
    }

    fn in_python(&self, array: ArrayD<f32>) -> ArrayD<f32> {
        match array.ndim() {
            3 if self.time_major => array.permuted_axes(&[1, 0, 2][..]),
            _ => array,
        }
    }
}
