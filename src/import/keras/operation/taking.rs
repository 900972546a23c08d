//! Operations that take values by their places, or put others in their place.

use super::call::Call;
use super::computed::Id;
use super::moving;
use crate::Result;
use crate::program::{Binary, Kind, Operation, PadMode, Reduction, Values};
use serde_json::Value;

/// One of the indices between the brackets of `x[…]`.
enum Index<'a> {
    /// A place, which takes the axis away.
    Place(&'a Value),
    /// From, to, in steps of.
    Slice([&'a Value; 3]),
    /// A new axis.
    New,
    /// Several places.
    Places(Id),
    /// All axes that the others leave.
    Rest,
}

/// `x[…]`
pub(super) fn get_item(call: &mut Call) -> Result<Id> {
    let mut x = call.array("x")?;
    let key = call.arguments.iter().find(|(name, _)| *name == "key");
    let Some(&(_, key)) = key else { return call.wrong("key", "is missing") };
    call.seen.borrow_mut().insert("key".to_string());
    let items: Vec<&Value> = match key {
        Value::Array(items) if call.array_at(key).is_none() => items.iter().collect(),
        key => vec![key],
    };
    let indices = items.into_iter().map(|item| index(call, item)).collect::<Result<Vec<_>>>()?;
    let rank = call.rank(x)?;
    let named = |index: &&Index| !matches!(index, Index::New | Index::Rest);
    let used = indices.iter().filter(named).count();
    if used > rank || indices.iter().filter(|index| matches!(index, Index::Rest)).count() > 1 {
        return call.wrong("key", format!("{used} indices of an array of {rank} axes"));
    }
    let places = indices.iter().filter(|index| matches!(index, Index::Places(_))).count();
    if places > 1 || places == 1 && indices.iter().any(|i| matches!(i, Index::Place(_))) {
        return call.unsupported("key", "places of several axes; take them one after another");
    }
    // Of the axes of x: the slices, and the places that one is taken at. Of the result: the axes
    // that go and that are new.
    let (mut axis, mut result_axis) = (0i64, 0i64);
    let mut slices: [Vec<Id>; 4] = Default::default();
    let (mut gone, mut new, mut taken) = (Vec::new(), Vec::new(), None);
    for index in indices {
        match index {
            Index::New => {
                new.push(result_axis);
                result_axis += 1;
                continue;
            }
            Index::Rest => {
                axis += (rank - used) as i64;
                result_axis += (rank - used) as i64;
                continue;
            }
            Index::Slice(parts) => {
                if let Some(bounds) = bounds(call, parts)? {
                    let axis = call.integers([axis]);
                    let [start, end, step] = bounds;
                    slices.iter_mut().zip([start, end, axis, step]).for_each(|(s, id)| s.push(id));
                }
                result_axis += 1;
            }
            Index::Place(place) => {
                let start = scalar(call, place)?;
                let end = one_behind(call, place, start)?;
                let (axis_id, step) = (call.integers([axis]), call.integers([1]));
                slices.iter_mut().zip([start, end, axis_id, step]).for_each(|(s, id)| s.push(id));
                gone.push(axis);
            }
            Index::Places(ids) => {
                let of_ids = call.rank(ids)? as i64;
                taken = Some((axis, ids));
                result_axis += of_ids;
            }
        }
        axis += 1;
    }
    if !slices[0].is_empty() {
        let lists = slices.into_iter().map(|list| call.concat(0, list));
        let lists = lists.collect::<Result<Vec<_>>>()?;
        x = call.op(Operation::Slice, [x].into_iter().chain(lists))?;
    }
    if let Some((axis, ids)) = taken {
        x = call.op(Operation::Take { axis }, [x, ids])?;
    }
    if !gone.is_empty() {
        x = call.squeezed(x, &gone)?;
    }
    if new.is_empty() { Ok(x) } else { call.expanded(x, &new) }
}

fn index<'a>(call: &mut Call<'_, 'a>, item: &'a Value) -> Result<Index<'a>> {
    if let Some(id) = call.array_at(item) {
        if call.kind(id)? == Kind::Bool {
            return call.unsupported("key", "how many values a mask takes depends on its values");
        }
        return Ok(if call.rank(id)? == 0 { Index::Place(item) } else { Index::Places(id) });
    }
    const PARTS: [&str; 3] = ["start", "stop", "step"];
    match item {
        Value::Null => Ok(Index::New),
        Value::Number(_) => Ok(Index::Place(item)),
        Value::Array(_) => Ok(Index::Places(call.array_of("key", item)?)),
        Value::Object(object) => {
            let class = object.get("class_name").and_then(Value::as_str);
            let parts = match class {
                Some("__ellipsis__") => return Ok(Index::Rest),
                Some("__slice__" | "slice") => object.get("config").and_then(Value::as_object),
                Some("__numpy__" | "__tensor__") => {
                    let id = call.array_of("key", item)?;
                    let is_place = call.rank(id)? == 0;
                    return Ok(if is_place { Index::Place(item) } else { Index::Places(id) });
                }
                Some(_) => None,
                None => Some(object),
            };
            match parts {
                Some(parts) => {
                    Ok(Index::Slice(PARTS.map(|part| parts.get(part).unwrap_or(&Value::Null))))
                }
                None => call.wrong("key", "holds something that is no index"),
            }
        }
        _ => call.wrong("key", "holds something that is no index"),
    }
}

/// A number of the file or a computed one, as a list of one.
fn scalar<'a>(call: &mut Call<'_, 'a>, value: &'a Value) -> Result<Id> {
    let id = call.array_of("key", value)?;
    let id = call.cast(id, Kind::Integer)?;
    let one = call.integers([1]);
    call.reshape(id, one)
}

/// The end of a slice of one place; -1 is the last.
fn one_behind(call: &mut Call, place: &Value, start: Id) -> Result<Id> {
    match place.as_i64() {
        Some(-1) => Ok(call.integers([i64::MAX])),
        Some(place) => Ok(call.integers([place.saturating_add(1)])),
        None => {
            let one = call.integers([1]);
            call.binary(Binary::Add, start, one)
        }
    }
}

/// Where a slice begins and ends, and its step; `None` where it is all of the axis.
fn bounds<'a>(call: &mut Call<'_, 'a>, parts: [&'a Value; 3]) -> Result<Option<[Id; 3]>> {
    if parts.iter().all(|part| part.is_null()) {
        return Ok(None);
    }
    let backwards = parts[2].as_i64().is_some_and(|step| step < 0);
    let defaults = if backwards { [-1, i64::MIN, -1] } else { [0, i64::MAX, 1] };
    let mut ids = Vec::with_capacity(3);
    for (part, default) in parts.into_iter().zip(defaults) {
        ids.push(match part {
            Value::Null => call.integers([default]),
            part => scalar(call, part)?,
        });
    }
    Ok(Some([ids[0], ids[1], ids[2]]))
}

/// Of an axis the places that indices say; of all values where there is no axis.
pub(super) fn take(call: &mut Call) -> Result<Id> {
    let (mut x, indices) = (call.array("x")?, call.array("indices")?);
    let axis = match call.int("axis")? {
        Some(axis) => axis,
        None => {
            let all = call.integers([-1]);
            x = call.reshape(x, all)?;
            0
        }
    };
    let indices = call.cast(indices, Kind::Integer)?;
    call.op(Operation::Take { axis }, [x, indices])
}

pub(super) fn take_along(call: &mut Call) -> Result<Id> {
    let (x, indices) = (call.array("x")?, call.array("indices")?);
    let Some(axis) = call.int("axis")? else { return call.wrong("axis", "is missing") };
    let rank = call.rank(x)?;
    let axis = call.axis_of("axis", axis, rank)? as i64;
    // The other axes are repeated to those of x.
    let shape = call.shape(x)?;
    let before = call.slice(shape, 0, (0, axis))?;
    let behind = call.slice(shape, 0, (axis + 1, i64::MAX))?;
    let one = call.integers([1]);
    let shape = call.concat(0, vec![before, one, behind])?;
    let indices = call.op(Operation::Expand, [indices, shape])?;
    call.op(Operation::TakeAlong { axis }, [x, indices])
}

/// TensorFlow's `gather`, whose first axes can be those of a batch.
pub(super) fn gather(call: &mut Call) -> Result<Id> {
    let (x, indices) = (call.array("x")?, call.array("indices")?);
    let batch = call.int("batch_dims")?.unwrap_or(0);
    let axis = call.int("axis")?.unwrap_or(batch);
    match usize::try_from(batch) {
        Ok(0) => call.op(Operation::Take { axis }, [x, indices]),
        Ok(batch_axes) if axis == batch => {
            let places = call.expanded(indices, &[-1])?;
            call.op(Operation::TakeNd { batch_axes }, [x, places])
        }
        _ => call.unsupported("batch_dims", "the axis has to be the first one behind these"),
    }
}

/// The values at places, whose last axis has an index for each axis.
pub(super) fn gather_nd(call: &mut Call) -> Result<Id> {
    let (x, indices) = (call.array("x")?, call.array("indices")?);
    match usize::try_from(call.int("batch_dims")?.unwrap_or(0)) {
        Ok(batch_axes) => call.op(Operation::TakeNd { batch_axes }, [x, indices]),
        Err(_) => call.unsupported("batch_dims", "it counts from the first axis"),
    }
}

/// Of each row the first so many timesteps in the other direction.
pub(super) fn reverse_sequence(call: &mut Call) -> Result<Id> {
    let (x, lengths) = (call.array("x")?, call.array("lengths")?);
    let of = |call: &Call, name: &str, other: &str| match call.int(name)? {
        Some(axis) => Ok::<_, crate::Error>(Some(axis)),
        None => call.int(other),
    };
    if of(call, "seq_axis", "seq_dim")? != Some(1)
        || of(call, "batch_axis", "batch_dim")?.unwrap_or(0) != 0
    {
        return call.unsupported("seq_axis", "only 1 is supported, with the batch as axis 0");
    }
    let count = call.length(x, 1)?;
    let places = call.range(count)?;
    let lengths = call.expanded(lengths, &[1])?;
    let reversed = call.binary(Binary::Subtract, lengths, places)?;
    let one = call.computed.constant(Values::integer(1));
    let reversed = call.binary(Binary::Subtract, reversed, one)?;
    let inside = call.binary(Binary::Less, places, lengths)?;
    let places = call.select(inside, reversed, places)?;
    let places = call.expanded(places, &[-1])?;
    call.op(Operation::TakeNd { batch_axes: 1 }, [x, places])
}

/// From places on as many as a shape says; -1 is all that are left.
pub(super) fn slice(call: &mut Call) -> Result<Id> {
    let (x, starts) = (call.array("x")?, call.array("starts")?);
    let Some(shape) = call.ints("shape")? else { return call.wrong("shape", "is missing") };
    let lengths = call.integers(shape.iter().map(|&length| if length == -1 { 0 } else { length }));
    let ends = call.binary(Binary::Add, starts, lengths)?;
    let open: Vec<bool> = shape.iter().map(|&length| length == -1).collect();
    let count = open.len();
    let open = Values::Bools(ndarray::Array1::from(open).into_dyn());
    let open = call.computed.constant(open);
    let end = call.integers(vec![i64::MAX; count]);
    let ends = call.select(open, end, ends)?;
    call.op(Operation::Slice, [x, starts, ends])
}

/// 1 at the place that each number says, along a new axis.
pub(super) fn one_hot(call: &mut Call) -> Result<Id> {
    const MOST: i64 = 1 << 15;
    let x = call.array("x")?;
    let classes = call.required_int("classes")?;
    if !(1..=MOST).contains(&classes) {
        return call.wrong("classes", format!("{classes} isn't from 1 to {MOST}"));
    }
    let axis = call.int("axis")?.unwrap_or(-1);
    let classes = call.computed.constant(Values::integer(classes));
    let numbers = call.range(classes)?;
    let x = call.expanded(x, &[-1])?;
    let mut hot = call.binary(Binary::Equal, x, numbers)?;
    let (on, off) = (call.optional_array("on_value")?, call.optional_array("off_value")?);
    hot = match (on, off) {
        (None, None) => call.cast(hot, call.dtype("dtype")?.unwrap_or(Kind::Float))?,
        (on, off) => {
            let on = on.unwrap_or_else(|| call.float(1.0));
            let off = off.unwrap_or_else(|| call.float(0.0));
            call.select(hot, on, off)?
        }
    };
    if axis == -1 { Ok(hot) } else { call.op(Operation::MoveAxis { from: -1, to: axis }, [hot]) }
}

/// The largest values along the last axis, and their places.
pub(super) fn top_k(call: &mut Call) -> Result<Vec<Id>> {
    let x = call.array("x")?;
    let count = call.int("k")?.unwrap_or(1);
    let _ = call.get("sorted"); // they are sorted anyway
    let count = call.integers([count]);
    call.all(Operation::TopK { axis: -1, smallest: false }, [x, count])
}

/// The values along an axis in order, or their places.
pub(super) fn sorted(call: &mut Call, places: bool) -> Result<Id> {
    let x = call.array("x")?;
    let axis = call.int("axis")?.unwrap_or(-1);
    let smallest = match call.text("direction")?.map(str::to_ascii_uppercase).as_deref() {
        None | Some("ASCENDING") => true,
        Some("DESCENDING") => false,
        Some(_) => return call.unsupported("direction", "ASCENDING and DESCENDING are supported"),
    };
    let count = call.length(x, axis)?;
    let one = call.integers([1]);
    let count = call.reshape(count, one)?;
    let sorted = call.all(Operation::TopK { axis, smallest }, [x, count])?;
    Ok(sorted[usize::from(places)])
}

/// 1 at each of the places that the numbers along axis 1 say, along a new axis.
pub(super) fn multi_hot(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    let rank = call.rank(x)?;
    let hot = one_hot(call)?;
    let axis = if rank > 1 { 1 } else { 0 };
    call.reduce(crate::program::Reduction::Maximum, hot, Some(&[axis]), false)
}

/// `x` with other values from a place on.
pub(super) fn updated_slice(call: &mut Call) -> Result<Id> {
    let (x, updates) = (call.array("x")?, call.array("updates")?);
    let starts = call.array("starts")?;
    let starts = call.cast(starts, Kind::Integer)?;
    let (shape, of_updates) = (call.shape(x)?, call.shape(updates)?);
    let behind = call.binary(Binary::Subtract, shape, starts)?;
    let behind = call.binary(Binary::Subtract, behind, of_updates)?;
    let around = call.concat(0, vec![starts, behind])?;
    let updates = call.op(Operation::CastLike, [updates, x])?;
    let one = call.float(1.0);
    let ones = call.op(Operation::Fill, [of_updates, one])?;
    let spread = call.op(Operation::Pad(PadMode::Constant), [updates, around])?;
    let is_new = call.op(Operation::Pad(PadMode::Constant), [ones, around])?;
    let is_new = call.cast(is_new, Kind::Bool)?;
    call.select(is_new, spread, x)
}

/// `x` with other values at places, whose last axis has an index for each of the first axes.
pub(super) fn updated_places(call: &mut Call) -> Result<Id> {
    let (x, places, updates) = (call.array("x")?, call.array("places")?, call.array("updates")?);
    let places = call.cast(places, Kind::Integer)?;
    let reduction = match call.text("reduction")? {
        None => None,
        Some("add") => Some(Reduction::Sum),
        Some("max") => Some(Reduction::Maximum),
        Some("min") => Some(Reduction::Minimum),
        Some("mul") => Some(Reduction::Product),
        Some(_) => return call.unsupported("reduction", "add, max, min and mul are supported"),
    };
    call.op(Operation::ScatterNd { reduction }, [x, places, updates])
}

/// Values at places of zeros; those of the same place are added.
pub(super) fn scattered(call: &mut Call) -> Result<Id> {
    let (places, values) = (call.array("places")?, call.array("updates")?);
    let shape = moving::shape(call)?;
    let places = call.cast(places, Kind::Integer)?;
    let zero = call.float(0.0);
    let zeros = call.op(Operation::Fill, [shape, zero])?;
    let zeros = call.op(Operation::CastLike, [zeros, values])?;
    let reduction = Some(Reduction::Sum);
    call.op(Operation::ScatterNd { reduction }, [zeros, places, values])
}
