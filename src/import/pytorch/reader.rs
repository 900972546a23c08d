//! Finds tensors by their names, and keeps in mind which were read.

use super::file::TensorFile;
use super::messages::{listed, malformed};
use super::tensor::FileTensor;
use crate::Result;
use ndarray::ArrayD;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Under which names checkpoints keep a state dict, and wrappers of models the model itself
/// (`DataParallel`: `module`; `torch.compile`: `_orig_mod`).
const WRAPPERS: [&str; 14] = [
    "state_dict",
    "model_state_dict",
    "model_state",
    "model_dict",
    "model",
    "module",
    "_orig_mod",
    "net",
    "network",
    "net_state_dict",
    "weights",
    "params",
    "parameters",
    "checkpoint",
];

/// How long the wrappers are that a name begins with, the dots behind them included.
pub(super) fn wrappers(name: &str) -> usize {
    let mut length = 0;
    while let Some((word, _)) = name[length..].split_once('.')
        && WRAPPERS.contains(&word)
    {
        length += word.len() + 1;
    }
    length
}

#[derive(Clone, Debug)]
pub(super) struct Reader {
    pub file: TensorFile,
    /// Each tensor's place among those of the file.
    places: HashMap<String, usize>,
    read: HashSet<String>,
}

impl Reader {
    pub(super) fn new(file: TensorFile) -> Reader {
        let names = file.tensors.iter().map(|tensor| tensor.name.clone());
        let places = names.enumerate().map(|(place, name)| (name, place)).collect();
        Reader { file, places, read: HashSet::new() }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.file.tensors.iter().map(|tensor| tensor.name.as_str())
    }

    pub(super) fn is_read(&self, name: &str) -> bool {
        self.read.contains(name)
    }

    /// What the names of a part's tensors begin with in the file, up to the last dot: the part's
    /// own name, perhaps behind wrappers.
    pub(super) fn resolve(&self, part: &str) -> Result<String> {
        let dotted = match part.trim_end_matches('.') {
            "" => return self.resolve_root(),
            part => format!("{part}."),
        };
        if self.names().any(|name| name.starts_with(&dotted)) {
            return Ok(dotted);
        }
        let found = self.names().filter_map(|name| {
            let end = (1..=wrappers(name)).find(|&end| {
                name.as_bytes()[end - 1] == b'.' && name[end..].starts_with(&dotted)
            })?;
            Some(&name[..end + dotted.len()])
        });
        self.one_of(part, found.collect())
    }

    /// Of a part without a name: the file's root, or the wrappers that the state dict lies in.
    fn resolve_root(&self) -> Result<String> {
        if self.names().any(|name| !name.contains('.')) {
            return Ok(String::new());
        }
        let found: BTreeSet<&str> = self.names().map(|name| &name[..wrappers(name)]).collect();
        match found.len() {
            1 => self.one_of("", found),
            _ => Ok(String::new()),
        }
    }

    fn one_of(&self, part: &str, found: BTreeSet<&str>) -> Result<String> {
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one.to_string()),
            (Some(one), Some(other)) => {
                let both = listed([one, other]);
                self.wrong(format!("holds {part:?} more than once: name one of {both}"))
            }
            _ => {
                let names = listed(self.names());
                self.wrong(format!("has no tensor of a part {part:?}; it has {names}"))
            }
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&FileTensor> {
        self.places.get(name).and_then(|&place| self.file.tensors.get(place))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn find(&self, name: &str) -> Result<&FileTensor> {
        match self.get(name) {
            Some(tensor) => Ok(tensor),
            None => {
                let folder = &name[..name.rfind('.').map_or(0, |dot| dot + 1)];
                let beside: Vec<_> = self.names().filter(|n| n.starts_with(folder)).collect();
                let names = if beside.is_empty() { self.names().collect() } else { beside };
                let (names, instead) = (listed(names), self.of_parametrized());
                self.wrong(format!("has no tensor {name:?}; it has {names}{instead}"))
            }
        }
    }

    /// Reads a tensor's values.
    pub(super) fn take(&mut self, name: &str) -> Result<ArrayD<f32>> {
        let array = self.find(name)?.array(&self.file.name)?;
        self.read.insert(name.to_string());
        Ok(array)
    }

    /// Reads a tensor that need not be there.
    pub(super) fn take_optional(&mut self, name: &str) -> Result<Option<ArrayD<f32>>> {
        self.has(name).then(|| self.take(name)).transpose()
    }

    /// Reads a tensor that has this shape.
    pub(super) fn take_shaped(&mut self, name: &str, shape: &[usize]) -> Result<ArrayD<f32>> {
        match &self.find(name)?.shape {
            found if found == shape => self.take(name),
            found => self.wrong(format!("tensor {name:?} has shape {found:?}, expected {shape:?}")),
        }
    }

    /// The shape of a tensor that has so many axes.
    pub(super) fn shape<const AXES: usize>(&self, name: &str) -> Result<[usize; AXES]> {
        self.find(name)?.float(&self.file.name)?;
        let found = &self.find(name)?.shape;
        match <[usize; AXES]>::try_from(&found[..]) {
            Ok(shape) if !shape.contains(&0) => Ok(shape),
            Ok(_) => self.wrong(format!("tensor {name:?} {found:?} has no values")),
            Err(_) => {
                self.wrong(format!("tensor {name:?} has shape {found:?}, expected {AXES} axes"))
            }
        }
    }

    /// What to do where weights of recurrent modules stand in the file as what they are computed
    /// from; else nothing.
    pub(super) fn of_parametrized(&self) -> &'static str {
        if self.names().any(is_parametrized) { PARAMETRIZED } else { "" }
    }

    pub(super) fn wrong<T>(&self, reason: impl Into<String>) -> Result<T> {
        malformed(&self.file.name, reason)
    }
}

/// What to do where a recurrent module's weights stand in the file as what they are computed from.
const PARAMETRIZED: &str = "; a weight of a recurrent module is computed from others, as weight \
    norm does: before saving call torch.nn.utils.parametrize.remove_parametrizations(module, name) \
    for each, or torch.nn.utils.remove_weight_norm(module, name) where it is the older one";

/// Whether a tensor is one that a weight of a recurrent module is computed from:
/// `lstm.parametrizations.weight_hh_l0.original0`, or `lstm.weight_hh_l0_g`.
fn is_parametrized(name: &str) -> bool {
    let mut parts = name.rsplit('.');
    let (last, before) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let is_recurrent = |name: &str| {
        ["weight_ih", "weight_hh", "weight_hr"].iter().any(|weight| name.starts_with(weight))
    };
    let norm = last.ends_with("_g") || last.ends_with("_v");
    let original = last.starts_with("original") && parts.next() == Some("parametrizations");
    original && is_recurrent(before) || norm && is_recurrent(last)
}
