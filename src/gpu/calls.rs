//! Calls that are planned though nobody makes them: to compile a model, to time it, to report on
//! it.

use crate::error::{Error, Result};
use crate::model::{CallShape, Model};

/// A call on so many rows and, where the model doesn't fix their number, timesteps, without masks
/// and initial states; an error where the model takes no such call.
pub(super) fn plain_call(model: &Model, batch: usize, timesteps: usize) -> Result<CallShape> {
    let call = CallShape {
        batch,
        inputs: axes(model, |_, _| timesteps),
        masks: vec![false; model.inputs.len()],
        states: vec![Vec::new(); model.nodes.len()],
        carried: false,
        values: vec![None; model.inputs.len()],
    };
    is_taken(model, &call).map(|()| call)
}

/// The call with at most so many timesteps, where the model doesn't fix their number and takes
/// fewer.
#[cfg(feature = "autotune")]
pub(super) fn shortened(model: &Model, call: &CallShape, timesteps: usize) -> CallShape {
    let inputs = axes(model, |input, axis| call.inputs[input][axis].min(timesteps));
    let short = CallShape { inputs, ..call.clone() };
    if is_taken(model, &short).is_ok() { short } else { call.clone() }
}

/// The shapes of the model's inputs without the batch; `free`: the length of an axis, of an input,
/// that the model doesn't fix.
fn axes(model: &Model, free: impl Fn(usize, usize) -> usize) -> Vec<Vec<usize>> {
    let inputs = model.inputs.iter().enumerate().map(|(index, input)| {
        let axes = model.tensors[input.tensor].shape.iter().enumerate();
        axes.map(|(axis, length)| length.unwrap_or_else(|| free(index, axis))).collect()
    });
    inputs.collect()
}

fn is_taken(model: &Model, call: &CallShape) -> Result<()> {
    if model.program.is_some() {
        return match call.batch {
            1 => model.lower(call).map(|_| ()),
            batch => Err(Error::Graph(format!(
                "the model has no batch of its own, and a batch of {batch} was asked for"
            ))),
        };
    }
    let inputs: Vec<_> = call.inputs.iter().map(Vec::as_slice).collect();
    model.shapes(&inputs).map(|_| ())
}
