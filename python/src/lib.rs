//! birnn's Python package, the part in Rust: `birnn._birnn`. What users import is `birnn`, whose
//! files in Python stand in `birnn/`; what each function does is told there, in `_birnn.pyi`.
//!
//! * `arrays` makes views for birnn of what Python gives, and NumPy's arrays of what birnn returns.
//! * `given` puts what a call gives into `birnn::Inputs`.
//! * `error` makes exceptions of birnn's errors.
//! * `custom` lets Python say which layers compute a class of its own.
//! * The others are a class each.
#![deny(unsafe_code)]

mod arrays;
mod custom;
mod device;
mod error;
mod given;
mod model;
mod outputs;
mod pending;
mod profile;
mod session;
mod summary;
mod words;

use pyo3::prelude::*;

/// The part of the package birnn that is in Rust.
// Without the lock of the interpreter (free-threaded Python) it is as safe as with it: what changes
// is behind locks of its own.
#[pymodule(gil_used = false)]
mod _birnn {
    #[pymodule_export]
    use super::custom::KerasLayer;
    #[pymodule_export]
    use super::device::{Adapter, Device, DeviceInfo, devices};
    #[pymodule_export]
    use super::model::{Model, from_bytes, load};
    #[pymodule_export]
    use super::pending::Pending;
    #[pymodule_export]
    use super::profile::Profile;
    #[pymodule_export]
    use super::session::Session;
    #[pymodule_export]
    use super::summary::{Summary, SummaryRow};

    #[pymodule_init]
    fn init(module: &super::Bound<'_, super::PyModule>) -> super::PyResult<()> {
        super::session::make_callable(module.py())
    }

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
