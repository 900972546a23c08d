//! NumPy's `.npy` files to arrays and back.

use anyhow::{Context, Result, anyhow, bail};
use ndarray::{ArrayD, ArrayViewD, Dimension};
use ndarray_npy::{ReadNpyExt, ViewElement, ViewNpyError, ViewNpyExt};
use std::io::ErrorKind;
use std::path::Path;

/// Reads an array of floats, integers (ids) or bools (a mask), in C or Fortran order.
pub fn read(path: &Path) -> Result<ArrayD<f32>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&bytes)
        .with_context(|| format!("{} is not a .npy array that birnn reads", path.display()))
}

fn parse(bytes: &[u8]) -> Result<ArrayD<f32>> {
    match bytes {
        [] => bail!("it is empty"),
        [b'P', b'K', ..] => {
            bail!("it is a zip archive (.npz or .keras); save each array by itself with numpy.save")
        }
        [0x89, b'H', b'D', b'F', ..] => {
            bail!("it is an HDF5 file; save each array by itself with numpy.save")
        }
        _ => {}
    }
    if let Some(floats) = read_as::<f32>(bytes)? {
        return Ok(floats);
    }
    if let Some(array) = read_as::<f64>(bytes)? {
        return narrow(&array);
    }
    // float32 holds every id of an embedding, which are below 2^24.
    if let Some(ids) = read_as::<i64>(bytes)? {
        return Ok(ids.mapv(|id| id as f32));
    }
    if let Some(ids) = read_as::<i32>(bytes)? {
        return Ok(ids.mapv(|id| id as f32));
    }
    array::<bool>(bytes).map(|mask| mask.mapv(|kept| f32::from(u8::from(kept)))).map_err(explain)
}

/// The array, where this is its dtype.
fn read_as<F>(bytes: &[u8]) -> Result<Option<ArrayD<F>>>
where
    F: ViewElement + ndarray_npy::ReadableElement + Clone,
{
    match array::<F>(bytes) {
        Err(ViewNpyError::WrongDescriptor(_)) => Ok(None),
        other => other.map(Some).map_err(explain),
    }
}

/// Views the bytes before it copies them: the view checks the header's shape against the length of
/// the file, so a header that promises terabytes is an error and not an allocation.
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
            anyhow!(
                "its dtype is {dtype}, not float32, float64, int32, int64 or bool; save x.astype('float32')"
            )
        }
        ViewNpyError::NonNativeEndian => {
            anyhow!("its byte order is not this machine's; save x.astype('float32')")
        }
        ViewNpyError::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
            anyhow!("it is cut off in its header")
        }
        error => error.into(),
    }
}

fn narrow(array: &ArrayD<f64>) -> Result<ArrayD<f32>> {
    if let Some((index, value)) =
        array.indexed_iter().find(|(_, v)| v.is_finite() && !(**v as f32).is_finite())
    {
        bail!(
            "its value {value:e} at index {:?} is too large for float32",
            index.as_array_view().to_vec()
        );
    }
    Ok(array.mapv(|v| v as f32))
}

/// Writes a float32 array in C order.
pub fn write(path: &Path, array: &ArrayD<f32>) -> Result<()> {
    ndarray_npy::write_npy(path, &array.as_standard_layout())
        .with_context(|| format!("cannot write {}", path.display()))
}
