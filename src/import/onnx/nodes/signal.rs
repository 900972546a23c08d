//! Nodes that take a signal apart into waves.

use crate::Result;
use crate::import::onnx::importer::{Call, Handler};
use crate::program::{Binary, Kind, Operation, Unary, Value, Values};

pub(super) const NODES: &[(&str, Handler)] = &[("STFT", short_time)];

/// The waves of each frame of a signal `[batch, length, 1]`, `[batch, frames, waves, 2]`: of wave k
/// the sums `Σ x_t cos(2π k t / n)` and `-Σ x_t sin(2π k t / n)` over the n values of a frame, which
/// are multiplied by a window.
fn short_time(call: &mut Call) -> Result<()> {
    let (signal, step) = (call.required(0)?, call.required(1)?);
    let (window, length) = (call.input(2)?, call.input(3)?);
    let n = match (window, length) {
        (_, Some(length)) => call.reshape(length, [])?,
        (Some(window), None) => {
            let shape = call.shape(window)?;
            call.reshape(shape, [])?
        }
        (None, None) => return call.malformed("it has neither a window nor a frame_length"),
    };
    // What isn't a real number has two values on the last axis, which this refuses.
    let signal = call.squeeze(signal, &[-1])?;
    let step = call.reshape(step, [])?;
    let (zero, one) = (call.importer.constant(Values::integer(0)), whole(call, 1));
    let shape = call.shape(signal)?;
    let all = call.slice(shape, 0, 1, 2)?;
    let all = call.reshape(all, [])?;
    let room = call.binary(Binary::Subtract, all, n)?;
    let frames = call.binary(Binary::Divide, room, step)?;
    let frames = call.binary(Binary::Add, frames, one)?;
    let frames = call.op(Operation::Range, [zero, frames, one])?;
    let starts = call.binary(Binary::Multiply, frames, step)?;
    let starts = call.unsqueeze(starts, &[1])?;
    let times = call.op(Operation::Range, [zero, n, one])?;
    let places = call.binary(Binary::Add, starts, times)?;
    let mut framed = call.op(Operation::Take { axis: 1 }, [signal, places])?;
    if let Some(window) = window {
        framed = call.binary(Binary::Multiply, framed, window)?;
    }
    let waves = match call.flag("onesided", true)? {
        true => {
            let two = whole(call, 2);
            let half = call.binary(Binary::Divide, n, two)?;
            call.binary(Binary::Add, half, one)?
        }
        false => n,
    };
    let waves = call.op(Operation::Range, [zero, waves, one])?;
    // [n, waves]: the part of a turn from -1/2 to 1/2; whole turns are taken away while it is exact.
    let times = call.unsqueeze(times, &[1])?;
    let turns = call.binary(Binary::Multiply, times, waves)?;
    let turns = call.binary(Binary::Modulo, turns, n)?;
    let two = whole(call, 2);
    let half = call.binary(Binary::Divide, n, two)?;
    let beyond = call.binary(Binary::Greater, turns, half)?;
    let lower = call.binary(Binary::Subtract, turns, n)?;
    let turns = call.op(Operation::Select, [beyond, lower, turns])?;
    let (turns, whole_turn) = (call.cast(turns, Kind::Float)?, call.cast(n, Kind::Float)?);
    let part = call.binary(Binary::Divide, turns, whole_turn)?;
    let angle = call.with_number(Binary::Multiply, part, std::f32::consts::TAU)?;
    let mut parts = Vec::new();
    for (function, sign) in [(Unary::Cos, 1.0), (Unary::Sin, -1.0)] {
        let wave = call.unary(function, angle)?;
        let wave = call.with_number(Binary::Multiply, wave, sign)?;
        let sums = call.op(Operation::Product, [framed, wave])?;
        parts.push(call.unsqueeze(sums, &[-1])?);
    }
    let result = call.concat(-1, parts)?;
    call.set(0, result)
}

fn whole(call: &mut Call, number: i64) -> Value {
    call.importer.constant(Values::integer(number))
}
