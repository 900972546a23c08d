//! Tensors to arrays.

use super::external::External;
use super::proto::Tensor;
use crate::program::{Kind, Values};
use ndarray::{ArrayD, IxDyn};
use std::borrow::Cow;
use std::ops::RangeInclusive;

/// More axes than this no array has.
const MOST_AXES: usize = 32;

/// A type of ONNX's for numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DataType {
    Float,
    Uint8,
    Int8,
    Uint16,
    Int16,
    Int32,
    Int64,
    Bool,
    Float16,
    Double,
    Uint32,
    Uint64,
    Bfloat16,
    Uint4,
    Int4,
}

impl DataType {
    /// As NumPy calls it.
    pub fn name(self) -> &'static str {
        match self {
            DataType::Float => "float32",
            DataType::Uint8 => "uint8",
            DataType::Int8 => "int8",
            DataType::Uint16 => "uint16",
            DataType::Int16 => "int16",
            DataType::Int32 => "int32",
            DataType::Int64 => "int64",
            DataType::Bool => "bool",
            DataType::Float16 => "float16",
            DataType::Double => "float64",
            DataType::Uint32 => "uint32",
            DataType::Uint64 => "uint64",
            DataType::Bfloat16 => "bfloat16",
            DataType::Uint4 => "uint4",
            DataType::Int4 => "int4",
        }
    }

    /// By its number in files.
    pub fn new(number: i64) -> Result<DataType, String> {
        Ok(match number {
            1 => DataType::Float,
            2 => DataType::Uint8,
            3 => DataType::Int8,
            4 => DataType::Uint16,
            5 => DataType::Int16,
            6 => DataType::Int32,
            7 => DataType::Int64,
            9 => DataType::Bool,
            10 => DataType::Float16,
            11 => DataType::Double,
            12 => DataType::Uint32,
            13 => DataType::Uint64,
            16 => DataType::Bfloat16,
            21 => DataType::Uint4,
            22 => DataType::Int4,
            8 => return Err("texts; only numbers are supported".into()),
            14 | 15 => return Err("complex numbers; only real ones are supported".into()),
            17..=20 => return Err("8-bit floats; cast them to 16 or 32 bits first".into()),
            23 => return Err("4-bit floats; cast them to 16 or 32 bits first".into()),
            other => return Err(format!("data type {other}, which isn't one")),
        })
    }

    pub fn kind(self) -> Kind {
        use DataType::*;
        match self {
            Float | Float16 | Double | Bfloat16 => Kind::Float,
            Bool => Kind::Bool,
            _ => Kind::Integer,
        }
    }

    /// The values of a type of whole numbers that doesn't hold all that there are in birnn.
    pub fn range(self) -> Option<RangeInclusive<i64>> {
        Some(match self {
            DataType::Uint8 => 0..=u8::MAX.into(),
            DataType::Int8 => i8::MIN.into()..=i8::MAX.into(),
            DataType::Uint16 => 0..=u16::MAX.into(),
            DataType::Int16 => i16::MIN.into()..=i16::MAX.into(),
            DataType::Uint32 => 0..=u32::MAX.into(),
            DataType::Int32 => i32::MIN.into()..=i32::MAX.into(),
            DataType::Uint64 => 0..=i64::MAX,
            DataType::Uint4 => 0..=15,
            DataType::Int4 => -8..=7,
            _ => return None,
        })
    }

    /// The bytes of so many values.
    fn bytes(self, count: usize) -> Option<usize> {
        use DataType::*;
        let each = match self {
            // Two in a byte.
            Uint4 | Int4 => return Some(count.div_ceil(2)),
            Uint8 | Int8 | Bool => 1,
            Uint16 | Int16 | Float16 | Bfloat16 => 2,
            Float | Int32 | Uint32 => 4,
            Int64 | Double | Uint64 => 8,
        };
        count.checked_mul(each)
    }

    /// The smallest and the largest value of a type of up to 16 bits.
    pub fn limits(self) -> Option<(f32, f32)> {
        match self {
            DataType::Uint8 => Some((0.0, 255.0)),
            DataType::Int8 => Some((-128.0, 127.0)),
            DataType::Uint16 => Some((0.0, 65535.0)),
            DataType::Int16 => Some((-32768.0, 32767.0)),
            DataType::Uint4 => Some((0.0, 15.0)),
            DataType::Int4 => Some((-8.0, 7.0)),
            _ => None,
        }
    }
}

/// The values of a tensor, or why they can't be read.
pub(super) fn values(tensor: &Tensor, external: &External) -> Result<Values, String> {
    let data_type = DataType::new(tensor.data_type).map_err(|what| format!("it holds {what}"))?;
    let shape = shape(&tensor.dims)?;
    let count = shape.iter().try_fold(1usize, |count, &length| count.checked_mul(length));
    let too_large = || format!("its shape {shape:?} has too many values");
    let count = count.filter(|&count| count <= isize::MAX as usize / 16).ok_or_else(too_large)?;
    let bytes = data_type.bytes(count).ok_or_else(too_large)?;
    let raw: Option<Cow<[u8]>> = match (tensor.is_external, tensor.raw) {
        (true, _) => Some(external.read(&tensor.external, bytes)?.into()),
        (false, raw) => raw.map(Cow::Borrowed),
    };
    match raw {
        Some(raw) if raw.len() != bytes => {
            Err(format!("{} bytes for {shape:?} of {data_type:?}", raw.len()))
        }
        Some(raw) => of_raw(&raw, data_type, &shape),
        None => of_fields(tensor, data_type, &shape),
    }
}

fn shape(dims: &[i64]) -> Result<Vec<usize>, String> {
    if dims.len() > MOST_AXES {
        return Err(format!("it has {} axes; {MOST_AXES} are supported", dims.len()));
    }
    let length = |&n: &i64| usize::try_from(n).map_err(|_| format!("its shape is {dims:?}"));
    dims.iter().map(length).collect()
}

fn array<T>(values: Vec<T>, shape: &[usize]) -> Result<ArrayD<T>, String> {
    let count = values.len();
    ArrayD::from_shape_vec(IxDyn(shape), values)
        .map_err(|_| format!("{count} values for a shape of {shape:?}"))
}

/// Numbers of `N` bytes.
fn each<const N: usize, T>(raw: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
    raw.as_chunks::<N>().0.iter().map(|&bytes| value(bytes)).collect()
}

fn of_raw(raw: &[u8], data_type: DataType, shape: &[usize]) -> Result<Values, String> {
    let floats = |values| array(values, shape).map(Values::Floats);
    let integers = |values| array(values, shape).map(Values::Integers);
    match data_type {
        DataType::Float => floats(each(raw, f32::from_le_bytes)),
        DataType::Double => floats(each(raw, |bytes| f64::from_le_bytes(bytes) as f32)),
        DataType::Float16 => floats(each(raw, |bytes| half(u16::from_le_bytes(bytes)))),
        DataType::Bfloat16 => floats(each(raw, |bytes| bfloat(u16::from_le_bytes(bytes)))),
        DataType::Uint8 => integers(each(raw, |[byte]| byte.into())),
        DataType::Int8 => integers(each(raw, |bytes| i8::from_le_bytes(bytes).into())),
        DataType::Uint16 => integers(each(raw, |bytes| u16::from_le_bytes(bytes).into())),
        DataType::Int16 => integers(each(raw, |bytes| i16::from_le_bytes(bytes).into())),
        DataType::Int32 => integers(each(raw, |bytes| i32::from_le_bytes(bytes).into())),
        DataType::Uint32 => integers(each(raw, |bytes| u32::from_le_bytes(bytes).into())),
        DataType::Int64 => integers(each(raw, i64::from_le_bytes)),
        DataType::Uint64 => integers(each(raw, |bytes| unsigned(u64::from_le_bytes(bytes)))),
        DataType::Bool => array(each(raw, |[byte]| byte != 0), shape).map(Values::Bools),
        DataType::Uint4 | DataType::Int4 => integers(nibbles(raw, data_type, shape)),
    }
}

/// As many values of 4 bits as a shape has, the lower ones of a byte first.
fn nibbles(raw: &[u8], data_type: DataType, shape: &[usize]) -> Vec<i64> {
    let value = |bits: u8| match data_type {
        DataType::Int4 if bits >= 8 => i64::from(bits) - 16,
        _ => i64::from(bits),
    };
    let values = raw.iter().flat_map(|byte| [value(byte & 15), value(byte >> 4)]);
    values.take(shape.iter().product()).collect()
}

/// From the lists that a tensor has for each type.
fn of_fields(tensor: &Tensor, data_type: DataType, shape: &[usize]) -> Result<Values, String> {
    let floats = |values| array(values, shape).map(Values::Floats);
    let integers = |values| array(values, shape).map(Values::Integers);
    let int32s = || tensor.int32s.iter();
    match data_type {
        DataType::Float => floats(tensor.floats.clone()),
        DataType::Double => floats(tensor.doubles.iter().map(|&value| value as f32).collect()),
        DataType::Float16 => floats(int32s().map(|&bits| half(bits as u16)).collect()),
        DataType::Bfloat16 => floats(int32s().map(|&bits| bfloat(bits as u16)).collect()),
        DataType::Bool => {
            array(int32s().map(|&value| value != 0).collect(), shape).map(Values::Bools)
        }
        DataType::Int64 => integers(tensor.int64s.clone()),
        DataType::Uint32 | DataType::Uint64 => {
            let values = tensor.uint64s.iter().map(|&bits| unsigned(bits as u64));
            integers(values.collect())
        }
        DataType::Uint4 | DataType::Int4 => {
            let raw: Vec<u8> = int32s().map(|&byte| byte as u8).collect();
            integers(nibbles(&raw, data_type, shape))
        }
        _ => integers(tensor.int32s.clone()),
    }
}

/// The largest whole number where it is larger.
fn unsigned(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn bfloat(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// An IEEE number of 16 bits: a sign, five bits of exponent, ten of fraction.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    match exponent {
        0 => sign * fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1024.0 + fraction) * 2f32.powi(exponent - 25),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(data_type: i64, dims: &[i64], raw: &'static [u8]) -> Tensor<'static> {
        Tensor { dims: dims.to_vec(), data_type, raw: Some(raw), ..Tensor::default() }
    }

    fn read(tensor: &Tensor) -> Result<Values, String> {
        values(tensor, &External::given(&[], 0))
    }

    #[test]
    fn numbers_of_all_types_are_read() {
        let floats = |values: &[f32]| Values::Floats(ndarray::arr1(values).into_dyn());
        assert_eq!(read(&tensor(1, &[1], &[0, 0, 128, 63])), Ok(floats(&[1.0])));
        assert_eq!(read(&tensor(10, &[2], &[0, 60, 1, 0])), Ok(floats(&[1.0, 2f32.powi(-24)])));
        assert_eq!(
            read(&tensor(10, &[2], &[255, 123, 0, 252])),
            Ok(floats(&[65504.0, f32::NEG_INFINITY]))
        );
        assert_eq!(read(&tensor(16, &[1], &[192, 191])), Ok(floats(&[-1.5])));
        assert_eq!(read(&tensor(11, &[1], &[0, 0, 0, 0, 0, 0, 224, 63])), Ok(floats(&[0.5])));
        assert_eq!(read(&tensor(3, &[2], &[255, 5])), Ok(Values::integers([-1, 5])));
        assert_eq!(read(&tensor(2, &[1], &[255])), Ok(Values::integers([255])));
        assert_eq!(read(&tensor(5, &[1], &[254, 255])), Ok(Values::integers([-2])));
        assert_eq!(read(&tensor(21, &[3], &[0x8f, 1])), Ok(Values::integers([15, 8, 1])));
        assert_eq!(read(&tensor(22, &[4], &[0x8f, 0x71])), Ok(Values::integers([-1, -8, 1, 7])));
        let listed =
            Tensor { data_type: 22, dims: vec![3], int32s: vec![0x8f, 7], ..Tensor::default() };
        assert_eq!(read(&listed), Ok(Values::integers([-1, -8, 7])));
        let bools = ndarray::arr1(&[true, false]).into_dyn();
        assert_eq!(read(&tensor(9, &[2], &[1, 0])), Ok(Values::Bools(bools)));
        let listed =
            Tensor { data_type: 7, dims: vec![2], int64s: vec![3, -4], ..Tensor::default() };
        assert_eq!(read(&listed), Ok(Values::integers([3, -4])));
        let listed = Tensor { data_type: 10, int32s: vec![0x3c00], ..Tensor::default() };
        assert_eq!(read(&listed), Ok(Values::float(1.0)));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        for wrong in [
            tensor(1, &[2], &[0, 0, 128, 63]),
            tensor(1, &[-1], &[]),
            tensor(1, &[i64::MAX, i64::MAX], &[]),
            tensor(1, &[1 << 40], &[]),
            tensor(8, &[0], &[]),
            tensor(22, &[3], &[0]),
            tensor(22, &[2], &[0, 0]),
            tensor(99, &[0], &[]),
            tensor(1, &[1; 40], &[0, 0, 0, 0]),
            Tensor { data_type: 1, dims: vec![3], floats: vec![1.0], ..Tensor::default() },
            Tensor { data_type: 1, dims: vec![1], is_external: true, ..Tensor::default() },
        ] {
            assert!(read(&wrong).is_err(), "{wrong:?}");
        }
    }
}
