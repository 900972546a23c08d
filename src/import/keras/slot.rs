//! Where in a file the arrays of each layer stand: below which folders of its group, under which
//! names and numbers.

use super::class::Class;
use super::entry::Entry;
use super::hdf5::Wanted;
use super::layer::{cell_name, member_name};
use super::wrapped;
use crate::layer::{Recurrent, WeightSpec, default_name};
use crate::{Direction, Layer};
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Where in its layer of the file an array stands.
#[derive(Clone, Debug, Default)]
pub(super) struct PathInLayer<'a> {
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
    pub place: PathInLayer<'a>,
    /// Its number in the archive's folder.
    pub index: usize,
    /// Its name, such as `kernel` or `query kernel`.
    pub name: &'static str,
    pub wanted: Wanted,
}

/// Which part of a layer of the file a layer of the model is.
#[derive(Clone, Copy, Default)]
pub(super) struct Part {
    cell: usize,
    /// Of a bidirectional layer of several cells.
    direction: Option<Direction>,
}

/// The model's layers of an entry, by their names.
pub(super) fn names(entry: &Entry) -> Vec<(String, Part)> {
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
                    let name = format!("{}/{direction}_cell_{cell}", entry.path);
                    parts.push((name, Part { cell, direction: Some(direction) }));
                }
            }
        }
        Class::Rnn | Class::TimeDistributed => {
            let count =
                if entry.class == Class::Rnn { count(Some(entry.config)) } else { count(forward) };
            if count > 1 {
                let part = |cell| (cell_name(&entry.path, cell), Part { cell, direction: None });
                parts.extend((0..count).map(part));
            }
        }
        Class::Custom { .. } => {
            let count = wrapped::members(entry);
            let name = |index| (member_name(&entry.path, index), Part::default());
            parts.extend((0..count).filter(|_| count > 1).map(name));
        }
        _ => {}
    }
    if parts.is_empty() { vec![(entry.path.clone(), Part::default())] } else { parts }
}

/// The cells of an `RNN`: of several of them there is a list.
fn cells(config: &Map<String, Value>) -> &[Value] {
    let cell = config.get("cell");
    let list = cell.and_then(|cell| cell.as_array().or(cell.pointer("/config/cells")?.as_array()));
    list.map(Vec::as_slice).unwrap_or_default()
}

/// The layer as the file has it, without the `TimeDistributed` around its model.
fn in_its_model<'l>(layer: &'l Layer, entry: &Entry) -> &'l Layer {
    (0..entry.time_distributed).fold(layer, |layer, _| layer.time_distributed().unwrap_or(layer))
}

/// Whether a layer is one cell in both directions.
pub(super) fn is_twin(layer: &Layer, entry: &Entry, part: Part) -> bool {
    matches!(in_its_model(layer, entry), Layer::Bidirectional(_))
        && (part.direction.is_some() || entry.class == Class::Rnn)
}

/// The places of a layer's arrays; `specs` are the model's weights of it.
pub(super) fn slots<'a>(
    layer: &Layer,
    mut specs: Vec<WeightSpec>,
    entry: &Entry<'a>,
    part: Part,
) -> Vec<Slot<'a>> {
    let twin = is_twin(layer, entry, part);
    if twin {
        specs.truncate(specs.len() / 2);
    }
    let places = match part.direction {
        Some(direction) => vec![of_direction(entry.config, direction, part.cell, ""); specs.len()],
        None if twin => vec![of_cell(entry.class, entry.config, part.cell, ""); specs.len()],
        None => {
            let layer = in_its_model(layer, entry);
            places(layer, entry.class, entry.config, part.cell, "", specs.len())
        }
    };
    let mut numbers: HashMap<Vec<String>, usize> = HashMap::new();
    let slot = |(spec, place): (WeightSpec, PathInLayer<'a>)| {
        let next = numbers.entry(place.folders.clone()).or_default();
        let index = *next;
        *next += 1;
        let weight = match place.direction {
            Some((direction, _)) => format!("{direction} {}", spec.name),
            None => spec.name.to_string(),
        };
        let wanted = Wanted { layer: layer.name().to_string(), weight, shape: spec.shape };
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
) -> Vec<PathInLayer<'a>> {
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
        _ => match (layer.time_distributed(), wrapped(config, "layer"), layer.class_name()) {
            (Some(each), Some(own), _) => {
                places(each, Class::Rnn, own, cell, &inside("layer"), count)
            }
            (Some(_), None, _) => vec![PathInLayer::default(); count],
            (None, _, "MultiHeadAttention") => {
                let projection = |index: usize| {
                    let name = ["query", "key", "value", "output"][index * 4 / count.max(1)];
                    // Some versions of Keras name the attribute with an underscore.
                    let folders =
                        vec![inside(&format!("{name}_dense")), inside(&format!("_{name}_dense"))];
                    PathInLayer { folders, ..PathInLayer::default() }
                };
                (0..count).map(projection).collect()
            }
            (None, _, "ConvLSTM1D" | "ConvLSTM2D") => {
                vec![of_cell(class, config, cell, folder); count]
            }
            (None, _, "Bidirectional") => {
                // Of a ConvLSTM: all others are a `Layer::Bidirectional`.
                let has_bias = wrapped(config, "layer").and_then(|own| own.get("use_bias"));
                let of_forward = if has_bias == Some(&Value::Bool(false)) { 2 } else { 3 };
                let direction = |index: usize| match index < of_forward {
                    true => Direction::Forward,
                    false => Direction::Backward,
                };
                let place = |index| of_direction(config, direction(index), 0, folder);
                (0..count).map(place).collect()
            }
            _ => vec![
                PathInLayer { folders: vec![folder.to_string()], ..PathInLayer::default() };
                count
            ],
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
) -> PathInLayer<'a> {
    let (argument, part) = match direction {
        Direction::Forward => ("layer", "forward_layer"),
        Direction::Backward => ("backward_layer", "backward_layer"),
    };
    let own = wrapped(config, argument).or(wrapped(config, "layer")).unwrap_or(config);
    let folder = if folder.is_empty() { part.to_string() } else { format!("{folder}/{part}") };
    PathInLayer { direction: Some((direction, config)), ..of_cell(Class::Rnn, own, cell, &folder) }
}

/// The place of a cell's arrays, in a recurrent layer or in an `RNN` of several.
fn of_cell<'a>(
    class: Class,
    config: &'a Map<String, Value>,
    cell: usize,
    folder: &str,
) -> PathInLayer<'a> {
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
        return PathInLayer {
            folders: vec![inside(&path), folder.to_string()],
            ..PathInLayer::default()
        };
    };
    let folder_name = cell_folder(own);
    let before = cells[..cell].iter().filter(|other| cell_folder(other) == folder_name).count();
    let numbered = if before == 0 { folder_name } else { format!("{folder_name}_{before}") };
    let name = own.pointer("/config/name").and_then(Value::as_str);
    let cell = name.map(|name| CellName { name, cells });
    PathInLayer { folders: vec![inside(&format!("cell/cells/{numbered}"))], direction: None, cell }
}

fn cell_folder(cell: &Value) -> String {
    let class = cell.get("class_name").and_then(Value::as_str).unwrap_or_default();
    default_name(class.strip_prefix("Keras>").unwrap_or(class))
}
