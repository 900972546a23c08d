//! Quantiles, and values of all but those that are no numbers.

use super::call::Call;
use super::computed::Id;
use super::reduce::{axes, floats, mean_and_variance};
use crate::Result;
use crate::program::{Binary, Kind, Operation, Reduction, Unary, Values};

/// `x` with the axes that are reduced as the last one, its length, and where they were.
fn reduced_last(call: &mut Call, x: Id) -> Result<(Id, i64, Vec<i64>)> {
    let known = call.axes(x)?;
    let rank = known.len();
    let mut places = Vec::new();
    for axis in axes(call)?.unwrap_or_else(|| (0..rank as i64).collect()) {
        places.push(call.axis_of("axis", axis, rank)?);
    }
    places.sort_unstable();
    places.dedup();
    let mut length = 1i64;
    for &place in &places {
        let Some(known) = known[place].filter(|&length| length > 0) else {
            return call.unsupported("axis", "the axes of a quantile need fixed lengths");
        };
        length = length.saturating_mul(known as i64);
    }
    let others = (0..rank).filter(|axis| !places.contains(axis));
    let order: Vec<usize> = others.chain(places.iter().copied()).collect();
    let moved = call.op(Operation::Transpose { order }, [x])?;
    let shape = call.shape(moved)?;
    let outer = call.slice(shape, 0, (0, (rank - places.len()) as i64))?;
    let all = call.integers([-1]);
    let shape = call.concat(0, vec![outer, all])?;
    Ok((call.reshape(moved, shape)?, length, places.iter().map(|&place| place as i64).collect()))
}

/// The value below which a share of all values lies: between two of them, as `method` says.
pub(super) fn quantile(call: &mut Call, share: Option<f64>, of_one: f64) -> Result<Id> {
    let keep = call.flag("keepdims")?;
    let method = call.text("method")?.unwrap_or("linear");
    let shares = match share {
        Some(share) => vec![share],
        None => {
            let q = call.array("q")?;
            let Some(values) = call.computed.values(q) else {
                return call.unsupported("q", "it has to stand in the file");
            };
            if values.shape().len() > 1 || values.is_empty() {
                return call.unsupported("q", "it is a number or a list of numbers");
            }
            match values.cast(Kind::Float) {
                // 0.4 as it was written: the f64 nearest to the f32 lies above it, and an index
                // that is whole would become the next one.
                Values::Floats(shares) => shares
                    .iter()
                    .map(|share| share.to_string().parse().unwrap_or(f64::NAN))
                    .collect(),
                _ => Vec::new(),
            }
        }
    };
    let is_list = share.is_none() && {
        let q = call.array("q")?;
        call.rank(q)? == 1
    };
    if shares.iter().any(|share| !(0.0..=of_one).contains(share)) {
        return call.wrong("q", format!("isn't from 0 to {of_one}"));
    }
    let x = floats(call)?;
    let (x, length, places) = reduced_last(call, x)?;
    let count = call.integers([length]);
    let sorted = call.all(Operation::TopK { axis: -1, smallest: true }, [x, count])?[0];
    let mut results = Vec::new();
    for share in shares {
        let place = share / of_one * (length - 1) as f64;
        let (below, above) = (place.floor(), place.ceil());
        let at =
            |call: &mut Call, place: f64| call.slice(sorted, -1, (place as i64, place as i64 + 1));
        let value = match method {
            "lower" => at(call, below)?,
            "higher" => at(call, above)?,
            "nearest" => at(call, place.round_ties_even())?,
            "linear" | "midpoint" => {
                let (one, other) = (at(call, below)?, at(call, above)?);
                let part = if method == "linear" { place - below } else { (above - below) / 2.0 };
                let difference = call.binary(Binary::Subtract, other, one)?;
                let further = call.with_number(Binary::Multiply, difference, part as f32)?;
                call.binary(Binary::Add, one, further)?
            }
            _ => {
                let reason = "linear, lower, higher, midpoint and nearest are supported";
                return call.unsupported("method", reason);
            }
        };
        let mut value = call.squeezed(value, &[-1])?;
        if keep {
            value = call.expanded(value, &places)?;
        }
        results.push(if is_list { call.expanded(value, &[0])? } else { value });
    }
    // A row where something is no number is none.
    let nothing = call.unary(Unary::IsNan, x)?;
    let mut nothing = call.reduce(Reduction::Maximum, nothing, Some(&[-1]), false)?;
    if keep {
        nothing = call.expanded(nothing, &places)?;
    }
    let result = if is_list { call.concat(0, results)? } else { results[0] };
    let none = call.float(f32::NAN);
    call.select(nothing, none, result)
}

/// `x` with a number in the place of what is none, and where it is one.
fn numbers_of(call: &mut Call, in_place: f32) -> Result<(Id, Id)> {
    let x = floats(call)?;
    let none = call.unary(Unary::IsNan, x)?;
    let there = call.unary(Unary::Not, none)?;
    let number = call.float(in_place);
    Ok((call.select(there, x, number)?, there))
}

/// A sum or a product, in which what is no number counts as this one.
pub(super) fn reduced(call: &mut Call, reduction: Reduction, in_place: f32) -> Result<Id> {
    let (axes, keep) = (axes(call)?, call.flag("keepdims")?);
    let (x, _) = numbers_of(call, in_place)?;
    call.reduce(reduction, x, axes.as_deref(), keep)
}

/// The largest or the smallest; none where there is no number.
pub(super) fn extreme(call: &mut Call, reduction: Reduction) -> Result<Id> {
    let (axes, keep) = (axes(call)?, call.flag("keepdims")?);
    let largest = reduction == Reduction::Maximum;
    let (x, there) = numbers_of(call, if largest { f32::NEG_INFINITY } else { f32::INFINITY })?;
    let extreme = call.reduce(reduction, x, axes.as_deref(), keep)?;
    let any = call.reduce(Reduction::Maximum, there, axes.as_deref(), keep)?;
    let none = call.float(f32::NAN);
    call.select(any, extreme, none)
}

/// The mean, or the mean of the squares of the distances to it, of what are numbers.
fn moments(call: &mut Call, of_squares: bool) -> Result<Id> {
    let (axes, keep) = (axes(call)?, call.flag("keepdims")?);
    let (x, there) = numbers_of(call, 0.0)?;
    let there = call.cast(there, Kind::Float)?;
    let mean = |call: &mut Call, x: Id, keep: bool| -> Result<Id> {
        let sum = call.reduce(Reduction::Sum, x, axes.as_deref(), keep)?;
        let count = call.reduce(Reduction::Sum, there, axes.as_deref(), keep)?;
        call.binary(Binary::Divide, sum, count)
    };
    if !of_squares {
        return mean(call, x, keep);
    }
    let middle = mean(call, x, true)?;
    let distance = call.binary(Binary::Subtract, x, middle)?;
    let squares = call.binary(Binary::Multiply, distance, distance)?;
    // The distance of what is no number doesn't count.
    let squares = call.binary(Binary::Multiply, squares, there)?;
    mean(call, squares, keep)
}

pub(super) fn mean(call: &mut Call) -> Result<Id> {
    moments(call, false)
}

pub(super) fn variance(call: &mut Call) -> Result<Id> {
    moments(call, true)
}

pub(super) fn deviation(call: &mut Call) -> Result<Id> {
    let variance = variance(call)?;
    call.unary(Unary::Sqrt, variance)
}

/// The area below a line through values that lie `dx` apart.
pub(super) fn trapezoid(call: &mut Call) -> Result<Id> {
    if call.get("places").is_some() {
        return call.unsupported("x", "only values at equal distances are supported");
    }
    let apart = call.number("dx", 1.0)?;
    let axis = call.int("axis")?.unwrap_or(-1);
    let x = floats(call)?;
    let (behind, before) = (call.slice(x, axis, (1, i64::MAX))?, call.slice(x, axis, (0, -1))?);
    let sums = call.binary(Binary::Add, behind, before)?;
    let sum = call.reduce(Reduction::Sum, sums, Some(&[axis]), false)?;
    call.with_number(Binary::Multiply, sum, (apart / 2.0) as f32)
}

/// TensorFlow's `nn.moments`.
pub(super) fn moments_of_tensorflow(call: &mut Call) -> Result<Vec<Id>> {
    let (axes, keep, x) = (axes(call)?, call.flag("keepdims")?, floats(call)?);
    let (mean, variance) = mean_and_variance(call, x, axes.as_deref(), keep)?;
    Ok(vec![mean, variance])
}

/// Sums or products of all numbers up to each.
pub(super) fn cumulated(call: &mut Call, products: bool) -> Result<Id> {
    let Some(axis) = call.int("axis")? else {
        return call.unsupported("axis", "give the axis");
    };
    let (x, _) = numbers_of(call, if products { 1.0 } else { 0.0 })?;
    let axis = call.computed.constant(Values::integer(axis));
    let operation = match products {
        true => Operation::CumulativeProduct { exclusive: false, reverse: false },
        false => Operation::CumulativeSum { exclusive: false, reverse: false },
    };
    let result = call.op(operation, [x, axis])?;
    match call.dtype("dtype")? {
        Some(kind) => call.cast(result, kind),
        None => Ok(result),
    }
}
