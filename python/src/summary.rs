//! What a model consists of, as a table.

use pyo3::prelude::*;

/// A table of a model's inputs and layers: its ``rows``, and the number of ``parameters``.
#[pyclass(frozen, module = "birnn")]
pub struct Summary {
    #[pyo3(get)]
    rows: Vec<Py<SummaryRow>>,
    #[pyo3(get)]
    parameters: usize,
    text: String,
}

/// An input or a layer of a model. In shapes None is any length.
#[pyclass(frozen, module = "birnn", get_all)]
pub struct SummaryRow {
    name: String,
    class_name: String,
    output_shapes: Vec<Vec<Option<usize>>>,
    parameters: usize,
    connected_to: Vec<String>,
    given_as: Option<String>,
}

impl Summary {
    pub fn of(py: Python<'_>, model: &birnn::Model) -> PyResult<Summary> {
        let summary = model.summary();
        let text = summary.to_string();
        let row = |row: birnn::SummaryRow| {
            let row = SummaryRow {
                name: row.name,
                class_name: row.class_name.to_string(),
                output_shapes: row.output_shapes,
                parameters: row.parameters,
                connected_to: row.connected_to,
                given_as: row.given_as.map(str::to_string),
            };
            Py::new(py, row)
        };
        let rows = summary.rows.into_iter().map(row).collect::<PyResult<_>>()?;
        Ok(Summary { rows, parameters: summary.parameters, text })
    }
}

#[pymethods]
impl Summary {
    fn __repr__(&self) -> &str {
        &self.text
    }

    fn _repr_html_(&self) -> String {
        self.html()
    }
}

impl Summary {
    /// As a table for notebooks.
    pub fn html(&self) -> String {
        let mut html = String::from("<table><thead><tr>");
        for title in ["Layer (type)", "Output Shape", "Param #", "Connected to"] {
            html.push_str(&format!("<th>{title}</th>"));
        }
        html.push_str("</tr></thead><tbody>");
        for row in &self.rows {
            html.push_str(&row.get().html());
        }
        html.push_str(&format!("</tbody></table><p>Total params: {}</p>", self.parameters));
        html
    }
}

#[pymethods]
impl SummaryRow {
    fn __repr__(&self) -> String {
        format!("SummaryRow({:?}, {:?}, {})", self.name, self.class_name, self.shapes())
    }
}

impl SummaryRow {
    /// As Keras prints them, such as `(None, 8)`, with commas between them.
    fn shapes(&self) -> String {
        let axis = |axis: &Option<usize>| axis.map_or("None".to_string(), |n| n.to_string());
        let shape = |axes: &Vec<Option<usize>>| {
            format!("({})", axes.iter().map(axis).collect::<Vec<_>>().join(", "))
        };
        self.output_shapes.iter().map(shape).collect::<Vec<_>>().join(", ")
    }

    fn html(&self) -> String {
        let cells = [
            format!("{} ({})", self.name, self.class_name),
            self.shapes(),
            self.parameters.to_string(),
            self.connected_to.join(", "),
        ];
        let cells = cells.map(|cell| format!("<td>{}</td>", escaped(&cell)));
        format!("<tr>{}</tr>", cells.join(""))
    }
}

/// Text for HTML: names come from files.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
