//! Views for birnn of the arrays that Python gives.

use crate::error::exception;
use ndarray::{Array2, ArrayD, ArrayViewD, Dimension, Ix2, IxDyn};
use numpy::{
    Element, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::prelude::*;
use std::fmt::Debug;

/// An array as birnn reads it.
pub enum Array<'py> {
    /// The memory is Python's.
    Borrowed(PyReadonlyArrayDyn<'py, f32>),
    /// Values of another type, converted.
    Converted(ArrayD<f32>),
}

impl<'py> Array<'py> {
    /// Of anything that NumPy makes an array of; without a copy where it is of float32 already.
    /// `what` says which array it is, as in `input "x"`.
    pub fn read(value: &Bound<'py, PyAny>, what: &dyn Fn() -> String) -> PyResult<Array<'py>> {
        if value.is_exact_instance_of::<PyUntypedArray>()
            && let Ok(array) = value.cast::<PyArrayDyn<f32>>()
            && is_aligned(array)
        {
            return Ok(Array::Borrowed(array.try_readonly()?));
        }
        let py = value.py();
        // An array that is aligned, of the machine's byte order and of one of these types.
        let array = py.import("birnn._arrays")?.call_method1("as_array", (value, what()))?;
        if let Ok(array) = array.cast::<PyArrayDyn<f32>>() {
            return Ok(Array::Borrowed(array.try_readonly()?));
        }
        let converted = match () {
            () if is_of::<f64>(&array) => converted(&array, rounded, TOO_LARGE, what),
            () if is_of::<i32>(&array) => converted::<i32>(&array, whole, NOT_WHOLE, what),
            () if is_of::<u32>(&array) => converted::<u32>(&array, whole, NOT_WHOLE, what),
            () if is_of::<i64>(&array) => converted::<i64>(&array, whole, NOT_WHOLE, what),
            () => converted::<u64>(&array, whole, NOT_WHOLE, what),
        };
        converted.map(Array::Converted)
    }

    pub fn view(&self) -> ArrayViewD<'_, f32> {
        match self {
            Array::Borrowed(array) => array.as_array(),
            Array::Converted(array) => array.view(),
        }
    }
}

/// Whether Rust can read it where it is.
fn is_aligned(array: &Bound<'_, PyArrayDyn<f32>>) -> bool {
    array.data().is_aligned()
        && array.strides().iter().all(|stride| stride % size_of::<f32>().cast_signed() == 0)
}

fn is_of<T: Element>(array: &Bound<'_, PyAny>) -> bool {
    array.is_instance_of::<PyArrayDyn<T>>()
}

const TOO_LARGE: &str = "is too large for float32";
const NOT_WHOLE: &str = "is a whole number that float32 cannot hold (it holds all up to 16777216); \
     give ids below that, or x.astype('float32') where rounding is meant";

/// The nearest float32, unless a finite value became infinite.
fn rounded(value: f64) -> Option<f32> {
    let near = value as f32;
    (near.is_finite() || !value.is_finite()).then_some(near)
}

/// A whole number as a float32 of the same value.
trait Whole: Copy {
    fn nearest(self) -> f32;
    fn is(self, value: f32) -> bool;
}

macro_rules! whole {
    ($($type:ty)*) => { $(impl Whole for $type {
        fn nearest(self) -> f32 {
            self as f32
        }
        // In i128, which has every value of every type.
        fn is(self, value: f32) -> bool {
            i128::from(self) == value as i128
        }
    })* };
}
whole!(i32 u32 i64 u64);

fn whole<T: Whole>(value: T) -> Option<f32> {
    let nearest = value.nearest();
    value.is(nearest).then_some(nearest)
}

/// Every value converted; an error for the first that can't be.
fn converted<T: Element + Copy + Debug>(
    array: &Bound<'_, PyAny>,
    convert: impl Fn(T) -> Option<f32>,
    reason: &str,
    what: &dyn Fn() -> String,
) -> PyResult<ArrayD<f32>> {
    let py = array.py();
    let array = array.cast::<PyArrayDyn<T>>()?.try_readonly()?;
    let array = array.as_array();
    let error = |class, text: &str| exception(py, class, &format!("{} {text}", what()));
    let mut values = Vec::new();
    if values.try_reserve_exact(array.len()).is_err() {
        return Err(error("OutOfMemoryError", &format!("{:?} in float32", array.shape())));
    }
    for (index, &value) in array.indexed_iter() {
        let Some(value) = convert(value) else {
            let text = format!("holds {value:?} at {:?}, which {reason}", index.slice());
            return Err(error("InputError", &text));
        };
        values.push(value);
    }
    let shape = IxDyn(array.shape());
    ArrayD::from_shape_vec(shape, values).map_err(|e| error("InputError", &e.to_string()))
}

/// A mask, true where the timestep counts.
pub fn read_mask(value: &Bound<'_, PyAny>, what: &str) -> PyResult<Array2<bool>> {
    let py = value.py();
    // As bytes: what calls itself bool may hold others than 0 and 1.
    let array = py.import("birnn._arrays")?.call_method1("as_mask", (value, what))?;
    let array = array.cast::<PyArrayDyn<u8>>()?.try_readonly()?;
    let array = array.as_array().mapv(|byte| byte != 0);
    let shape = array.shape().to_vec();
    array.into_dimensionality::<Ix2>().map_err(|_| {
        let text = format!("{what} has shape {shape:?}, expected [batch, timesteps]");
        exception(py, "InputError", &text)
    })
}

/// The number of timesteps of each row.
pub fn read_lengths(value: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<usize>> {
    value.py().import("birnn._arrays")?.call_method1("as_lengths", (value, what))?.extract()
}
