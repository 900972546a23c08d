//! Nodes that take and write values by their places, and that go along an axis.

use super::moving::two;
use crate::Result;
use crate::import::onnx::importer::{Call, Handler};
use crate::program::{Binary, Kind, Operation, Reduction, Value, Values};

pub(super) const NODES: &[(&str, Handler)] = &[
    ("Compress", compress),
    ("CumProd", cumulative_product),
    ("CumSum", cumulative_sum),
    ("Gather", gather),
    ("GatherElements", gather_elements),
    ("GatherND", gather_nd),
    ("NonZero", non_zero),
    ("OneHot", one_hot),
    ("ReverseSequence", reverse_sequence),
    ("Scatter", scatter_elements),
    ("ScatterElements", scatter_elements),
    ("ScatterND", scatter_nd),
    ("TopK", top_k),
];

fn gather(call: &mut Call) -> Result<()> {
    let axis = call.int("axis", 0)?;
    two(call, Operation::Take { axis })
}

fn gather_elements(call: &mut Call) -> Result<()> {
    let axis = call.int("axis", 0)?;
    two(call, Operation::TakeAlong { axis })
}

fn gather_nd(call: &mut Call) -> Result<()> {
    match usize::try_from(call.int("batch_dims", 0)?) {
        Ok(batch_axes) => two(call, Operation::TakeNd { batch_axes }),
        Err(_) => call.malformed("its batch_dims are below 0"),
    }
}

fn scatter_nd(call: &mut Call) -> Result<()> {
    let reduction = reduction(call)?;
    let inputs = [call.required(0)?, call.required(1)?, call.required(2)?];
    let result = call.op(Operation::ScatterNd { reduction }, inputs)?;
    call.set(0, result)
}

/// Scatter is its name before opset 11.
fn scatter_elements(call: &mut Call) -> Result<()> {
    let (axis, reduction) = (call.int("axis", 0)?, reduction(call)?);
    let inputs = [call.required(0)?, call.required(1)?, call.required(2)?];
    let result = call.op(Operation::ScatterAlong { axis, reduction }, inputs)?;
    call.set(0, result)
}

/// What becomes of a value that is there already.
fn reduction(call: &mut Call) -> Result<Option<Reduction>> {
    Ok(match call.text("reduction", "none")? {
        "none" => None,
        "add" => Some(Reduction::Sum),
        "mul" => Some(Reduction::Product),
        "max" => Some(Reduction::Maximum),
        "min" => Some(Reduction::Minimum),
        other => return call.malformed(format!("its reduction is {other:?}")),
    })
}

/// With sorted=0 any order is right.
fn top_k(call: &mut Call) -> Result<()> {
    let (axis, largest) = (call.int("axis", -1)?, call.flag("largest", true)?);
    let _ = call.has("sorted");
    let x = call.required(0)?;
    // An attribute before opset 10, then an array of one.
    let count = match call.has("k") {
        true => {
            let k = call.required_int("k")?;
            call.importer.integers([k])
        }
        false => call.required(1)?,
    };
    let label = call.label.clone();
    let operation = Operation::TopK { axis, smallest: !largest };
    let results = call.importer.program.add(&label, operation, [x, count])?;
    for (index, value) in results.into_iter().enumerate() {
        call.set(index, value)?;
    }
    Ok(())
}

/// The places of an axis, or of all values, whose condition holds.
fn compress(call: &mut Call) -> Result<()> {
    let (mut x, condition) = (call.required(0)?, call.required(1)?);
    let axis = match call.has("axis") {
        true => call.required_int("axis")?,
        false => {
            x = call.reshape(x, [-1])?;
            0
        }
    };
    let places = call.op(Operation::NonZero, [condition])?;
    let places = call.reshape(places, [-1])?;
    let taken = call.op(Operation::Take { axis }, [x, places])?;
    call.set(0, taken)
}

fn non_zero(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let places = call.op(Operation::NonZero, [x])?;
    call.set(0, places)
}

/// 1 where the count along a new axis is the index, in the words of numbers: between the two
/// values.
fn one_hot(call: &mut Call) -> Result<()> {
    let axis = call.int("axis", -1)?;
    let (indices, depth, values) = (call.required(0)?, call.required(1)?, call.required(2)?);
    let zero = call.importer.constant(Values::integer(0));
    let one = call.importer.constant(Values::integer(1));
    let depth = call.cast(depth, Kind::Integer)?;
    let depth = call.reshape(depth, [])?;
    let count = call.op(Operation::Range, [zero, depth, one])?;
    let indices = call.cast(indices, Kind::Integer)?;
    let below = call.binary(Binary::Less, indices, zero)?;
    let from_the_end = call.binary(Binary::Add, indices, depth)?;
    let indices = call.op(Operation::Select, [below, from_the_end, indices])?;
    let longer = call.unsqueeze(indices, &[-1])?;
    let hot = call.binary(Binary::Equal, longer, count)?;
    let off = call.slice(values, 0, 0, 1)?;
    let on = call.slice(values, 0, 1, 2)?;
    let result = call.op(Operation::Select, [hot, on, off])?;
    let moved = call.op(Operation::MoveAxis { from: -1, to: axis }, [result])?;
    call.set(0, moved)
}

fn cumulative_sum(call: &mut Call) -> Result<()> {
    let exclusive = call.flag("exclusive", false)?;
    let reverse = call.flag("reverse", false)?;
    two(call, Operation::CumulativeSum { exclusive, reverse })
}

fn cumulative_product(call: &mut Call) -> Result<()> {
    let exclusive = call.flag("exclusive", false)?;
    let reverse = call.flag("reverse", false)?;
    two(call, Operation::CumulativeProduct { exclusive, reverse })
}

/// Each row's first `lengths[row]` values along time, turned round: taken at
/// `length - 1 - time` there, and at `time` behind them.
fn reverse_sequence(call: &mut Call) -> Result<()> {
    let (batch_axis, time_axis) = (call.int("batch_axis", 1)?, call.int("time_axis", 0)?);
    if (batch_axis, time_axis) != (1, 0) && (batch_axis, time_axis) != (0, 1) {
        return call.unsupported("batch_axis and time_axis have to be 0 and 1");
    }
    let (mut x, lengths) = (call.required(0)?, call.required(1)?);
    if time_axis == 0 {
        x = call.op(Operation::MoveAxis { from: 0, to: 1 }, [x])?;
    }
    let shape = call.shape(x)?;
    let zero = call.importer.constant(Values::integer(0));
    let one = call.importer.constant(Values::integer(1));
    let length = |call: &mut Call, axis: i64| -> Result<Value> {
        let length = call.slice(shape, 0, axis, axis + 1)?;
        call.squeeze(length, &[0])
    };
    let (batch, timesteps) = (length(call, 0)?, length(call, 1)?);
    let rows = call.op(Operation::Range, [zero, batch, one])?;
    let times = call.op(Operation::Range, [zero, timesteps, one])?;
    let lengths = call.op(Operation::Lengths, [lengths, timesteps])?;
    let lengths = call.unsqueeze(lengths, &[1])?;
    let inside = call.binary(Binary::Less, times, lengths)?;
    let last = call.binary(Binary::Subtract, lengths, one)?;
    let turned = call.binary(Binary::Subtract, last, times)?;
    let times = call.op(Operation::Select, [inside, turned, times])?;
    let rows = call.unsqueeze(rows, &[1])?;
    let plane = call.slice(shape, 0, 0, 2)?;
    let rows = call.op(Operation::Expand, [rows, plane])?;
    let rows = call.unsqueeze(rows, &[2])?;
    let times = call.unsqueeze(times, &[2])?;
    let places = call.concat(2, vec![rows, times])?;
    let mut result = call.op(Operation::TakeNd { batch_axes: 0 }, [x, places])?;
    if time_axis == 0 {
        result = call.op(Operation::MoveAxis { from: 0, to: 1 }, [result])?;
    }
    call.set(0, result)
}
