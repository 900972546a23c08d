//! Nodes that make one value of many.

use crate::Result;
use crate::import::onnx::importer::{Call, Handler};
use crate::program::{Binary, Operation, Reduction, Unary, Value};

pub(super) const NODES: &[(&str, Handler)] = &[
    ("ArgMax", |call| extreme(call, false)),
    ("ArgMin", |call| extreme(call, true)),
    ("ReduceL1", |call| reduced(call, Reduction::SumOfAbsolutes, None)),
    ("ReduceL2", |call| reduced(call, Reduction::SumOfSquares, Some(Unary::Sqrt))),
    ("ReduceLogSum", |call| reduced(call, Reduction::Sum, Some(Unary::Log))),
    ("ReduceLogSumExp", log_sum_exp),
    ("ReduceMax", |call| reduced(call, Reduction::Maximum, None)),
    ("ReduceMean", |call| reduced(call, Reduction::Mean, None)),
    ("ReduceMin", |call| reduced(call, Reduction::Minimum, None)),
    ("ReduceProd", |call| reduced(call, Reduction::Product, None)),
    ("ReduceSum", |call| reduced(call, Reduction::Sum, None)),
    ("ReduceSumSquare", |call| reduced(call, Reduction::SumOfSquares, None)),
];

fn extreme(call: &mut Call, smallest: bool) -> Result<()> {
    let (axis, keep) = (call.int("axis", 0)?, call.flag("keepdims", true)?);
    let last = call.flag("select_last_index", false)?;
    let x = call.required(0)?;
    let place = call.op(Operation::ArgMax { axis, keep, smallest, last }, [x])?;
    call.set(0, place)
}

/// The axes, and whether there are some to reduce: none are all, unless a flag says otherwise.
fn axes(call: &mut Call) -> Result<(Option<Value>, bool)> {
    let nothing = call.flag("noop_with_empty_axes", false)?;
    let listed = match call.ints("axes")? {
        Some(axes) => Some(call.importer.integers(axes)),
        None => call.input(1)?,
    };
    let shape = listed.and_then(|axes| call.importer.facts(axes).shape);
    let is_empty = listed.is_none() || shape.is_some_and(|shape| shape == [0]);
    Ok((listed.filter(|_| !is_empty), !(is_empty && nothing)))
}

/// A value of all, and a function of it. With no axes and `noop_with_empty_axes` each value is
/// reduced by itself.
fn reduced(call: &mut Call, reduction: Reduction, after: Option<Unary>) -> Result<()> {
    let keep = call.flag("keepdims", true)?;
    let (axes, reduces) = axes(call)?;
    let x = call.required(0)?;
    let axes = if reduces { axes } else { Some(call.importer.integers([])) };
    let mut result = call.reduce(reduction, x, axes, keep || !reduces)?;
    if let Some(function) = after {
        result = call.unary(function, result)?;
    }
    call.set(0, result)
}

/// `max + ln Σ exp(x - max)`, which doesn't overflow.
fn log_sum_exp(call: &mut Call) -> Result<()> {
    let keep = call.flag("keepdims", true)?;
    let (axes, reduces) = axes(call)?;
    let x = call.required(0)?;
    if !reduces {
        return call.set(0, x);
    }
    let largest = call.reduce(Reduction::Maximum, x, axes, true)?;
    let below = call.binary(Binary::Subtract, x, largest)?;
    let powers = call.unary(Unary::Exp, below)?;
    let sum = call.reduce(Reduction::Sum, powers, axes, true)?;
    let log = call.unary(Unary::Log, sum)?;
    let mut result = call.binary(Binary::Add, log, largest)?;
    if !keep {
        // Of one value along each axis the sum is that value.
        result = call.reduce(Reduction::Sum, result, axes, false)?;
    }
    call.set(0, result)
}
