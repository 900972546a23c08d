//! Axes moved as a pattern such as `b (h t) f -> b t (h f)` says: einops' `rearrange`.

use super::call::Call;
use super::computed::Id;
use crate::Result;
use crate::program::{Binary, Operation, Reduction};

/// One side of a pattern of axes: names, some of which are put together in brackets.
fn sides_of(pattern: &str) -> Option<Vec<Vec<&str>>> {
    let mut axes: Vec<Vec<&str>> = Vec::new();
    let mut rest = pattern.trim();
    while !rest.is_empty() {
        let (group, behind) = match rest.strip_prefix('(') {
            Some(inner) => inner.split_once(')')?,
            None => {
                let end = rest.find(|c: char| c.is_whitespace() || c == '(').unwrap_or(rest.len());
                rest.split_at(end)
            }
        };
        let names: Vec<&str> = group.split_whitespace().collect();
        let is_name = |name: &&str| name.chars().all(|c| c.is_alphanumeric() || c == '_');
        if !names.iter().all(is_name) || axes.len() >= 16 {
            return None;
        }
        axes.push(names);
        rest = behind.trim_start();
    }
    Some(axes)
}

/// Axes split, moved and put together as a pattern such as `b (h t) f -> b t (h f)` says.
pub(super) fn rearranged(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    let Some(pattern) = call.text("pattern")? else { return call.wrong("pattern", "is missing") };
    let sides = pattern.split_once("->");
    let sides = sides.and_then(|(from, to)| Some((sides_of(from)?, sides_of(to)?)));
    let Some((from, to)) = sides else {
        return call.unsupported("pattern", "only names, and names in brackets, are supported");
    };
    let (before, after) = (from.concat(), to.concat());
    let is_there_once = |names: &[&str], other: &[&str]| {
        names.iter().all(|name| names.iter().filter(|n| *n == name).count() == 1)
            && names.iter().all(|name| other.contains(name))
    };
    if !is_there_once(&before, &after) || !is_there_once(&after, &before) {
        return call.wrong("pattern", "has other axes on its two sides, or an axis twice");
    }
    if from.len() != call.rank(x)? {
        return call.wrong("pattern", "has another number of axes than the array");
    }
    // Split: the lengths that are given; one of each group may be left out.
    let shape = call.shape(x)?;
    let mut lengths = Vec::new();
    for (axis, names) in from.iter().enumerate() {
        let whole = call.slice(shape, 0, (axis as i64, axis as i64 + 1))?;
        let mut known = 1i64;
        let mut open = None;
        for (place, name) in names.iter().enumerate() {
            match call.extra_int(name)? {
                Some(length) if length > 0 => known = known.saturating_mul(length),
                Some(_) => return call.wrong("pattern", format!("{name} has no such length")),
                None if open.replace(place).is_some() => {
                    return call.wrong("pattern", format!("the length of {name} isn't given"));
                }
                None => {}
            }
        }
        for (place, name) in names.iter().enumerate() {
            lengths.push(match call.extra_int(name)? {
                Some(length) => call.integers([length]),
                None if open == Some(place) && names.len() > 1 => {
                    let known = call.integers([known]);
                    call.binary(Binary::Divide, whole, known)?
                }
                None => whole,
            });
        }
    }
    let split = call.concat(0, lengths)?;
    let x = call.reshape(x, split)?;
    let order: Vec<usize> =
        after.iter().filter_map(|name| before.iter().position(|other| other == name)).collect();
    let x = call.op(Operation::Transpose { order }, [x])?;
    let shape = call.shape(x)?;
    let (mut start, mut joined) = (0, Vec::new());
    for names in &to {
        let end = start + names.len() as i64;
        let part = call.slice(shape, 0, (start, end))?;
        joined.push(call.reduce(Reduction::Product, part, None, false)?);
        start = end;
    }
    let mut lengths = Vec::new();
    for length in joined {
        lengths.push(call.expanded(length, &[0])?);
    }
    let shape = call.concat(0, lengths)?;
    call.reshape(x, shape)
}
