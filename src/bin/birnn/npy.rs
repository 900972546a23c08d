//! NumPy's `.npy` files to arrays and back.

use anyhow::{Context, Result, anyhow, bail};
use half::f16;
use ndarray::{ArrayD, IxDyn, ShapeBuilder};
use ndarray_npy::npy::header::{Header, ReadHeaderError};
use std::fmt::Debug;
use std::io::ErrorKind;
use std::path::Path;

/// The bytes that an array of an archive or a column has at most.
pub const MOST_BYTES: u64 = 16 << 30;
pub const MAGIC: &[u8] = b"\x93NUMPY";
/// The longest header that NumPy itself reads.
const MAX_HEADER: usize = 10_000;
/// Brackets within brackets in a header: a shape in a dict has two. The parser recurses into them.
const MAX_NESTING: usize = 16;

/// Reads an array of floats, integers (ids) or bools (a mask), of any byte order, in C or Fortran
/// order. The array that it returns is in C order.
pub fn parse(bytes: &[u8]) -> Result<ArrayD<f32>> {
    match bytes {
        [] => bail!("it is empty"),
        [0x89, b'H', b'D', b'F', ..] => {
            bail!("it is an HDF5 file; save each array by itself with numpy.save")
        }
        _ => {}
    }
    let start = header_end(bytes)?;
    let header = Header::from_reader(&mut &bytes[..start]).map_err(explain)?;
    let descriptor = match header.type_descriptor.as_string() {
        Some(text) => text.clone(),
        None => header.type_descriptor.to_string(), // a list of fields
    };
    let dtype = Dtype::parse(&descriptor).ok_or_else(|| refusal(&descriptor))?;
    let fortran = header.layout.is_fortran();
    let data = &bytes[start..];
    check_length(&header.shape, dtype.size, data.len())?;
    let values = dtype.values(data).map_err(|(number, problem)| {
        let index = index_of(number, &header.shape, fortran);
        anyhow!("its value {} at index {index:?} {}", problem.value, problem.reason)
    })?;
    let shape = IxDyn(&header.shape).set_f(fortran);
    let array = ArrayD::from_shape_vec(shape, values)
        .with_context(|| format!("its shape {:?} is too large", header.shape))?;
    Ok(if fortran { array.as_standard_layout().into_owned() } else { array })
}

/// Where the header ends and the values begin. What the header says of its own length isn't
/// believed, nor is it parsed where that could take long or recurse deeply.
fn header_end(bytes: &[u8]) -> Result<usize> {
    if !bytes.starts_with(MAGIC) {
        bail!("it does not begin as NumPy's .npy files do; save the array with numpy.save");
    }
    let (length, start) = match bytes.get(6..) {
        Some([1, _, a, b, ..]) => (usize::from(u16::from_le_bytes([*a, *b])), 10),
        Some([2 | 3, _, a, b, c, d, ..]) => {
            (usize::try_from(u32::from_le_bytes([*a, *b, *c, *d]))?, 12)
        }
        Some([major, minor, ..]) if !(1..=3).contains(major) => {
            bail!("it is of version {major}.{minor} of the format; birnn reads 1.0 to 3.0")
        }
        _ => bail!("it is cut off in its header"),
    };
    if length > MAX_HEADER {
        bail!("its header has {length} bytes; at most {MAX_HEADER} are read");
    }
    let Some(header) = bytes.get(start..start + length) else {
        bail!("it is cut off in its header");
    };
    let mut depth = 0usize;
    for byte in header {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTING {
            bail!("its header nests more than {MAX_NESTING} brackets");
        }
    }
    Ok(start + length)
}

fn explain(error: ReadHeaderError) -> anyhow::Error {
    match error {
        ReadHeaderError::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
            anyhow!("it is cut off in its header")
        }
        error => error.into(),
    }
}

/// That there are as many bytes as the header promises, before anything is allocated for them.
fn check_length(shape: &[usize], size: usize, found: usize) -> Result<()> {
    let expected = shape.iter().try_fold(size, |bytes, &length| bytes.checked_mul(length));
    match expected {
        Some(expected) if expected == found => Ok(()),
        Some(expected) if expected < found => {
            bail!("it holds {} bytes more than an array of shape {shape:?}", found - expected)
        }
        _ => bail!("bytes of its array of shape {shape:?} are missing: it holds {found}"),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Float,
    Signed,
    Unsigned,
    Bool,
}

/// A dtype of numbers, such as `<f4`.
#[derive(Clone, Copy)]
struct Dtype {
    kind: Kind,
    /// In bytes.
    size: usize,
    big_endian: bool,
}

/// A value that an f32 can't stand for.
struct Problem {
    value: String,
    reason: &'static str,
}

pub const TOO_LARGE: &str = "is too large for float32";
pub const NOT_WHOLE: &str = "is a whole number that float32 cannot hold (it holds all up to \
     16777216); save ids below that, or x.astype('float32') where rounding is meant";
const NO_BOOL: &str = "is neither 0 nor 1, as bools are";

impl Dtype {
    fn parse(descriptor: &str) -> Option<Dtype> {
        let order = descriptor.chars().next()?;
        let big_endian = match order {
            '<' => false,
            '>' => true,
            '|' | '=' => cfg!(target_endian = "big"),
            _ => return None,
        };
        let (kind, size) = match &descriptor[1..] {
            "f2" => (Kind::Float, 2),
            "f4" => (Kind::Float, 4),
            "f8" => (Kind::Float, 8),
            "i1" => (Kind::Signed, 1),
            "i2" => (Kind::Signed, 2),
            "i4" => (Kind::Signed, 4),
            "i8" => (Kind::Signed, 8),
            "u1" => (Kind::Unsigned, 1),
            "u2" => (Kind::Unsigned, 2),
            "u4" => (Kind::Unsigned, 4),
            "u8" => (Kind::Unsigned, 8),
            "b1" => (Kind::Bool, 1),
            _ => return None,
        };
        Some(Dtype { kind, size, big_endian })
    }

    /// All values in the order of the file, or the number of the first that f32 can't stand for.
    fn values(self, data: &[u8]) -> Result<Vec<f32>, (usize, Problem)> {
        let big = self.big_endian;
        match (self.kind, self.size) {
            (Kind::Float, 2) => Ok(decode(data, big, f16::from_le_bytes).map(f32::from).collect()),
            (Kind::Float, 4) => Ok(decode(data, big, f32::from_le_bytes).collect()),
            (Kind::Float, _) => convert(decode(data, big, f64::from_le_bytes), rounded, TOO_LARGE),
            (Kind::Signed, 1) => Ok(decode(data, big, i8::from_le_bytes).map(f32::from).collect()),
            (Kind::Signed, 2) => Ok(decode(data, big, i16::from_le_bytes).map(f32::from).collect()),
            (Kind::Signed, 4) => convert(decode(data, big, i32::from_le_bytes), whole, NOT_WHOLE),
            (Kind::Signed, _) => convert(decode(data, big, i64::from_le_bytes), whole, NOT_WHOLE),
            (Kind::Unsigned, 1) => Ok(data.iter().copied().map(f32::from).collect()),
            (Kind::Unsigned, 2) => {
                Ok(decode(data, big, u16::from_le_bytes).map(f32::from).collect())
            }
            (Kind::Unsigned, 4) => convert(decode(data, big, u32::from_le_bytes), whole, NOT_WHOLE),
            (Kind::Unsigned, _) => convert(decode(data, big, u64::from_le_bytes), whole, NOT_WHOLE),
            (Kind::Bool, _) => {
                convert(data.iter().copied(), |byte| (byte < 2).then_some(byte.into()), NO_BOOL)
            }
        }
    }
}

fn decode<const SIZE: usize, T>(
    data: &[u8],
    big_endian: bool,
    from_little_endian: fn([u8; SIZE]) -> T,
) -> impl Iterator<Item = T> {
    data.chunks_exact(SIZE).map(move |chunk| {
        let mut bytes = [0; SIZE];
        bytes.copy_from_slice(chunk);
        if big_endian {
            bytes.reverse();
        }
        from_little_endian(bytes)
    })
}

fn convert<T: Copy + Debug>(
    values: impl Iterator<Item = T>,
    to_f32: impl Fn(T) -> Option<f32>,
    reason: &'static str,
) -> Result<Vec<f32>, (usize, Problem)> {
    let convert = |(number, value): (usize, T)| {
        to_f32(value).ok_or_else(|| (number, Problem { value: format!("{value:?}"), reason }))
    };
    values.enumerate().map(convert).collect()
}

/// A float that is rounded, unless that makes it infinite.
pub fn rounded(value: f64) -> Option<f32> {
    let near = value as f32;
    (near.is_finite() || !value.is_finite()).then_some(near)
}

/// A whole number that isn't changed.
pub fn whole(value: impl Into<i128>) -> Option<f32> {
    let value = value.into();
    let near = value as f32;
    (near as i128 == value).then_some(near)
}

/// The index along each axis of a value by its number in the file.
fn index_of(mut number: usize, shape: &[usize], fortran: bool) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    let axes: Box<dyn Iterator<Item = usize>> =
        if fortran { Box::new(0..shape.len()) } else { Box::new((0..shape.len()).rev()) };
    for axis in axes {
        index[axis] = number % shape[axis];
        number /= shape[axis];
    }
    index
}

/// Why a dtype isn't read, and what to do.
fn refusal(descriptor: &str) -> anyhow::Error {
    let kind = descriptor.trim_start_matches(['<', '>', '|', '=']).chars().next();
    let (what, instead) = match kind {
        Some('f') => ("floats of extended precision", "save x.astype('float32')"),
        Some('c') => ("complex numbers", "save x.real and x.imag as arrays of their own"),
        Some('O') => ("Python objects", "save numpy.array(x.tolist(), dtype='float32')"),
        Some('U' | 'S') => ("text", "turn it into numbers, such as ids of tokens, first"),
        Some('M' | 'm') => {
            ("dates or times", "turn them into floats first, such as days since the first")
        }
        Some('[') => ("records of several fields", "save a field by itself: x['name']"),
        Some('V') => ("raw bytes, as of bfloat16", "save x.astype('float32')"),
        _ => ("not known", "save x.astype('float32')"),
    };
    // A list of fields can be long.
    let mut descriptor = descriptor.to_string();
    if let Some((end, _)) = descriptor.char_indices().nth(60) {
        descriptor.truncate(end);
        descriptor.push('…');
    }
    anyhow!("its dtype is {descriptor} ({what}), not of floats, integers or bools; {instead}")
}

/// A layer's name as a part of a file's: it can hold any character and have any length, and a
/// file's can't.
pub fn plain(name: &str) -> String {
    const LONGEST: usize = 64;
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' }
    };
    name.chars().map(plain).take(LONGEST).collect()
}

/// Writes a float32 array in C order.
pub fn write(path: &Path, array: &ArrayD<f32>) -> Result<()> {
    ndarray_npy::write_npy(path, &array.as_standard_layout())
        .with_context(|| format!("cannot write {}", path.display()))
}
