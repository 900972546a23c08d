//! NumPy's `.npy` files to arrays and back.

use anyhow::{Context, Result, anyhow, bail};
use ndarray::{ArrayD, ArrayViewD, Dimension};
use ndarray_npy::{ReadNpyExt, ViewElement, ViewNpyError, ViewNpyExt};
use std::path::Path;

/// Reads a float32 or float64 array, in C or Fortran order.
pub fn read(path: &Path) -> Result<ArrayD<f32>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&bytes).with_context(|| format!("{} is not a .npy array that birnn reads", path.display()))
}

fn parse(bytes: &[u8]) -> Result<ArrayD<f32>> {
    match array::<f32>(bytes) {
        Err(ViewNpyError::WrongDescriptor(_)) => {}
        other => return other.map_err(explain),
    }
    narrow(&array::<f64>(bytes).map_err(explain)?)
}

/// Views the bytes before it copies them: the view checks the header's shape against the length of the file,
/// so a header that promises terabytes is an error and not an allocation.
fn array<F>(bytes: &[u8]) -> Result<ArrayD<F>, ViewNpyError>
where
    F: ViewElement + ndarray_npy::ReadableElement + Clone,
{
    match ArrayViewD::<F>::view_npy(bytes) {
        Ok(view) => Ok(view.to_owned()),
        // The allocator put the bytes where they can't be viewed as floats.
        Err(ViewNpyError::MisalignedData) => {
            ArrayD::<F>::read_npy(bytes).map_err(|e| ViewNpyError::InvalidData(Box::new(e)))
        }
        Err(error) => Err(error),
    }
}

fn explain(error: ViewNpyError) -> anyhow::Error {
    match error {
        ViewNpyError::WrongDescriptor(dtype) => {
            anyhow!("its dtype is {dtype}, not '<f4' or '<f8'; save x.astype('float32')")
        }
        ViewNpyError::NonNativeEndian => anyhow!("its byte order is not this machine's; save x.astype('float32')"),
        error => error.into(),
    }
}

fn narrow(array: &ArrayD<f64>) -> Result<ArrayD<f32>> {
    if let Some((index, value)) = array.indexed_iter().find(|(_, v)| v.is_finite() && !(**v as f32).is_finite()) {
        bail!("its value {value:e} at index {:?} is too large for float32", index.as_array_view().to_vec());
    }
    Ok(array.mapv(|v| v as f32))
}

/// Writes a float32 array in C order.
pub fn write(path: &Path, array: &ArrayD<f32>) -> Result<()> {
    ndarray_npy::write_npy(path, &array.as_standard_layout())
        .with_context(|| format!("cannot write {}", path.display()))
}
