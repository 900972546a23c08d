//! birnn's errors as Python's exceptions: the classes of `birnn/_errors.py`, with birnn's texts.

use crate::words;
use birnn::Error;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::fmt::Debug;
use std::io::ErrorKind;

/// The name of the class in `birnn/_errors.py` that stands for an error.
fn class(error: &Error) -> &'static str {
    match error {
        Error::InputCount { .. }
        | Error::InputName { .. }
        | Error::InputShape { .. }
        | Error::Length { .. }
        | Error::EmptyAxis { .. }
        | Error::IdRange { .. }
        | Error::InputValue { .. }
        | Error::Parts { .. }
        | Error::StatefulBatch { .. } => "InputError",
        Error::Argument { .. }
        | Error::Graph(_)
        | Error::MissingWeights { .. }
        | Error::WeightCount { .. }
        | Error::WeightShape { .. }
        | Error::NonFiniteWeight { .. } => "ModelError",
        Error::UnknownLayer { .. } | Error::NoSuchOutput { .. } => "UnknownNameError",
        Error::Io { source, .. } if source.kind() == ErrorKind::NotFound => "MissingFileError",
        Error::Io { .. } => "ReadError",
        Error::MalformedFile { .. } => "FileError",
        Error::UnsupportedLayer { .. }
        | Error::UnsupportedModel { .. }
        | Error::UnsupportedArgument { .. }
        | Error::UnsupportedNode { .. } => "UnsupportedError",
        Error::NoAdapter { .. }
        | Error::DeviceRequest { .. }
        | Error::Profile { .. }
        | Error::Limit { .. }
        | Error::Gpu(_) => "DeviceError",
        Error::DeviceLost { .. } => "DeviceLostError",
        Error::OutOfMemory { .. } => "OutOfMemoryError",
        _ => "Error",
    }
}

/// The exception of an error of birnn's.
pub fn raised(py: Python<'_>, error: &Error) -> PyErr {
    build(py, class(error), &words::told(&error.to_string()), error).unwrap_or_else(|failed| failed)
}

/// An exception of a class of `birnn/_errors.py` that birnn itself has no error for.
pub fn exception(py: Python<'_>, class: &str, text: &str) -> PyErr {
    let made = || PyResult::Ok(PyErr::from_value(classes(py)?.getattr(class)?.call1((text,))?));
    made().unwrap_or_else(|failed| failed)
}

fn classes(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import("birnn._errors")
}

fn build(py: Python<'_>, class: &str, text: &str, error: &Error) -> PyResult<PyErr> {
    let details = PyDict::new(py);
    details.set_item("kind", kind(error))?;
    if let Error::Io { path, source } = error {
        details.set_item("errno", source.raw_os_error())?;
        details.set_item("filename", path)?;
    }
    let value = classes(py)?.getattr(class)?.call1((text,))?;
    for (name, detail) in details {
        value.setattr(name.extract::<String>()?.as_str(), detail)?;
    }
    Ok(PyErr::from_value(value))
}

/// The name that the error has in Rust, such as `InputShape`.
fn kind(error: &impl Debug) -> String {
    let text = format!("{error:?}");
    text.split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default().to_string()
}
