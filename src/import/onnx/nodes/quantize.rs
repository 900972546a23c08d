//! Nodes of whole numbers that stand for others. They are computed in f32, with what the formulas
//! say of rounding; sums of products are exact below 2^24.

use super::shapes::{Answer, column, is_single, scalar};
use super::windows;
use crate::Result;
use crate::import::onnx::importer::{Call, Handler};
use crate::import::onnx::tensor::DataType;
use crate::program::{Binary, Kind, Operation, Reduction, Unary, Value, Values};

pub(super) const NODES: &[(&str, Handler)] = &[
    ("ConvInteger", conv_integer),
    ("DequantizeLinear", dequantize),
    ("DynamicQuantizeLinear", dynamic_quantize),
    ("MatMulInteger", matmul_integer),
    ("QuantizeLinear", quantize),
    ("com.microsoft.DequantizeLinear", dequantize),
    ("com.microsoft.QuantizeLinear", quantize),
];

/// How scales and zero points fit x.
enum Fit {
    /// A single one for all of x, or one for each place along an axis of x, which is moved to the
    /// end to compute with it.
    Along {
        /// The axis of x.
        axis: i64,
        /// Whether there is a single one.
        single: Answer,
    },
    /// One for so many values of x that follow each other along an axis, of which the last may be
    /// fewer.
    Blocks {
        /// The axis of both.
        axis: i64,
        /// Of each place of this axis of x the number of its block.
        places: Value,
    },
}

impl Fit {
    /// Of a scale of this node to x.
    fn of(call: &mut Call, x: Value, scale: Value) -> Result<Fit> {
        let (axis, size) = (call.int("axis", 1)?, call.int("block_size", 0)?);
        match size {
            0 => {
                if let Some(shape) = call.importer.facts(scale).shape
                    && shape.iter().filter(|length| **length != 1).count() > 1
                {
                    let text = format!("its scale is of shape {shape:?}, without a block_size");
                    return call.malformed(text);
                }
                Ok(Fit::Along { axis, single: is_single(call, scale)? })
            }
            1.. => Ok(Fit::Blocks { axis, places: blocks(call, x, axis, size)? }),
            _ => call.malformed(format!("its block_size is {size}")),
        }
    }

    fn before(&self, call: &mut Call, x: Value) -> Result<Value> {
        match *self {
            Fit::Along { axis, single } => moved(call, x, single, (axis, -1)),
            Fit::Blocks { .. } => Ok(x),
        }
    }

    fn behind(&self, call: &mut Call, x: Value) -> Result<Value> {
        match *self {
            Fit::Along { axis, single } => moved(call, x, single, (-1, axis)),
            Fit::Blocks { .. } => Ok(x),
        }
    }

    /// Scales or zero points as they fit what [`Fit::before`] returns.
    fn numbers(&self, call: &mut Call, numbers: Value) -> Result<Value> {
        match *self {
            Fit::Along { .. } => scalar(call, numbers),
            Fit::Blocks { axis, places } => call.op(Operation::Take { axis }, [numbers, places]),
        }
    }
}

/// With an axis at another place, if there isn't a single number for all of x.
fn moved(call: &mut Call, x: Value, single: Answer, (from, to): (i64, i64)) -> Result<Value> {
    single.choose(call, |_| Ok(x), |call| call.op(Operation::MoveAxis { from, to }, [x]))
}

/// Of each place of an axis of x the number of its block of this size.
fn blocks(call: &mut Call, x: Value, axis: i64, size: i64) -> Result<Value> {
    let shape = call.shape(x)?;
    let axis = call.importer.constant(Values::integer(axis));
    let length = call.op(Operation::Take { axis: 0 }, [shape, axis])?;
    let [zero, one, size] =
        [0, 1, size].map(|number| call.importer.constant(Values::integer(number)));
    let places = call.op(Operation::Range, [zero, length, one])?;
    call.binary(Binary::Divide, places, size)
}

/// `(x - zero_point) · scale`
fn dequantize(call: &mut Call) -> Result<()> {
    let (x, scale, zero_point) = (call.required(0)?, call.required(1)?, call.input(2)?);
    let fit = Fit::of(call, x, scale)?;
    let mut result = fit.before(call, x)?;
    result = call.cast(result, Kind::Float)?;
    if let Some(zero_point) = zero_point {
        let zero_point = fit.numbers(call, zero_point)?;
        let zero_point = call.cast(zero_point, Kind::Float)?;
        result = call.binary(Binary::Subtract, result, zero_point)?;
    }
    let scale = fit.numbers(call, scale)?;
    result = call.binary(Binary::Multiply, result, scale)?;
    result = fit.behind(call, result)?;
    if let Some(shape) = call.importer.facts(x).shape {
        call.importer.set_shape(result, shape);
    }
    call.importer.set_type(result, DataType::Float);
    call.set(0, result)
}

/// `round(x / scale) + zero_point`, limited to what the type has.
fn quantize(call: &mut Call) -> Result<()> {
    let (x, scale, zero_point) = (call.required(0)?, call.required(1)?, call.input(2)?);
    let _ = (call.has("saturate"), call.has("precision"));
    let data_type = match (zero_point, call.int("output_dtype", 0)?) {
        (Some(zero_point), _) => call.importer.facts(zero_point).data_type,
        (None, 0) => Some(DataType::Uint8),
        (None, number) => DataType::new(number).ok(),
    };
    let Some((data_type, (least, most))) = data_type.and_then(|one| Some((one, one.limits()?)))
    else {
        return call
            .unsupported("it quantizes to a type that isn't 4, 8 or 16 bits, or isn't known");
    };
    let fit = Fit::of(call, x, scale)?;
    let scale = fit.numbers(call, scale)?;
    let mut result = fit.before(call, x)?;
    result = call.binary(Binary::Divide, result, scale)?;
    result = call.unary(Unary::Round, result)?;
    if let Some(zero_point) = zero_point {
        let zero_point = fit.numbers(call, zero_point)?;
        let zero_point = call.cast(zero_point, Kind::Float)?;
        result = call.binary(Binary::Add, result, zero_point)?;
    }
    result = limited(call, result, least, most)?;
    result = call.cast(result, Kind::Integer)?;
    result = fit.behind(call, result)?;
    call.importer.set_type(result, data_type);
    call.set(0, result)
}

pub(super) fn limited(call: &mut Call, x: Value, least: f32, most: f32) -> Result<Value> {
    let above = call.with_number(Binary::Maximum, x, least)?;
    call.with_number(Binary::Minimum, above, most)
}

fn dynamic_quantize(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let results = dynamic_quantized(call, x)?;
    for (index, value) in results.into_iter().enumerate() {
        call.set(index, value)?;
    }
    Ok(())
}

/// To 0..255, by the range of x and 0: the numbers, the scale and the zero point.
pub(super) fn dynamic_quantized(call: &mut Call, x: Value) -> Result<[Value; 3]> {
    let most = call.reduce(Reduction::Maximum, x, None, false)?;
    let most = call.with_number(Binary::Maximum, most, 0.0)?;
    let least = call.reduce(Reduction::Minimum, x, None, false)?;
    let least = call.with_number(Binary::Minimum, least, 0.0)?;
    let span = call.binary(Binary::Subtract, most, least)?;
    let scale = call.with_number(Binary::Divide, span, 255.0)?;
    let below = call.unary(Unary::Negate, least)?;
    // An array of zeros has no scale.
    let is_zero = call.with_number(Binary::Equal, scale, 0.0)?;
    let one = call.importer.float(1.0);
    let divisor = call.op(Operation::Select, [is_zero, one, scale])?;
    let zero_point = call.binary(Binary::Divide, below, divisor)?;
    let zero_point = call.unary(Unary::Round, zero_point)?;
    let zero_point = limited(call, zero_point, 0.0, 255.0)?;
    let numbers = call.binary(Binary::Divide, x, divisor)?;
    let numbers = call.unary(Unary::Round, numbers)?;
    let numbers = call.binary(Binary::Add, numbers, zero_point)?;
    let numbers = limited(call, numbers, 0.0, 255.0)?;
    let numbers = call.cast(numbers, Kind::Integer)?;
    let zero_point = call.cast(zero_point, Kind::Integer)?;
    for single in [scale, zero_point] {
        call.importer.set_shape(single, Vec::new());
    }
    Ok([numbers, scale, zero_point])
}

/// Of which numbers of an operand there is a zero point or a scale each, where there are several.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Per {
    Row,
    Column,
}

impl Per {
    /// The numbers as they fit the operand.
    pub fn fitting(self, call: &mut Call, numbers: Value) -> Result<Value> {
        match self {
            Per::Row => column(call, numbers),
            Per::Column => scalar(call, numbers),
        }
    }
}

/// An operand without its zero point, in f32.
pub(super) fn centred(
    call: &mut Call,
    x: Value,
    zero_point: Option<Value>,
    per: Per,
) -> Result<Value> {
    let x = call.cast(x, Kind::Float)?;
    let Some(zero_point) = zero_point else { return Ok(x) };
    let zero_point = per.fitting(call, zero_point)?;
    let zero_point = call.cast(zero_point, Kind::Float)?;
    call.binary(Binary::Subtract, x, zero_point)
}

/// A kernel `[filters, …]` without its zero point, of which there may be one for each filter.
pub(super) fn centred_filters(
    call: &mut Call,
    kernel: Value,
    zero_point: Option<Value>,
) -> Result<Value> {
    let last = call.op(Operation::MoveAxis { from: 0, to: -1 }, [kernel])?;
    let centred = centred(call, last, zero_point, Per::Column)?;
    call.op(Operation::MoveAxis { from: -1, to: 0 }, [centred])
}

fn matmul_integer(call: &mut Call) -> Result<()> {
    let (a, b) = (call.required(0)?, call.required(1)?);
    let (zero_a, zero_b) = (call.input(2)?, call.input(3)?);
    let a = centred(call, a, zero_a, Per::Row)?;
    let b = centred(call, b, zero_b, Per::Column)?;
    let product = call.op(Operation::Product, [a, b])?;
    let result = call.cast(product, Kind::Integer)?;
    call.set(0, result)
}

fn conv_integer(call: &mut Call) -> Result<()> {
    let (x, kernel) = (call.required(0)?, call.required(1)?);
    let (zero_x, zero_kernel) = (call.input(2)?, call.input(3)?);
    let x = centred(call, x, zero_x, Per::Column)?;
    let facts = call.importer.facts(kernel);
    let kernel = centred_filters(call, kernel, zero_kernel)?;
    let result = windows::convolution(call, x, (kernel, facts.shape), None)?;
    let result = call.cast(result, Kind::Integer)?;
    call.set(0, result)
}
