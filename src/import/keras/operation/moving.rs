//! Operations that only move values.

use super::call::Call;
use super::computed::Id;
use crate::Result;
use crate::program::{Binary, Kind, Operation, PadMode, Reduction, Values};
use serde_json::Value;

/// As it is, but without the mask of an array.
pub(super) fn identity(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    call.op(Operation::CastLike, [x, x])
}

/// As it is, or as numbers of another kind.
pub(super) fn converted(call: &mut Call) -> Result<Id> {
    match call.dtype("dtype")? {
        Some(_) => super::numbers::cast(call),
        None => identity(call),
    }
}

pub(super) fn expand_dims(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    match call.ints("axis")? {
        Some(axes) => call.expanded(x, &axes),
        None => call.wrong("axis", "is missing"),
    }
}

pub(super) fn squeeze(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    match call.ints("axis")?.filter(|axes| !axes.is_empty()) {
        Some(axes) => call.squeezed(x, &axes),
        None => call.op(Operation::Squeeze, [x]),
    }
}

pub(super) fn reshape(call: &mut Call) -> Result<Id> {
    let (x, shape) = (call.array("x")?, shape(call)?);
    call.reshape(x, shape)
}

/// A shape: numbers, some of which may be computed; one alone is that of one axis.
pub(super) fn shape(call: &mut Call) -> Result<Id> {
    let shape = call.array("shape")?;
    match call.rank(shape)? {
        0 => call.expanded(shape, &[0]),
        _ => Ok(shape),
    }
}

pub(super) fn ravel(call: &mut Call) -> Result<Id> {
    let (x, all) = (call.array("x")?, call.integers([-1]));
    call.reshape(x, all)
}

pub(super) fn transpose(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    let mut order = Vec::new();
    if let Some(axes) = call.ints("axes")? {
        for &axis in &axes {
            order.push(call.axis_of("axes", axis, axes.len())?);
        }
    }
    call.op(Operation::Transpose { order }, [x])
}

pub(super) fn swap_axes(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    let rank = call.rank(x)?;
    let (one, other) = (call.required_int("axis1")?, call.required_int("axis2")?);
    let one = call.axis_of("axis1", one, rank)?;
    let other = call.axis_of("axis2", other, rank)?;
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(one, other);
    call.op(Operation::Transpose { order }, [x])
}

/// Some axes to other places; the others stay in their order.
pub(super) fn move_axes(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    let rank = call.rank(x)?;
    let (Some(from), Some(to)) = (call.ints("source")?, call.ints("destination")?) else {
        return call.wrong("source", "and destination have to be there");
    };
    if from.len() != to.len() {
        return call.wrong("destination", "are as many as the axes");
    }
    let mut places = vec![None; rank];
    let mut moved = vec![false; rank];
    for (&from, &to) in from.iter().zip(&to) {
        let (from, to) =
            (call.axis_of("source", from, rank)?, call.axis_of("destination", to, rank)?);
        if std::mem::replace(&mut moved[from], true) || places[to].replace(from).is_some() {
            return call.wrong("source", "has an axis twice");
        }
    }
    let mut others = (0..rank).filter(|axis| !moved[*axis]);
    let order = places.into_iter().filter_map(|place| place.or_else(|| others.next())).collect();
    call.op(Operation::Transpose { order }, [x])
}

/// Axes in the other direction; all where there is no axis.
pub(super) fn flip(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    let axes = match call.ints("axis")? {
        Some(axes) => axes,
        None => (0..call.rank(x)? as i64).collect(),
    };
    flipped(call, x, axes)
}

fn flipped(call: &mut Call, x: Id, axes: Vec<i64>) -> Result<Id> {
    let count = axes.len();
    let starts = call.integers(vec![-1; count]);
    let ends = call.integers(vec![i64::MIN; count]);
    let axes = call.integers(axes);
    let steps = call.integers(vec![-1; count]);
    call.op(Operation::Slice, [x, starts, ends, axes, steps])
}

/// Each index of an axis several times, all as often or each as often as a list says.
pub(super) fn repeat(call: &mut Call) -> Result<Id> {
    let mut x = call.array("x")?;
    let axis = match call.int("axis")? {
        Some(axis) => axis,
        None => {
            let all = call.integers([-1]);
            x = call.reshape(x, all)?;
            0
        }
    };
    let rank = call.rank(x)?;
    let axis = call.axis_of("axis", axis, rank)?;
    let Some(repeats) = call.ints("repeats")? else { return call.wrong("repeats", "is missing") };
    match repeats[..] {
        [times] => {
            // [n] as [n, 1], repeated to [n, times], as [n · times].
            let longer = call.expanded(x, &[axis as i64 + 1])?;
            let mut tiles = vec![1; rank + 1];
            tiles[axis + 1] = times;
            let tiles = call.integers(tiles);
            let tiled = call.op(Operation::Tile, [longer, tiles])?;
            let shape = call.shape(x)?;
            let before = call.slice(shape, 0, (0, axis as i64))?;
            let behind = call.slice(shape, 0, (axis as i64 + 1, i64::MAX))?;
            let rest = call.integers([-1]);
            let shape = call.concat(0, vec![before, rest, behind])?;
            call.reshape(tiled, shape)
        }
        _ => {
            let most: i64 = repeats.iter().fold(0, |sum, &times| times.saturating_add(sum));
            if repeats.iter().any(|&times| times < 0) || most > 1 << 16 {
                return call.wrong("repeats", "is negative, or too often");
            }
            let places = repeats.iter().enumerate();
            let places: Vec<i64> =
                places.flat_map(|(i, &times)| vec![i as i64; times as usize]).collect();
            let places = call.integers(places);
            call.op(Operation::Take { axis: axis as i64 }, [x, places])
        }
    }
}

/// With fewer numbers than axes the first ones stay.
pub(super) fn tile(call: &mut Call) -> Result<Id> {
    let mut x = call.array("x")?;
    let Some(mut repeats) = call.ints("repeats")? else {
        let repeats = call.array("repeats")?;
        return call.op(Operation::Tile, [x, repeats]);
    };
    let rank = call.rank(x)?;
    if repeats.len() > rank {
        let new: Vec<i64> = (0..(repeats.len() - rank) as i64).collect();
        x = call.expanded(x, &new)?;
    }
    while repeats.len() < rank {
        repeats.insert(0, 1);
    }
    let repeats = call.integers(repeats);
    call.op(Operation::Tile, [x, repeats])
}

/// Each axis by so many places, what leaves one end comes back at the other.
pub(super) fn roll(call: &mut Call) -> Result<Id> {
    let mut x = call.array("x")?;
    let Some(shifts) = call.ints("shift")? else { return call.wrong("shift", "is missing") };
    let Some(axes) = call.ints("axis")? else {
        let shape = call.shape(x)?;
        let all = call.integers([-1]);
        let flat = call.reshape(x, all)?;
        let rolled = rolled(call, flat, 0, shifts.iter().fold(0, |a, &b| b.saturating_add(a)))?;
        return call.reshape(rolled, shape);
    };
    if shifts.len() != 1 && shifts.len() != axes.len() {
        return call.wrong("shift", "are as many as the axes");
    }
    for (index, &axis) in axes.iter().enumerate() {
        x = rolled(call, x, axis, shifts[index.min(shifts.len() - 1)])?;
    }
    Ok(x)
}

/// Place i is what was at `(i - shift) mod n`.
fn rolled(call: &mut Call, x: Id, axis: i64, shift: i64) -> Result<Id> {
    let length = call.length(x, axis)?;
    let places = call.range(length)?;
    let shift = call.computed.constant(Values::integer(shift));
    let places = call.binary(Binary::Subtract, places, shift)?;
    let places = call.binary(Binary::Modulo, places, length)?;
    call.op(Operation::Take { axis }, [x, places])
}

/// Equal parts, or parts that begin at places.
pub(super) fn split(call: &mut Call, axis: Option<i64>) -> Result<Vec<Id>> {
    let axis = axis.map_or_else(|| call.int("axis"), |axis| Ok(Some(axis)))?.unwrap_or(0);
    let x = call.array("x")?;
    let value = call.get("sections");
    match call.ints("sections")? {
        Some(sections) if value.is_some_and(Value::is_array) => {
            check_parts(call, "sections", sections.len() + 1)?;
            let starts = [&[0], &sections[..]].concat();
            let ends = [&sections[..], &[i64::MAX]].concat();
            starts.into_iter().zip(ends).map(|range| call.slice(x, axis, range)).collect()
        }
        Some(sections) => equal_parts(call, "sections", x, axis, sections[0]),
        None => call.wrong("sections", "is missing"),
    }
}

fn check_parts(call: &Call, name: &str, parts: usize) -> Result<()> {
    const MOST: usize = 1 << 12;
    if parts == 0 || parts > MOST {
        return call.wrong(name, format!("{parts} parts; 1 to {MOST} are supported"));
    }
    Ok(())
}

fn equal_parts(call: &mut Call, name: &str, x: Id, axis: i64, parts: i64) -> Result<Vec<Id>> {
    let parts = usize::try_from(parts).unwrap_or(0);
    check_parts(call, name, parts)?;
    let axes = call.axes(x)?;
    let place = call.axis_of("axis", axis, axes.len())?;
    if axes[place].is_some_and(|length| length % parts != 0) {
        return call.wrong(name, format!("{parts} parts of {axes:?} along axis {axis}"));
    }
    call.all(Operation::Split { axis, parts }, [x])
}

/// As TensorFlow has it: equal parts, or the length of each, of which one may be -1.
pub(super) fn split_by_lengths(call: &mut Call) -> Result<Vec<Id>> {
    let axis = call.int("axis")?.unwrap_or(0);
    let x = call.array("x")?;
    let is_list = call.get("lengths").is_some_and(Value::is_array);
    let Some(lengths) = call.ints("lengths")? else { return call.wrong("lengths", "is missing") };
    if !is_list {
        return equal_parts(call, "lengths", x, axis, lengths[0]);
    }
    check_parts(call, "lengths", lengths.len())?;
    let open = lengths.iter().position(|&length| length == -1);
    let mut parts = Vec::with_capacity(lengths.len());
    let mut start = 0i64;
    for (index, &length) in lengths.iter().enumerate() {
        if length < -1 || length == -1 && open != Some(index) {
            return call.wrong("lengths", format!("{lengths:?} are no lengths"));
        }
        let behind = lengths[index + 1..].iter().fold(0i64, |sum, &n| sum.saturating_add(n));
        let from_end = |places: i64| if places == 0 { i64::MAX } else { -places };
        let range = match open {
            Some(open) if open == index => (start, from_end(behind)),
            Some(open) if open < index => (-(behind.saturating_add(length)), from_end(behind)),
            _ => (start, start.saturating_add(length)),
        };
        let part = if length == 0 { (0, 0) } else { range };
        parts.push(call.slice(x, axis, part)?);
        start = start.saturating_add(length);
    }
    Ok(parts)
}

pub(super) fn stack(call: &mut Call) -> Result<Id> {
    let axis = call.int("axis")?.unwrap_or(0);
    let mut parts = Vec::new();
    for part in call.arrays("x")? {
        parts.push(call.expanded(part, &[axis])?);
    }
    call.concat(axis, parts)
}

/// Each index of an axis by itself.
pub(super) fn unstack(call: &mut Call) -> Result<Vec<Id>> {
    let axis = call.int("axis")?.unwrap_or(0);
    let x = call.array("x")?;
    let axes = call.axes(x)?;
    let place = call.axis_of("axis", axis, axes.len())?;
    let count = match call.int("num")?.map(usize::try_from) {
        Some(count) => count.ok(),
        None => axes[place],
    };
    let Some(count) = count else {
        return call.wrong("num", "is missing, and the axis has no fixed length");
    };
    check_parts(call, "num", count)?;
    let parts = call.all(Operation::Split { axis, parts: count }, [x])?;
    parts.into_iter().map(|part| call.squeezed(part, &[axis])).collect()
}

pub(super) fn concatenate(call: &mut Call, default: i64) -> Result<Id> {
    let axis = call.int("axis")?.unwrap_or(default);
    let parts = call.arrays("x")?;
    call.concat(axis, parts)
}

/// Along the features of vectors, or the second axis.
pub(super) fn hstack(call: &mut Call) -> Result<Id> {
    let parts = call.arrays("x")?;
    let axis = if call.rank(parts[0])? < 2 { 0 } else { 1 };
    call.concat(axis, parts)
}

pub(super) fn append(call: &mut Call) -> Result<Id> {
    let Some(axis) = call.int("axis")? else { return call.wrong("axis", "is missing") };
    let parts = vec![call.array("x")?, call.array("y")?];
    call.concat(axis, parts)
}

pub(super) fn broadcast_to(call: &mut Call) -> Result<Id> {
    let (x, shape) = (call.array("x")?, shape(call)?);
    call.op(Operation::Expand, [x, shape])
}

/// One number of places around all axes, or two, or two for each.
pub(super) fn pad(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    let rank = call.rank(x)?;
    let mode = call.text("mode")?.unwrap_or("constant").to_ascii_lowercase();
    let mode = match &mode[..] {
        "constant" => PadMode::Constant,
        "reflect" => PadMode::Reflect,
        "edge" => PadMode::Edge,
        "wrap" => PadMode::Wrap,
        _ => return call.unsupported("mode", "constant, reflect, edge and wrap are supported"),
    };
    let Some(width) = call.get("width") else { return call.wrong("width", "is missing") };
    let number = |value: &Value| value.as_i64().filter(|n| (0..1 << 31).contains(n));
    let pair = |value: &Value| match value.as_array().map(Vec::as_slice) {
        Some([before, after]) => number(before).zip(number(after)),
        Some([both]) => number(both).map(|n| (n, n)),
        _ => None,
    };
    let widths: Option<Vec<(i64, i64)>> = match (number(width), pair(width), width) {
        (Some(all), _, _) => Some(vec![(all, all); rank]),
        (_, Some(all), _) => Some(vec![all; rank]),
        (.., Value::Array(items)) => items.iter().map(pair).collect(),
        _ => None,
    };
    let widths = match widths {
        Some(widths) if widths.len() == 1 => vec![widths[0]; rank],
        Some(widths) if widths.len() == rank => widths,
        _ => return call.wrong("width", format!("isn't one of an array of {rank} axes")),
    };
    let (before, after): (Vec<i64>, Vec<i64>) = widths.into_iter().unzip();
    let sides = call.integers([before, after].concat());
    let value = call.optional_array("value")?;
    call.op(Operation::Pad(mode), [Some(x), Some(sides), value])
}

/// What lies on one side of a diagonal.
pub(super) fn triangle(call: &mut Call, upper: bool) -> Result<Id> {
    let x = call.array("x")?;
    let diagonal = call.int("k")?.unwrap_or(0);
    let diagonal = call.computed.constant(Values::integer(diagonal));
    call.op(Operation::Triangle { upper }, [x, diagonal])
}

/// What lies around the diagonal; a negative number keeps all of a side.
pub(super) fn band(call: &mut Call) -> Result<Id> {
    let mut x = call.array("x")?;
    let (below, above) = (call.required_int("below")?, call.required_int("above")?);
    for (count, upper) in [(below, true), (above, false)] {
        if count >= 0 {
            let diagonal = if upper { -count } else { count };
            let diagonal = call.computed.constant(Values::integer(diagonal));
            x = call.op(Operation::Triangle { upper }, [x, diagonal])?;
        }
    }
    Ok(x)
}

/// Differences of neighbours along an axis, so many times.
pub(super) fn differences(call: &mut Call) -> Result<Id> {
    const MOST: i64 = 16;
    let (axis, times) = (call.int("axis")?.unwrap_or(-1), call.int("n")?.unwrap_or(1));
    if !(0..=MOST).contains(&times) {
        return call.wrong("n", format!("{times} times; at most {MOST} are supported"));
    }
    let mut x = call.array("x")?;
    for _ in 0..times {
        let (behind, before) = (call.slice(x, axis, (1, i64::MAX))?, call.slice(x, axis, (0, -1))?);
        x = call.binary(Binary::Subtract, behind, before)?;
    }
    Ok(x)
}

pub(super) fn shape_of(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    call.shape(x)
}

/// How many values there are.
pub(super) fn size(call: &mut Call) -> Result<Id> {
    let shape = shape_of(call)?;
    call.reduce(Reduction::Product, shape, None, false)
}

pub(super) fn rank(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    let rank = call.rank(x)? as i64;
    Ok(call.computed.constant(Values::integer(rank)))
}

/// For each length how many places of the first ones are true.
pub(super) fn sequence_mask(call: &mut Call) -> Result<Id> {
    let lengths = call.array("x")?;
    let Some(most) = call.optional_array("maxlen")? else {
        return call.wrong("maxlen", "is missing: the shape would depend on values");
    };
    let places = call.range(most)?;
    let lengths = call.expanded(lengths, &[-1])?;
    let mask = call.binary(Binary::Less, places, lengths)?;
    call.cast(mask, call.dtype("dtype")?.unwrap_or(Kind::Bool))
}

/// A flip along one axis.
pub(super) fn flip_along(call: &mut Call, axis: i64) -> Result<Id> {
    let x = call.array("x")?;
    flipped(call, x, vec![axis])
}

/// Quarter turns in the plane of two axes, from the first to the second.
pub(super) fn quarter_turns(call: &mut Call) -> Result<Id> {
    let turns = call.int("k")?.unwrap_or(1).rem_euclid(4);
    let x = call.array("x")?;
    let rank = call.rank(x)?;
    let axes = call.ints("axes")?.unwrap_or_else(|| vec![0, 1]);
    let &[from, to] = &axes[..] else { return call.wrong("axes", "aren't two") };
    let (from, to) = (call.axis_of("axes", from, rank)?, call.axis_of("axes", to, rank)?);
    if from == to {
        return call.wrong("axes", "are the same");
    }
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(from, to);
    match turns {
        0 => identity(call),
        2 => flipped(call, x, vec![from as i64, to as i64]),
        1 => {
            let turned = flipped(call, x, vec![to as i64])?;
            call.op(Operation::Transpose { order }, [turned])
        }
        _ => {
            let turned = call.op(Operation::Transpose { order }, [x])?;
            flipped(call, turned, vec![to as i64])
        }
    }
}

/// Along axis 2, which arrays of fewer axes get.
pub(super) fn dstack(call: &mut Call) -> Result<Id> {
    let mut parts = Vec::new();
    for part in call.arrays("x")? {
        parts.push(match call.rank(part)? {
            0 => call.expanded(part, &[0, 1, 2])?,
            1 => call.expanded(part, &[0, 2])?,
            2 => call.expanded(part, &[2])?,
            _ => part,
        });
    }
    call.concat(2, parts)
}

/// As [`split`], where parts needn't be equally long: the first ones are longer by one.
pub(super) fn array_split(call: &mut Call) -> Result<Vec<Id>> {
    let axis = call.int("axis")?.unwrap_or(0);
    let is_list = call.get("sections").is_some_and(Value::is_array);
    let Some(count) = call.int_unless("sections", is_list)? else { return split(call, None) };
    let x = call.array("x")?;
    let axes = call.axes(x)?;
    let Some(length) = axes[call.axis_of("axis", axis, axes.len())?] else {
        return split(call, None);
    };
    check_parts(call, "sections", usize::try_from(count).unwrap_or(0))?;
    let (length, mut start) = (length as i64, 0);
    let mut parts = Vec::new();
    for part in 0..count {
        let end = start + length / count + i64::from(part < length % count);
        parts.push(call.slice(x, axis, (start, end))?);
        start = end;
    }
    Ok(parts)
}

/// The two axes of matrices as the last ones, and their lengths.
fn matrices(call: &mut Call) -> Result<(Id, [usize; 2])> {
    let x = call.array("x")?;
    let axes = call.axes(x)?;
    let (row, column) = (call.int("axis1")?.unwrap_or(0), call.int("axis2")?.unwrap_or(1));
    let row = call.axis_of("axis1", row, axes.len())?;
    let column = call.axis_of("axis2", column, axes.len())?;
    let (Some(rows), Some(columns)) = (axes[row], axes[column]) else {
        return call.unsupported("axis1", "the axes of matrices need fixed lengths");
    };
    if row == column {
        return call.wrong("axis2", "is the same axis");
    }
    let others = (0..axes.len()).filter(|&axis| axis != row && axis != column);
    let order = others.chain([row, column]).collect();
    Ok((call.op(Operation::Transpose { order }, [x])?, [rows, columns]))
}

/// What stands on a diagonal of matrices, as the last axis.
pub(super) fn diagonal(call: &mut Call) -> Result<Id> {
    let offset = call.int("offset")?.unwrap_or(0);
    let (x, [rows, columns]) = matrices(call)?;
    let (rows, columns) = (rows as i64, columns as i64);
    let (below, above) = (offset.min(0).saturating_neg(), offset.max(0));
    let count = (rows - below).min(columns - above);
    if count < 1 {
        return call
            .wrong("offset", format!("{offset} is outside of {rows} rows and {columns} columns"));
    }
    let shape = call.shape(x)?;
    let outer = call.slice(shape, 0, (0, -2))?;
    let flat = call.integers([-1]);
    let shape = call.concat(0, vec![outer, flat])?;
    let flat = call.reshape(x, shape)?;
    let places = (0..count).map(|index| (below + index) * columns + above + index);
    let places = call.integers(places);
    call.op(Operation::Take { axis: -1 }, [flat, places])
}

pub(super) fn trace(call: &mut Call) -> Result<Id> {
    let diagonal = diagonal(call)?;
    call.reduce(Reduction::Sum, diagonal, Some(&[-1]), false)
}

/// So many values along the last axis, again and again from so many further on, as two axes.
pub(super) fn sequences(call: &mut Call) -> Result<Id> {
    const MOST: i64 = 1 << 20;
    let (length, stride) = (call.required_int("length")?, call.required_int("stride")?);
    let x = call.array("x")?;
    let Some(all) = call.axes(x)?.last().copied().flatten() else {
        return call.unsupported("length", "the axis needs a fixed length");
    };
    let all = all as i64;
    if length < 1 || stride < 1 || length > all {
        return call.wrong("length", format!("{length}, every {stride}, of {all} values"));
    }
    let count = (all - length) / stride + 1;
    if count.saturating_mul(length) > MOST {
        return call.wrong("length", format!("{count} sequences of {length}"));
    }
    let places = (0..count).flat_map(|part| (0..length).map(move |index| part * stride + index));
    let places =
        ndarray::Array2::from_shape_vec((count as usize, length as usize), places.collect());
    let Ok(places) = places else { return call.wrong("length", "can't be") };
    let places = call.computed.constant(Values::Integers(places.into_dyn()));
    call.op(Operation::Take { axis: -1 }, [x, places])
}
