//! Nodes that say how far an output is from what it should be.

use crate::Result;
use crate::import::onnx::importer::{Call, Handler};
use crate::program::{Binary, Kind, Operation, Reduction, Unary, Value, Values};

pub(super) const NODES: &[(&str, Handler)] =
    &[("NegativeLogLikelihoodLoss", likelihood), ("SoftmaxCrossEntropyLoss", cross_entropy)];

fn likelihood(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let loss = loss(call, x)?;
    call.set(0, loss)
}

fn cross_entropy(call: &mut Call) -> Result<()> {
    let scores = call.required(0)?;
    let logs = call.op(Operation::Softmax { axis: 1, log: true }, [scores])?;
    let loss = loss(call, logs)?;
    call.set(0, loss)?;
    call.set(1, logs)
}

/// `-x` of the class that input 1 says, times the class's weight; `x` is `[batch, classes, …]`.
fn loss(call: &mut Call, x: Value) -> Result<Value> {
    let reduction = call.text("reduction", "mean")?;
    let (mut target, weights) = (call.required(1)?, call.input(2)?);
    let mut counts = None;
    if call.has("ignore_index") {
        let ignored = call.int("ignore_index", 0)?;
        let ignored = call.importer.constant(Values::integer(ignored));
        let ignored = call.binary(Binary::Equal, target, ignored)?;
        let zero = call.importer.constant(Values::integer(0));
        target = call.op(Operation::Select, [ignored, zero, target])?;
        counts = Some(call.unary(Unary::Not, ignored)?);
    }
    let last = call.channels_last(x)?;
    let places = call.unsqueeze(target, &[-1])?;
    let taken = call.op(Operation::TakeAlong { axis: -1 }, [last, places])?;
    let taken = call.squeeze(taken, &[-1])?;
    let losses = call.unary(Unary::Negate, taken)?;
    let mut weight = match weights {
        Some(weights) => call.op(Operation::Take { axis: 0 }, [weights, target])?,
        None => {
            let (shape, one) = (call.shape(target)?, call.importer.float(1.0));
            call.op(Operation::Fill, [shape, one])?
        }
    };
    let mut weighted = call.binary(Binary::Multiply, losses, weight)?;
    if let Some(counts) = counts {
        let zero = call.importer.float(0.0);
        weight = call.op(Operation::Select, [counts, weight, zero])?;
        weighted = call.op(Operation::Select, [counts, weighted, zero])?;
    }
    let weighted = call.cast(weighted, Kind::Float)?;
    match reduction {
        "none" => Ok(weighted),
        "sum" => call.reduce(Reduction::Sum, weighted, None, false),
        "mean" => {
            let sum = call.reduce(Reduction::Sum, weighted, None, false)?;
            let count = call.reduce(Reduction::Sum, weight, None, false)?;
            call.binary(Binary::Divide, sum, count)
        }
        other => call.malformed(format!("its reduction is {other:?}")),
    }
}
