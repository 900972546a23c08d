//! Nodes that make arrays, and that move values.

use crate::Result;
use crate::import::onnx::importer::{Call, Handler};
use crate::import::onnx::tensor;
use crate::program::{Binary, Kind, Operation, PadMode, Reduction, Value, Values};

pub(super) const NODES: &[(&str, Handler)] = &[
    ("CenterCropPad", center_crop_pad),
    ("Concat", concat),
    ("Constant", constant),
    ("ConstantOfShape", constant_of_shape),
    ("DepthToSpace", depth_to_space),
    ("Expand", expand),
    ("EyeLike", eye_like),
    ("Flatten", flatten),
    ("Pad", pad),
    ("Range", range),
    ("Reshape", reshape),
    ("Shape", shape),
    ("Size", size),
    ("Slice", slice),
    ("SpaceToDepth", space_to_depth),
    ("Split", split),
    ("Squeeze", squeeze),
    ("Tile", tile),
    ("Transpose", transpose),
    ("Trilu", triangle),
    ("Unsqueeze", unsqueeze),
];

fn constant(call: &mut Call) -> Result<()> {
    if call.has("sparse_value") || call.has("value_string") || call.has("value_strings") {
        return call.unsupported("only dense numbers are supported");
    }
    let value = if let Some(tensor) = call.tensor_attribute("value")? {
        let label = call.label.clone();
        call.importer.tensor(&label, tensor)?
    } else if call.has("value_float") {
        let number = call.float("value_float", 0.0)?;
        call.importer.float(number)
    } else if call.has("value_int") {
        let number = call.int("value_int", 0)?;
        call.importer.constant(Values::integer(number))
    } else if let Some(numbers) = call.floats("value_floats")? {
        call.importer.constant(Values::Floats(ndarray::Array1::from(numbers).into_dyn()))
    } else if let Some(numbers) = call.ints("value_ints")? {
        call.importer.integers(numbers)
    } else {
        return call.malformed("it has no value");
    };
    call.set(0, value)
}

fn constant_of_shape(call: &mut Call) -> Result<()> {
    let shape = call.required(0)?;
    let value = match call.tensor_attribute("value")? {
        None => call.importer.float(0.0),
        Some(tensor) => match tensor::values(tensor, call.importer.external) {
            Ok(values) => call.importer.constant(values),
            Err(reason) => return call.malformed(format!("its value: {reason}")),
        },
    };
    let filled = call.op(Operation::Fill, [shape, value])?;
    call.set(0, filled)
}

fn concat(call: &mut Call) -> Result<()> {
    let axis = call.int("axis", 1)?;
    let inputs = call.inputs()?;
    let joined = call.op(Operation::Concat { axis }, inputs)?;
    call.set(0, joined)
}

fn expand(call: &mut Call) -> Result<()> {
    two(call, Operation::Expand)
}

/// An operation on the first two inputs.
pub(super) fn two(call: &mut Call, operation: Operation) -> Result<()> {
    let inputs = [call.required(0)?, call.required(1)?];
    let result = call.op(operation, inputs)?;
    call.set(0, result)
}

fn flatten(call: &mut Call) -> Result<()> {
    let axis = call.int("axis", 1)?;
    let x = call.required(0)?;
    let flat = call.op(Operation::Flatten { axis }, [x])?;
    call.set(0, flat)
}

fn pad(call: &mut Call) -> Result<()> {
    let mode = match call.text("mode", "constant")? {
        "constant" => PadMode::Constant,
        "reflect" => PadMode::Reflect,
        "edge" => PadMode::Edge,
        "wrap" => PadMode::Wrap,
        other => return call.unsupported(format!("mode {other:?} isn't supported")),
    };
    let x = call.required(0)?;
    let (sides, value) = match call.ints("pads")? {
        Some(sides) => {
            let number = call.float("value", 0.0)?;
            (call.importer.integers(sides), Some(call.importer.float(number)))
        }
        None => (call.required(1)?, call.input(2)?),
    };
    let axes = call.input(3)?;
    let padded = call.op(Operation::Pad(mode), [Some(x), Some(sides), value, axes])?;
    call.set(0, padded)
}

/// As much cut off or put around at both ends of each axis; what can't be halved is more behind.
fn center_crop_pad(call: &mut Call) -> Result<()> {
    let (x, wanted) = (call.required(0)?, call.required(1)?);
    let axes = call.ints("axes")?.map(|axes| call.importer.integers(axes));
    let mut lengths = call.shape(x)?;
    if let Some(axes) = axes {
        lengths = call.op(Operation::Take { axis: 0 }, [lengths, axes])?;
    }
    let two = call.importer.constant(Values::integer(2));
    let more = call.binary(Binary::Subtract, wanted, lengths)?;
    let before = call.binary(Binary::Divide, more, two)?;
    let behind = call.binary(Binary::Subtract, more, before)?;
    let sides = call.concat(0, vec![before, behind])?;
    let padded = call.op(Operation::Pad(PadMode::Constant), [Some(x), Some(sides), None, axes])?;
    call.set(0, padded)
}

fn range(call: &mut Call) -> Result<()> {
    let inputs = [call.required(0)?, call.required(1)?, call.required(2)?];
    let range = call.op(Operation::Range, inputs)?;
    call.set(0, range)
}

fn reshape(call: &mut Call) -> Result<()> {
    let zero_copies = !call.flag("allowzero", false)?;
    two(call, Operation::Reshape { zero_copies })
}

fn shape(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let mut shape = call.shape(x)?;
    let (start, end) = (call.int("start", 0)?, call.int("end", i64::MAX)?);
    if (start, end) != (0, i64::MAX) {
        shape = call.slice(shape, 0, start, end)?;
    }
    call.set(0, shape)
}

fn size(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let shape = call.shape(x)?;
    let size = call.reduce(Reduction::Product, shape, None, false)?;
    call.set(0, size)
}

fn slice(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let operands = match call.ints("starts")? {
        Some(starts) => {
            let starts = call.importer.integers(starts);
            let Some(ends) = call.ints("ends")? else {
                return call.malformed("its attribute \"ends\" is missing");
            };
            let ends = call.importer.integers(ends);
            let axes = call.ints("axes")?.map(|axes| call.importer.integers(axes));
            [Some(x), Some(starts), Some(ends), axes, None]
        }
        None => {
            let (starts, ends) = (call.required(1)?, call.required(2)?);
            [Some(x), Some(starts), Some(ends), call.input(3)?, call.input(4)?]
        }
    };
    let part = call.op(Operation::Slice, operands)?;
    call.set(0, part)
}

fn split(call: &mut Call) -> Result<()> {
    let axis = call.int("axis", 0)?;
    let x = call.required(0)?;
    let lengths = match call.ints("split")? {
        Some(lengths) => Some(call.importer.integers(lengths)),
        None => call.input(1)?,
    };
    let parts = call.node.outputs.len();
    if call.int("num_outputs", parts as i64)? != parts as i64 {
        return call.malformed(format!("its num_outputs isn't the number of its outputs, {parts}"));
    }
    let operation = Operation::Split { axis, parts };
    let label = call.label.clone();
    let results = call.importer.program.add(&label, operation, [Some(x), lengths])?;
    for (index, part) in results.into_iter().enumerate() {
        call.set(index, part)?;
    }
    Ok(())
}

/// The axes of an attribute, or of an input since opset 13.
fn axes(call: &mut Call) -> Result<Option<Value>> {
    match call.ints("axes")? {
        Some(axes) => Ok(Some(call.importer.integers(axes))),
        None => call.input(1),
    }
}

fn squeeze(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let axes = axes(call)?;
    let result = call.op(Operation::Squeeze, [Some(x), axes])?;
    call.set(0, result)
}

fn unsqueeze(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let Some(axes) = axes(call)? else { return call.malformed("its axes are missing") };
    let result = call.op(Operation::Unsqueeze, [x, axes])?;
    call.set(0, result)
}

fn tile(call: &mut Call) -> Result<()> {
    two(call, Operation::Tile)
}

fn transpose(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let listed = call.ints("perm")?.unwrap_or_default();
    let order: std::result::Result<Vec<usize>, _> =
        listed.iter().map(|&axis| usize::try_from(axis)).collect();
    match order {
        Ok(order) => {
            let result = call.transpose(x, &order)?;
            call.set(0, result)
        }
        Err(_) => call.malformed(format!("its order of axes is {listed:?}")),
    }
}

fn triangle(call: &mut Call) -> Result<()> {
    let upper = call.flag("upper", true)?;
    let (x, diagonal) = (call.required(0)?, call.input(1)?);
    let result = call.op(Operation::Triangle { upper }, [Some(x), diagonal])?;
    call.set(0, result)
}

/// Ones on a diagonal: where the counts of both axes differ by `k`.
fn eye_like(call: &mut Call) -> Result<()> {
    let (x, k) = (call.required(0)?, call.int("k", 0)?);
    let kind = match call.int("dtype", 1)? {
        6 | 7 => Kind::Integer,
        9 => Kind::Bool,
        _ => Kind::Float,
    };
    let shape = call.shape(x)?;
    let count = |call: &mut Call, axis: i64, first: i64| -> Result<Value> {
        let length = call.slice(shape, 0, axis, axis + 1)?;
        let length = call.squeeze(length, &[0])?;
        let first = call.importer.constant(Values::integer(first));
        let one = call.importer.constant(Values::integer(1));
        let end = call.binary(Binary::Add, length, first)?;
        call.op(Operation::Range, [first, end, one])
    };
    let (rows, columns) = (count(call, 0, k)?, count(call, 1, 0)?);
    let rows = call.unsqueeze(rows, &[1])?;
    let same = call.binary(Binary::Equal, rows, columns)?;
    let result = call.cast(same, kind)?;
    call.set(0, result)
}

/// The lengths of an image `[batch, channels, height, width]`, each as an array of one.
fn lengths(call: &mut Call, x: Value) -> Result<[Value; 4]> {
    let shape = call.shape(x)?;
    let mut length = |axis| call.slice(shape, 0, axis, axis + 1);
    Ok([length(0)?, length(1)?, length(2)?, length(3)?])
}

fn block(call: &mut Call) -> Result<Value> {
    match call.required_int("blocksize")? {
        size if size > 0 => Ok(call.importer.integers([size])),
        size => call.malformed(format!("its blocks are of size {size}")),
    }
}

/// Reshaped to these lengths, each an array of one.
fn reshape_to(call: &mut Call, x: Value, lengths: Vec<Value>) -> Result<Value> {
    let shape = call.concat(0, lengths)?;
    call.op(Operation::Reshape { zero_copies: false }, [x, shape])
}

fn depth_to_space(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let size = block(call)?;
    let [batch, channels, height, width] = lengths(call, x)?;
    let area = call.binary(Binary::Multiply, size, size)?;
    let left = call.binary(Binary::Divide, channels, area)?;
    let (split, order) = match call.text("mode", "DCR")? {
        "DCR" => (vec![batch, size, size, left, height, width], [0, 3, 4, 1, 5, 2]),
        "CRD" => (vec![batch, left, size, size, height, width], [0, 1, 4, 2, 5, 3]),
        other => return call.malformed(format!("its mode is {other:?}")),
    };
    let blocks = reshape_to(call, x, split)?;
    let moved = call.transpose(blocks, &order)?;
    let rows = call.binary(Binary::Multiply, height, size)?;
    let columns = call.binary(Binary::Multiply, width, size)?;
    let result = reshape_to(call, moved, vec![batch, left, rows, columns])?;
    call.set(0, result)
}

fn space_to_depth(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let size = block(call)?;
    let [batch, channels, height, width] = lengths(call, x)?;
    let rows = call.binary(Binary::Divide, height, size)?;
    let columns = call.binary(Binary::Divide, width, size)?;
    let blocks = reshape_to(call, x, vec![batch, channels, rows, size, columns, size])?;
    let order = match call.text("mode", "DCR")? {
        "DCR" => [0, 3, 5, 1, 2, 4],
        "CRD" => [0, 1, 3, 5, 2, 4],
        other => return call.malformed(format!("its mode is {other:?}")),
    };
    let moved = call.transpose(blocks, &order)?;
    let area = call.binary(Binary::Multiply, size, size)?;
    let depth = call.binary(Binary::Multiply, channels, area)?;
    let result = reshape_to(call, moved, vec![batch, depth, rows, columns])?;
    call.set(0, result)
}
