//! The weights of a `.keras` archive and of a `.weights.h5`: groups named after classes, arrays
//! with numbers.

use super::class::Class;
use super::entry::Entry;
use super::hdf5::Hdf5;
use super::messages::malformed;
use super::slot::Slot;
use crate::Result;
use crate::layer::default_name;
use std::collections::HashMap;

/// Where the groups of layers stand: Keras 2.12 to 2.14 found the layers under another name first.
const FOLDERS: [&str; 2] = ["layers", "_layer_checkpoint_dependencies"];
/// What Keras 2 puts between the parts of a group's name on Windows: there `layers\lstm\cell` is
/// the name of one group.
const WINDOWS: char = '\\';

/// The groups, by the layers' paths. They are named after the classes and stand in the order of the
/// layers: `lstm`, `lstm_1`; newer files also note the layer's name in them, which then decides.
pub(super) fn groups(weights: &Hdf5, entries: &[Entry]) -> Result<HashMap<String, String>> {
    let mut found = HashMap::new();
    collect(weights, "", entries, &mut found)?;
    Ok(found)
}

/// Adds the groups of a model's layers; `parent` is the model's own group.
fn collect(
    weights: &Hdf5,
    parent: &str,
    entries: &[Entry],
    groups: &mut HashMap<String, String>,
) -> Result<()> {
    let of_model = of_model(weights, parent, entries)?;
    for entry in entries {
        let Some(group) = of_model.get(entry.name) else { continue };
        groups.insert(entry.path.clone(), group.clone());
        if let Some(nested) = &entry.model {
            let inside = nested.entries.first().map_or(0, |inner| inner.time_distributed);
            let between = vec!["layer"; inside.saturating_sub(entry.time_distributed)];
            let group = between.into_iter().fold(group.clone(), |group, part| below(&group, part));
            collect(weights, &group, &nested.entries, groups)?;
        }
    }
    Ok(())
}

/// The groups of a model's layers by their names in it.
fn of_model(weights: &Hdf5, parent: &str, entries: &[Entry]) -> Result<HashMap<String, String>> {
    let found = Found::new(weights, parent)?;
    let mut of_class: HashMap<String, Vec<&str>> = HashMap::new();
    for entry in entries.iter().filter(|entry| !matches!(entry.class, Class::Operation(_))) {
        of_class.entry(default_name(entry.class_name)).or_default().push(entry.name);
    }
    let mut noted = HashMap::new();
    let mut counted = HashMap::new();
    for (class, layers) in of_class {
        for (layer, path) in layers.iter().zip(found.paths(&class, layers.len())) {
            match weights.text(&format!("{path}/vars"), "name")? {
                Some(name) => {
                    if let Some(other) = noted.insert(name.clone(), path.clone()) {
                        let reason =
                            format!("layer {name:?} has two groups: {other:?} and {path:?}");
                        return malformed(weights.label(), reason);
                    }
                }
                None => {
                    counted.insert(layer.to_string(), path);
                }
            }
        }
    }
    counted.extend(noted);
    Ok(counted)
}

/// A group in another.
fn below(group: &str, part: &str) -> String {
    match (group.is_empty(), group.contains(WINDOWS)) {
        (true, _) => part.to_string(),
        (false, false) => format!("{group}/{part}"),
        (false, true) => format!("{group}{WINDOWS}{}", part.replace('/', &WINDOWS.to_string())),
    }
}

/// The groups of layers that a model of a file has.
struct Found {
    /// What stands before a layer's group: `layers/`.
    before: String,
    /// `lstm`, `lstm_1`, …
    names: Vec<String>,
}

impl Found {
    fn new(weights: &Hdf5, parent: &str) -> Result<Found> {
        let (top, members) = (weights.groups("")?, weights.groups(parent)?);
        for folder in FOLDERS {
            if members.iter().any(|name| name == folder) {
                let folder = below(parent, folder);
                let names = weights.groups(&folder)?;
                return Ok(Found { before: format!("{folder}/"), names });
            }
            let before = match parent {
                "" => format!("{folder}{WINDOWS}"),
                _ => format!("{parent}{WINDOWS}{folder}{WINDOWS}"),
            };
            let below = top.iter().filter_map(|name| name.strip_prefix(&before));
            let mut names: Vec<String> =
                below.filter_map(|name| Some(name.split(WINDOWS).next()?.to_string())).collect();
            names.sort_unstable();
            names.dedup();
            if !names.is_empty() {
                return Ok(Found { before, names });
            }
        }
        Ok(Found { before: format!("{}/", below(parent, FOLDERS[0])), names: Vec::new() })
    }

    /// The groups of a class's layers, in their order. Keras 2.12 and 2.13 count a layer with
    /// weights twice, so the numbers are those that there are, unless there are more or fewer
    /// groups than layers.
    fn paths(&self, class: &str, layers: usize) -> Vec<String> {
        let number = |name: &String| match name.strip_prefix(class)? {
            "" => Some(0),
            rest => rest.strip_prefix('_')?.parse::<usize>().ok(),
        };
        let mut numbers: Vec<usize> = self.names.iter().filter_map(number).collect();
        numbers.sort_unstable();
        if numbers.len() != layers {
            numbers = (0..layers).collect();
        }
        let path = |number| match number {
            0 => format!("{}{class}", self.before),
            number => format!("{}{class}_{number}", self.before),
        };
        numbers.into_iter().map(path).collect()
    }
}

/// How deep groups in a custom layer's group are looked into.
const MAX_DEPTH: usize = 16;
/// The most arrays of a custom layer.
const MAX_ARRAYS: usize = 4096;

/// The names of all arrays in a group, in the order of their numbers; those of the groups in it
/// follow, in the order of their names.
pub(super) fn all_arrays(weights: &Hdf5, group: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    add_arrays(weights, group, "", MAX_DEPTH, &mut found)?;
    Ok(found)
}

fn add_arrays(
    weights: &Hdf5,
    group: &str,
    before: &str,
    depth: usize,
    found: &mut Vec<String>,
) -> Result<()> {
    let mut arrays = weights.arrays(group)?;
    arrays.sort_by_key(|name| (name.parse::<usize>().unwrap_or(usize::MAX), name.clone()));
    found.extend(arrays.into_iter().map(|name| format!("{before}{name}")));
    let mut groups = weights.groups(group)?;
    groups.sort_by_key(|name| (name != "vars", name.clone()));
    if found.len() > MAX_ARRAYS || depth == 0 && !groups.is_empty() {
        let reason = format!("{group} has over {MAX_ARRAYS} arrays or {MAX_DEPTH} groups in it");
        return malformed(weights.label(), reason);
    }
    for name in groups {
        let before = format!("{before}{name}/");
        add_arrays(weights, &format!("{group}/{name}"), &before, depth - 1, found)?;
    }
    Ok(())
}

/// The path of each array.
pub(super) fn paths(
    weights: &Hdf5,
    group: &str,
    layer: &str,
    slots: &[Slot],
) -> Result<Vec<String>> {
    let mut counts: HashMap<&[String], (usize, String)> = HashMap::new();
    for slot in slots {
        let found = slot.place.folders.iter().map(|folder| vars(group, folder));
        let mut found = found.collect::<Vec<_>>();
        // Of several names that one which the file has; a missing one is reported by the first.
        let mut existing = Vec::new();
        for path in &found {
            if !weights.arrays(path)?.is_empty() {
                existing.push(path.clone());
            }
        }
        let path = if existing.is_empty() { found.swap_remove(0) } else { existing.swap_remove(0) };
        counts.entry(&slot.place.folders).or_insert((0, path)).0 += 1;
    }
    for (count, folder) in counts.values() {
        // A missing one is reported by its name when it is read. Behind those of a quantized layer
        // stand its scales, zeros and groups.
        let more = if weights.holds_bytes(&format!("{folder}/0"))? { 3 } else { 0 };
        let extra = |name: &&String| (0..*count + more).all(|index| **name != index.to_string());
        if let Some(extra) = weights.arrays(folder)?.iter().find(extra) {
            let reason = format!(
                "{folder}/{extra} is a weight that the layer's arguments leave no place for"
            );
            return malformed(weights.label(), format!("layer {layer:?}: {reason}"));
        }
    }
    let path = |slot: &Slot| format!("{}/{}", counts[&slot.place.folders[..]].1, slot.index);
    Ok(slots.iter().map(path).collect())
}

fn vars(group: &str, folder: &str) -> String {
    match folder.is_empty() {
        true => format!("{group}/vars"),
        false => format!("{}/vars", below(group, folder)),
    }
}
