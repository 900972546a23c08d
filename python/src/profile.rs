//! Where the time of calls goes.

use crate::summary::escaped;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use std::path::PathBuf;

/// Where the time of calls went, of ``Session.profile``; printed it is a table.
///
/// It has the ``device``, the number of ``calls``, their ``seconds`` together, the ``outputs`` of
/// the last one, and:
///
/// - ``operators``, a list of dicts in the order in which they ran, for ``pandas.DataFrame`` too:
///   ``layer``, ``operator``, ``kernels`` (what computed it: kernels of the GPU; on the CPU
///   "vectors", "plain" for plain code on one thread, or "view" where nothing is copied), ``shape``
///   of what it writes, ``count`` (launches of kernels; on the CPU how often it ran), ``seconds``,
///   and ``share`` of the whole;
/// - ``outside_seconds``, in which no operator ran;
/// - ``host_seconds``, a dict of what the host did: "inputs" (comparing them with the model),
///   "prepare" (planning a new shape), and of a GPU "submit" and "wait".
#[pyclass(frozen, module = "birnn")]
pub struct Profile {
    profile: birnn::Profile,
    #[pyo3(get)]
    outputs: Py<PyAny>,
}

impl Profile {
    /// `outputs`: those of the profile, as Python has them.
    pub fn new(profile: birnn::Profile, outputs: Py<PyAny>) -> Profile {
        Profile { profile, outputs }
    }
}

#[pymethods]
impl Profile {
    #[getter]
    fn device(&self) -> &str {
        &self.profile.device
    }

    #[getter]
    fn calls(&self) -> usize {
        self.profile.calls
    }

    #[getter]
    fn seconds(&self) -> f64 {
        self.profile.total.as_secs_f64()
    }

    #[getter]
    fn outside_seconds(&self) -> f64 {
        self.profile.outside().as_secs_f64()
    }

    #[getter]
    fn operators<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for row in self.profile.operators() {
            let dict = PyDict::new(py);
            dict.set_item("layer", row.layer)?;
            dict.set_item("operator", row.operator)?;
            dict.set_item("kernels", row.kernels)?;
            dict.set_item("shape", row.shape)?;
            dict.set_item("count", row.count)?;
            dict.set_item("seconds", row.total.as_secs_f64())?;
            dict.set_item("share", row.share)?;
            list.append(dict)?;
        }
        Ok(list)
    }

    #[getter]
    fn host_seconds<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (what, time) in self.profile.host() {
            dict.set_item(what, time.as_secs_f64())?;
        }
        Ok(dict)
    }

    /// The profile as Chrome's trace events: JSON that chrome://tracing and
    /// https://ui.perfetto.dev draw along time.
    fn trace(&self) -> String {
        self.profile.trace()
    }

    /// Writes ``trace()`` to a file.
    ///
    /// Args:
    ///     path: the file, which is replaced.
    ///
    /// Raises:
    ///     OSError: the file can't be written.
    fn save_trace(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| std::fs::write(path, self.profile.trace())).map_err(PyErr::from)
    }

    fn __repr__(&self) -> String {
        self.profile.to_string()
    }

    fn _repr_html_(&self) -> String {
        let mut html = String::from("<table><thead><tr>");
        for title in ["Layer", "Operator", "Kernels", "Shape", "Count", "ms", "Share"] {
            html.push_str(&format!("<th>{title}</th>"));
        }
        html.push_str("</tr></thead><tbody>");
        let calls = self.profile.calls.max(1) as f64;
        for row in self.profile.operators() {
            let cells = [
                row.layer,
                row.operator.to_string(),
                row.kernels.join(", "),
                format!("{:?}", row.shape),
                row.count.to_string(),
                format!("{:.4}", row.total.as_secs_f64() * 1e3 / calls),
                format!("{:.1} %", 100.0 * row.share),
            ];
            let cells = cells.map(|cell| format!("<td>{}</td>", escaped(&cell)));
            html.push_str(&format!("<tr>{}</tr>", cells.concat()));
        }
        let milliseconds = |seconds: f64| format!("{:.4} ms", seconds * 1e3 / calls);
        let outside = milliseconds(self.outside_seconds());
        let all = milliseconds(self.seconds());
        html.push_str(&format!("</tbody></table><p>Outside of operators: {outside} of {all}</p>"));
        html
    }
}
