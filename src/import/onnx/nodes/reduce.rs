//! Nodes that make one value of many.

use super::shapes::{Answer, is_empty};
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

/// The axes that are reduced; `None`: all. An empty list stands for all, unless a flag says that
/// it stands for none.
fn axes(call: &mut Call, x: Value) -> Result<Option<Value>> {
    let nothing = call.flag("noop_with_empty_axes", false)?;
    let listed = match call.ints("axes")? {
        Some(axes) => Some(call.importer.integers(axes)),
        None => call.input(1)?,
    };
    match (listed, nothing) {
        (None, true) => Ok(Some(call.importer.integers([]))),
        (None, false) => Ok(None),
        (Some(axes), true) => Ok(Some(axes)),
        (Some(axes), false) => match is_empty(call, axes)? {
            Answer::Now(true) => Ok(None),
            Answer::Now(false) => Ok(Some(axes)),
            later => later.choose(call, |call| call.axes_from(x, 0), |_| Ok(axes)).map(Some),
        },
    }
}

/// A value of all, and a function of it. Over no axis each value is reduced by itself.
fn reduced(call: &mut Call, reduction: Reduction, after: Option<Unary>) -> Result<()> {
    let keep = call.flag("keepdims", true)?;
    let x = call.required(0)?;
    let axes = axes(call, x)?;
    let mut result = call.reduce(reduction, x, axes, keep)?;
    if let Some(function) = after {
        result = call.unary(function, result)?;
    }
    call.set(0, result)
}

/// `max + ln Σ exp(x - max)`, which doesn't overflow.
fn log_sum_exp(call: &mut Call) -> Result<()> {
    let keep = call.flag("keepdims", true)?;
    let x = call.required(0)?;
    let axes = axes(call, x)?;
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
