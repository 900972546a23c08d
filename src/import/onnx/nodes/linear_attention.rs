//! Attention whose queries read a state that keys and values are written to, timestep by timestep.

use super::attention::{joined_heads, length, repeated, split_heads};
use crate::Result;
use crate::import::onnx::importer::{Call, Handler};
use crate::program::{Binary, Kind, Operation, Unary, Value};

pub(super) const NODES: &[(&str, Handler)] = &[("LinearAttention", linear)];

/// Timesteps, each of which is operations of its own.
const MOST_TIMESTEPS: usize = 1024;

/// ```text
/// S ← exp(decay) ⊙ S                 with decay
/// v ← beta (v - kᵀ S)                with beta
/// S ← S + k vᵀ
/// y = scale qᵀ S
/// ```
///
/// S is `[batch, heads, features of a key, features of a value]`.
fn linear(call: &mut Call) -> Result<()> {
    let (query, key, value) = (call.required(0)?, call.required(1)?, call.required(2)?);
    let (mut state, decay, beta) = (call.input(3)?, call.input(4)?, call.input(5)?);
    let heads = call.required_int("q_num_heads")?;
    let of_keys = call.required_int("kv_num_heads")?;
    let _ = call.has("chunk_size");
    let rule = call.text("update_rule", "gated_delta")?;
    let (decays, corrects) = match rule {
        "linear" => (false, false),
        "gated" => (true, false),
        "delta" => (false, true),
        "gated_delta" => (true, true),
        other => return call.malformed(format!("its update_rule is {other:?}")),
    };
    if (decay.is_some(), beta.is_some()) != (decays, corrects) {
        return call.malformed(format!("its inputs don't fit its update_rule {rule:?}"));
    }
    let timesteps = call.importer.facts(query).shape.and_then(|shape| shape.get(1).copied());
    let timesteps = match timesteps {
        Some(timesteps @ 1..=MOST_TIMESTEPS) => timesteps as i64,
        Some(found) => {
            let most = MOST_TIMESTEPS;
            return call.unsupported(format!("it has {found} timesteps; {most} are supported"));
        }
        None => {
            return call.unsupported(
                "its number of timesteps isn't fixed: fix the lengths of the model's inputs",
            );
        }
    };
    let mut query = split_heads(call, query, heads)?;
    let (key, value) = (split_heads(call, key, of_keys)?, split_heads(call, value, of_keys)?);
    let scale = call.float("scale", 0.0)?;
    query = match scale {
        0.0 => {
            let features = length(call, query, 3)?;
            let features = call.cast(features, Kind::Float)?;
            let root = call.unary(Unary::Sqrt, features)?;
            call.binary(Binary::Divide, query, root)?
        }
        scale => call.with_number(Binary::Multiply, query, scale)?,
    };
    // One for each head, or for each feature of its keys, as a column.
    let decay = match decay {
        Some(decay) => {
            let split = split_heads(call, decay, of_keys)?;
            Some(call.unary(Unary::Exp, split)?)
        }
        None => None,
    };
    let beta = match beta {
        Some(beta) => {
            let split = call.reshape(beta, [0, 0, -1, 1])?;
            Some(call.transpose(split, &[0, 2, 1, 3])?)
        }
        None => None,
    };
    let mut outputs = Vec::new();
    for time in 0..timesteps {
        let at = |call: &mut Call, x: Value| call.slice(x, 2, time, time + 1);
        let (own, mut written) = (at(call, key)?, at(call, value)?);
        if let (Some(decay), Some(before)) = (decay, state) {
            let row = at(call, decay)?;
            let column = call.transpose(row, &[0, 1, 3, 2])?;
            state = Some(call.binary(Binary::Multiply, before, column)?);
        }
        if let Some(beta) = beta {
            if let Some(state) = state {
                let there = call.op(Operation::Product, [own, state])?;
                written = call.binary(Binary::Subtract, written, there)?;
            }
            let share = at(call, beta)?;
            written = call.binary(Binary::Multiply, written, share)?;
        }
        let column = call.transpose(own, &[0, 1, 3, 2])?;
        let mut next = call.op(Operation::Product, [column, written])?;
        if let Some(before) = state {
            next = call.binary(Binary::Add, before, next)?;
        }
        state = Some(next);
        let read = repeated(call, next, query)?;
        let asked = at(call, query)?;
        outputs.push(call.op(Operation::Product, [asked, read])?);
    }
    let all = call.concat(2, outputs)?;
    let result = joined_heads(call, all)?;
    call.set(0, result)?;
    match state {
        Some(state) => call.set(1, state),
        None => Ok(()),
    }
}
