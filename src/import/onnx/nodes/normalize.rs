//! Nodes that normalize.

use crate::Result;
use crate::import::onnx::importer::{Call, Handler};
use crate::program::{Binary, Kind, Operation, Pooling, Reduction, Unary, Value, Values, Windows};

pub(super) const NODES: &[(&str, Handler)] = &[
    ("BatchNormalization", batch),
    ("GroupNormalization", group),
    ("Hardmax", hardmax),
    ("InstanceNormalization", instance),
    ("LRN", local_response),
    ("LayerNormalization", layer),
    ("LogSoftmax", |call| softmax(call, true)),
    ("LpNormalization", lp),
    ("MeanVarianceNormalization", mean_variance),
    ("RMSNormalization", root_mean_square),
    ("Softmax", |call| softmax(call, false)),
];

/// Before opset 13 it is over all axes from one on, as one.
fn softmax(call: &mut Call, log: bool) -> Result<()> {
    let x = call.required(0)?;
    if call.importer.opset >= 13 {
        let axis = call.int("axis", -1)?;
        let result = call.op(Operation::Softmax { axis, log }, [x])?;
        return call.set(0, result);
    }
    let axis = call.int("axis", 1)?;
    let shape = call.shape(x)?;
    let flat = call.op(Operation::Flatten { axis }, [x])?;
    let result = call.op(Operation::Softmax { axis: 1, log }, [flat])?;
    let result = call.op(Operation::Reshape { zero_copies: false }, [result, shape])?;
    call.set(0, result)
}

/// `x · scale + shift` for each channel, with
/// `scale = gamma / √(variance + epsilon)` and `shift = beta - mean · scale`.
fn batch(call: &mut Call) -> Result<()> {
    let epsilon = call.float("epsilon", 1e-5)?;
    let _ = (call.has("momentum"), call.has("is_test"));
    if call.flag("training_mode", false)? || !call.flag("spatial", true)? {
        return call.unsupported("training_mode and spatial=0 aren't supported; export it for use");
    }
    let [x, gamma, beta, mean, variance] = [0, 1, 2, 3, 4].map(|index| call.required(index));
    let (x, gamma, beta, mean, variance) = (x?, gamma?, beta?, mean?, variance?);
    let variance = call.with_number(Binary::Add, variance, epsilon)?;
    let deviation = call.unary(Unary::Sqrt, variance)?;
    let scale = call.binary(Binary::Divide, gamma, deviation)?;
    let moved = call.binary(Binary::Multiply, mean, scale)?;
    let shift = call.binary(Binary::Subtract, beta, moved)?;
    let last = call.channels_last(x)?;
    let scaled = call.binary(Binary::Multiply, last, scale)?;
    let shifted = call.binary(Binary::Add, scaled, shift)?;
    let result = call.channels_first(shifted)?;
    call.set(0, result)
}

fn scaled(call: &mut Call, x: Value, scale: Value, shift: Option<Value>) -> Result<Value> {
    let scaled = call.binary(Binary::Multiply, x, scale)?;
    match shift {
        Some(shift) => call.binary(Binary::Add, scaled, shift),
        None => Ok(scaled),
    }
}

/// Over each channel of each example by itself.
fn instance(call: &mut Call) -> Result<()> {
    let epsilon = call.float("epsilon", 1e-5)?;
    let (x, scale, shift) = (call.required(0)?, call.required(1)?, call.required(2)?);
    let axes = call.axes_from(x, 2)?;
    let result = call.op(Operation::Standardize { epsilon }, [x, axes])?;
    let last = call.channels_last(result)?;
    let last = scaled(call, last, scale, Some(shift))?;
    let result = call.channels_first(last)?;
    call.set(0, result)
}

/// Over groups of channels: `[batch, channels, …]` as `[batch, groups, rest]`.
fn group(call: &mut Call) -> Result<()> {
    let epsilon = call.float("epsilon", 1e-5)?;
    let groups = call.required_int("num_groups")?;
    let _ = call.has("stash_type");
    let (x, mut scale, mut shift) = (call.required(0)?, call.required(1)?, call.required(2)?);
    let shape = call.shape(x)?;
    let grouped = call.reshape(x, [0, groups, -1])?;
    let axes = call.importer.integers([2]);
    let result = call.op(Operation::Standardize { epsilon }, [grouped, axes])?;
    let result = call.op(Operation::Reshape { zero_copies: false }, [result, shape])?;
    // Before opset 21 there is one number for each group.
    if call.importer.opset < 21 {
        let channels = call.slice(shape, 0, 1, 2)?;
        let count = call.importer.integers([groups]);
        let each = call.binary(Binary::Divide, channels, count)?;
        let one = call.importer.integers([1]);
        let lengths = call.concat(0, vec![one, each])?;
        for numbers in [&mut scale, &mut shift] {
            let column = call.unsqueeze(*numbers, &[1])?;
            let wide = call.op(Operation::Expand, [column, lengths])?;
            *numbers = call.reshape(wide, [-1])?;
        }
    }
    let last = call.channels_last(result)?;
    let last = scaled(call, last, scale, Some(shift))?;
    let result = call.channels_first(last)?;
    call.set(0, result)
}

/// The axes from one on, which may be counted from the end.
fn axes_from(call: &mut Call, x: Value, axis: i64) -> Result<Value> {
    match axis {
        0.. => call.axes_from(x, axis),
        // More axes no array has.
        -64..0 => Ok(call.importer.integers(axis..0)),
        _ => call.malformed(format!("its axis is {axis}")),
    }
}

fn layer(call: &mut Call) -> Result<()> {
    let (axis, epsilon) = (call.int("axis", -1)?, call.float("epsilon", 1e-5)?);
    let _ = call.has("stash_type");
    let (x, scale, shift) = (call.required(0)?, call.required(1)?, call.input(2)?);
    layer_of(call, x, (scale, shift), (axis, epsilon))
}

/// Over the axes of x from one on.
pub(super) fn layer_of(
    call: &mut Call,
    x: Value,
    (scale, shift): (Value, Option<Value>),
    (axis, epsilon): (i64, f32),
) -> Result<()> {
    let axes = axes_from(call, x, axis)?;
    if call.has_output(1) || call.has_output(2) {
        moments(call, x, axes, epsilon)?;
    }
    let result = call.op(Operation::Standardize { epsilon }, [x, axes])?;
    let result = scaled(call, result, scale, shift)?;
    call.set(0, result)
}

/// The further outputs of LayerNormalization: mean and `1 / √(variance + epsilon)`.
fn moments(call: &mut Call, x: Value, axes: Value, epsilon: f32) -> Result<()> {
    let mean = call.reduce(Reduction::Mean, x, Some(axes), true)?;
    let centred = call.binary(Binary::Subtract, x, mean)?;
    let squares = call.binary(Binary::Multiply, centred, centred)?;
    let variance = call.reduce(Reduction::Mean, squares, Some(axes), true)?;
    let variance = call.with_number(Binary::Add, variance, epsilon)?;
    let deviation = call.unary(Unary::Sqrt, variance)?;
    let inverse = call.unary(Unary::Reciprocal, deviation)?;
    call.set(1, mean)?;
    call.set(2, inverse)
}

pub(super) fn root_mean_square(call: &mut Call) -> Result<()> {
    let (axis, epsilon) = (call.int("axis", -1)?, call.float("epsilon", 1e-5)?);
    let _ = call.has("stash_type");
    let (x, scale) = (call.required(0)?, call.required(1)?);
    root_mean_square_of(call, x, scale, (axis, epsilon))
}

/// `x / √(mean(x²) + epsilon) · scale`
pub(super) fn root_mean_square_of(
    call: &mut Call,
    x: Value,
    scale: Value,
    (axis, epsilon): (i64, f32),
) -> Result<()> {
    let axes = axes_from(call, x, axis)?;
    let squares = call.binary(Binary::Multiply, x, x)?;
    let mean = call.reduce(Reduction::Mean, squares, Some(axes), true)?;
    let mean = call.with_number(Binary::Add, mean, epsilon)?;
    let root = call.unary(Unary::Sqrt, mean)?;
    if call.has_output(1) {
        let inverse = call.unary(Unary::Reciprocal, root)?;
        call.set(1, inverse)?;
    }
    let result = call.binary(Binary::Divide, x, root)?;
    let result = call.binary(Binary::Multiply, result, scale)?;
    call.set(0, result)
}

/// 1 where the largest value along an axis is for the first time, elsewhere 0.
fn hardmax(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    if call.importer.opset >= 13 {
        let axis = call.int("axis", -1)?;
        let last = call.op(Operation::MoveAxis { from: axis, to: -1 }, [x])?;
        let hot = largest(call, last)?;
        let result = call.op(Operation::MoveAxis { from: -1, to: axis }, [hot])?;
        return call.set(0, result);
    }
    let axis = call.int("axis", 1)?;
    let shape = call.shape(x)?;
    let flat = call.op(Operation::Flatten { axis }, [x])?;
    let hot = largest(call, flat)?;
    let result = call.op(Operation::Reshape { zero_copies: false }, [hot, shape])?;
    call.set(0, result)
}

/// 1 where the last axis has its largest value.
fn largest(call: &mut Call, x: Value) -> Result<Value> {
    let arg_max = Operation::ArgMax { axis: -1, keep: true, smallest: false, last: false };
    let place = call.op(arg_max, [x])?;
    let shape = call.shape(x)?;
    let length = call.slice(shape, 0, -1, i64::MAX)?;
    let length = call.squeeze(length, &[0])?;
    let zero = call.importer.constant(Values::integer(0));
    let one = call.importer.constant(Values::integer(1));
    let places = call.op(Operation::Range, [zero, length, one])?;
    let hot = call.binary(Binary::Equal, places, place)?;
    call.cast(hot, Kind::Float)
}

/// `x / (bias + alpha / size · Σ x²)^beta`, the sum over so many channels around each.
fn local_response(call: &mut Call) -> Result<()> {
    let size = call.required_int("size")?;
    let (alpha, beta) = (call.float("alpha", 1e-4)?, call.float("beta", 0.75)?);
    let bias = call.float("bias", 1.0)?;
    let x = call.required(0)?;
    let Some(window) = usize::try_from(size).ok().filter(|&size| size > 0) else {
        return call.malformed(format!("its size is {size}"));
    };
    let shape = call.shape(x)?;
    let flat = call.reshape(x, [0, 0, -1])?;
    let squares = call.binary(Binary::Multiply, flat, flat)?;
    let windows = Windows {
        strides: vec![1],
        dilations: vec![1],
        spread: vec![1],
        padding: vec![((size - 1) / 2, size - 1 - (size - 1) / 2)],
    };
    let pooling = Pooling::MeanWithPadding;
    let pool = Operation::Pool { windows, size: vec![window], pooling, partial: false };
    let mean = call.op(pool, [squares])?;
    let scaled = call.with_number(Binary::Multiply, mean, alpha)?;
    let shifted = call.with_number(Binary::Add, scaled, bias)?;
    let divisor = call.with_number(Binary::Power, shifted, beta)?;
    let result = call.binary(Binary::Divide, flat, divisor)?;
    let result = call.op(Operation::Reshape { zero_copies: false }, [result, shape])?;
    call.set(0, result)
}

/// `x / ‖x‖`
fn lp(call: &mut Call) -> Result<()> {
    let (axis, p) = (call.int("axis", -1)?, call.int("p", 2)?);
    let x = call.required(0)?;
    let axes = call.importer.integers([axis]);
    let norm = match p {
        1 => {
            let sizes = call.unary(Unary::Absolute, x)?;
            call.reduce(Reduction::Sum, sizes, Some(axes), true)?
        }
        2 => {
            let squares = call.binary(Binary::Multiply, x, x)?;
            let sum = call.reduce(Reduction::Sum, squares, Some(axes), true)?;
            call.unary(Unary::Sqrt, sum)?
        }
        other => return call.malformed(format!("its p is {other}")),
    };
    // What is zero stays zero.
    let is_zero = call.with_number(Binary::Equal, norm, 0.0)?;
    let one = call.importer.float(1.0);
    let norm = call.op(Operation::Select, [is_zero, one, norm])?;
    let result = call.binary(Binary::Divide, x, norm)?;
    call.set(0, result)
}

/// `(x - mean) / (√variance + 1e-9)`
fn mean_variance(call: &mut Call) -> Result<()> {
    let axes = call.ints("axes")?.unwrap_or_else(|| vec![0, 2, 3]);
    let x = call.required(0)?;
    let axes = call.importer.integers(axes);
    let mean = call.reduce(Reduction::Mean, x, Some(axes), true)?;
    let centred = call.binary(Binary::Subtract, x, mean)?;
    let squares = call.binary(Binary::Multiply, centred, centred)?;
    let variance = call.reduce(Reduction::Mean, squares, Some(axes), true)?;
    let deviation = call.unary(Unary::Sqrt, variance)?;
    let deviation = call.with_number(Binary::Add, deviation, 1e-9)?;
    let result = call.binary(Binary::Divide, centred, deviation)?;
    call.set(0, result)
}
