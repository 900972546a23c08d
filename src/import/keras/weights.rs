//! Finds and reads the weights of each layer.

use super::class::Class;
use super::entry::Entry;
use super::file::Layout;
use super::hdf5::{Hdf5, Wanted};
use super::{archive, cudnn, legacy, malformed};
use crate::error::Result;
use crate::layer::{Direction, Kind, Layer, Recurrent, WeightSpec};
use crate::model::{BuiltLayer, Model};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// Weights in HDF5, and how they are laid out.
pub(super) struct WeightFile {
    pub hdf5: Hdf5,
    pub layout: Layout,
}

/// Where in its layer of the file an array stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Place<'a> {
    /// Below the layer's group in an archive: `forward_layer/cell`, or one of several names that
    /// versions give it.
    pub folders: Vec<String>,
    /// The direction of a bidirectional layer, with that layer's arguments.
    pub direction: Option<(Direction, &'a Map<String, Value>)>,
    /// The cell's name, where there are several.
    pub cell: Option<CellName<'a>>,
}

/// A cell's name, and those of the cells beside it.
#[derive(Clone, Copy, Debug)]
pub(super) struct CellName<'a> {
    pub name: &'a str,
    pub cells: &'a [Value],
}

/// An array of a layer.
pub(super) struct Slot<'a> {
    pub place: Place<'a>,
    /// Its number in the archive's folder.
    pub index: usize,
    /// Its name, such as `kernel` or `query kernel`.
    pub name: &'static str,
    pub wanted: Wanted,
}

/// Gives every layer of the model its weights.
pub(super) fn load(file: &mut WeightFile, model: &mut Model, entries: &[Entry]) -> Result<()> {
    let by_name: HashMap<String, (&Entry, Part)> = entries.iter().flat_map(names).collect();
    let groups = match file.layout {
        Layout::Archive => archive::groups(&file.hdf5, entries)?,
        Layout::Legacy(folder) => {
            legacy::groups(&file.hdf5, folder, &with_weights(model, entries, &by_name))?
        }
    };
    for built in &mut model.layers {
        let name = built.layer.name().to_string();
        if built.layer.weight_specs(&built.inputs).is_empty() {
            continue;
        }
        let Some(&(entry, part)) = by_name.get(&name) else {
            return malformed(
                file.hdf5.label(),
                format!("layer {name:?}: it isn't one of the configuration's"),
            );
        };
        let mut slots = slots(built, entry, part);
        let Some(group) = groups.get(entry.name) else {
            return malformed(
                file.hdf5.label(),
                format!("layer {name:?}: it has no group of weights"),
            );
        };
        let paths = match file.layout {
            Layout::Archive => archive::paths(&file.hdf5, group, &name, &slots)?,
            Layout::Legacy(_) => legacy::paths(&file.hdf5, group, entry, &slots)?,
        };
        let for_cudnn = cudnn::directions(&file.hdf5, &paths, &mut slots)?;
        let read = |(path, slot): (&String, &Slot)| file.hdf5.read(path, &slot.wanted);
        let mut arrays = paths.iter().zip(&slots).map(read).collect::<Result<Vec<_>>>()?;
        for direction in for_cudnn {
            cudnn::convert(&mut arrays[direction])
                .or_else(|e| malformed(file.hdf5.label(), format!("layer {name:?}: {e}")))?;
        }
        if is_twin(&built.layer, entry, part) {
            arrays.extend(arrays.clone());
        }
        built.layer.set_weights(&built.inputs, arrays)?;
    }
    Ok(())
}

/// The names of the entries that have weights, in the order of the file.
fn with_weights<'a>(
    model: &Model,
    entries: &[Entry<'a>],
    by_name: &HashMap<String, (&Entry, Part)>,
) -> Vec<&'a str> {
    let have =
        model.layers.iter().filter(|built| !built.layer.weight_specs(&built.inputs).is_empty());
    let have: HashSet<&str> = have
        .filter_map(|built| by_name.get(built.layer.name()))
        .map(|(entry, _)| entry.name)
        .collect();
    entries.iter().map(|entry| entry.name).filter(|name| have.contains(name)).collect()
}

/// Which part of a layer of the file a layer of the model is.
#[derive(Clone, Copy, Default)]
struct Part {
    cell: usize,
    /// Of a bidirectional layer of several cells.
    direction: Option<Direction>,
}

/// The model's layers of an entry, by their names.
fn names<'e, 'a>(entry: &'e Entry<'a>) -> Vec<(String, (&'e Entry<'a>, Part))> {
    let count =
        |config: Option<&Map<String, Value>>| config.map_or(1, |config| cells(config).len().max(1));
    let forward = wrapped(entry.config, "layer");
    let mut parts = Vec::new();
    match entry.class {
        Class::Bidirectional => {
            let backward = wrapped(entry.config, "backward_layer").or(forward);
            if count(forward).max(count(backward)) > 1 {
                let both =
                    [(Direction::Forward, count(forward)), (Direction::Backward, count(backward))];
                for (direction, cell) in
                    both.into_iter().flat_map(|(d, count)| (0..count).map(move |cell| (d, cell)))
                {
                    let name = format!("{}/{direction}_cell_{cell}", entry.name);
                    parts.push((name, (entry, Part { cell, direction: Some(direction) })));
                }
            }
        }
        Class::Rnn | Class::TimeDistributed => {
            let count =
                if entry.class == Class::Rnn { count(Some(entry.config)) } else { count(forward) };
            if count > 1 {
                let part = |cell| {
                    (
                        super::layer::cell_name(entry.name, cell),
                        (entry, Part { cell, direction: None }),
                    )
                };
                parts.extend((0..count).map(part));
            }
        }
        _ => {}
    }
    if parts.is_empty() { vec![(entry.name.to_string(), (entry, Part::default()))] } else { parts }
}

/// The cells of an `RNN`: of several of them there is a list.
fn cells(config: &Map<String, Value>) -> &[Value] {
    let cell = config.get("cell");
    let list = cell.and_then(|cell| cell.as_array().or(cell.pointer("/config/cells")?.as_array()));
    list.map(Vec::as_slice).unwrap_or_default()
}

/// Whether a layer is one cell in both directions.
fn is_twin(layer: &Layer, entry: &Entry, part: Part) -> bool {
    matches!(layer, Layer::Bidirectional(_))
        && (part.direction.is_some() || entry.class == Class::Rnn)
}

fn slots<'a>(built: &BuiltLayer, entry: &Entry<'a>, part: Part) -> Vec<Slot<'a>> {
    let mut specs = built.layer.weight_specs(&built.inputs);
    let twin = is_twin(&built.layer, entry, part);
    if twin {
        specs.truncate(specs.len() / 2);
    }
    let places = match part.direction {
        Some(direction) => vec![of_direction(entry.config, direction, part.cell, ""); specs.len()],
        None if twin => vec![of_cell(entry.class, entry.config, part.cell, ""); specs.len()],
        None => places(&built.layer, entry.class, entry.config, part.cell, "", specs.len()),
    };
    let mut numbers: HashMap<Vec<String>, usize> = HashMap::new();
    let slot = |(spec, place): (WeightSpec, Place<'a>)| {
        let next = numbers.entry(place.folders.clone()).or_default();
        let index = *next;
        *next += 1;
        let weight = match place.direction {
            Some((direction, _)) => format!("{direction} {}", spec.name),
            None => spec.name.to_string(),
        };
        let wanted = Wanted { layer: built.layer.name().to_string(), weight, shape: spec.shape };
        Slot { place, index, name: spec.name, wanted }
    };
    specs.into_iter().zip(places).map(slot).collect()
}

/// The place of each of a layer's `count` arrays; `folder` is where the layer itself stands.
fn places<'a>(
    layer: &Layer,
    class: Class,
    config: &'a Map<String, Value>,
    cell: usize,
    folder: &str,
    count: usize,
) -> Vec<Place<'a>> {
    let inside =
        |part: &str| if folder.is_empty() { part.to_string() } else { format!("{folder}/{part}") };
    match layer {
        Layer::Recurrent(_) => vec![of_cell(class, config, cell, folder); count],
        Layer::Bidirectional(_) => {
            let of_each = |(direction, layer): (Direction, &Recurrent)| {
                vec![of_direction(config, direction, 0, folder); 2 + usize::from(layer.use_bias())]
            };
            layer.directions().into_iter().flat_map(of_each).collect()
        }
        Layer::Feedforward(layer) => match &layer.kind {
            Kind::TimeDistributed(each) => match wrapped(config, "layer") {
                Some(wrapped) => {
                    places(&each.layer, Class::Rnn, wrapped, cell, &inside("layer"), count)
                }
                None => vec![Place::default(); count],
            },
            Kind::MultiHeadAttention(_) => {
                let projection = |index: usize| {
                    let name = ["query", "key", "value", "output"][index * 4 / count.max(1)];
                    // Some versions of Keras name the attribute with an underscore.
                    let folders =
                        vec![inside(&format!("{name}_dense")), inside(&format!("_{name}_dense"))];
                    Place { folders, ..Place::default() }
                };
                (0..count).map(projection).collect()
            }
            _ => vec![Place { folders: vec![folder.to_string()], ..Place::default() }; count],
        },
    }
}

fn wrapped<'a>(config: &'a Map<String, Value>, argument: &str) -> Option<&'a Map<String, Value>> {
    config.get(argument)?.get("config")?.as_object()
}

/// The place of a cell's arrays in one direction of a bidirectional layer.
fn of_direction<'a>(
    config: &'a Map<String, Value>,
    direction: Direction,
    cell: usize,
    folder: &str,
) -> Place<'a> {
    let (argument, part) = match direction {
        Direction::Forward => ("layer", "forward_layer"),
        Direction::Backward => ("backward_layer", "backward_layer"),
    };
    let own = wrapped(config, argument).or(wrapped(config, "layer")).unwrap_or(config);
    let folder = if folder.is_empty() { part.to_string() } else { format!("{folder}/{part}") };
    Place { direction: Some((direction, config)), ..of_cell(Class::Rnn, own, cell, &folder) }
}

/// The place of a cell's arrays, in a recurrent layer or in an `RNN` of several.
fn of_cell<'a>(
    class: Class,
    config: &'a Map<String, Value>,
    cell: usize,
    folder: &str,
) -> Place<'a> {
    let inside =
        |part: &str| if folder.is_empty() { part.to_string() } else { format!("{folder}/{part}") };
    let cells = cells(config);
    let (true, Some(own)) = (class == Class::Rnn && cells.len() > 1, cells.get(cell)) else {
        // A list of one cell is one in the archive, too.
        let path = match cells {
            [only] => format!("cell/cells/{}", cell_folder(only)),
            _ => "cell".to_string(),
        };
        // A layer for cuDNN has no cell: its arrays stand right in its group.
        return Place { folders: vec![inside(&path), folder.to_string()], ..Place::default() };
    };
    let folder_name = cell_folder(own);
    let before = cells[..cell].iter().filter(|other| cell_folder(other) == folder_name).count();
    let numbered = if before == 0 { folder_name } else { format!("{folder_name}_{before}") };
    let name = own.pointer("/config/name").and_then(Value::as_str);
    let cell = name.map(|name| CellName { name, cells });
    Place { folders: vec![inside(&format!("cell/cells/{numbered}"))], direction: None, cell }
}

fn cell_folder(cell: &Value) -> String {
    let class = cell.get("class_name").and_then(Value::as_str).unwrap_or_default();
    crate::model::snake_case(class.strip_prefix("Keras>").unwrap_or(class))
}
