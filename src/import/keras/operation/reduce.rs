//! Operations that make one value of many.

use super::call::Call;
use super::computed::Id;
use crate::Result;
use crate::program::{Binary, Kind, Operation, Reduction, Unary, Values};

/// The axes: all where it is None.
pub(super) fn axes(call: &Call) -> Result<Option<Vec<i64>>> {
    call.ints("axis")
}

/// `x`, of numbers where it is of truth values.
fn numbers(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    if call.kind(x)? == Kind::Bool { call.cast(x, Kind::Integer) } else { Ok(x) }
}

/// `x`, of numbers that have something behind the point.
pub(super) fn floats(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    call.cast(x, Kind::Float)
}

pub(super) fn reduced(call: &mut Call, reduction: Reduction) -> Result<Id> {
    let (axes, keep, x) = (axes(call)?, call.flag("keepdims")?, numbers(call)?);
    let reduced = call.reduce(reduction, x, axes.as_deref(), keep)?;
    match call.dtype("dtype")? {
        Some(kind) => call.cast(reduced, kind),
        None => Ok(reduced),
    }
}

/// The largest or the smallest, or a value where it is larger or smaller.
pub(super) fn extreme(call: &mut Call, reduction: Reduction) -> Result<Id> {
    let extreme = reduced(call, reduction)?;
    let function = match reduction {
        Reduction::Maximum => Binary::Maximum,
        _ => Binary::Minimum,
    };
    match call.optional_array("initial")? {
        Some(initial) => call.binary(function, extreme, initial),
        None => Ok(extreme),
    }
}

pub(super) fn mean(call: &mut Call) -> Result<Id> {
    let (axes, keep, x) = (axes(call)?, call.flag("keepdims")?, floats(call)?);
    call.reduce(Reduction::Mean, x, axes.as_deref(), keep)
}

/// The mean, in which each value counts as much as its weight says.
pub(super) fn average(call: &mut Call) -> Result<Id> {
    let Some(mut weights) = call.optional_array("weights")? else { return mean(call) };
    let (axes, x) = (axes(call)?, floats(call)?);
    let rank = call.rank(x)?;
    if call.rank(weights)? != rank {
        let (&[axis], 1) = (&axes.clone().unwrap_or_default()[..], call.rank(weights)?) else {
            return call.unsupported("weights", "they have the shape of x, or of its one axis");
        };
        let axis = call.axis_of("axis", axis, rank)?;
        let behind: Vec<i64> = (1..(rank - axis) as i64).collect();
        weights = call.expanded(weights, &behind)?;
    }
    let weighted = call.binary(Binary::Multiply, x, weights)?;
    let (shape, axes) = (call.shape(x)?, axes.as_deref());
    let weights = call.op(Operation::Expand, [weights, shape])?;
    let sum = call.reduce(Reduction::Sum, weighted, axes, false)?;
    let all = call.reduce(Reduction::Sum, weights, axes, false)?;
    call.binary(Binary::Divide, sum, all)
}

/// Whether any is true, or all are.
pub(super) fn truth(call: &mut Call, reduction: Reduction) -> Result<Id> {
    let (axes, keep, x) = (axes(call)?, call.flag("keepdims")?, call.array("x")?);
    let x = call.cast(x, Kind::Bool)?;
    call.reduce(reduction, x, axes.as_deref(), keep)
}

pub(super) fn count_nonzero(call: &mut Call) -> Result<Id> {
    let (axes, keep, x) = (axes(call)?, call.flag("keepdims")?, call.array("x")?);
    let there = call.cast(x, Kind::Bool)?;
    let there = call.cast(there, Kind::Integer)?;
    call.reduce(Reduction::Sum, there, axes.as_deref(), keep)
}

/// The mean, and the mean of the squares of the distances to it.
pub(super) fn mean_and_variance(
    call: &mut Call,
    x: Id,
    axes: Option<&[i64]>,
    keep: bool,
) -> Result<(Id, Id)> {
    let mean = call.reduce(Reduction::Mean, x, axes, true)?;
    let distance = call.binary(Binary::Subtract, x, mean)?;
    let squares = call.binary(Binary::Multiply, distance, distance)?;
    let variance = call.reduce(Reduction::Mean, squares, axes, keep)?;
    let mean = if keep { mean } else { call.reduce(Reduction::Mean, x, axes, false)? };
    Ok((mean, variance))
}

pub(super) fn variance(call: &mut Call) -> Result<Id> {
    let (axes, keep, x) = (axes(call)?, call.flag("keepdims")?, floats(call)?);
    Ok(mean_and_variance(call, x, axes.as_deref(), keep)?.1)
}

pub(super) fn deviation(call: &mut Call) -> Result<Id> {
    let variance = variance(call)?;
    call.unary(Unary::Sqrt, variance)
}

pub(super) fn moments(call: &mut Call) -> Result<Vec<Id>> {
    let (axes, keep, x) = (axes(call)?, call.flag("keepdims")?, floats(call)?);
    let (mean, variance) = mean_and_variance(call, x, axes.as_deref(), keep)?;
    Ok(vec![mean, variance])
}

/// The largest without the smallest.
pub(super) fn peak_to_peak(call: &mut Call) -> Result<Id> {
    let largest = reduced(call, Reduction::Maximum)?;
    let smallest = reduced(call, Reduction::Minimum)?;
    call.binary(Binary::Subtract, largest, smallest)
}

/// `max + ln Σ exp(x - max)`, which doesn't overflow.
pub(super) fn log_sum_exp(call: &mut Call) -> Result<Id> {
    let (axes, keep, x) = (axes(call)?, call.flag("keepdims")?, floats(call)?);
    let axes = axes.as_deref();
    let largest = call.reduce(Reduction::Maximum, x, axes, true)?;
    let below = call.binary(Binary::Subtract, x, largest)?;
    let powers = call.unary(Unary::Exp, below)?;
    let sum = call.reduce(Reduction::Sum, powers, axes, true)?;
    let log = call.unary(Unary::Log, sum)?;
    let result = call.binary(Binary::Add, log, largest)?;
    // Of one value along each axis the sum is that value.
    if keep { Ok(result) } else { call.reduce(Reduction::Sum, result, axes, false) }
}

/// The place of the largest or the smallest; of all values where there is no axis.
pub(super) fn place(call: &mut Call, smallest: bool) -> Result<Id> {
    let keep = call.flag("keepdims")?;
    let mut x = call.array("x")?;
    let axis = match call.int("axis")? {
        Some(axis) => axis,
        None if keep => return call.unsupported("keepdims", "give the axis, too"),
        None => {
            let all = call.integers([-1]);
            x = call.reshape(x, all)?;
            0
        }
    };
    call.op(Operation::ArgMax { axis, keep, smallest, last: false }, [x])
}

/// The length of vectors along an axis, of a matrix along two, or of all values.
pub(super) fn norm(call: &mut Call) -> Result<Id> {
    let (axes, keep, x) = (axes(call)?, call.flag("keepdims")?, floats(call)?);
    norm_of(call, x, axes, keep)
}

fn norm_of(call: &mut Call, x: Id, axes: Option<Vec<i64>>, keep: bool) -> Result<Id> {
    let of_vectors = match &axes {
        Some(axes) => axes.len() == 1,
        None => call.rank(x)? == 1,
    };
    let order = match call.get("ord").map(|value| (value.as_str(), value)) {
        None | Some((Some("euclidean" | "fro"), _)) => 2.0,
        Some((Some("Infinity"), _)) => f64::INFINITY,
        Some((Some("-Infinity"), _)) => f64::NEG_INFINITY,
        Some((_, value)) if of_vectors => value.as_f64().unwrap_or(f64::NAN),
        Some(_) => f64::NAN,
    };
    let axes = axes.as_deref();
    if order == 2.0 {
        let sum = call.reduce(Reduction::SumOfSquares, x, axes, keep)?;
        return call.unary(Unary::Sqrt, sum);
    }
    let sizes = call.unary(Unary::Absolute, x)?;
    match order {
        1.0 if of_vectors => call.reduce(Reduction::Sum, sizes, axes, keep),
        f64::INFINITY if of_vectors => call.reduce(Reduction::Maximum, sizes, axes, keep),
        f64::NEG_INFINITY if of_vectors => call.reduce(Reduction::Minimum, sizes, axes, keep),
        _ => call.unsupported("ord", "of vectors 1, 2 and inf are supported, of matrices None"),
    }
}

/// `x / max(|x|, epsilon)` along an axis.
pub(super) fn normalized(call: &mut Call) -> Result<Id> {
    if call.int("order")?.unwrap_or(2) != 2 {
        return call.unsupported("order", "only order=2 is supported");
    }
    let epsilon = call.number("epsilon", 1e-7)? as f32;
    let axes = Some(axes(call)?.unwrap_or_else(|| vec![-1]));
    let x = floats(call)?;
    let sum = call.reduce(Reduction::SumOfSquares, x, axes.as_deref(), true)?;
    let norm = call.unary(Unary::Sqrt, sum)?;
    let norm = call.with_number(Binary::Maximum, norm, epsilon)?;
    call.binary(Binary::Divide, x, norm)
}

/// `x / √max(Σ x², epsilon)`, as TensorFlow has it.
pub(super) fn l2_normalized(call: &mut Call) -> Result<Id> {
    let epsilon = call.number("epsilon", 1e-12)? as f32;
    let (axes, x) = (axes(call)?, floats(call)?);
    let sum = call.reduce(Reduction::SumOfSquares, x, axes.as_deref(), true)?;
    let sum = call.with_number(Binary::Maximum, sum, epsilon)?;
    let norm = call.unary(Unary::Sqrt, sum)?;
    call.binary(Binary::Divide, x, norm)
}

pub(super) fn softmax(call: &mut Call, log: bool) -> Result<Id> {
    let axis = match axes(call)?.as_deref() {
        None => -1,
        Some(&[axis]) => axis,
        Some(_) => return call.unsupported("axis", "only one axis is supported"),
    };
    let x = call.array("x")?;
    call.op(Operation::Softmax { axis, log }, [x])
}

/// Sums of all values up to each.
pub(super) fn cumulative_sum(call: &mut Call) -> Result<Id> {
    let mut x = numbers(call)?;
    let axis = match call.int("axis")? {
        Some(axis) => axis,
        None => {
            let all = call.integers([-1]);
            x = call.reshape(x, all)?;
            0
        }
    };
    summed_up(call, x, axis)
}

/// As TensorFlow has it: along the first axis where there is none.
pub(super) fn cumulative_sum_of_tensorflow(call: &mut Call) -> Result<Id> {
    let (x, axis) = (numbers(call)?, call.int("axis")?.unwrap_or(0));
    summed_up(call, x, axis)
}

fn summed_up(call: &mut Call, x: Id, axis: i64) -> Result<Id> {
    let (exclusive, reverse) = (call.flag("exclusive")?, call.flag("reverse")?);
    let axis = call.computed.constant(Values::integer(axis));
    let sums = call.op(Operation::CumulativeSum { exclusive, reverse }, [x, axis])?;
    match call.dtype("dtype")? {
        Some(kind) => call.cast(sums, kind),
        None => Ok(sums),
    }
}

/// Products of all values up to each.
pub(super) fn cumulative_product(call: &mut Call) -> Result<Id> {
    let (exclusive, reverse) = (call.flag("exclusive")?, call.flag("reverse")?);
    let x = numbers(call)?;
    let Some(axis) = call.int("axis")? else {
        return call.unsupported("axis", "give the axis");
    };
    let axis = call.computed.constant(Values::integer(axis));
    call.op(Operation::CumulativeProduct { exclusive, reverse }, [x, axis])
}

/// `gamma · (x - mean) / √(variance + epsilon) + beta`
pub(super) fn layer_normalized(call: &mut Call) -> Result<Id> {
    if call.flag("rms_scaling")? {
        return call.unsupported("rms_scaling", "use the layer RMSNormalization");
    }
    let epsilon = call.number("epsilon", 1e-7)? as f32;
    let axes = axes(call)?.unwrap_or_else(|| vec![-1]);
    let x = floats(call)?;
    let of_axes = call.integers(axes.iter().copied());
    let mut result = call.op(Operation::Standardize { epsilon }, [x, of_axes])?;
    let is_last = axes == [-1] || axes == [call.rank(x)? as i64 - 1];
    for (name, function) in [("gamma", Binary::Multiply), ("beta", Binary::Add)] {
        let Some(array) = call.optional_array(name)? else { continue };
        if !is_last && call.rank(array)? != call.rank(x)? {
            return call.unsupported(name, "along other axes than the last it needs all axes");
        }
        result = call.binary(function, result, array)?;
    }
    Ok(result)
}

/// `x / √(mean of squares + epsilon)`
pub(super) fn rms_normalized(call: &mut Call) -> Result<Id> {
    let epsilon = call.number("epsilon", 1e-7)? as f32;
    let axes = axes(call)?.unwrap_or_else(|| vec![-1]);
    let x = floats(call)?;
    let squares = call.binary(Binary::Multiply, x, x)?;
    let mean = call.reduce(Reduction::Mean, squares, Some(&axes), true)?;
    let mean = call.with_number(Binary::Add, mean, epsilon)?;
    let root = call.unary(Unary::Sqrt, mean)?;
    let result = call.binary(Binary::Divide, x, root)?;
    match call.optional_array("scale")? {
        Some(scale) => call.binary(Binary::Multiply, result, scale),
        None => Ok(result),
    }
}

/// `scale · (x - mean) / √(variance + epsilon) + offset`, each along an axis.
pub(super) fn batch_normalized(call: &mut Call) -> Result<Id> {
    let epsilon = call.number("epsilon", 1e-3)? as f32;
    let x = call.array("x")?;
    let rank = call.rank(x)?;
    let axis = call.int("axis")?.unwrap_or(-1);
    let axis = call.axis_of("axis", axis, rank)?;
    let behind: Vec<i64> = (1..(rank - axis) as i64).collect();
    let along = |call: &mut Call, name: &str| match call.optional_array(name)? {
        Some(array) => call.expanded(array, &behind).map(Some),
        None => Ok(None),
    };
    let (Some(mean), Some(variance)) = (along(call, "mean")?, along(call, "variance")?) else {
        return call.wrong("mean", "and variance have to be there");
    };
    let distance = call.binary(Binary::Subtract, x, mean)?;
    let variance = call.with_number(Binary::Add, variance, epsilon)?;
    let root = call.unary(Unary::Sqrt, variance)?;
    let mut result = call.binary(Binary::Divide, distance, root)?;
    if let Some(scale) = along(call, "scale")? {
        result = call.binary(Binary::Multiply, result, scale)?;
    }
    match along(call, "offset")? {
        Some(offset) => call.binary(Binary::Add, result, offset),
        None => Ok(result),
    }
}
