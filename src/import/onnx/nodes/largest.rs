//! The second output of MaxPool: where the largest value of each window is.

use crate::Result;
use crate::import::onnx::importer::Call;
use crate::program::{Binary, Operation, PadMode, Reduction, Value, Values, Windows};

/// The values of a window at most: each is an array of its own.
const MOST_VALUES: usize = 256;

/// Where in x, `[batch, channels, …]`, the largest value of each window is, as one number: of all
/// values in C order, or with the first axis of windows as the fastest (`first_is_fastest`). Of
/// equal ones it is the first. `pooled`: what the windows return. Numbers beyond 2^24 aren't exact.
pub(super) fn places(
    call: &mut Call,
    (x, pooled): (Value, Value),
    (windows, size): (&Windows, &[usize]),
    first_is_fastest: bool,
) -> Result<Value> {
    let axes = size.len();
    let values = size.iter().try_fold(1usize, |product, &length| product.checked_mul(length));
    let Some(values) = values.filter(|&values| values <= MOST_VALUES) else {
        return call.unsupported(format!(
            "the places of the largest values of windows of {size:?} aren't supported, only of up \
             to {MOST_VALUES} values"
        ));
    };
    let (counts, lengths) = (of_windows(call, pooled)?, of_windows(call, x)?);
    let one = call.importer.constant(Values::integer(1));
    let strides = list(call, &windows.strides);
    // From the first window's begin to the last one's.
    let last = call.binary(Binary::Subtract, counts, one)?;
    let span = call.binary(Binary::Multiply, last, strides)?;
    let span = call.binary(Binary::Add, span, one)?;
    let padded = padded(call, (x, lengths), (windows, size), span)?;
    let along = call.importer.integers(2..2 + axes as i64);
    let mut parts = Vec::with_capacity(values);
    for value in 0..values {
        let offsets: Vec<usize> =
            (0..axes).map(|axis| digit(value, size, axis) * windows.dilations[axis]).collect();
        let starts = list(call, &offsets);
        let ends = call.binary(Binary::Add, starts, span)?;
        let part = call.op(Operation::Slice, [padded, starts, ends, along, strides])?;
        parts.push(call.unsqueeze(part, &[-1])?);
    }
    let stacked = call.concat(-1, parts)?;
    let arg_max = Operation::ArgMax { axis: -1, keep: false, smallest: false, last: false };
    let found = call.op(arg_max, [stacked])?;
    // The place along each axis, and from these the number within a channel.
    let mut order: Vec<usize> = (0..axes).collect();
    if first_is_fastest {
        order.reverse();
    }
    let mut number = None;
    for axis in order {
        let place = place(call, (found, counts), (windows, size), axis)?;
        number = Some(match number {
            None => place,
            Some(number) => {
                let length = element(call, lengths, axis)?;
                let before = call.binary(Binary::Multiply, number, length)?;
                call.binary(Binary::Add, before, place)?
            }
        });
    }
    let Some(number) = number else { return call.malformed("its windows have no axis") };
    let channel = channels(call, x, (lengths, axes))?;
    call.binary(Binary::Add, channel, number)
}

/// The place of a value of a window along an axis, the last axis being the fastest.
fn digit(value: usize, size: &[usize], axis: usize) -> usize {
    let behind: usize = size[axis + 1..].iter().product();
    value / behind % size[axis]
}

/// The lengths of the axes of windows.
fn of_windows(call: &mut Call, x: Value) -> Result<Value> {
    let shape = call.shape(x)?;
    call.slice(shape, 0, 2, i64::MAX)
}

fn list(call: &mut Call, numbers: &[usize]) -> Value {
    call.importer.integers(numbers.iter().map(|&number| number as i64))
}

/// One of a list of lengths, as a number.
fn element(call: &mut Call, lengths: Value, index: usize) -> Result<Value> {
    let index = index as i64;
    let length = call.slice(lengths, 0, index, index + 1)?;
    call.squeeze(length, &[0])
}

/// x with what is below all numbers around it, as far as windows reach.
fn padded(
    call: &mut Call,
    (x, lengths): (Value, Value),
    (windows, size): (&Windows, &[usize]),
    span: Value,
) -> Result<Value> {
    let before = call.importer.integers(windows.padding.iter().map(|(before, _)| *before));
    let window: Vec<usize> = size
        .iter()
        .zip(&windows.dilations)
        .map(|(length, dilation)| (length - 1).saturating_mul(*dilation))
        .collect();
    let window = list(call, &window);
    let reach = call.binary(Binary::Add, span, window)?;
    let behind = call.binary(Binary::Subtract, reach, lengths)?;
    let behind = call.binary(Binary::Subtract, behind, before)?;
    let sides = call.concat(0, vec![before, behind])?;
    let least = call.importer.float(f32::NEG_INFINITY);
    let along = call.importer.integers(2..2 + size.len() as i64);
    call.op(Operation::Pad(PadMode::Constant), [x, sides, least, along])
}

/// Where along an axis of x the value is that was found in each window.
fn place(
    call: &mut Call,
    (found, counts): (Value, Value),
    (windows, size): (&Windows, &[usize]),
    axis: usize,
) -> Result<Value> {
    let behind: usize = size[axis + 1..].iter().product();
    let [zero, one, behind, length, dilation, stride, before] = [
        0,
        1,
        behind as i64,
        size[axis] as i64,
        windows.dilations[axis] as i64,
        windows.strides[axis] as i64,
        windows.padding[axis].0,
    ]
    .map(|number| call.importer.constant(Values::integer(number)));
    let within = call.binary(Binary::Divide, found, behind)?;
    let within = call.binary(Binary::Modulo, within, length)?;
    let within = call.binary(Binary::Multiply, within, dilation)?;
    let count = element(call, counts, axis)?;
    let begins = call.op(Operation::Range, [zero, count, one])?;
    let begins = call.binary(Binary::Multiply, begins, stride)?;
    let begins = call.binary(Binary::Subtract, begins, before)?;
    // Along its own axis.
    let ones: Vec<i64> = (1..(size.len() - axis) as i64).collect();
    let begins = if ones.is_empty() { begins } else { call.unsqueeze(begins, &ones)? };
    call.binary(Binary::Add, begins, within)
}

/// How many values of x are before each channel, `[batch, channels, 1, …]`.
fn channels(call: &mut Call, x: Value, (lengths, axes): (Value, usize)) -> Result<Value> {
    let shape = call.shape(x)?;
    let outer = call.slice(shape, 0, 0, 2)?;
    let count = call.reduce(Reduction::Product, outer, None, false)?;
    let each = call.reduce(Reduction::Product, lengths, None, false)?;
    let [zero, one] = [0, 1].map(|number| call.importer.constant(Values::integer(number)));
    let numbers = call.op(Operation::Range, [zero, count, one])?;
    let before = call.binary(Binary::Multiply, numbers, each)?;
    let ones = call.importer.integers(vec![1; axes]);
    let shape = call.concat(0, vec![outer, ones])?;
    call.op(Operation::Reshape { zero_copies: false }, [before, shape])
}
