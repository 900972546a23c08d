//! Layers between operations that merge the batch with other axes and split it again:
//! `ops.reshape(x, (-1, features))`, a `Dense`, `ops.reshape(y, (-1, timesteps, units))`.
//!
//! Arrays of a model here have the batch as their first axis. So such a layer is called on the
//! array before its axes were merged, on every index of those axes, as a layer of a model in
//! `TimeDistributed` is: rows are computed apart, however they are counted. Which layers that are
//! turns out when the model is built, which then begins again.

use super::entry::Entry;
use std::collections::HashMap;

/// By the path of a layer, how many axes are merged with the batch of what it is called on.
#[derive(Clone, Debug, Default)]
pub(super) struct Merged(HashMap<String, usize>);

impl Merged {
    /// Adds a layer; whether that is new.
    pub(super) fn add(&mut self, path: &str, axes: usize) -> bool {
        self.0.insert(path.to_string(), axes).is_none()
    }

    /// How many axes are merged where this layer is called.
    pub(super) fn axes(&self, path: &str) -> usize {
        self.0.get(path).copied().unwrap_or(0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lets the layers, and those of models among them, be called on every index of these axes.
    pub(super) fn apply(&self, entries: &mut [Entry]) {
        for entry in entries {
            let axes = self.axes(&entry.path);
            if axes > 0 {
                add(entry, axes);
            } else if let Some(model) = &mut entry.model {
                self.apply(&mut model.entries);
            }
        }
    }
}

fn add(entry: &mut Entry, axes: usize) {
    entry.time_distributed += axes;
    for inside in entry.model.iter_mut().flat_map(|model| &mut model.entries) {
        add(inside, axes);
    }
}
