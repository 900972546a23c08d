//! Reads attributes and arrays of HDF5, with the checks that an untrusted file needs.

use super::messages::malformed;
use crate::{Error, Result};
use hdf5_reader::error::Error as H5Error;
use hdf5_reader::group::Group;
use hdf5_reader::messages::datatype::Datatype;
use hdf5_reader::{Dataset, Hdf5File, OpenOptions};
use ndarray::{ArrayD, IxDyn};

/// An HDF5 file in memory.
pub(super) struct Hdf5 {
    label: String,
    file: Hdf5File,
    /// How many bytes of arrays may still be read.
    budget: u64,
}

/// An array that a layer needs.
#[derive(Debug)]
pub(super) struct Wanted {
    pub layer: String,
    /// `kernel`, `recurrent_kernel` or `bias`, after the direction in a bidirectional layer.
    pub weight: String,
    pub shape: Vec<usize>,
}

impl Hdf5 {
    /// `budget`: how many bytes its arrays may take.
    pub(super) fn open(label: String, bytes: Vec<u8>, budget: u64) -> Result<Hdf5> {
        let most = usize::try_from(budget).unwrap_or(usize::MAX);
        let options = OpenOptions::default()
            .with_max_read_bytes(most)
            .with_max_chunk_bytes(most)
            .with_chunk_cache_bytes(0);
        if let Some(whole) = declared_length(&bytes).filter(|&whole| whole > bytes.len() as u64) {
            let found = bytes.len();
            let reason = format!(
                "is an HDF5 file that is cut off: it has {found} bytes of {whole}; download or \
                 copy it again"
            );
            return malformed(&label, reason);
        }
        match Hdf5File::from_vec_with_options(bytes, options) {
            Ok(file) => Ok(Hdf5 { label, file, budget }),
            Err(e) => malformed(&label, format!("is no whole HDF5 file: {e}")),
        }
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// A group, or `None` where there is none of this path.
    fn group(&self, path: &str) -> Result<Option<Group>> {
        self.found(path, self.file.group(path))
    }

    fn found<T>(&self, path: &str, result: Result<T, H5Error>) -> Result<Option<T>> {
        match result {
            Ok(found) => Ok(Some(found)),
            Err(e) if is_absence(&e) => Ok(None),
            Err(e) => malformed(&self.label, format!("{path}: {e}")),
        }
    }

    pub(super) fn has_group(&self, path: &str) -> Result<bool> {
        Ok(self.group(path)?.is_some())
    }

    /// The names of the arrays in a group; none where there is no such group.
    pub(super) fn arrays(&self, path: &str) -> Result<Vec<String>> {
        Ok(self.members(path)?.1)
    }

    /// The names of the groups in a group (`""`: in the file); none where there is no such group.
    pub(super) fn groups(&self, path: &str) -> Result<Vec<String>> {
        Ok(self.members(path)?.0)
    }

    fn members(&self, path: &str) -> Result<(Vec<String>, Vec<String>)> {
        let names = match self.group_or_root(path)? {
            Some(group) => self.found(path, group.member_names())?,
            None => None,
        };
        Ok(names.unwrap_or_default())
    }

    /// A group; `""` is the file's root.
    fn group_or_root(&self, path: &str) -> Result<Option<Group>> {
        match path {
            "" => self.found(path, self.file.root_group()),
            path => self.group(path),
        }
    }

    /// An attribute that is a text.
    pub(super) fn text(&self, path: &str, attribute: &str) -> Result<Option<String>> {
        match self.texts(path, attribute)? {
            None => Ok(None),
            Some(texts) => match <[String; 1]>::try_from(texts) {
                Ok([text]) => Ok(Some(text)),
                Err(texts) => malformed(
                    &self.label,
                    format!(
                        "attribute {attribute} of {path:?} holds {} texts instead of one",
                        texts.len()
                    ),
                ),
            },
        }
    }

    /// An attribute that is a list of texts.
    pub(super) fn texts(&self, path: &str, attribute: &str) -> Result<Option<Vec<String>>> {
        let group = self.group_or_root(path)?;
        let Some(group) = group else {
            return Ok(None);
        };
        let Some(found) = self.found(path, group.attribute(attribute))? else {
            return Ok(None);
        };
        // An empty list of names is stored as an empty list of numbers.
        if found.shape.contains(&0) {
            return Ok(Some(Vec::new()));
        }
        let texts = if found.shape.is_empty() {
            found.read_string().map(|text| vec![text])
        } else {
            found.read_strings()
        };
        texts
            .map(Some)
            .or_else(|e| malformed(&self.label, format!("attribute {attribute} of {path:?}: {e}")))
    }

    /// The shape of an array; `None` where there is none of this path.
    pub(super) fn shape(&self, path: &str) -> Result<Option<Vec<usize>>> {
        let dataset = self.found(path, self.file.dataset(path))?;
        Ok(dataset.map(|dataset| dataset.shape().iter().map(|&n| as_usize(n)).collect()))
    }

    /// Whether an array is there and holds whole numbers of a byte, as quantized weights are.
    pub(super) fn holds_bytes(&self, path: &str) -> Result<bool> {
        let dataset = self.found(path, self.file.dataset(path))?;
        Ok(dataset.is_some_and(|dataset| is_of_bytes(&dataset)))
    }

    /// Reads an array of numbers, after its shape and type are known to be those that the layer
    /// needs.
    pub(super) fn read(&mut self, path: &str, wanted: &Wanted) -> Result<ArrayD<f32>> {
        let (bytes, format) = self.read_as(path, wanted, |dataset| {
            format(dataset, wanted).map_err(|found| {
                format!("holds {found} instead of float16, float32 or float64 numbers")
            })
        })?;
        self.shaped(format.decode(&bytes), wanted)
    }

    /// As `read`, of whole numbers of a byte.
    pub(super) fn read_bytes(&mut self, path: &str, wanted: &Wanted) -> Result<ArrayD<i8>> {
        let format = |dataset: &Dataset| match is_of_bytes(dataset) {
            true => Ok(Format::Counts(1)),
            false => Err("holds no whole numbers of a byte".to_string()),
        };
        let (bytes, _) = self.read_as(path, wanted, format)?;
        self.shaped(bytes.into_iter().map(|byte| byte as i8).collect(), wanted)
    }

    fn shaped<T>(&self, values: Vec<T>, wanted: &Wanted) -> Result<ArrayD<T>> {
        let Wanted { layer, weight, shape } = wanted;
        ArrayD::from_shape_vec(IxDyn(shape), values).or_else(|e| {
            malformed(&self.label, format!("layer {layer:?}: {weight} can't be read: {e}"))
        })
    }

    /// The bytes of an array, after its shape and type are known to be those that the layer needs.
    fn read_as(
        &mut self,
        path: &str,
        wanted: &Wanted,
        format: impl Fn(&Dataset) -> Result<Format, String>,
    ) -> Result<(Vec<u8>, Format)> {
        let Wanted { layer, weight, shape } = wanted;
        let label = self.label.clone();
        let fail =
            move |reason: String| malformed(&label, format!("layer {layer:?}: {weight} {reason}"));
        let dataset = match self.file.dataset(path) {
            Ok(dataset) => dataset,
            Err(e) if is_absence(&e) => return fail(format!("is missing: there is no {path:?}")),
            Err(e) => return fail(format!("can't be read: {e}")),
        };
        if !dataset.shape().iter().copied().eq(shape.iter().map(|&n| n as u64)) {
            return Err(Error::WeightShape {
                layer: layer.clone(),
                weight: weight.clone(),
                found: dataset.shape().iter().map(|&n| as_usize(n)).collect(),
                expected: shape.clone(),
            });
        }
        let format = match format(&dataset) {
            Ok(format) => format,
            Err(reason) => return fail(reason),
        };
        let bytes =
            shape.iter().try_fold(format.size() as u64, |bytes, &n| bytes.checked_mul(n as u64));
        match bytes.and_then(|bytes| self.budget.checked_sub(bytes)) {
            Some(rest) => self.budget = rest,
            None => {
                let reason = "with the arrays before it more than this file may unpack to \
                              (KerasLimits::unpacked_bytes)";
                return fail(format!("is {shape:?}, {reason}"));
            }
        }
        match dataset.read_native_bytes() {
            Ok(bytes) => Ok((bytes, format)),
            Err(e) => fail(format!("can't be read: {e}")),
        }
    }
}

/// How long a file says that it is: the address of its end in the superblock, where addresses have
/// eight bytes and none is added to them.
fn declared_length(bytes: &[u8]) -> Option<u64> {
    let number = |at: usize| {
        let eight = bytes.get(at..at.checked_add(8)?)?;
        Some(u64::from_le_bytes(eight.try_into().ok()?))
    };
    let (width_at, base_at, end_at) = match bytes.get(8)? {
        0 => (13, 24, 40),
        1 => (13, 28, 44),
        2 | 3 => (9, 12, 28),
        _ => return None,
    };
    let fits = bytes.get(width_at) == Some(&8) && number(base_at)? == 0;
    number(end_at).filter(|_| fits)
}

fn is_of_bytes(dataset: &Dataset) -> bool {
    matches!(dataset.dtype(), Datatype::FixedPoint { size: 1, .. })
}

fn as_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn is_absence(error: &H5Error) -> bool {
    match error {
        H5Error::GroupNotFound(_) | H5Error::DatasetNotFound(_) | H5Error::AttributeNotFound(_) => {
            true
        }
        H5Error::Context { source, .. } => is_absence(source),
        _ => false,
    }
}

/// How a dataset holds its numbers.
#[derive(Clone, Copy)]
enum Format {
    /// IEEE 754 numbers of so many bytes.
    Floats(usize),
    /// Whole numbers of so many bytes.
    Counts(usize),
}

/// How the dataset holds numbers, or what it holds instead. Only a count may be a whole number:
/// weights that are ones are quantised.
fn format(dataset: &Dataset, wanted: &Wanted) -> Result<Format, String> {
    let is_count = wanted.weight == "count" && wanted.shape.is_empty();
    let size = match dataset.dtype() {
        Datatype::FloatingPoint { size, .. } => usize::from(*size),
        Datatype::FixedPoint { size, .. } if is_count && [4, 8].contains(size) => {
            return Ok(Format::Counts(usize::from(*size)));
        }
        Datatype::FixedPoint { .. } => return Err("integers".into()),
        Datatype::String { .. } | Datatype::VarLen { .. } => return Err("text".into()),
        _ => return Err("other data".into()),
    };
    // Of the message: exponent location and size, mantissa location and size, exponent bias.
    // Without the check a bfloat16 would pass for a float16.
    let expected: [u8; 8] = match size {
        2 => [10, 5, 0, 10, 15, 0, 0, 0],
        4 => [23, 8, 0, 23, 127, 0, 0, 0],
        8 => [52, 11, 0, 52, 255, 3, 0, 0],
        _ => return Err(format!("numbers of {size} bytes")),
    };
    match dataset.raw_datatype() {
        Ok(message) if message.get(12..20) == Some(&expected[..]) => Ok(Format::Floats(size)),
        Ok(_) => Err(format!("numbers of {size} bytes in another format")),
        Err(e) => Err(e.to_string()),
    }
}

impl Format {
    /// The bytes of a number.
    fn size(self) -> usize {
        match self {
            Format::Floats(size) | Format::Counts(size) => size,
        }
    }

    fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Format::Floats(2) => {
                bytes.as_chunks().0.iter().map(|&b| half_to_f32(u16::from_ne_bytes(b))).collect()
            }
            Format::Floats(4) => {
                bytes.as_chunks().0.iter().map(|&b| f32::from_ne_bytes(b)).collect()
            }
            // One too large for f32 becomes infinite, and is refused with the layer's name.
            Format::Floats(_) => {
                bytes.as_chunks().0.iter().map(|&b| f64::from_ne_bytes(b) as f32).collect()
            }
            Format::Counts(4) => {
                bytes.as_chunks().0.iter().map(|&b| i32::from_ne_bytes(b) as f32).collect()
            }
            Format::Counts(_) => {
                bytes.as_chunks().0.iter().map(|&b| i64::from_ne_bytes(b) as f32).collect()
            }
        }
    }
}

/// The value of an IEEE 754 binary16, exactly.
pub(super) fn half_to_f32(bits: u16) -> f32 {
    let fraction = f32::from(bits & 0x3ff);
    let magnitude = match i32::from(bits >> 10 & 0x1f) {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        exponent => (1024.0 + fraction) * 2f32.powi(exponent - 25),
    };
    if bits & 0x8000 == 0 { magnitude } else { -magnitude }
}
