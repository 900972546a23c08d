//! Finds and reads the weights of each layer.

use super::entry::Entry;
use super::file::{Layout, WeightFile};
use super::legacy::Inner;
use super::messages::malformed;
use super::slot::{Part, Slot, is_twin, names, slots};
use super::{archive, cudnn, legacy};
use crate::{Layer, Model, Result};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// A layer of the file that is no model.
#[derive(Clone, Copy)]
struct Place<'e> {
    entry: &'e Entry<'e>,
    /// The layer of the whole model that it is or stands in.
    top: &'e Entry<'e>,
    /// Its number among them in the file.
    order: usize,
    /// Whether it and all models around it are trainable.
    trainable: bool,
}

impl Place<'_> {
    /// Whether it stands in a model that is a layer.
    fn is_inner(&self) -> bool {
        self.top.model.is_some()
    }
}

/// A layer of the model that has weights, and where they stand.
struct Weighted<'e> {
    layer: Layer,
    slots: Vec<Slot<'e>>,
    place: Place<'e>,
    part: Part,
}

/// Gives every layer of the model its weights.
pub(super) fn load(file: &mut WeightFile, model: &mut Model, entries: &[Entry]) -> Result<()> {
    let layers = with_weights(file.hdf5.label(), model, entries)?;
    let groups = match file.layout {
        Layout::Archive => archive::groups(&file.hdf5, entries)?,
        Layout::Legacy(folder) => legacy::groups(&file.hdf5, folder, &top_names(&layers, entries))?,
    };
    let inner_names = match file.layout {
        Layout::Archive => HashMap::new(),
        Layout::Legacy(_) => inner_names(file, &layers, &groups)?,
    };
    for Weighted { layer, mut slots, place, part } in layers {
        let (name, entry) = (layer.name(), place.entry);
        let group = match file.layout {
            Layout::Archive => groups.get(&entry.path),
            Layout::Legacy(_) => groups.get(place.top.name),
        };
        let Some(group) = group else {
            return malformed(
                file.hdf5.label(),
                format!("layer {name:?}: it has no group of weights"),
            );
        };
        let paths = match (file.layout, inner_names.get(&entry.path)) {
            (Layout::Archive, _) => archive::paths(&file.hdf5, group, name, &slots)?,
            (Layout::Legacy(_), Some(own)) => legacy::paths(&file.hdf5, group, own, entry, &slots)?,
            (Layout::Legacy(_), None) => {
                let own = legacy::names(&file.hdf5, group)?;
                legacy::paths(&file.hdf5, group, &own, entry, &slots)?
            }
        };
        let for_cudnn = cudnn::directions(&file.hdf5, &paths, &mut slots)?;
        let read = |(path, slot): (&String, &Slot)| file.hdf5.read(path, &slot.wanted);
        let mut arrays = paths.iter().zip(&slots).map(read).collect::<Result<Vec<_>>>()?;
        for direction in for_cudnn {
            cudnn::convert(&mut arrays[direction])
                .or_else(|e| malformed(file.hdf5.label(), format!("layer {name:?}: {e}")))?;
        }
        if is_twin(&layer, entry, part) {
            arrays.extend(arrays.clone());
        }
        model.set_weights(name, arrays)?;
    }
    Ok(())
}

/// The layers of the file that are no models, in its order.
fn places<'e>(entries: &'e [Entry<'e>]) -> Vec<Place<'e>> {
    let mut places = Vec::new();
    for top in entries {
        add_places(top, Place { entry: top, top, order: 0, trainable: true }, &mut places);
    }
    places
}

fn add_places<'e>(entry: &'e Entry<'e>, around: Place<'e>, places: &mut Vec<Place<'e>>) {
    let frozen = entry.config.get("trainable") == Some(&Value::Bool(false));
    let place = Place { entry, trainable: around.trainable && !frozen, ..around };
    match &entry.model {
        Some(nested) => nested.entries.iter().for_each(|inner| add_places(inner, place, places)),
        None => places.push(Place { order: places.len(), ..place }),
    }
}

/// The model's layers that have weights.
fn with_weights<'e>(
    label: &str,
    model: &Model,
    entries: &'e [Entry<'e>],
) -> Result<Vec<Weighted<'e>>> {
    let mut by_name = HashMap::new();
    for place in places(entries) {
        by_name.extend(names(place.entry).into_iter().map(|(name, part)| (name, (place, part))));
    }
    let mut layers = Vec::new();
    for layer in model.layers() {
        let specs = model.weight_specs(layer.name())?;
        if specs.is_empty() {
            continue;
        }
        let Some(&(place, part)) = by_name.get(layer.name()) else {
            return malformed(
                label,
                format!("layer {:?}: it isn't one of the configuration's", layer.name()),
            );
        };
        let slots = slots(layer, specs, place.entry, part);
        layers.push(Weighted { layer: layer.clone(), slots, place, part });
    }
    Ok(layers)
}

/// The names of the whole model's layers that have weights, in the order of the file.
fn top_names<'e>(layers: &[Weighted<'e>], entries: &'e [Entry<'e>]) -> Vec<&'e str> {
    let have: HashSet<&str> = layers.iter().map(|layer| layer.place.top.name).collect();
    entries.iter().map(|entry| entry.name).filter(|name| have.contains(name)).collect()
}

/// In a legacy file the names of the arrays of every layer that stands in a model, by its path: the
/// group of the model has those of all of them.
fn inner_names(
    file: &WeightFile,
    layers: &[Weighted],
    groups: &HashMap<String, String>,
) -> Result<HashMap<String, Vec<String>>> {
    let mut of_model: HashMap<&str, Vec<Inner>> = HashMap::new();
    // In the order of the file, which isn't that of the calls.
    let mut in_order: Vec<&Weighted> = layers.iter().collect();
    in_order.sort_by_key(|layer| layer.place.order);
    for Weighted { slots, place, .. } in in_order.into_iter().filter(|w| w.place.is_inner()) {
        let Place { entry, trainable, .. } = *place;
        let inner = of_model.entry(place.top.name).or_default();
        let arrays = slots.iter().map(|slot| slot.name);
        match inner.last_mut().filter(|last| last.entry.path == entry.path) {
            Some(last) => last.arrays.extend(arrays),
            None => inner.push(Inner { entry, trainable, arrays: arrays.collect() }),
        }
    }
    let mut names = HashMap::new();
    for (top, layers) in of_model {
        if let Some(group) = groups.get(top) {
            names.extend(legacy::names_by_layer(&file.hdf5, group, &layers)?);
        }
    }
    Ok(names)
}
