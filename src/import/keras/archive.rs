//! The weights of a `.keras` archive and of a `.weights.h5`: groups named after classes, arrays
//! with numbers.

use super::class::Class;
use super::entry::Entry;
use super::hdf5::Hdf5;
use super::malformed;
use super::weights::Slot;
use crate::error::Result;
use crate::model::snake_case;
use std::collections::HashMap;

/// The groups, by layer name. They are named after the classes, with a counter in the order of the
/// layers; newer files also note the layer's name in them, which then decides.
pub(super) fn groups(weights: &Hdf5, entries: &[Entry]) -> Result<HashMap<String, String>> {
    let mut counters = HashMap::new();
    let mut noted = HashMap::new();
    let mut counted = HashMap::new();
    for entry in entries.iter().filter(|entry| !matches!(entry.class, Class::MaskOperation(_))) {
        let class = snake_case(entry.class.name());
        let counter = counters.entry(class.clone()).or_insert(0usize);
        let path = if *counter == 0 {
            format!("layers/{class}")
        } else {
            format!("layers/{class}_{counter}")
        };
        *counter += 1;
        match weights.text(&format!("{path}/vars"), "name")? {
            Some(name) => {
                if let Some(other) = noted.insert(name.clone(), path.clone()) {
                    let reason = format!("layer {name:?} has two groups: {other:?} and {path:?}");
                    return malformed(weights.label(), reason);
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
        // A missing one is reported by its name when it is read.
        let extra = |name: &&String| (0..*count).all(|index| **name != index.to_string());
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
    if folder.is_empty() { format!("{group}/vars") } else { format!("{group}/{folder}/vars") }
}
