//! Nodes over windows: convolutions and pooling. ONNX has the channels as axis 1, and birnn as the
//! last.

use super::largest;
use crate::Result;
use crate::import::onnx::importer::{Call, Handler};
use crate::program::{Binary, Operation, Pooling, Reduction, Unary, Value, Values, Windows};

pub(super) const NODES: &[(&str, Handler)] = &[
    ("AveragePool", |call| pool(call, false)),
    ("CausalConvWithState", causal_conv),
    ("Conv", conv),
    ("ConvTranspose", conv_transpose),
    ("GlobalAveragePool", |call| global(call, Reduction::Mean)),
    ("GlobalLpPool", global_lp_pool),
    ("GlobalMaxPool", |call| global(call, Reduction::Maximum)),
    ("LpPool", lp_pool),
    ("MaxPool", |call| pool(call, true)),
];

/// Lengths of an attribute, one for each axis; ones where it is missing.
fn lengths(call: &mut Call, name: &'static str, axes: usize) -> Result<Vec<usize>> {
    let Some(listed) = call.ints(name)? else { return Ok(vec![1; axes]) };
    let lengths: Option<Vec<usize>> =
        listed.iter().map(|&n| usize::try_from(n).ok().filter(|&n| n > 0)).collect();
    match lengths {
        Some(lengths) if lengths.len() == axes => Ok(lengths),
        _ => call.malformed(format!("its {name} is {listed:?}, for {axes} axes")),
    }
}

/// How an axis is padded.
enum Padding {
    /// So many zeros before and behind each axis.
    Explicit(Vec<(i64, i64)>),
    /// As many as it takes for a window to begin at every place that is a multiple of the stride.
    Same {
        /// Whether an odd one is before the axis.
        lower: bool,
    },
}

fn padding(call: &mut Call, axes: usize) -> Result<Padding> {
    let listed = call.ints("pads")?;
    match call.text("auto_pad", "NOTSET")? {
        "NOTSET" => match listed {
            None => Ok(Padding::Explicit(vec![(0, 0); axes])),
            Some(pads)
                if pads.len() == 2 * axes && pads.iter().all(|&n| (0..1 << 31).contains(&n)) =>
            {
                let (before, after) = pads.split_at(axes);
                let sides = before.iter().copied().zip(after.iter().copied());
                Ok(Padding::Explicit(sides.collect()))
            }
            Some(pads) => call.malformed(format!("its pads are {pads:?}, for {axes} axes")),
        },
        "VALID" => Ok(Padding::Explicit(vec![(0, 0); axes])),
        "SAME_UPPER" => Ok(Padding::Same { lower: false }),
        "SAME_LOWER" => Ok(Padding::Same { lower: true }),
        other => call.malformed(format!("its auto_pad is {other:?}")),
    }
}

/// What a padding means for windows of this size. `None`: it depends on the lengths of a call, and
/// strides aren't 1.
fn sides(padding: &Padding, windows: &Windows, size: &[usize]) -> Option<Vec<(i64, i64)>> {
    let lower = match padding {
        Padding::Explicit(sides) => return Some(sides.clone()),
        Padding::Same { lower } => *lower,
    };
    let side = |axis: usize| {
        let more = (size[axis] as i64 - 1).checked_mul(windows.dilations[axis] as i64)?;
        let (less, rest) = (more / 2, more - more / 2);
        (windows.strides[axis] == 1).then_some(if lower { (rest, less) } else { (less, rest) })
    };
    (0..size.len()).map(side).collect()
}

fn conv(call: &mut Call) -> Result<()> {
    let (x, kernel, bias) = (call.required(0)?, call.required(1)?, call.input(2)?);
    let shape = call.importer.facts(kernel).shape;
    let result = convolution(call, x, (kernel, shape), bias)?;
    call.set(0, result)
}

/// Each channel by itself, over what is before it; the last values of this call are before those of
/// the next one.
fn causal_conv(call: &mut Call) -> Result<()> {
    let (x, kernel, bias) = (call.required(0)?, call.required(1)?, call.input(2)?);
    let Some([groups, 1, size]) = call.importer.facts(kernel).shape.as_deref().map(|shape| {
        let mut lengths = [0; 3];
        lengths.iter_mut().zip(shape).for_each(|(to, from)| *to = *from);
        lengths
    }) else {
        return call.unsupported("the shape of its weights has to be [channels, 1, size]");
    };
    let before = size as i64 - 1;
    let whole = match call.input(3)? {
        Some(state) => call.concat(2, vec![state, x])?,
        None => {
            let sides = call.importer.integers([before, 0]);
            let last = call.importer.integers([2]);
            let pad = Operation::Pad(crate::program::PadMode::Constant);
            call.op(pad, [Some(x), Some(sides), None, Some(last)])?
        }
    };
    let windows =
        Windows { strides: vec![1], dilations: vec![1], spread: vec![1], padding: vec![(0, 0)] };
    let turned = call.transpose(kernel, &[2, 1, 0])?;
    let last = call.channels_last(whole)?;
    let operation = Operation::Convolution { windows, groups };
    let mut result = call.op(operation, [Some(last), Some(turned), bias])?;
    match call.text("activation", "none")? {
        "none" => {}
        "silu" | "swish" => {
            result = call.op(Operation::Activate(crate::Activation::Silu), [result])?;
        }
        other => return call.malformed(format!("its activation is {other:?}")),
    }
    let result = call.channels_first(result)?;
    call.set(0, result)?;
    if call.has_output(1) {
        // Of no values where each window has one value.
        let length = call.shape(whole)?;
        let length = call.slice(length, 0, 2, 3)?;
        let kept = call.importer.integers([before]);
        let start = call.binary(Binary::Subtract, length, kept)?;
        let axis = call.importer.integers([2]);
        let state = call.op(Operation::Slice, [whole, start, length, axis])?;
        call.set(1, state)?;
    }
    Ok(())
}

/// The size of a kernel's windows, by the attribute or by its shape.
fn kernel_size(call: &mut Call, shape: Option<Vec<usize>>) -> Result<Vec<usize>> {
    let of_shape = shape.and_then(|shape| shape.get(2..).map(<[usize]>::to_vec));
    match (call.ints("kernel_shape")?, of_shape) {
        (_, Some(size)) if !size.is_empty() => Ok(size),
        (Some(listed), _) => {
            let axes = listed.len();
            lengths(call, "kernel_shape", axes)
        }
        _ => call.unsupported("the shape of its kernel isn't known: kernel_shape is missing"),
    }
}

/// `[batch, channels, …]` with a kernel `[filters, channels / groups, …]`.
pub(super) fn convolution(
    call: &mut Call,
    x: Value,
    (kernel, shape): (Value, Option<Vec<usize>>),
    bias: Option<Value>,
) -> Result<Value> {
    let size = kernel_size(call, shape)?;
    let axes = size.len();
    let (mut windows, padding) = windows(call, axes)?;
    let groups = groups(call)?;
    let mut x = x;
    match sides(&padding, &windows, &size) {
        Some(sides) => windows.padding = sides,
        None => x = padded_same(call, x, &padding, &windows, &size, 0.0)?,
    }
    // [filters, channels, …] as […, channels, filters].
    let order: Vec<usize> = (2..axes + 2).chain([1, 0]).collect();
    let kernel = call.transpose(kernel, &order)?;
    let last = call.channels_last(x)?;
    let operation = Operation::Convolution { windows, groups };
    let result = call.op(operation, [Some(last), Some(kernel), bias])?;
    call.channels_first(result)
}

fn groups(call: &mut Call) -> Result<usize> {
    let groups = call.int("group", 1)?;
    match usize::try_from(groups) {
        Ok(groups @ 1..) => Ok(groups),
        _ => call.malformed(format!("it has {groups} groups")),
    }
}

/// x with as much around it as `SAME` asks for: along an axis of length n,
/// `max((⌈n / stride⌉ - 1) · stride + window - n, 0)`, computed when a call's lengths are known.
fn padded_same(
    call: &mut Call,
    x: Value,
    padding: &Padding,
    windows: &Windows,
    size: &[usize],
    value: f32,
) -> Result<Value> {
    let lower = matches!(padding, Padding::Same { lower: true });
    let axes = size.len() as i64;
    let shape = call.shape(x)?;
    let lengths = call.slice(shape, 0, 2, 2 + axes)?;
    let list = |call: &mut Call, of: &dyn Fn(usize) -> i64| {
        call.importer.integers((0..size.len()).map(of))
    };
    let strides = list(call, &|axis| windows.strides[axis] as i64);
    let less = list(call, &|axis| windows.strides[axis] as i64 - 1);
    let window = list(call, &|axis| {
        (size[axis] as i64 - 1).saturating_mul(windows.dilations[axis] as i64).saturating_add(1)
    });
    let (zero, one, two) = (
        call.importer.constant(Values::integer(0)),
        call.importer.constant(Values::integer(1)),
        call.importer.constant(Values::integer(2)),
    );
    let up = call.binary(Binary::Add, lengths, less)?;
    let count = call.binary(Binary::Divide, up, strides)?;
    let count = call.binary(Binary::Subtract, count, one)?;
    let reach = call.binary(Binary::Multiply, count, strides)?;
    let reach = call.binary(Binary::Add, reach, window)?;
    let more = call.binary(Binary::Subtract, reach, lengths)?;
    let more = call.binary(Binary::Maximum, more, zero)?;
    let half = call.binary(Binary::Divide, more, two)?;
    let rest = call.binary(Binary::Subtract, more, half)?;
    let parts = if lower { vec![rest, half] } else { vec![half, rest] };
    let around = call.concat(0, parts)?;
    let value = call.importer.float(value);
    let along = call.importer.integers(2..2 + axes);
    let pad = Operation::Pad(crate::program::PadMode::Constant);
    call.op(pad, [x, around, value, along])
}

/// The convolution whose windows are turned round, over x with `stride - 1` zeros between its
/// values.
fn conv_transpose(call: &mut Call) -> Result<()> {
    let (x, kernel, bias) = (call.required(0)?, call.required(1)?, call.input(2)?);
    let shape = call.importer.facts(kernel).shape;
    let size = kernel_size(call, shape)?;
    let axes = size.len();
    let strides = lengths(call, "strides", axes)?;
    let dilations = lengths(call, "dilations", axes)?;
    let groups = groups(call)?;
    let wanted = call.ints("output_shape")?;
    let more = match call.ints("output_padding")? {
        None => vec![0; axes],
        Some(more) if more.len() == axes => more,
        Some(more) => return call.malformed(format!("its output_padding is {more:?}")),
    };
    let padding = padding(call, axes)?;
    let upper = matches!(padding, Padding::Same { lower: false });
    let pads = match padding {
        _ if wanted.is_some() => vec![(0, 0); axes],
        Padding::Explicit(pads) => pads,
        // The length becomes that of x times the stride.
        Padding::Same { lower } => (0..axes)
            .map(|axis| {
                let window = (size[axis] as i64 - 1).saturating_mul(dilations[axis] as i64) + 1;
                let all = window.saturating_add(more[axis]) - strides[axis] as i64;
                let (half, rest) = (all / 2, all - all / 2);
                if lower { (rest, half) } else { (half, rest) }
            })
            .collect(),
    };
    let side = |axis: usize| {
        let window = (size[axis] as i64 - 1).saturating_mul(dilations[axis] as i64);
        (window - pads[axis].0, (window - pads[axis].1).saturating_add(more[axis]))
    };
    let windows = Windows {
        strides: vec![1; axes],
        dilations: dilations.clone(),
        spread: strides,
        padding: (0..axes).map(side).collect(),
    };
    let kernel = turned_kernel(call, kernel, axes, groups)?;
    let last = call.channels_last(x)?;
    let operation = Operation::Convolution { windows, groups };
    let result = call.op(operation, [Some(last), Some(kernel), bias])?;
    let mut result = call.channels_first(result)?;
    if let Some(wanted) = wanted {
        result = cut_to(call, result, wanted, (axes, upper))?;
    }
    call.set(0, result)
}

/// Without what is too much at both ends of each axis of windows; an odd one is behind (`upper`) or
/// before it.
fn cut_to(
    call: &mut Call,
    x: Value,
    wanted: Vec<i64>,
    (axes, upper): (usize, bool),
) -> Result<Value> {
    if wanted.len() < axes {
        return call.malformed(format!("its output_shape is {wanted:?}, for {axes} axes"));
    }
    let wanted = call.importer.integers(wanted[wanted.len() - axes..].iter().copied());
    let shape = call.shape(x)?;
    let shape = call.slice(shape, 0, 2, i64::MAX)?;
    let two = call.importer.constant(Values::integer(2));
    let zero = call.importer.constant(Values::integer(0));
    let more = call.binary(Binary::Subtract, wanted, shape)?;
    // Below zero, as Pad says it; the half with what is left over is the larger one.
    let less = call.binary(Binary::Minimum, more, zero)?;
    let half = call.binary(Binary::Divide, less, two)?;
    let rest = call.binary(Binary::Subtract, less, half)?;
    let [before, behind] = if upper { [half, rest] } else { [rest, half] };
    // What is missing comes behind.
    let more = call.binary(Binary::Maximum, more, zero)?;
    let behind = call.binary(Binary::Add, behind, more)?;
    let sides = call.concat(0, vec![before, behind])?;
    let along = call.importer.integers(2..2 + axes as i64);
    let pad = Operation::Pad(crate::program::PadMode::Constant);
    call.op(pad, [Some(x), Some(sides), None, Some(along)])
}

/// `[channels, filters / groups, …]` as `[…, channels / groups, filters]`, backwards along the
/// windows.
fn turned_kernel(call: &mut Call, kernel: Value, axes: usize, groups: usize) -> Result<Value> {
    let shape = call.shape(kernel)?;
    let outer = call.slice(shape, 0, 0, 1)?;
    let parts = call.importer.integers([groups as i64]);
    let each = call.binary(Binary::Divide, outer, parts)?;
    let rest = call.slice(shape, 0, 1, i64::MAX)?;
    let split = call.concat(0, vec![parts, each, rest])?;
    // [groups, channels / groups, filters / groups, …]
    let split = call.op(Operation::Reshape { zero_copies: false }, [kernel, split])?;
    let order: Vec<usize> = (3..axes + 3).chain([1, 0, 2]).collect();
    let moved = call.transpose(split, &order)?;
    let size = call.slice(shape, 0, 2, i64::MAX)?;
    let all = call.importer.integers([-1]);
    let joined = call.concat(0, vec![size, each, all])?;
    let joined = call.op(Operation::Reshape { zero_copies: false }, [moved, joined])?;
    let windows = 0..axes as i64;
    let starts = call.importer.integers(windows.clone().map(|_| -1));
    let ends = call.importer.integers(windows.clone().map(|_| i64::MIN));
    let along = call.importer.integers(windows.clone());
    let steps = call.importer.integers(windows.map(|_| -1));
    call.op(Operation::Slice, [joined, starts, ends, along, steps])
}

fn pool(call: &mut Call, is_max: bool) -> Result<()> {
    let x = call.required(0)?;
    let first_is_fastest = call.flag("storage_order", false)?;
    let Some(listed) = call.ints("kernel_shape")? else {
        return call.malformed("its kernel_shape is missing");
    };
    let size = lengths(call, "kernel_shape", listed.len())?;
    let partial = call.flag("ceil_mode", false)?;
    let counts_padding = call.flag("count_include_pad", false)?;
    let pooling = match (is_max, counts_padding) {
        (true, _) => Pooling::Maximum,
        (false, false) => Pooling::Mean,
        (false, true) => Pooling::MeanWithPadding,
    };
    let result = pooled(call, x, &size, (pooling, partial))?;
    if call.has_output(1) {
        let (windows, padding) = windows(call, size.len())?;
        let Some(padding) = sides(&padding, &windows, &size) else {
            return call.unsupported(
                "the places of the largest values aren't supported with auto_pad and strides",
            );
        };
        let windows = Windows { padding, ..windows };
        let places = largest::places(call, (x, result), (&windows, &size), first_is_fastest)?;
        call.set(1, places)?;
    }
    call.set(0, result)
}

/// The windows of a node without their padding, and that.
fn windows(call: &mut Call, axes: usize) -> Result<(Windows, Padding)> {
    let windows = Windows {
        strides: lengths(call, "strides", axes)?,
        dilations: lengths(call, "dilations", axes)?,
        spread: vec![1; axes],
        padding: vec![(0, 0); axes],
    };
    Ok((windows, padding(call, axes)?))
}

/// Over windows of this size, with the strides, dilations and padding of the node.
fn pooled(
    call: &mut Call,
    x: Value,
    size: &[usize],
    (pooling, partial): (Pooling, bool),
) -> Result<Value> {
    let (mut windows, padding) = windows(call, size.len())?;
    let mut x = x;
    match (sides(&padding, &windows, size), pooling) {
        (Some(sides), _) => windows.padding = sides,
        (None, Pooling::Maximum) => {
            x = padded_same(call, x, &padding, &windows, size, f32::NEG_INFINITY)?;
        }
        (None, Pooling::MeanWithPadding) => {
            x = padded_same(call, x, &padding, &windows, size, 0.0)?;
        }
        (None, _) => return mean_of_same(call, x, &padding, (windows, size.to_vec())),
    }
    let last = call.channels_last(x)?;
    let size = size.to_vec();
    let result = call.op(Operation::Pool { windows, size, pooling, partial }, [last])?;
    call.channels_first(result)
}

/// `(Σ |x|^p)^(1/p)` over windows: the mean, in which padding counts, times the size of a window.
fn lp_pool(call: &mut Call) -> Result<()> {
    let Some(listed) = call.ints("kernel_shape")? else {
        return call.malformed("its kernel_shape is missing");
    };
    let size = lengths(call, "kernel_shape", listed.len())?;
    if call.flag("ceil_mode", false)? {
        return call.unsupported("ceil_mode isn't supported");
    }
    let (x, p) = powers(call)?;
    let means = pooled(call, x, &size, (Pooling::MeanWithPadding, false))?;
    let values = size.iter().fold(1.0, |product, &length| product * length as f32);
    let sums = call.with_number(Binary::Multiply, means, values)?;
    let result = call.with_number(Binary::Power, sums, 1.0 / p)?;
    call.set(0, result)
}

fn global_lp_pool(call: &mut Call) -> Result<()> {
    let (x, p) = powers(call)?;
    let axes = call.axes_from(x, 2)?;
    let sums = call.reduce(Reduction::Sum, x, Some(axes), true)?;
    let result = call.with_number(Binary::Power, sums, 1.0 / p)?;
    call.set(0, result)
}

/// `|x|^p` and p.
fn powers(call: &mut Call) -> Result<(Value, f32)> {
    let (x, p) = (call.required(0)?, call.int("p", 2)?);
    if p < 1 {
        return call.malformed(format!("its p is {p}"));
    }
    let sizes = call.unary(Unary::Absolute, x)?;
    Ok((call.with_number(Binary::Power, sizes, p as f32)?, p as f32))
}

/// The mean over windows of what lies within x: that with zeros around it, divided by the same of
/// an array of ones.
fn mean_of_same(
    call: &mut Call,
    x: Value,
    padding: &Padding,
    (windows, size): (Windows, Vec<usize>),
) -> Result<Value> {
    let shape = call.shape(x)?;
    let one = call.importer.float(1.0);
    let ones = call.op(Operation::Fill, [shape, one])?;
    let mut means = Vec::new();
    for array in [x, ones] {
        let padded = padded_same(call, array, padding, &windows, &size, 0.0)?;
        let last = call.channels_last(padded)?;
        let (windows, size) = (windows.clone(), size.clone());
        let pooling = Pooling::Mean;
        means.push(call.op(Operation::Pool { windows, size, pooling, partial: false }, [last])?);
    }
    let mean = call.binary(Binary::Divide, means[0], means[1])?;
    call.channels_first(mean)
}

fn global(call: &mut Call, reduction: Reduction) -> Result<()> {
    let x = call.required(0)?;
    let axes = call.axes_from(x, 2)?;
    let result = call.reduce(reduction, x, Some(axes), true)?;
    call.set(0, result)
}
