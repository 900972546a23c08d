//! Nodes that take a signal apart into waves.

use crate::Result;
use crate::import::onnx::importer::{Call, Handler};
use crate::program::{Binary, Kind, Operation, PadMode, Unary, Value, Values};

pub(super) const NODES: &[(&str, Handler)] = &[
    ("BlackmanWindow", |call| window(call, [0.42, 0.5, 0.08])),
    ("DFT", fourier),
    ("HammingWindow", |call| window(call, [25.0 / 46.0, 21.0 / 46.0, 0.0])),
    ("HannWindow", |call| window(call, [0.5, 0.5, 0.0])),
    ("STFT", short_time),
];

/// `a - b cos(2π t / n) + c cos(4π t / n)` for each time t, where n is the number of times, or one
/// less for a window that ends as it begins.
fn window(call: &mut Call, [a, b, c]: [f32; 3]) -> Result<()> {
    let _ = call.has("output_datatype");
    let is_periodic = call.flag("periodic", true)?;
    let size = call.required(0)?;
    let size = call.reshape(size, [])?;
    let (zero, one) = (whole(call, 0), whole(call, 1));
    let times = call.op(Operation::Range, [zero, size, one])?;
    let times = call.cast(times, Kind::Float)?;
    let n = if is_periodic { size } else { call.binary(Binary::Subtract, size, one)? };
    let n = call.cast(n, Kind::Float)?;
    let turns = call.binary(Binary::Divide, times, n)?;
    let angle = call.with_number(Binary::Multiply, turns, std::f32::consts::TAU)?;
    let cosine = call.unary(Unary::Cos, angle)?;
    let wave = call.with_number(Binary::Multiply, cosine, -b)?;
    let mut values = call.with_number(Binary::Add, wave, a)?;
    if c != 0.0 {
        let twice = call.with_number(Binary::Multiply, angle, 2.0)?;
        let twice = call.unary(Unary::Cos, twice)?;
        let twice = call.with_number(Binary::Multiply, twice, c)?;
        values = call.binary(Binary::Add, values, twice)?;
    }
    call.set(0, values)
}

fn whole(call: &mut Call, number: i64) -> Value {
    call.importer.constant(Values::integer(number))
}

/// The waves of each frame of a signal `[batch, length, 1]`, `[batch, frames, waves, 2]`: of wave k
/// the sums `Σ x_t cos(2π k t / n)` and `-Σ x_t sin(2π k t / n)` over the n values of a frame,
/// which are multiplied by a window.
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
    let (zero, one) = (whole(call, 0), whole(call, 1));
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
    let onesided = call.flag("onesided", true)?;
    let angles = angles(call, n, onesided)?;
    let [cosine, sine] = waves(call, angles)?;
    let sums = [
        call.op(Operation::Product, [framed, cosine])?,
        call.op(Operation::Product, [framed, sine])?,
    ];
    let [real, rest] = sums;
    let rest = call.unary(Unary::Negate, rest)?;
    let parts = vec![call.unsqueeze(real, &[-1])?, call.unsqueeze(rest, &[-1])?];
    let result = call.concat(-1, parts)?;
    call.set(0, result)
}

/// `2π k t / n` for each time t and wave k, `[n, waves]`, from -π to π: whole turns are taken away
/// while numbers are whole.
fn angles(call: &mut Call, n: Value, onesided: bool) -> Result<Value> {
    let (zero, one, two) = (whole(call, 0), whole(call, 1), whole(call, 2));
    let half = call.binary(Binary::Divide, n, two)?;
    let waves = if onesided { call.binary(Binary::Add, half, one)? } else { n };
    let waves = call.op(Operation::Range, [zero, waves, one])?;
    let times = call.op(Operation::Range, [zero, n, one])?;
    let times = call.unsqueeze(times, &[1])?;
    let turns = call.binary(Binary::Multiply, times, waves)?;
    let turns = call.binary(Binary::Modulo, turns, n)?;
    let beyond = call.binary(Binary::Greater, turns, half)?;
    let lower = call.binary(Binary::Subtract, turns, n)?;
    let turns = call.op(Operation::Select, [beyond, lower, turns])?;
    let (turns, all) = (call.cast(turns, Kind::Float)?, call.cast(n, Kind::Float)?);
    let part = call.binary(Binary::Divide, turns, all)?;
    call.with_number(Binary::Multiply, part, std::f32::consts::TAU)
}

fn waves(call: &mut Call, angles: Value) -> Result<[Value; 2]> {
    Ok([call.unary(Unary::Cos, angles)?, call.unary(Unary::Sin, angles)?])
}

/// The waves along an axis of x, whose last axis holds a real number, or its real and its imaginary
/// part. With `inverse` the numbers of which these are the waves.
fn fourier(call: &mut Call) -> Result<()> {
    let (x, length) = (call.required(0)?, call.input(1)?);
    // An attribute before opset 20, then an input.
    let axis = match (call.importer.opset, call.input(2)?) {
        (..20, _) => call.int("axis", 1)?,
        (_, None) => -2,
        (_, Some(axis)) => match call.importer.facts(axis).number {
            Some(axis) => axis,
            None => return call.unsupported("its axis has to be a constant"),
        },
    };
    let (inverse, onesided) = (call.flag("inverse", false)?, call.flag("onesided", false)?);
    let parts = call.importer.facts(x).shape.and_then(|shape| shape.last().copied());
    let (is_complex, returns_real) = match parts {
        Some(1) if inverse && onesided => return call.malformed("its waves have one part"),
        Some(1) => (false, false),
        Some(2) => (true, inverse && onesided),
        _ => return call.unsupported("the length of its last axis has to be in the file: 1 or 2"),
    };
    if returns_real {
        return call.unsupported("the inverse of waves of one side isn't supported");
    }
    // The axis as the last one, and the parts before all others.
    let mut x = call.op(Operation::MoveAxis { from: axis, to: 0 }, [x])?;
    x = call.op(Operation::MoveAxis { from: -1, to: 0 }, [x])?;
    x = call.op(Operation::MoveAxis { from: 1, to: -1 }, [x])?;
    if let Some(length) = length {
        x = as_long_as(call, x, length)?;
    }
    let shape = call.shape(x)?;
    let n = call.slice(shape, 0, -1, i64::MAX)?;
    let n = call.reshape(n, [])?;
    let angles = angles(call, n, onesided)?;
    let [cosine, mut sine] = waves(call, angles)?;
    if inverse {
        sine = call.unary(Unary::Negate, sine)?;
    }
    // (a + i b)(cos - i sin) = (a cos + b sin) + i (b cos - a sin)
    let real = call.slice(x, 0, 0, 1)?;
    let mut sums = call.op(Operation::Product, [real, cosine])?;
    let rest = call.op(Operation::Product, [real, sine])?;
    let mut rest = call.unary(Unary::Negate, rest)?;
    if is_complex {
        let imaginary = call.slice(x, 0, 1, 2)?;
        let more = call.op(Operation::Product, [imaginary, sine])?;
        sums = call.binary(Binary::Add, sums, more)?;
        let more = call.op(Operation::Product, [imaginary, cosine])?;
        rest = call.binary(Binary::Add, rest, more)?;
    }
    let mut result = call.concat(0, vec![sums, rest])?;
    if inverse {
        let count = call.cast(n, Kind::Float)?;
        result = call.binary(Binary::Divide, result, count)?;
    }
    result = call.op(Operation::MoveAxis { from: -1, to: 1 }, [result])?;
    result = call.op(Operation::MoveAxis { from: 0, to: -1 }, [result])?;
    result = call.op(Operation::MoveAxis { from: 0, to: axis }, [result])?;
    call.set(0, result)
}

/// The last axis cut to a length, or with zeros up to it.
fn as_long_as(call: &mut Call, x: Value, length: Value) -> Result<Value> {
    let length = call.reshape(length, [1])?;
    let shape = call.shape(x)?;
    let own = call.slice(shape, 0, -1, i64::MAX)?;
    let more = call.binary(Binary::Subtract, length, own)?;
    let zero = call.importer.integers([0]);
    let sides = call.concat(0, vec![zero, more])?;
    let last = call.importer.integers([-1]);
    call.op(Operation::Pad(PadMode::Constant), [Some(x), Some(sides), None, Some(last)])
}
