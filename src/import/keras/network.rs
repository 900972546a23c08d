//! Which layers a model calls on what, and in which order: in a row, or as a functional model says.

use super::call::{Call, calls};
use super::class::{Class, Root};
use super::entry::Entry;
use super::messages::malformed;
use super::order::order;
use super::reference::{Reference, references};
use super::version::Version;
use crate::Result;
use serde_json::Value;
use std::collections::HashMap;

/// A call, and where it stands.
pub(super) struct Node<'a> {
    pub entry: usize,
    /// The number of the call among the layer's.
    pub number: usize,
    pub call: Call<'a>,
}

/// The calls of a model's layers.
pub(super) struct Network<'a> {
    pub label: &'a str,
    pub root: Root,
    pub entries: &'a [Entry<'a>],
    pub nodes: Vec<Node<'a>>,
    /// The order in which Keras runs them.
    pub order: Vec<usize>,
    /// What a functional model returns; a Sequential returns all that its last layer does.
    pub outputs: Vec<Reference<'a>>,
    max_calls: usize,
    by_name: ByName<'a>,
    /// How many inputs of calls each array is.
    reads: HashMap<TensorKey<'a>, usize>,
}

/// The layer, the call and the output that an array is.
type TensorKey<'a> = (&'a str, usize, usize);

/// Where the array of a reference comes from; `None` for a constant and the input of a Sequential.
fn place<'a>(reference: &Reference<'a>) -> Option<TensorKey<'a>> {
    match *reference {
        Reference::Output { layer, call, tensor } => Some((layer, call, tensor)),
        _ => None,
    }
}

/// The entries by their names.
struct ByName<'a>(HashMap<&'a str, Found>);

struct Found {
    entry: usize,
    class: Class,
    /// How many calls of it the file has.
    calls: usize,
}

impl ByName<'_> {
    /// Counts the calls of models from 0 that these references count from 1: `from_one` says where
    /// they do, as far as it is known. Where one is number 0, they don't.
    fn count_from_zero(
        &self,
        references: Vec<&mut Reference>,
        from_one: impl Fn(Root) -> Option<bool>,
    ) {
        let mut of_model: HashMap<&str, Vec<&mut usize>> = HashMap::new();
        for reference in references {
            if let Reference::Output { layer, call, .. } = reference {
                of_model.entry(*layer).or_default().push(call);
            }
        }
        for (layer, numbers) in of_model {
            let Some(Found { class: Class::Model(root), calls, .. }) = self.0.get(layer) else {
                continue;
            };
            let reaches_end = numbers.iter().any(|number| **number == *calls);
            let from_zero = numbers.iter().any(|number| **number == 0);
            if !from_zero && from_one(*root).unwrap_or(reaches_end) {
                numbers.into_iter().for_each(|number| *number -= 1);
            }
        }
    }
}

impl<'a> Network<'a> {
    /// `value` is the model in the file.
    pub(super) fn new(
        label: &'a str,
        version: Version,
        root: Root,
        value: &'a Value,
        entries: &'a [Entry<'a>],
        max_calls: usize,
    ) -> Result<Network<'a>> {
        let mut network = Network {
            label,
            root,
            entries,
            nodes: Vec::new(),
            order: Vec::new(),
            outputs: Vec::new(),
            max_calls,
            by_name: ByName(HashMap::new()),
            reads: HashMap::new(),
        };
        for (index, entry) in entries.iter().enumerate() {
            let found = Found { entry: index, class: entry.class, calls: 0 };
            network.by_name.0.insert(entry.name, found);
        }
        match root {
            Root::Sequential => network.read_row()?,
            Root::Functional => {
                network.read_calls()?;
                network.outputs = network.listed(value, "output_layers")?;
                network.number_calls(version);
                let inputs = network.nodes.iter().flat_map(|node| &node.call.inputs);
                for place in inputs.filter_map(place) {
                    *network.reads.entry(place).or_default() += 1;
                }
                network.order = network.in_order()?;
            }
        }
        Ok(network)
    }

    /// The layers of a Sequential, each called on what the one before returns.
    fn read_row(&mut self) -> Result<()> {
        let rest = match self.entries {
            [first, rest @ ..] if first.class == Class::Input => rest,
            [] => return malformed(self.label, "the model has no layers"),
            entries => entries,
        };
        let first = self.entries.len() - rest.len();
        for (index, _) in rest.iter().enumerate() {
            let before = match index {
                0 => Reference::Input,
                _ => Reference::Output { layer: rest[index - 1].name, call: 0, tensor: 0 },
            };
            let call = Call { inputs: vec![before], ..Call::default() };
            self.order.push(self.nodes.len());
            self.nodes.push(Node { entry: first + index, number: 0, call });
        }
        Ok(())
    }

    fn read_calls(&mut self) -> Result<()> {
        let entries = self.entries.iter().enumerate();
        for (index, entry) in entries.filter(|(_, entry)| entry.class != Class::Input) {
            let calls = calls(self.label, &entry.path, entry.class, entry.inbound_nodes)?;
            if let Some(found) = self.by_name.0.get_mut(entry.name) {
                found.calls = calls.len();
            }
            let node = |(number, call)| Node { entry: index, number, call };
            self.nodes.extend(calls.into_iter().enumerate().map(node));
            if self.nodes.len() > self.max_calls {
                return too_many_calls(self.label, self.max_calls);
            }
        }
        Ok(())
    }

    /// Counts the calls of models that are layers from 0, as those of other layers are. Where a
    /// model's own making counts as its first call, those of it as a layer begin with 1 in the
    /// file: in Keras 2, and in Keras 3 of functional models that the model's outputs name.
    ///
    /// Source: `_should_skip_first_node` in Keras 2's `engine/functional.py`, `get_config` in
    /// Keras 3's `models/functional.py`.
    fn number_calls(&mut self, version: Version) {
        let calls = self.nodes.iter_mut().flat_map(|node| node.call.references_mut());
        self.by_name.count_from_zero(calls.collect(), |_| match version {
            Version::Keras2 => Some(true),
            Version::Keras3 => Some(false),
            Version::Unknown => None,
        });
        self.by_name.count_from_zero(self.outputs.iter_mut().collect(), |root| match version {
            Version::Keras2 => Some(true),
            Version::Keras3 => Some(root == Root::Functional),
            Version::Unknown => None,
        });
    }

    /// The order in which Keras runs the calls.
    fn in_order(&self) -> Result<Vec<usize>> {
        let numbers: HashMap<_, _> = self
            .nodes
            .iter()
            .enumerate()
            .map(|(index, node)| ((node.entry, node.number), index))
            .collect();
        let call = |reader: &str, reference: &Reference| {
            let Some((entry, call, _)) = self.entry(reader, reference)? else { return Ok(None) };
            if self.entries[entry].class == Class::Input {
                return Ok(None);
            }
            match numbers.get(&(entry, call)) {
                Some(&source) => Ok(Some(source)),
                None => self.dangling(reader, reference),
            }
        };
        let mut parents = Vec::new();
        for node in &self.nodes {
            let reader = self.reader(node);
            let read: Vec<_> =
                node.call.references().map(|r| call(&reader, r)).collect::<Result<_>>()?;
            parents.push(read.into_iter().flatten().collect());
        }
        let outputs: Vec<_> =
            self.outputs.iter().map(|r| call("a model output", r)).collect::<Result<_>>()?;
        let outputs: Vec<usize> = outputs.into_iter().flatten().collect();
        let layers: Vec<usize> = self.nodes.iter().map(|node| node.entry).collect();
        order(&parents, &layers, &outputs).or_else(|stuck| {
            let name = &self.entries[self.nodes[stuck].entry].path;
            malformed(
                self.label,
                format!("layer {name:?}: its input depends on its own output, or on such a cycle"),
            )
        })
    }

    /// How many inputs of calls an array is.
    pub(super) fn reads(&self, reference: &Reference) -> usize {
        place(reference).and_then(|place| self.reads.get(&place)).copied().unwrap_or(1)
    }

    /// Who reads, for messages.
    pub(super) fn reader(&self, node: &Node) -> String {
        format!("layer {:?}: its input", self.entries[node.entry].path)
    }

    /// The entry, the call and the output that a reference means; `None` for a constant and for
    /// the input of a Sequential.
    pub(super) fn entry(
        &self,
        reader: &str,
        reference: &Reference,
    ) -> Result<Option<(usize, usize, usize)>> {
        let Reference::Output { layer, call, tensor } = reference else { return Ok(None) };
        match self.by_name.0.get(layer) {
            Some(found) => Ok(Some((found.entry, *call, *tensor))),
            None => malformed(
                self.label,
                format!("{reader} is layer {layer:?}, which the model doesn't have"),
            ),
        }
    }

    pub(super) fn dangling<T>(&self, reader: &str, reference: &Reference) -> Result<T> {
        let what = match reference {
            Reference::Output { layer, call, tensor } => {
                format!("output {tensor} of call {call} of layer {layer:?}")
            }
            other => other.describe(),
        };
        malformed(self.label, format!("{reader} is {what}, which there isn't"))
    }

    /// The input layers of a model, in the order of its inputs; none of a Sequential without one.
    pub(super) fn inputs(&self, value: &'a Value) -> Result<Vec<usize>> {
        if self.root == Root::Sequential {
            let first = self.entries.first().filter(|first| first.class == Class::Input);
            return Ok(first.map(|_| 0).into_iter().collect());
        }
        let reader = "a model input";
        let mut inputs = Vec::new();
        for reference in self.listed(value, "input_layers")? {
            match self.entry(reader, &reference)? {
                Some((entry, 0, 0)) if self.entries[entry].class == Class::Input => {
                    inputs.push(entry);
                }
                _ => return self.dangling(reader, &reference),
            }
        }
        Ok(inputs)
    }

    fn listed(&self, value: &'a Value, list: &str) -> Result<Vec<Reference<'a>>> {
        let mut found = Vec::new();
        match value.get("config").and_then(|config| config.get(list)) {
            Some(value)
                if references(value, &mut found)
                    && !found.is_empty()
                    && found.len() <= self.max_calls =>
            {
                Ok(found)
            }
            _ => malformed(self.label, format!("the model's {list} are missing or unreadable")),
        }
    }
}

/// That the layers are called more often than is read.
pub(super) fn too_many_calls<T>(label: &str, max_calls: usize) -> Result<T> {
    malformed(label, format!("calls its layers more than {max_calls} times (KerasLimits::calls)"))
}
