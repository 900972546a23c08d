//! Finds and reads the weights of each layer.

use super::class::Class;
use super::entry::Entry;
use super::file::{Layout, WeightFile};
use super::hdf5::Wanted;
use super::legacy::Inner;
use super::messages::malformed;
use super::slot::{Part, Slot, is_twin, names, slots};
use super::{archive, cudnn, legacy, quantized, wrapped};
use crate::{Layer, Model, Result};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// A layer of the file that is no model.
#[derive(Clone, Copy)]
struct FileLayer<'e> {
    entry: &'e Entry<'e>,
    /// The layer of the whole model that it is or stands in.
    top: &'e Entry<'e>,
    /// Its number among them in the file.
    order: usize,
    /// Whether it and all models around it are trainable.
    trainable: bool,
}

impl FileLayer<'_> {
    /// Whether it stands in a model that is a layer.
    fn is_inner(&self) -> bool {
        self.top.model.is_some()
    }
}

/// A layer of the model that has weights, and where they stand.
struct Weighted<'e> {
    layer: Layer,
    slots: Vec<Slot<'e>>,
    place: FileLayer<'e>,
    part: Part,
}

/// Gives every layer of the model its weights.
pub(super) fn load(file: &mut WeightFile, model: &mut Model, entries: &[Entry]) -> Result<()> {
    let layers = with_weights(file.hdf5.label(), model, entries)?;
    let customs = customs(model, entries)?;
    let groups = match file.layout {
        Layout::Archive => archive::groups(&file.hdf5, entries)?,
        Layout::Legacy(folder) => {
            legacy::groups(&file.hdf5, folder, &top_names(&layers, &customs, entries))?
        }
    };
    let inner_names = match file.layout {
        Layout::Archive => HashMap::new(),
        Layout::Legacy(_) => inner_names(file, &layers, &customs, &groups)?,
    };
    for custom in &customs {
        load_custom(file, model, custom, &groups, &inner_names)?;
    }
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
        let read = |(path, slot): (&String, &Slot)| {
            quantized::read(&mut file.hdf5, file.layout, path, &paths, slot, entry.config)
        };
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
fn places<'e>(entries: &'e [Entry<'e>]) -> Vec<FileLayer<'e>> {
    let mut places = Vec::new();
    for top in entries {
        add_places(top, FileLayer { entry: top, top, order: 0, trainable: true }, &mut places);
    }
    places
}

fn add_places<'e>(entry: &'e Entry<'e>, around: FileLayer<'e>, places: &mut Vec<FileLayer<'e>>) {
    let frozen = entry.config.get("trainable") == Some(&Value::Bool(false));
    let place = FileLayer { entry, trainable: around.trainable && !frozen, ..around };
    match &entry.model {
        Some(nested) => nested.entries.iter().for_each(|inner| add_places(inner, place, places)),
        None => places.push(FileLayer { order: places.len(), ..place }),
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
        let found = by_name.get(layer.name());
        if specs.is_empty() || found.is_some_and(|(place, _)| is_custom(place)) {
            continue;
        }
        let Some(&(place, part)) = found else {
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
fn top_names<'e>(
    layers: &[Weighted<'e>],
    customs: &[Custom<'e>],
    entries: &'e [Entry<'e>],
) -> Vec<&'e str> {
    let places = layers.iter().map(|layer| layer.place);
    let places = places.chain(customs.iter().map(|custom| custom.place));
    let have: HashSet<&str> = places.map(|place| place.top.name).collect();
    entries.iter().map(|entry| entry.name).filter(|name| have.contains(name)).collect()
}

/// In a legacy file the names of the arrays of every layer that stands in a model, by its path: the
/// group of the model has those of all of them.
fn inner_names(
    file: &WeightFile,
    layers: &[Weighted],
    customs: &[Custom],
    groups: &HashMap<String, String>,
) -> Result<HashMap<String, Vec<String>>> {
    let mut of_model: HashMap<&str, Vec<Inner>> = HashMap::new();
    // In the order of the file, which isn't that of the calls.
    let mut in_order: Vec<&Weighted> = layers.iter().collect();
    in_order.sort_by_key(|layer| layer.place.order);
    for Weighted { slots, place, .. } in in_order.into_iter().filter(|w| w.place.is_inner()) {
        let FileLayer { entry, trainable, .. } = *place;
        let inner = of_model.entry(place.top.name).or_default();
        let arrays = slots.iter().map(|slot| slot.name);
        match inner.last_mut().filter(|last| last.entry.path == entry.path) {
            Some(last) => last.arrays.get_or_insert_default().extend(arrays),
            None => inner.push(Inner { entry, trainable, arrays: Some(arrays.collect()) }),
        }
    }
    for Custom { place, .. } in customs.iter().filter(|custom| custom.place.is_inner()) {
        let FileLayer { entry, trainable, .. } = *place;
        of_model.entry(place.top.name).or_default().push(Inner { entry, trainable, arrays: None });
    }
    let mut names = HashMap::new();
    for (top, layers) in of_model {
        if let Some(group) = groups.get(top) {
            names.extend(legacy::names_by_layer(&file.hdf5, group, &layers)?);
        }
    }
    Ok(names)
}

/// A layer that the caller builds and that has weights.
struct Custom<'e> {
    place: FileLayer<'e>,
    /// The names of the layers that it consists of, and how many arrays each has.
    layers: Vec<(String, usize)>,
}

fn is_custom(place: &FileLayer) -> bool {
    matches!(place.entry.class, Class::Custom { .. })
}

fn customs<'e>(model: &Model, entries: &'e [Entry<'e>]) -> Result<Vec<Custom<'e>>> {
    let mut customs = Vec::new();
    for place in places(entries).into_iter().filter(is_custom) {
        let members = names(place.entry).into_iter().map(|(name, _)| name);
        let members = members.map(|name| Ok((model.weight_specs(&name)?.len(), name)));
        let members = members.collect::<Result<Vec<_>>>()?;
        let layers: Vec<_> = members.into_iter().map(|(count, name)| (name, count)).collect();
        if layers.iter().any(|(_, count)| *count > 0) {
            customs.push(Custom { place, layers });
        }
    }
    Ok(customs)
}

/// Gives the layers that make up a custom one what the caller makes of the arrays in the file.
fn load_custom(
    file: &mut WeightFile,
    model: &mut Model,
    custom: &Custom,
    groups: &HashMap<String, String>,
    inner_names: &HashMap<String, Vec<String>>,
) -> Result<()> {
    let FileLayer { entry, top, .. } = custom.place;
    let fail =
        |label: &str, reason: &str| malformed(label, format!("layer {:?}: {reason}", entry.path));
    let legacy = matches!(file.layout, Layout::Legacy(_));
    let Some(group) = groups.get(if legacy { top.name } else { &entry.path }) else {
        return fail(file.hdf5.label(), "it has no group of weights");
    };
    let names = match (legacy, custom.place.is_inner()) {
        (true, true) => inner_names.get(&entry.path).cloned().unwrap_or_default(),
        (true, false) => legacy::all_names(&file.hdf5, group)?,
        (false, _) => archive::all_arrays(&file.hdf5, group)?,
    };
    let mut arrays = Vec::new();
    for name in names {
        let path = format!("{group}/{name}");
        let shape = file.hdf5.shape(&path)?.unwrap_or_default();
        let wanted = Wanted { layer: entry.path.clone(), weight: name.clone(), shape };
        arrays.push((name, file.hdf5.read(&path, &wanted)?));
    }
    let mut arrays = wrapped::custom_layer(entry)?.converted(arrays)?.into_iter();
    for (index, (name, count)) in custom.layers.iter().enumerate() {
        // What is left over is the last one's, which says so.
        let count = if index + 1 == custom.layers.len() { usize::MAX } else { *count };
        let own: Vec<_> = arrays.by_ref().take(count).collect();
        model.set_weights(name, own)?;
    }
    Ok(())
}
