//! Finds and reads the weights of each layer.

use super::entry::Entry;
use super::file::{Layout, WeightFile};
use super::messages::malformed;
use super::slot::{Part, Slot, is_twin, names, slots};
use super::{archive, cudnn, legacy};
use crate::layer::WeightSpec;
use crate::{Layer, Model, Result};
use std::collections::{HashMap, HashSet};

/// Gives every layer of the model its weights.
pub(super) fn load(file: &mut WeightFile, model: &mut Model, entries: &[Entry]) -> Result<()> {
    let by_name: HashMap<String, (&Entry, Part)> = entries.iter().flat_map(names).collect();
    let layers = with_weights(model)?;
    let groups = match file.layout {
        Layout::Archive => archive::groups(&file.hdf5, entries)?,
        Layout::Legacy(folder) => {
            legacy::groups(&file.hdf5, folder, &entry_names(&layers, entries, &by_name))?
        }
    };
    for (layer, specs) in layers {
        let name = layer.name();
        let Some(&(entry, part)) = by_name.get(name) else {
            return malformed(
                file.hdf5.label(),
                format!("layer {name:?}: it isn't one of the configuration's"),
            );
        };
        let mut slots = slots(&layer, specs, entry, part);
        let Some(group) = groups.get(entry.name) else {
            return malformed(
                file.hdf5.label(),
                format!("layer {name:?}: it has no group of weights"),
            );
        };
        let paths = match file.layout {
            Layout::Archive => archive::paths(&file.hdf5, group, name, &slots)?,
            Layout::Legacy(_) => legacy::paths(&file.hdf5, group, entry, &slots)?,
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

/// The model's layers that have weights, with their names and shapes.
fn with_weights(model: &Model) -> Result<Vec<(Layer, Vec<WeightSpec>)>> {
    let layers = model.layers().map(|layer| Ok((layer.clone(), model.weight_specs(layer.name())?)));
    layers.filter(|found| !matches!(found, Ok((_, specs)) if specs.is_empty())).collect()
}

/// The names of these layers' entries, in the order of the file.
fn entry_names<'a>(
    layers: &[(Layer, Vec<WeightSpec>)],
    entries: &[Entry<'a>],
    by_name: &HashMap<String, (&Entry, Part)>,
) -> Vec<&'a str> {
    let have = layers.iter().filter_map(|(layer, _)| by_name.get(layer.name()));
    let have: HashSet<&str> = have.map(|(entry, _)| entry.name).collect();
    entries.iter().map(|entry| entry.name).filter(|name| have.contains(name)).collect()
}
