//! Nodes of whole numbers that stand for others. They are computed in f32, with what the formulas
//! say of rounding; sums of products are exact below 2^24.

use super::windows;
use crate::Result;
use crate::import::onnx::importer::{Call, Handler};
use crate::import::onnx::tensor::DataType;
use crate::program::{Binary, Kind, Operation, Reduction, Unary, Value};

pub(super) const NODES: &[(&str, Handler)] = &[
    ("ConvInteger", conv_integer),
    ("DequantizeLinear", dequantize),
    ("DynamicQuantizeLinear", dynamic_quantize),
    ("MatMulInteger", matmul_integer),
    ("QuantizeLinear", quantize),
    ("com.microsoft.DequantizeLinear", dequantize),
    ("com.microsoft.QuantizeLinear", quantize),
];

/// Numbers without an axis, or along one axis of x, as x can be computed with: the axis of x is
/// moved to the end.
struct Along {
    /// The axis of x, where there is one number for each of its places.
    axis: Option<i64>,
}

impl Along {
    /// Of a scale of this node.
    fn of(call: &mut Call, scale: Value) -> Result<Along> {
        let axis = call.int("axis", 1)?;
        if call.int("block_size", 0)? != 0 {
            return call.unsupported("blocks of scales aren't supported");
        }
        let shape = call.importer.facts(scale).shape;
        let single = shape.is_none_or(|shape| shape.iter().product::<usize>() == 1);
        Ok(Along { axis: (!single).then_some(axis) })
    }

    fn before(&self, call: &mut Call, x: Value) -> Result<Value> {
        match self.axis {
            Some(from) => call.op(Operation::MoveAxis { from, to: -1 }, [x]),
            None => Ok(x),
        }
    }

    fn behind(&self, call: &mut Call, x: Value) -> Result<Value> {
        match self.axis {
            Some(to) => call.op(Operation::MoveAxis { from: -1, to }, [x]),
            None => Ok(x),
        }
    }
}

/// A single number without its axis; others as they are.
pub(super) fn scalar(call: &mut Call, x: Value) -> Result<Value> {
    match call.importer.facts(x).shape {
        Some(shape) if shape == [1] => call.reshape(x, []),
        _ => Ok(x),
    }
}

/// `(x - zero_point) · scale`
fn dequantize(call: &mut Call) -> Result<()> {
    let (x, scale, zero_point) = (call.required(0)?, call.required(1)?, call.input(2)?);
    let along = Along::of(call, scale)?;
    let result = dequantized(call, &along, x, (scale, zero_point))?;
    call.importer.same_facts(x, result);
    call.importer.set_type(result, DataType::Float);
    call.set(0, result)
}

fn dequantized(
    call: &mut Call,
    along: &Along,
    x: Value,
    (scale, zero_point): (Value, Option<Value>),
) -> Result<Value> {
    let mut result = along.before(call, x)?;
    result = call.cast(result, Kind::Float)?;
    if let Some(zero_point) = zero_point {
        let zero_point = scalar(call, zero_point)?;
        let zero_point = call.cast(zero_point, Kind::Float)?;
        result = call.binary(Binary::Subtract, result, zero_point)?;
    }
    let scale = scalar(call, scale)?;
    result = call.binary(Binary::Multiply, result, scale)?;
    along.behind(call, result)
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
        return call.unsupported("it quantizes to a type that isn't 8 or 16 bits, or isn't known");
    };
    let along = Along::of(call, scale)?;
    let scale = scalar(call, scale)?;
    let mut result = along.before(call, x)?;
    result = call.binary(Binary::Divide, result, scale)?;
    result = call.unary(Unary::Round, result)?;
    if let Some(zero_point) = zero_point {
        let zero_point = scalar(call, zero_point)?;
        let zero_point = call.cast(zero_point, Kind::Float)?;
        result = call.binary(Binary::Add, result, zero_point)?;
    }
    result = limited(call, result, least, most)?;
    result = call.cast(result, Kind::Integer)?;
    result = along.behind(call, result)?;
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
    Ok([numbers, scale, zero_point])
}

/// An operand without its zero point, in f32.
pub(super) fn centred(
    call: &mut Call,
    x: Value,
    zero_point: Option<Value>,
    axis: i64,
) -> Result<Value> {
    let x = call.cast(x, Kind::Float)?;
    let Some(zero_point) = zero_point else { return Ok(x) };
    let shape = call.importer.facts(zero_point).shape;
    let zero_point = scalar(call, zero_point)?;
    let mut zero_point = call.cast(zero_point, Kind::Float)?;
    if shape.is_some_and(|shape| shape.iter().product::<usize>() > 1 && shape.len() == 1) {
        // One for each row or column.
        let others: Vec<i64> = (axis + 1..0).collect();
        if !others.is_empty() {
            zero_point = call.unsqueeze(zero_point, &others)?;
        }
    }
    call.binary(Binary::Subtract, x, zero_point)
}

fn matmul_integer(call: &mut Call) -> Result<()> {
    let (a, b) = (call.required(0)?, call.required(1)?);
    let (zero_a, zero_b) = (call.input(2)?, call.input(3)?);
    let a = centred(call, a, zero_a, -2)?;
    let b = centred(call, b, zero_b, -1)?;
    let product = call.op(Operation::Product, [a, b])?;
    let result = call.cast(product, Kind::Integer)?;
    call.set(0, result)
}

fn conv_integer(call: &mut Call) -> Result<()> {
    let (x, kernel) = (call.required(0)?, call.required(1)?);
    let (zero_x, zero_kernel) = (call.input(2)?, call.input(3)?);
    let x = centred(call, x, zero_x, -1)?;
    let facts = call.importer.facts(kernel);
    let kernel = match zero_kernel {
        // One for each filter, along the first axis.
        Some(zero) if call.importer.facts(zero).shape.is_some_and(|shape| shape.len() == 1) => {
            let first = call.op(Operation::MoveAxis { from: 0, to: -1 }, [kernel])?;
            let centred = centred(call, first, Some(zero), -1)?;
            call.op(Operation::MoveAxis { from: -1, to: 0 }, [centred])?
        }
        zero => centred(call, kernel, zero, -1)?,
    };
    let result = windows::convolution(call, x, (kernel, facts.shape), None)?;
    let result = call.cast(result, Kind::Integer)?;
    call.set(0, result)
}
