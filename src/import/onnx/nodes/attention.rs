//! Attention: values mixed by how well their keys fit a query.

use crate::Result;
use crate::import::onnx::importer::{Call, Handler};
use crate::program::{Binary, Kind, Operation, Reduction, Unary, Value, Values};
use crate::{Activation, program::PadMode};

pub(super) const NODES: &[(&str, Handler)] =
    &[("Attention", attention), ("com.microsoft.MultiHeadAttention", multi_head)];

/// Queries, keys and values, each `[batch, heads, timesteps, features]`, and what is added to the
/// scores `[batch, heads, queries, keys]`.
struct Attended {
    query: Value,
    key: Value,
    value: Value,
    /// Each can be repeated to the scores.
    biases: Vec<Value>,
    /// `None`: `1 / √features`.
    scale: Option<f32>,
    /// Scores are limited to what is between -softcap and softcap, softly; 0: they are not.
    softcap: f32,
}

/// What attention is made of, in order.
struct Scores {
    raw: Value,
    limited: Value,
    biased: Value,
    shares: Value,
    mixed: Value,
}

/// `[batch, timesteps, heads · features]` as `[batch, heads, timesteps, features]`.
pub(super) fn split_heads(call: &mut Call, x: Value, heads: i64) -> Result<Value> {
    let split = call.reshape(x, [0, 0, heads, -1])?;
    call.transpose(split, &[0, 2, 1, 3])
}

pub(super) fn joined_heads(call: &mut Call, x: Value) -> Result<Value> {
    let turned = call.transpose(x, &[0, 2, 1, 3])?;
    call.reshape(turned, [0, 0, -1])
}

/// The length of an axis, an array of one.
pub(super) fn length(call: &mut Call, x: Value, axis: i64) -> Result<Value> {
    let shape = call.shape(x)?;
    call.slice(shape, 0, axis, axis + 1)
}

/// Keys or values with as many heads as the queries have: each of theirs is there several times.
pub(super) fn repeated(call: &mut Call, x: Value, query: Value) -> Result<Value> {
    let shape = call.shape(x)?;
    let (heads, of_query) = (length(call, x, 1)?, length(call, query, 1)?);
    let times = call.binary(Binary::Divide, of_query, heads)?;
    let (outer, inner) = (call.slice(shape, 0, 0, 2)?, call.slice(shape, 0, 2, 4)?);
    let wide = call.concat(0, vec![outer, times, inner])?;
    let longer = call.unsqueeze(x, &[2])?;
    let wide = call.op(Operation::Expand, [longer, wide])?;
    let batch = call.slice(shape, 0, 0, 1)?;
    let joined = call.concat(0, vec![batch, of_query, inner])?;
    call.op(Operation::Reshape { zero_copies: false }, [wide, joined])
}

fn attend(call: &mut Call, attended: Attended) -> Result<Scores> {
    let Attended { query, key, value, biases, scale, softcap } = attended;
    let (key, value) = (repeated(call, key, query)?, repeated(call, value, query)?);
    let scaled = match scale {
        Some(scale) => call.with_number(Binary::Multiply, query, scale)?,
        None => {
            let features = length(call, query, 3)?;
            let features = call.cast(features, Kind::Float)?;
            let root = call.unary(Unary::Sqrt, features)?;
            call.binary(Binary::Divide, query, root)?
        }
    };
    let turned = call.transpose(key, &[0, 1, 3, 2])?;
    let raw = call.op(Operation::Product, [scaled, turned])?;
    let mut limited = raw;
    if softcap != 0.0 {
        limited = call.with_number(Binary::Divide, limited, softcap)?;
        limited = call.op(Operation::Activate(Activation::Tanh), [limited])?;
        limited = call.with_number(Binary::Multiply, limited, softcap)?;
    }
    let mut bias: Option<Value> = None;
    for one in biases {
        bias = Some(match bias {
            Some(sum) => call.binary(Binary::Add, sum, one)?,
            None => one,
        });
    }
    let mut biased = limited;
    let mut shares;
    match bias {
        None => shares = call.op(Operation::Softmax { axis: -1, log: false }, [biased])?,
        Some(bias) => {
            biased = call.binary(Binary::Add, biased, bias)?;
            shares = call.op(Operation::Softmax { axis: -1, log: false }, [biased])?;
            // A query that may see no key mixes nothing.
            let last = call.importer.integers([-1]);
            let most = call.reduce(Reduction::Maximum, bias, Some(last), true)?;
            let none = call.with_number(Binary::Equal, most, f32::NEG_INFINITY)?;
            let zero = call.importer.float(0.0);
            shares = call.op(Operation::Select, [none, zero, shares])?;
        }
    }
    let mixed = call.op(Operation::Product, [shares, value])?;
    Ok(Scores { raw, limited, biased, shares, mixed })
}

/// 0 where a condition holds, elsewhere what takes a key out of the sum.
fn allowed(call: &mut Call, condition: Value) -> Result<Value> {
    let zero = call.importer.float(0.0);
    let out = call.importer.float(f32::NEG_INFINITY);
    call.op(Operation::Select, [condition, zero, out])
}

/// A mask as what is added: truth values say what is allowed, numbers are it already. Which of both
/// it is, is known when a call is prepared: two like a truth value is one.
fn as_bias(call: &mut Call, mask: Value) -> Result<Value> {
    let two = call.importer.constant(Values::integer(2));
    let alike = call.op(Operation::CastLike, [two, mask])?;
    let number = call.cast(alike, Kind::Integer)?;
    let one = call.importer.constant(Values::integer(1));
    let is_truth = call.binary(Binary::Equal, number, one)?;
    let of_truth = allowed(call, mask)?;
    call.op(Operation::Choose, [is_truth, of_truth, mask])
}

/// The numbers from 0 to below a length, which is an array of one.
fn count(call: &mut Call, length: Value) -> Result<Value> {
    let zero = call.importer.constant(Values::integer(0));
    let one = call.importer.constant(Values::integer(1));
    let length = call.squeeze(length, &[0])?;
    call.op(Operation::Range, [zero, length, one])
}

/// The operator of opset 23 and above.
fn attention(call: &mut Call) -> Result<()> {
    let _ = call.has("softmax_precision");
    let (mut query, mut key, mut value) = (call.required(0)?, call.required(1)?, call.required(2)?);
    let heads = [call.int("q_num_heads", 0)?, call.int("kv_num_heads", 0)?];
    let rank = call.importer.facts(query).shape.map(|shape| shape.len());
    let is_flat = heads != [0, 0] && rank != Some(4);
    if is_flat {
        query = split_heads(call, query, heads[0])?;
        key = split_heads(call, key, heads[1])?;
        value = split_heads(call, value, heads[1])?;
    }
    let queries = length(call, query, 2)?;
    let mut before = call.importer.integers([0]);
    if let (Some(past_key), Some(past_value)) = (call.input(4)?, call.input(5)?) {
        before = length(call, past_key, 2)?;
        key = call.concat(2, vec![past_key, key])?;
        value = call.concat(2, vec![past_value, value])?;
    }
    let keys = length(call, key, 2)?;
    let mut biases = Vec::new();
    if let Some(mask) = call.input(3)? {
        let mask = as_bias(call, mask)?;
        biases.push(as_long_as(call, mask, keys)?);
    }
    // [keys]
    let places = count(call, keys)?;
    let lengths = call.input(6)?;
    if let Some(lengths) = lengths {
        let lengths = call.op(Operation::Lengths, [lengths, keys])?;
        // [batch, 1, 1, 1]
        let lengths = call.unsqueeze(lengths, &[1, 2, 3])?;
        let inside = call.binary(Binary::Less, places, lengths)?;
        biases.push(allowed(call, inside)?);
        before = call.binary(Binary::Subtract, lengths, queries)?;
    }
    // [queries, 1]: where each query stands among the keys.
    let own = count(call, queries)?;
    let own = call.unsqueeze(own, &[1])?;
    let own = call.binary(Binary::Add, own, before)?;
    let behind = call.binary(Binary::Subtract, own, places)?;
    let ahead = call.unary(Unary::Negate, behind)?;
    let causal = if call.flag("is_causal", false)? { 0 } else { -1 };
    let windows = [
        (ahead, causal),
        (behind, call.int("left_window_size", -1)?),
        (ahead, call.int("right_window_size", -1)?),
    ];
    for (distance, most) in windows.into_iter().filter(|(_, most)| *most >= 0) {
        let most = call.importer.constant(Values::integer(most));
        let near = call.binary(Binary::LessOrEqual, distance, most)?;
        biases.push(allowed(call, near)?);
    }
    call.set(1, key)?;
    call.set(2, value)?;
    let (scale, softcap) = (call.optional_float("scale")?, call.float("softcap", 0.0)?);
    let scores = attend(call, Attended { query, key, value, biases, scale, softcap })?;
    let mode = call.int("qk_matmul_output_mode", 0)?;
    match mode {
        0 => call.set(3, scores.raw)?,
        1 => call.set(3, scores.limited)?,
        2 => call.set(3, scores.biased)?,
        3 => call.set(3, scores.shares)?,
        other => return call.malformed(format!("its qk_matmul_output_mode is {other}")),
    }
    let result = if is_flat { joined_heads(call, scores.mixed)? } else { scores.mixed };
    call.set(0, result)
}

/// A bias whose last axis is as long as there are keys: those that it says nothing of are out.
fn as_long_as(call: &mut Call, bias: Value, keys: Value) -> Result<Value> {
    let shape = call.shape(bias)?;
    let own = call.slice(shape, 0, -1, i64::MAX)?;
    let more = call.binary(Binary::Subtract, keys, own)?;
    let zero = call.importer.integers([0]);
    let more = call.binary(Binary::Maximum, more, zero)?;
    let sides = call.concat(0, vec![zero, more])?;
    let out = call.importer.float(f32::NEG_INFINITY);
    let last = call.importer.integers([-1]);
    call.op(Operation::Pad(PadMode::Constant), [bias, sides, out, last])
}

/// onnxruntime's own: queries, keys and values `[batch, timesteps, heads · features]`.
fn multi_head(call: &mut Call) -> Result<()> {
    let heads = call.required_int("num_heads")?;
    let least = call.float("mask_filter_value", -10000.0)?;
    let causal = call.flag("unidirectional", false)?;
    let (Some(key), Some(value)) = (call.input(1)?, call.input(2)?) else {
        return call.unsupported("queries, keys and values in one array aren't supported");
    };
    let mut parts = [call.required(0)?, key, value];
    if call.input(6)?.is_some() || call.input(7)?.is_some() || call.has_output(1) {
        return call.unsupported("keys and values of the call before aren't supported");
    }
    if let Some(bias) = call.input(3)? {
        let ends = call.importer.integers([3]);
        let shape = call.shape(bias)?;
        let each = call.binary(Binary::Divide, shape, ends)?;
        let label = call.label.clone();
        let lengths = call.concat(0, vec![each; 3])?;
        let split = Operation::Split { axis: 0, parts: 3 };
        let biases = call.importer.program.add(&label, split, [bias, lengths])?;
        for (part, bias) in parts.iter_mut().zip(biases) {
            *part = call.binary(Binary::Add, *part, bias)?;
        }
    }
    let [query, key, value] = parts;
    let (query, key, value) = (
        split_heads(call, query, heads)?,
        split_heads(call, key, heads)?,
        split_heads(call, value, heads)?,
    );
    let mut biases: Vec<Value> = call.input(5)?.into_iter().collect();
    if let Some(mask) = call.input(4)? {
        if call.importer.facts(mask).shape.is_some_and(|shape| shape.len() != 2) {
            return call.unsupported("only a mask [batch, keys] is supported");
        }
        let mask = call.unsqueeze(mask, &[1, 2])?;
        let (zero, out) = (call.importer.float(0.0), call.importer.float(least));
        biases.push(call.op(Operation::Select, [mask, zero, out])?);
    }
    if causal {
        let (queries, keys) = (length(call, query, 2)?, length(call, key, 2)?);
        let (own, places) = (count(call, queries)?, count(call, keys)?);
        let own = call.unsqueeze(own, &[1])?;
        let near = call.binary(Binary::LessOrEqual, places, own)?;
        biases.push(allowed(call, near)?);
    }
    let scale = call.optional_float("scale")?;
    let attended = Attended { query, key, value, biases, scale, softcap: 0.0 };
    let scores = attend(call, attended)?;
    let result = joined_heads(call, scores.mixed)?;
    call.set(0, result)
}
