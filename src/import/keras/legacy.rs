//! The weights of a legacy HDF5 file: groups named after layers, with a list of the arrays' names.

use super::entry::Entry;
use super::hdf5::Hdf5;
use super::malformed;
use super::weights::Slot;
use crate::error::Result;
use crate::layer::Direction;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// The groups, by layer name.
pub(super) fn groups(folder: &str, entries: &[Entry]) -> HashMap<String, String> {
    entries
        .iter()
        .map(|entry| (entry.name.to_string(), format!("{folder}{}", entry.name)))
        .collect()
}

/// The path of each array, found by its name: their order changes where a part of the layer isn't
/// trainable.
pub(super) fn paths(
    weights: &Hdf5,
    group: &str,
    entry: &Entry,
    slots: &[Slot],
) -> Result<Vec<String>> {
    let fail =
        |reason: String| malformed(weights.label(), format!("layer {:?}: {reason}", entry.name));
    if !weights.has_group(group)? {
        return fail(format!("its weights are missing: there is no group {group:?}"));
    }
    let names = weight_names(weights, group)?;
    let mut paths = Vec::new();
    for slot in slots {
        match names.iter().filter(|name| fits(slot, name)).collect::<Vec<_>>()[..] {
            [name] => paths.push(format!("{group}/{name}")),
            [] => {
                return fail(format!(
                    "{} is missing among its weights {names:?}",
                    slot.wanted.weight
                ));
            }
            _ => {
                return fail(format!(
                    "{} is there several times among its weights {names:?}",
                    slot.wanted.weight
                ));
            }
        }
    }
    // Those of an RNN's other cells belong to other layers here.
    let place = &slots[0].place;
    let several = place.cell.is_some();
    let is_own = |name: &&String| {
        place.cell.is_none_or(|cell| has_part(name, cell))
            && place
                .direction
                .is_none_or(|(d, config)| !several || direction_of(config, name) == Some(d))
    };
    let own = names.iter().filter(is_own).count();
    match own == slots.len() {
        true => Ok(paths),
        false => fail(format!(
            "it has {own} weights {names:?}, and its arguments ask for {}",
            slots.len()
        )),
    }
}

/// The list of names; a long one is split over several attributes.
fn weight_names(weights: &Hdf5, group: &str) -> Result<Vec<String>> {
    if let Some(names) = weights.texts(group, "weight_names")? {
        return Ok(names);
    }
    let mut names = Vec::new();
    for part in 0..64 {
        match weights.texts(group, &format!("weight_names{part}"))? {
            Some(more) => names.extend(more),
            None => break,
        }
    }
    Ok(names)
}

fn fits(slot: &Slot, name: &str) -> bool {
    let place = &slot.place;
    is_named(name, slot.name)
        && place.cell.is_none_or(|cell| has_part(name, cell))
        && place
            .direction
            .is_none_or(|(direction, config)| direction_of(config, name) == Some(direction))
}

/// Whether `mha/query/kernel:0` ends as `query kernel` says.
fn is_named(path: &str, name: &str) -> bool {
    let mut parts = path.rsplit('/');
    let last = parts.next().map(|part| part.split(':').next().unwrap_or(part));
    let mut parts = last.into_iter().chain(parts);
    name.rsplit(' ').all(|part| parts.next() == Some(part))
}

fn has_part(path: &str, part: &str) -> bool {
    path.rsplit('/').nth(1) == Some(part)
}

/// The direction that an array's name tells, by the name of the wrapped layer in it.
fn direction_of(config: &Map<String, Value>, name: &str) -> Option<Direction> {
    let name_of =
        |argument: &str| config.get(argument)?.pointer("/config/name").and_then(Value::as_str);
    let forward = name_of("layer")?;
    let backward = name_of("backward_layer");
    // The wrapped layer stands before the cell, or in old files right before the array.
    let mut places = name.rsplit('/').skip(1).take(3);
    let is = |place: &str, prefix: &str, layer: Option<&str>| {
        layer.is_some_and(|layer| place == layer || place.strip_prefix(prefix) == Some(layer))
    };
    places.find_map(|place| {
        let (is_forward, is_backward) = match backward {
            Some(_) => (is(place, "forward_", Some(forward)), is(place, "backward_", backward)),
            None => (
                place.strip_prefix("forward_") == Some(forward),
                place.strip_prefix("backward_") == Some(forward),
            ),
        };
        match (is_forward, is_backward) {
            (true, false) => Some(Direction::Forward),
            (false, true) => Some(Direction::Backward),
            _ => None,
        }
    })
}
