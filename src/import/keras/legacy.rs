//! The weights of a legacy HDF5 file: groups named after layers, with a list of the arrays' names.

use super::entry::Entry;
use super::hdf5::Hdf5;
use super::messages::malformed;
use super::slot::{CellName, Slot};
use crate::{Direction, Result};
use serde_json::{Map, Value};
use std::collections::HashMap;

/// The groups of the layers that have weights, by layer name. Where a layer's name isn't among the
/// file's, as when the same code built the model once more, the order of the layers tells, as in
/// Keras.
pub(super) fn groups(
    weights: &Hdf5,
    folder: &str,
    layers: &[&str],
) -> Result<HashMap<String, String>> {
    let by_name = layers.iter().map(|layer| (layer.to_string(), format!("{folder}{layer}")));
    let by_name: HashMap<_, _> = by_name.collect();
    let mut all_there = true;
    for group in by_name.values() {
        all_there &= weights.has_group(group)?;
    }
    if all_there {
        return Ok(by_name);
    }
    let mut in_file = Vec::new();
    for layer in listed(weights, folder.trim_end_matches('/'), "layer_names")? {
        let group = format!("{folder}{layer}");
        if !listed(weights, &group, "weight_names")?.is_empty() {
            in_file.push(group);
        }
    }
    match in_file.len() == layers.len() {
        true => Ok(layers.iter().map(|layer| layer.to_string()).zip(in_file).collect()),
        false => Ok(by_name), // which says what is missing
    }
}

/// A layer of a model that is a layer, and the arrays that it has.
pub(super) struct Inner<'e> {
    pub entry: &'e Entry<'e>,
    /// Whether it and all models around it are trainable.
    pub trainable: bool,
    /// Their names in the order of Keras's `get_weights()`; `None` of a layer that the caller
    /// builds, which may have any.
    pub arrays: Option<Vec<&'static str>>,
}

/// The names in the group of a model that are each of its layers', by the layers' paths. Mostly the
/// names tell; otherwise the order does, as in Keras.
pub(super) fn names_by_layer(
    weights: &Hdf5,
    group: &str,
    layers: &[Inner],
) -> Result<HashMap<String, Vec<String>>> {
    let (all, names) = (all_names(weights, group)?, names(weights, group)?);
    let found = by_name(&all, layers).or_else(|| by_order(&names, layers, true));
    match found.or_else(|| by_order(&names, layers, false)) {
        Some(found) => Ok(found),
        None => {
            let wanted: usize = layers.iter().flat_map(|layer| &layer.arrays).map(Vec::len).sum();
            malformed(
                weights.label(),
                format!(
                    "{group}: it has {} weights {names:?}, and the layers of its model ask for \
                     {wanted} others",
                    names.len()
                ),
            )
        }
    }
}

/// Each name is that of the layer whose name it has last among its folders.
fn by_name(names: &[String], layers: &[Inner]) -> Option<HashMap<String, Vec<String>>> {
    let mut found: HashMap<String, Vec<String>> = HashMap::new();
    for name in names {
        let (folder, _) = name.rsplit_once('/')?;
        let places = layers.iter().filter_map(|layer| Some((place(folder, layer.entry)?, layer)));
        let last = places.clone().map(|(place, _)| place).max()?;
        let mut layers = places.filter(|(place, _)| *place == last).map(|(_, layer)| layer);
        let (layer, None) = (layers.next()?, layers.next()) else { return None };
        found.entry(layer.entry.path.clone()).or_default().push(name.clone());
    }
    let fits = layers.iter().all(|layer| {
        let Some(arrays) = &layer.arrays else { return true };
        let Some(own) = found.get_mut(&layer.entry.path) else { return arrays.is_empty() };
        own.retain(|name| !is_beside(name));
        own.len() == arrays.len()
    });
    fits.then_some(found)
}

/// Where in a folder a layer's name ends, and how much of its path stands there.
fn place(folder: &str, entry: &Entry) -> Option<(usize, usize)> {
    let path = &entry.path[..];
    let starts = path.match_indices('/').map(|(slash, _)| slash + 1).chain([0]);
    let parts = starts.map(|start| &path[start..]).filter(|part| part.len() >= entry.name.len());
    parts.filter_map(|part| Some((end_of(folder, part)?, part.len()))).max()
}

/// In the order of the layers, with those arrays last that aren't trained where `trained_first`:
/// what a model's `weights` are in Keras.
fn by_order(
    names: &[String],
    layers: &[Inner],
    trained_first: bool,
) -> Option<HashMap<String, Vec<String>>> {
    // How many arrays a caller's layer has isn't known.
    if layers.iter().any(|layer| layer.arrays.is_none()) {
        return None;
    }
    let of_layer = |layer: &Inner| {
        let trainable = layer.trainable;
        let array = |&name: &&'static str| {
            (layer.entry.path.clone(), name, trainable && !name.starts_with("moving_"))
        };
        layer.arrays.iter().flatten().map(array).collect::<Vec<_>>()
    };
    let mut arrays: Vec<_> = layers.iter().flat_map(of_layer).collect();
    if trained_first {
        arrays.sort_by_key(|(_, _, trained)| !trained); // stable
    }
    let fits = arrays.len() == names.len()
        && arrays.iter().zip(names).all(|((_, array, _), name)| is_named(name, array));
    let mut found: HashMap<String, Vec<String>> = HashMap::new();
    for ((path, ..), name) in arrays.into_iter().zip(names) {
        found.entry(path).or_default().push(name.clone());
    }
    fits.then_some(found)
}

/// The names of the arrays in a layer's group.
pub(super) fn all_names(weights: &Hdf5, group: &str) -> Result<Vec<String>> {
    listed(weights, group, "weight_names")
}

/// What stands beside a kernel or embeddings that are quantized or have a LoRA.
const BESIDE: [&str; 9] = [
    "kernel_scale",
    "kernel_zero",
    "embeddings_scale",
    "embeddings_zero",
    "g_idx",
    "lora_kernel_a",
    "lora_kernel_b",
    "lora_embeddings_a",
    "lora_embeddings_b",
];

/// The names of the weights in a layer's group, without what stands beside them.
pub(super) fn names(weights: &Hdf5, group: &str) -> Result<Vec<String>> {
    let mut names = all_names(weights, group)?;
    names.retain(|name| !is_beside(name));
    Ok(names)
}

fn is_beside(name: &str) -> bool {
    BESIDE.iter().any(|beside| is_named(name, beside))
}

/// The path of each array, found by its name: their order changes where a part of the layer isn't
/// trainable. Where names differ, as where an LSTM reads the weights of a CuDNNLSTM, by the order.
pub(super) fn paths(
    weights: &Hdf5,
    group: &str,
    names: &[String],
    entry: &Entry,
    slots: &[Slot],
) -> Result<Vec<String>> {
    let fail =
        |reason: String| malformed(weights.label(), format!("layer {:?}: {reason}", entry.path));
    if !weights.has_group(group)? {
        return fail(format!("its weights are missing: there is no group {group:?}"));
    }
    let in_order = names.len() == slots.len()
        && names.iter().zip(slots).all(|(name, slot)| is_named(name, slot.name));
    if in_order && slots.iter().any(|slot| !names.iter().any(|name| fits(slot, name))) {
        return Ok(names.iter().map(|name| format!("{group}/{name}")).collect());
    }
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
        place.cell.is_none_or(|cell| is_of_cell(name, cell))
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

/// A list of names; a long one is split over several attributes.
fn listed(weights: &Hdf5, group: &str, attribute: &str) -> Result<Vec<String>> {
    if let Some(names) = weights.texts(group, attribute)? {
        return Ok(names);
    }
    let mut names = Vec::new();
    for part in 0..64 {
        match weights.texts(group, &format!("{attribute}{part}"))? {
            Some(more) => names.extend(more),
            None => break,
        }
    }
    Ok(names)
}

fn fits(slot: &Slot, name: &str) -> bool {
    let place = &slot.place;
    is_named(name, slot.name)
        && place.cell.is_none_or(|cell| is_of_cell(name, cell))
        && place
            .direction
            .is_none_or(|(direction, config)| direction_of(config, name) == Some(direction))
}

/// Whether `mha/query/kernel:0` ends as `query kernel` says. What Keras 3 calls the `kernel` of a
/// depthwise convolution is its `depthwise_kernel` in Keras 2.
fn is_named(path: &str, name: &str) -> bool {
    let mut parts = path.rsplit('/');
    let last = parts.next().map(|part| part.split(':').next().unwrap_or(part));
    if name == "kernel" && last == Some("depthwise_kernel") {
        return true;
    }
    let mut parts = last.into_iter().chain(parts);
    name.rsplit(' ').all(|part| parts.next() == Some(part))
}

/// Whether an array stands right in the group of this cell. Names may hold slashes, so one cell's
/// name can be the end of another's: the longest counts.
fn is_of_cell(array: &str, cell: CellName) -> bool {
    let Some((folder, _)) = array.rsplit_once('/') else { return false };
    let names = cell.cells.iter().filter_map(|other| other.pointer("/config/name")?.as_str());
    let ends = names.filter(|name| {
        folder.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
    });
    ends.max_by_key(|name| name.len()) == Some(cell.name)
}

/// The direction that an array's name tells, by the name of the wrapped layer in it, which may hold
/// slashes itself.
fn direction_of(config: &Map<String, Value>, array: &str) -> Option<Direction> {
    let name_of =
        |argument: &str| config.get(argument)?.pointer("/config/name").and_then(Value::as_str);
    let forward = name_of("layer")?;
    let backward = name_of("backward_layer");
    let mut names = vec![
        (format!("forward_{forward}"), Direction::Forward),
        (format!("backward_{}", backward.unwrap_or(forward)), Direction::Backward),
    ];
    // A backward_layer of its own keeps its name, and so does the forward layer beside it.
    if let Some(backward) = backward {
        names.push((forward.to_string(), Direction::Forward));
        names.push((backward.to_string(), Direction::Backward));
    }
    let (folder, _) = array.rsplit_once('/')?;
    // The name that ends last, as it stands before the cell, or in old files right before the
    // array; of several that end there the longest.
    let places = names
        .iter()
        .filter_map(|(name, direction)| Some(((end_of(folder, name)?, name.len()), *direction)));
    let last = places.clone().map(|(place, _)| place).max()?;
    let mut directions = places.filter(|(place, _)| *place == last).map(|(_, direction)| direction);
    match (directions.next(), directions.next()) {
        (direction, None) => direction,
        _ => None,
    }
}

/// Where the last occurrence of a name among the parts of a path ends.
fn end_of(path: &str, name: &str) -> Option<usize> {
    let is_whole = |&(start, _): &(usize, &str)| {
        let end = start + name.len();
        (start == 0 || path.as_bytes()[start - 1] == b'/')
            && (end == path.len() || path.as_bytes()[end] == b'/')
    };
    path.rmatch_indices(name).find(is_whole).map(|(start, _)| start + name.len())
}

#[cfg(test)]
mod tests {
    use super::{CellName, direction_of, is_of_cell};
    use crate::Direction;
    use serde_json::{Value, json};

    #[test]
    fn the_direction_is_that_of_the_name_that_ends_last() {
        let one = json!({"layer": {"config": {"name": "gru/a"}}});
        let two = json!({"layer": {"config": {"name": "one"}},
                         "backward_layer": {"config": {"name": "up/one"}}});
        let cases = [
            (&one, "b/bi/forward_gru/a/gru_cell/kernel:0", Some(Direction::Forward)),
            (&one, "b/bi/backward_gru/a/gru_cell/kernel:0", Some(Direction::Backward)),
            (&one, "bi/backward_gru/a/kernel:0", Some(Direction::Backward)),
            (&one, "backward_gru/a/bi/forward_gru/a/kernel:0", Some(Direction::Forward)),
            (&one, "bi/forward_gru/b/kernel:0", None),
            (&two, "bi/one/lstm_cell/bias:0", Some(Direction::Forward)),
            (&two, "bi/up/one/lstm_cell/bias:0", Some(Direction::Backward)),
            (&two, "bi/forward_one/lstm_cell/bias:0", Some(Direction::Forward)),
            (&two, "bi/backward_up/one/lstm_cell/bias:0", Some(Direction::Backward)),
        ];
        for (config, array, direction) in cases {
            let config = config.as_object().unwrap();
            assert_eq!(direction_of(config, array), direction, "{array}");
        }
    }

    #[test]
    fn a_cell_is_that_of_the_longest_name() {
        let cells: Vec<Value> = ["a", "b/a", "c"].map(|n| json!({"config": {"name": n}})).into();
        let of = |array: &str| {
            let found = ["a", "b/a", "c"];
            let found = found.map(|name| is_of_cell(array, CellName { name, cells: &cells }));
            found.iter().position(|found| *found)
        };
        assert_eq!(of("rnn/a/kernel:0"), Some(0));
        assert_eq!(of("rnn/b/a/kernel:0"), Some(1));
        assert_eq!(of("c/kernel:0"), Some(2));
        assert_eq!(of("rnn/xa/kernel:0"), None);
        assert_eq!(of("kernel:0"), None);
    }
}
