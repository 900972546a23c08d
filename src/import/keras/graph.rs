//! Builds the graph of a functional model.

use super::call::{Call, Reference, calls, references};
use super::class::Class;
use super::entry::Entry;
use super::file::Version;
use super::layer::{self, InputShape};
use super::malformed;
use crate::error::Result;
use crate::model::{Graph, LayerId, Model, Tensor};
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

const MAX_CALLS: usize = 1 << 16;

/// A call, and where it stands.
struct Node<'a> {
    entry: usize,
    /// The number of the call among the layer's.
    number: usize,
    call: Call<'a>,
}

/// The model of layers that call one another.
pub(super) fn build(label: &str, version: Version, config: &Value, entries: &[Entry]) -> Result<Model> {
    let nodes = nodes(label, entries)?;
    let mut builder = Builder {
        label,
        by_name: entries.iter().enumerate().map(|(index, entry)| (entry.name, index)).collect(),
        entries,
        graph: Graph::new(),
        layers: vec![None; entries.len()],
        results: HashMap::new(),
    };
    let order = builder.order(&nodes)?;
    let layers = layers(version, entries)?;
    builder.inputs(config)?;
    builder.calls(&nodes, &order, layers)?;
    let outputs = builder.outputs(config)?;
    builder.graph.build(outputs)
}

fn nodes<'a>(label: &str, entries: &[Entry<'a>]) -> Result<Vec<Node<'a>>> {
    let mut nodes = Vec::new();
    for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.class != Class::Input) {
        let calls = calls(label, entry.name, entry.inbound_nodes)?;
        nodes.extend(calls.into_iter().enumerate().map(|(number, call)| Node { entry: index, number, call }));
        if nodes.len() > MAX_CALLS {
            return malformed(label, format!("calls its layers more than {MAX_CALLS} times"));
        }
    }
    Ok(nodes)
}

fn layers(version: Version, entries: &[Entry]) -> Result<Vec<Option<crate::Layer>>> {
    entries
        .iter()
        .map(|entry| match entry.class {
            Class::Input => Ok(None),
            Class::Recurrent(kind) => layer::layer(entry, Some(kind), version).map(Some),
            Class::Bidirectional => layer::layer(entry, None, version).map(Some),
        })
        .collect()
}

struct Builder<'a> {
    label: &'a str,
    entries: &'a [Entry<'a>],
    by_name: HashMap<&'a str, usize>,
    graph: Graph,
    layers: Vec<Option<LayerId>>,
    /// What each call returned, by entry and number.
    results: HashMap<(usize, usize), Vec<Tensor>>,
}

impl Builder<'_> {
    /// The order in which every call's tensors exist: that of the file, where the file's will do.
    fn order(&self, nodes: &[Node]) -> Result<Vec<usize>> {
        let numbers: HashMap<_, _> = nodes.iter().enumerate().map(|(i, node)| ((node.entry, node.number), i)).collect();
        let mut missing = vec![0; nodes.len()];
        let mut readers: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
        for (index, node) in nodes.iter().enumerate() {
            for reference in std::iter::once(&node.call.input).chain(&node.call.initial_state) {
                let reader = format!("layer {:?}: its input", self.entries[node.entry].name);
                let entry = self.entry(&reader, reference)?;
                if self.entries[entry].class == Class::Input {
                    continue;
                }
                match numbers.get(&(entry, reference.call)) {
                    Some(&source) => readers[source].push(index),
                    None => return self.dangling(&reader, reference),
                }
                missing[index] += 1;
            }
        }
        let mut ready: BinaryHeap<_> = (0..nodes.len()).filter(|&i| missing[i] == 0).map(Reverse).collect();
        let mut order = Vec::new();
        while let Some(Reverse(index)) = ready.pop() {
            order.push(index);
            for &reader in &readers[index] {
                missing[reader] -= 1;
                if missing[reader] == 0 {
                    ready.push(Reverse(reader));
                }
            }
        }
        match missing.iter().position(|&count| count > 0) {
            Some(stuck) => {
                let name = self.entries[nodes[stuck].entry].name;
                malformed(
                    self.label,
                    format!("layer {name:?}: its input depends on its own output, or on such a cycle"),
                )
            }
            None => Ok(order),
        }
    }

    fn entry(&self, reader: &str, reference: &Reference) -> Result<usize> {
        match self.by_name.get(reference.layer) {
            Some(&entry) => Ok(entry),
            None => {
                malformed(self.label, format!("{reader} is layer {:?}, which the model doesn't have", reference.layer))
            }
        }
    }

    fn dangling<T>(&self, reader: &str, reference: &Reference) -> Result<T> {
        let Reference { layer, call, tensor } = reference;
        malformed(
            self.label,
            format!("{reader} is output {tensor} of call {call} of layer {layer:?}, which there isn't"),
        )
    }

    fn tensor(&self, reader: &str, reference: &Reference) -> Result<Tensor> {
        let entry = self.entry(reader, reference)?;
        match self.results.get(&(entry, reference.call)).and_then(|results| results.get(reference.tensor)) {
            Some(&tensor) => Ok(tensor),
            None => self.dangling(reader, reference),
        }
    }

    fn listed<'v>(&self, config: &'v Value, list: &str) -> Result<Vec<Reference<'v>>> {
        let mut found = Vec::new();
        match config.get("config").and_then(|config| config.get(list)) {
            Some(value) if references(value, &mut found) && !found.is_empty() && found.len() <= MAX_CALLS => Ok(found),
            _ => malformed(self.label, format!("the model's {list} are missing or unreadable")),
        }
    }

    /// Adds the inputs, in the order of the model's.
    fn inputs(&mut self, config: &Value) -> Result<()> {
        for reference in self.listed(config, "input_layers")? {
            let index = self.entry("a model input", &reference)?;
            let entry = &self.entries[index];
            if entry.class != Class::Input || (reference.call, reference.tensor) != (0, 0) {
                return self.dangling("a model input", &reference);
            }
            let tensor = match layer::input(entry)? {
                InputShape::Sequence { timesteps, features } => {
                    self.graph.sequence_input(entry.name, timesteps, features)?
                }
                InputShape::State { features } => self.graph.state_input(entry.name, features)?,
            };
            self.results.insert((index, 0), vec![tensor]);
        }
        Ok(())
    }

    fn calls(&mut self, nodes: &[Node], order: &[usize], mut layers: Vec<Option<crate::Layer>>) -> Result<()> {
        for node in order.iter().map(|&index| &nodes[index]) {
            let reader = format!("layer {:?}: its input", self.entries[node.entry].name);
            let id = match (self.layers[node.entry], layers[node.entry].take()) {
                (Some(id), _) => id,
                (None, Some(layer)) => self.graph.layer(layer)?,
                (None, None) => return malformed(self.label, format!("{reader} can't be found")),
            };
            self.layers[node.entry] = Some(id);
            let input = self.tensor(&reader, &node.call.input)?;
            let states = &node.call.initial_state;
            let states: Vec<_> = states.iter().map(|state| self.tensor(&reader, state)).collect::<Result<_>>()?;
            let results = self.graph.call(id, input, &states)?;
            self.results.insert((node.entry, node.number), results);
        }
        Ok(())
    }

    fn outputs(&self, config: &Value) -> Result<Vec<Tensor>> {
        let listed = self.listed(config, "output_layers")?;
        listed.iter().map(|reference| self.tensor("a model output", reference)).collect()
    }
}
