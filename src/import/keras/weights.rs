//! Finds and reads the weights of each layer.

use super::entry::Entry;
use super::file::{KerasFile, Layout};
use super::hdf5::{Hdf5, Wanted};
use super::malformed;
use crate::error::Result;
use crate::layer::{Direction, Layer};
use crate::model::Model;
use serde_json::Value;
use std::collections::HashMap;

/// An array of a layer: which direction's, its name, and its shape.
struct Slot {
    direction: Direction,
    name: &'static str,
    wanted: Wanted,
}

/// Gives every layer of the model its weights.
pub(super) fn load(file: &mut KerasFile, mut model: Model, entries: &[Entry]) -> Result<Model> {
    let by_name: HashMap<_, _> = entries.iter().map(|entry| (entry.name, entry)).collect();
    let groups = match file.layout {
        Layout::Archive => archive_groups(&file.weights, entries)?,
        Layout::Legacy => entries.iter().map(|e| (e.name.to_string(), format!("model_weights/{}", e.name))).collect(),
    };
    for built in &mut model.layers {
        let name = built.layer.name().to_string();
        let slots = slots(&built.layer, built.features);
        let (Some(group), Some(entry)) = (groups.get(&name), by_name.get(name.as_str())) else {
            return malformed(file.weights.label(), format!("layer {name:?}: it has no group of weights"));
        };
        let paths = match file.layout {
            Layout::Archive => archive_paths(&file.weights, group, &built.layer, &slots)?,
            Layout::Legacy => legacy_paths(&file.weights, group, entry, &slots)?,
        };
        let arrays = paths
            .iter()
            .zip(&slots)
            .map(|(path, slot)| file.weights.read(path, &slot.wanted))
            .collect::<Result<_>>()?;
        built.layer.set_weights(built.features, arrays)?;
    }
    Ok(model)
}

fn slots(layer: &Layer, features: usize) -> Vec<Slot> {
    let mut slots = Vec::new();
    for (direction, recurrent) in layer.directions() {
        for (name, shape) in recurrent.weight_shapes(features) {
            let weight = match layer {
                Layer::Bidirectional(_) => format!("{direction} {name}"),
                Layer::Recurrent(_) => name.to_string(),
            };
            let wanted = Wanted { layer: layer.name().to_string(), weight, shape };
            slots.push(Slot { direction, name, wanted });
        }
    }
    slots
}

/// The groups of a `.keras` file, by layer name. They are named after the classes, with a counter in the
/// order of the layers; newer files also note the layer's name in them, which then decides.
fn archive_groups(weights: &Hdf5, entries: &[Entry]) -> Result<HashMap<String, String>> {
    let mut counters = HashMap::new();
    let mut noted = HashMap::new();
    let mut counted = HashMap::new();
    for entry in entries {
        let class = entry.class.snake_case();
        let counter = counters.entry(class).or_insert(0usize);
        let path = if *counter == 0 { format!("layers/{class}") } else { format!("layers/{class}_{counter}") };
        *counter += 1;
        match weights.text(&format!("{path}/vars"), "name")? {
            Some(name) => {
                if let Some(other) = noted.insert(name.clone(), path.clone()) {
                    return malformed(
                        weights.label(),
                        format!("layer {name:?} has two groups: {other:?} and {path:?}"),
                    );
                }
            }
            None => {
                counted.insert(entry.name.to_string(), path);
            }
        }
    }
    counted.extend(noted);
    Ok(counted)
}

/// The arrays of a `.keras` file: numbered in each cell, in Keras's order.
fn archive_paths(weights: &Hdf5, group: &str, layer: &Layer, slots: &[Slot]) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    for (direction, _) in layer.directions() {
        let folder = match (layer, direction) {
            (Layer::Recurrent(_), _) => format!("{group}/cell/vars"),
            (_, Direction::Forward) => format!("{group}/forward_layer/cell/vars"),
            (_, Direction::Backward) => format!("{group}/backward_layer/cell/vars"),
        };
        let count = slots.iter().filter(|slot| slot.direction == direction).count();
        let found = weights.arrays(&folder)?;
        // A missing one is reported by its name when it is read.
        if let Some(extra) = found.iter().find(|name| (0..count).all(|index| **name != index.to_string())) {
            return malformed(
                weights.label(),
                format!(
                    "layer {:?}: {folder}/{extra} is a weight that the layer's arguments leave no place for",
                    layer.name()
                ),
            );
        }
        paths.extend((0..count).map(|index| format!("{folder}/{index}")));
    }
    Ok(paths)
}

/// The arrays of a legacy file, matched by name: their order changes where one direction isn't trainable.
fn legacy_paths(weights: &Hdf5, group: &str, entry: &Entry, slots: &[Slot]) -> Result<Vec<String>> {
    let fail = |reason: String| malformed(weights.label(), format!("layer {:?}: {reason}", entry.name));
    if !weights.has_group(group)? {
        return fail(format!("its weights are missing: there is no group {group:?}"));
    }
    let names = weight_names(weights, group)?;
    let mut paths = Vec::new();
    for slot in slots {
        let fits = |name: &&String| array_name(name) == slot.name && direction_of(entry, name) == Some(slot.direction);
        match names.iter().filter(fits).collect::<Vec<_>>()[..] {
            [name] => paths.push(format!("{group}/{name}")),
            [] => return fail(format!("{} is missing among its weights {names:?}", slot.wanted.weight)),
            _ => return fail(format!("{} is there several times among its weights {names:?}", slot.wanted.weight)),
        }
    }
    match names.len() == slots.len() {
        true => Ok(paths),
        false => fail(format!("it has {} weights {names:?}, and its arguments ask for {}", names.len(), slots.len())),
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

/// `kernel` of `bidirectional/forward_lstm/lstm_cell/kernel:0`.
fn array_name(name: &str) -> &str {
    let last = name.rsplit('/').next().unwrap_or(name);
    last.split(':').next().unwrap_or(last)
}

/// The direction that an array's name tells, by the name of the wrapped layer in it.
fn direction_of(entry: &Entry, name: &str) -> Option<Direction> {
    let name_of = |argument: &str| entry.config.get(argument)?.pointer("/config/name").and_then(Value::as_str);
    let Some(forward) = name_of("layer") else {
        return Some(Direction::Forward);
    };
    let backward = name_of("backward_layer");
    // The wrapped layer stands before the cell, or in old files right before the array.
    let mut places = name.rsplit('/').skip(1).take(2);
    let is = |place: &str, prefix: &str, layer: Option<&str>| {
        layer.is_some_and(|layer| place == layer || place.strip_prefix(prefix) == Some(layer))
    };
    places.find_map(|place| {
        let (is_forward, is_backward) = match backward {
            Some(_) => (is(place, "forward_", Some(forward)), is(place, "backward_", backward)),
            None => (place.strip_prefix("forward_") == Some(forward), place.strip_prefix("backward_") == Some(forward)),
        };
        match (is_forward, is_backward) {
            (true, false) => Some(Direction::Forward),
            (false, true) => Some(Direction::Backward),
            _ => None,
        }
    })
}
