//! Builds the graph of a functional model.

use super::call::{Call, Reference, calls, references};
use super::class::Class;
use super::entry::Entry;
use super::file::Version;
use super::layer;
use super::malformed;
use super::mask_operation::{self, Mask, MaskExpressions, Piece};
use super::order::order;
use super::recurrent::{Built, Wiring};
use crate::error::{Error, Result};
use crate::layer::{MergeMode, Reshape};
use crate::model::{Call as GraphCall, Graph, LayerId, MaskRules, Model, Tensor};
use serde_json::Value;
use std::collections::HashMap;

/// A call, and where it stands.
struct Node<'a> {
    entry: usize,
    /// The number of the call among the layer's.
    number: usize,
    call: Call<'a>,
}

/// The model of layers that call one another.
pub(super) fn build(
    label: &str,
    version: Version,
    config: &Value,
    entries: &[Entry],
    max_calls: usize,
) -> Result<Model> {
    let nodes = nodes(label, entries, max_calls)?;
    let mut builder = Builder {
        label,
        version,
        by_name: entries.iter().enumerate().map(|(index, entry)| (entry.name, index)).collect(),
        entries,
        max_calls,
        graph: graph(version),
        results: HashMap::new(),
        masks: MaskExpressions::default(),
        calls: 0,
        constants: 0,
        spelled_out: Vec::new(),
        unmasked: Vec::new(),
    };
    let outputs = builder.listed(config, "output_layers")?;
    let order = builder.order(&nodes, &outputs)?;
    let mut layers = builder.layers(&nodes)?;
    builder.inputs(config)?;
    for &index in &order {
        builder.call(&nodes[index], &mut layers)?;
    }
    let outputs = outputs
        .iter()
        .map(|reference| builder.tensor("a model output", reference))
        .collect::<Result<Vec<_>>>()?;
    let model = builder.graph.build(outputs)?;
    check_unmasked(&model, builder.unmasked)?;
    check_spelled_out(&model, builder.masks, builder.spelled_out)?;
    Ok(model)
}

/// An empty graph with the rules of the Keras that wrote the file.
pub(super) fn graph(version: Version) -> Graph {
    let mut graph = Graph::new();
    if version == Version::Keras2 {
        graph.mask_rules = MaskRules::Keras2;
    }
    graph
}

fn nodes<'a>(label: &str, entries: &[Entry<'a>], max_calls: usize) -> Result<Vec<Node<'a>>> {
    let mut nodes = Vec::new();
    for (index, entry) in
        entries.iter().enumerate().filter(|(_, entry)| entry.class != Class::Input)
    {
        let calls = calls(label, entry.name, entry.class, entry.inbound_nodes)?;
        nodes.extend(calls.into_iter().enumerate().map(|(number, call)| Node {
            entry: index,
            number,
            call,
        }));
        if nodes.len() > max_calls {
            return malformed(
                label,
                format!("calls its layers more than {max_calls} times (KerasLimits::calls)"),
            );
        }
    }
    Ok(nodes)
}

/// A layer of the file on its way into the graph.
enum Step {
    /// It has not been called yet.
    New(Built),
    Called(Vec<LayerId>, Wiring),
    /// An input, or an operation.
    None,
}

/// A mask that the file spells out, and the input of a call that has to have it.
struct SpelledOut {
    layer: String,
    /// The call's place in the model.
    node: usize,
    input: usize,
    mask: Mask,
    reference: String,
}

struct Builder<'a> {
    label: &'a str,
    version: Version,
    entries: &'a [Entry<'a>],
    max_calls: usize,
    by_name: HashMap<&'a str, usize>,
    graph: Graph,
    /// What each call returned, by entry and number.
    results: HashMap<(usize, usize), Vec<Piece>>,
    masks: MaskExpressions,
    /// How many calls the graph has.
    calls: usize,
    /// How many constants it has.
    constants: usize,
    spelled_out: Vec<SpelledOut>,
    /// Layers that can't be called with masks, and why.
    unmasked: Vec<(String, Error)>,
}

impl<'a> Builder<'a> {
    /// The order in which Keras runs the calls.
    fn order(&self, nodes: &[Node], outputs: &[Reference]) -> Result<Vec<usize>> {
        let numbers: HashMap<_, _> =
            nodes.iter().enumerate().map(|(i, node)| ((node.entry, node.number), i)).collect();
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
        for node in nodes {
            let reader = self.reader(node);
            let read: Vec<_> =
                node.call.references().map(|r| call(&reader, r)).collect::<Result<_>>()?;
            parents.push(read.into_iter().flatten().collect());
        }
        let outputs: Vec<_> =
            outputs.iter().map(|r| call("a model output", r)).collect::<Result<_>>()?;
        let outputs: Vec<usize> = outputs.into_iter().flatten().collect();
        let layers: Vec<usize> = nodes.iter().map(|node| node.entry).collect();
        order(&parents, &layers, &outputs).or_else(|stuck| {
            let name = self.entries[nodes[stuck].entry].name;
            malformed(
                self.label,
                format!("layer {name:?}: its input depends on its own output, or on such a cycle"),
            )
        })
    }

    fn reader(&self, node: &Node) -> String {
        format!("layer {:?}: its input", self.entries[node.entry].name)
    }

    /// The entry, the call and the output that a reference means; `None` for a constant.
    fn entry(&self, reader: &str, reference: &Reference) -> Result<Option<(usize, usize, usize)>> {
        let Reference::Output { layer, call, tensor } = reference else { return Ok(None) };
        match self.by_name.get(layer) {
            Some(&entry) => Ok(Some((entry, *call, *tensor))),
            None => malformed(
                self.label,
                format!("{reader} is layer {layer:?}, which the model doesn't have"),
            ),
        }
    }

    fn dangling<T>(&self, reader: &str, reference: &Reference) -> Result<T> {
        let what = match reference {
            Reference::Output { layer, call, tensor } => {
                format!("output {tensor} of call {call} of layer {layer:?}")
            }
            constant => constant.describe(),
        };
        malformed(self.label, format!("{reader} is {what}, which there isn't"))
    }

    fn piece(&mut self, reader: &str, reference: &Reference) -> Result<Piece> {
        if let Reference::Constant(array) = reference {
            self.constants += 1;
            let name = format!("constant_{}", self.constants);
            return self.graph.constant(&name, array.clone()).map(Piece::Array);
        }
        let found = self.entry(reader, reference)?;
        let found = found.and_then(|(entry, call, tensor)| {
            self.results.get(&(entry, call)).and_then(|results| results.get(tensor))
        });
        match found {
            Some(piece) => Ok(piece.clone()),
            None => self.dangling(reader, reference),
        }
    }

    /// An array; what an operation returns is none.
    fn tensor(&mut self, reader: &str, reference: &Reference) -> Result<Tensor> {
        match self.piece(reader, reference)? {
            Piece::Array(tensor) => Ok(tensor),
            _ => self.refused(reader, reference),
        }
    }

    /// That what the reference means is none of the operations that are known.
    fn refused<T>(&self, reader: &str, reference: &Reference) -> Result<T> {
        match self.entry(reader, reference)? {
            Some((entry, ..)) => Err(mask_operation::refused(&self.entries[entry])),
            None => self.dangling(reader, reference),
        }
    }

    fn tensors(&mut self, reader: &str, references: &[Reference]) -> Result<Vec<Tensor>> {
        references.iter().map(|reference| self.tensor(reader, reference)).collect()
    }

    fn listed<'v>(&self, config: &'v Value, list: &str) -> Result<Vec<Reference<'v>>> {
        let mut found = Vec::new();
        match config.get("config").and_then(|config| config.get(list)) {
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

    /// The layers, each as its calls ask for it.
    fn layers(&self, nodes: &[Node]) -> Result<Vec<Step>> {
        let mut causal = vec![None; self.entries.len()];
        for node in nodes {
            let use_causal_mask = node.call.use_causal_mask;
            if causal[node.entry]
                .replace(use_causal_mask)
                .is_some_and(|before| before != use_causal_mask)
            {
                return Err(Error::UnsupportedArgument {
                    layer: self.entries[node.entry].name.to_string(),
                    argument: "use_causal_mask".into(),
                    value: use_causal_mask.to_string(),
                    reason:
                        "another call of the layer has it otherwise; use the same in every call"
                            .into(),
                });
            }
        }
        let step = |(entry, causal): (&Entry, Option<bool>)| match entry.class {
            Class::Input | Class::MaskOperation(_) => Ok(Step::None),
            _ => layer::build(self.label, entry, self.version, causal.unwrap_or(false))
                .map(Step::New),
        };
        self.entries.iter().zip(causal).map(step).collect()
    }

    /// Adds the inputs, in the order of the model's.
    fn inputs(&mut self, config: &Value) -> Result<()> {
        for reference in self.listed(config, "input_layers")? {
            let Some((index, 0, 0)) = self.entry("a model input", &reference)? else {
                return self.dangling("a model input", &reference);
            };
            let entry = &self.entries[index];
            if entry.class != Class::Input {
                return self.dangling("a model input", &reference);
            }
            let tensor = self.graph.input(entry.name, &layer::input(entry, self.version)?)?;
            self.results.insert((index, 0), vec![Piece::Array(tensor)]);
        }
        Ok(())
    }

    fn call(&mut self, node: &Node, layers: &mut [Step]) -> Result<()> {
        let entry = &self.entries[node.entry];
        let results = match entry.class {
            Class::MaskOperation(_) => vec![self.operation(node)?],
            _ => self
                .layer_call(node, &mut layers[node.entry])?
                .into_iter()
                .map(Piece::Array)
                .collect(),
        };
        self.results.insert((node.entry, node.number), results);
        Ok(())
    }

    fn operation(&mut self, node: &Node) -> Result<Piece> {
        let reader = self.reader(node);
        let operands = node.call.inputs.iter().map(|reference| self.piece(&reader, reference));
        let operands: Vec<Piece> = operands.collect::<Result<_>>()?;
        self.masks.run(&self.graph, &self.entries[node.entry], &operands, node.call.number)
    }

    fn layer_call(&mut self, node: &Node, step: &mut Step) -> Result<Vec<Tensor>> {
        let reader = self.reader(node);
        let (ids, wiring) = match std::mem::replace(step, Step::None) {
            Step::New(built) => {
                let wiring = built.wiring;
                (self.add(built)?, wiring)
            }
            Step::Called(ids, wiring) => (ids, wiring),
            Step::None => return malformed(self.label, format!("{reader} can't be found")),
        };
        *step = Step::Called(ids.clone(), wiring);
        let inputs = self.tensors(&reader, &node.call.inputs)?;
        let inputs = self.of_one_rank(node, inputs)?;
        let states = self.tensors(&reader, &node.call.initial_state)?;
        let masks = self.call_masks(node)?;
        let call = GraphCall::from(&inputs[..]).masks(&masks);
        let mut calls = Calls { graph: &mut self.graph, count: &mut self.calls };
        match (wiring, &ids[..]) {
            (Wiring::Row, [id]) => calls.call(*id, call.initial_state(&states)),
            (wiring, ids) => {
                calls.cells(self.entries[node.entry].name, wiring, ids, call, &masks, &states)
            }
        }
    }

    /// Gives the inputs of a layer that joins them as many axes: as Keras does, by axes of length
    /// one after the batch.
    fn of_one_rank(&mut self, node: &Node, mut inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let entry = &self.entries[node.entry];
        let joins = ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"];
        let most = inputs.iter().map(|&input| self.graph.axes(input).len()).max().unwrap_or(0);
        if !matches!(entry.class, Class::Stateless(class) if joins.contains(&class)) {
            return Ok(inputs);
        }
        for (index, input) in inputs.iter_mut().enumerate() {
            let axes = self.graph.axes(*input);
            if axes.len() < most {
                let axes = [&vec![Some(1); most - axes.len()], axes].concat();
                let name = format!("{}/expand_{}_{index}", entry.name, node.number);
                let expanded = self.graph.add(Reshape::new(axes).named(name), *input)?;
                self.calls += 1;
                *input = *expanded.first().unwrap_or(input);
            }
        }
        Ok(inputs)
    }

    fn add(&mut self, built: Built) -> Result<Vec<LayerId>> {
        self.unmasked
            .extend(built.unmasked.map(|error| (built.layers[0].name().to_string(), error)));
        built.layers.into_iter().map(|layer| self.graph.layer(layer)).collect()
    }

    /// The masks of a call that are arrays; what operations compute the inputs have to carry.
    fn call_masks(&mut self, node: &Node) -> Result<Vec<Option<Tensor>>> {
        let reader = self.reader(node);
        let mut masks = Vec::new();
        for reference in &node.call.masks {
            masks.push(match reference {
                Some(reference) => Some(self.call_mask(&reader, reference)?),
                None => None,
            });
        }
        let array =
            |mask: &Option<(Option<Tensor>, _)>| mask.as_ref().and_then(|(array, _)| *array);
        let arrays: Vec<_> = masks.iter().map(array).collect();
        // Attention takes a list of masks as a whole: where it doesn't consist of arrays, its
        // inputs have to carry it.
        let listed = matches!(
            self.entries[node.entry].class,
            Class::Stateless("Attention" | "AdditiveAttention")
        );
        let as_carried = listed
            && masks.iter().zip(&arrays).any(|(mask, array)| mask.is_some() && array.is_none());
        for (input, (mask, array)) in masks.iter().zip(&arrays).enumerate() {
            let mask = match mask {
                Some((_, mask)) if as_carried || array.is_none() => *mask,
                None if as_carried => None,
                _ => continue,
            };
            let reference =
                node.call.masks[input].as_ref().map_or("None".to_string(), Reference::describe);
            let layer = self.entries[node.entry].name.to_string();
            self.spelled_out.push(SpelledOut { layer, node: self.calls, input, mask, reference });
        }
        Ok(if as_carried { Vec::new() } else { arrays })
    }

    /// A mask as an array, where it is one, and among the masks that operations compute.
    fn call_mask(&mut self, reader: &str, reference: &Reference) -> Result<(Option<Tensor>, Mask)> {
        let piece = self.piece(reader, reference)?;
        match (&piece, self.masks.mask(&self.graph, &piece)) {
            (_, Some(Some(mask))) => Ok((self.masks.array(&self.graph, mask), Some(mask))),
            (_, Some(None)) => Ok((None, None)),
            // Whether it can be a mask is for the graph to say.
            (Piece::Array(array), None) => Ok((Some(*array), None)),
            (_, None) => self.refused(reader, reference),
        }
    }
}

/// Calls layers, and counts.
pub(super) struct Calls<'g> {
    pub graph: &'g mut Graph,
    pub count: &'g mut usize,
}

impl Calls<'_> {
    pub(super) fn call(&mut self, id: LayerId, call: GraphCall) -> Result<Vec<Tensor>> {
        *self.count += 1;
        self.graph.call(id, call)
    }

    /// Calls the layers that stand for one of several cells. Returns the outputs and then every
    /// cell's states.
    pub(super) fn cells(
        &mut self,
        name: &str,
        wiring: Wiring,
        ids: &[LayerId],
        first: GraphCall,
        masks: &[Option<Tensor>],
        states: &[Tensor],
    ) -> Result<Vec<Tensor>> {
        let (forward, others, merge_mode) = match wiring {
            Wiring::Row => (ids, &[][..], MergeMode::None),
            Wiring::Both { forward, merge_mode } => {
                let (forward, others) = ids.split_at(forward.min(ids.len()));
                (forward, others, merge_mode)
            }
        };
        let (backward, merge) = match (merge_mode, others) {
            (MergeMode::None, others) => (others, None),
            (_, [backward @ .., merge]) => (backward, Some(*merge)),
            (_, []) => (others, None),
        };
        let counts: Vec<usize> =
            forward.iter().chain(backward).map(|&id| self.graph.cell_states(id)).collect();
        let wanted: usize = counts.iter().sum();
        if !states.is_empty() && states.len() != wanted {
            return Err(Error::Graph(format!(
                "layer {name:?} takes {wanted} initial states, got {}",
                states.len()
            )));
        }
        let (own, rest) =
            states.split_at(counts[..forward.len()].iter().sum::<usize>().min(states.len()));
        let (mut outputs, mut returned) = self.row(forward, first.clone(), masks, own)?;
        if !backward.is_empty() {
            let (output, more) = self.row(backward, first, masks, rest)?;
            outputs.extend(output);
            returned.extend(more);
        }
        if let Some(merge) = merge {
            outputs = self.call(merge, GraphCall::from(&outputs[..]))?;
        }
        outputs.extend(returned);
        Ok(outputs)
    }

    /// Calls layers one on the other's output, with the same masks. Returns the last one's output,
    /// and the states.
    fn row(
        &mut self,
        ids: &[LayerId],
        first: GraphCall,
        masks: &[Option<Tensor>],
        mut states: &[Tensor],
    ) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
        let (mut call, mut output, mut returned) = (first, Vec::new(), Vec::new());
        for &id in ids {
            let (own, rest) = states.split_at(self.graph.cell_states(id).min(states.len()));
            states = rest;
            let twice = self.graph.is_bidirectional(id);
            let own = if twice { [own, own].concat() } else { own.to_vec() };
            let mut results = self.call(id, call.initial_state(&own))?;
            // Of a cell that runs in both directions only the backward one counts.
            if twice {
                results.remove(0);
                let more = results.len() - 1;
                results.drain(1..1 + more / 2);
            }
            returned.extend(results.split_off(1));
            output = results;
            call = GraphCall::from(&output[..]).masks(masks);
        }
        Ok((output, returned))
    }
}

/// That no layer has a mask that can't have one.
pub(super) fn check_unmasked(model: &Model, unmasked: Vec<(String, Error)>) -> Result<()> {
    let masks = model.masks(|_| false);
    for (name, error) in unmasked {
        let mut calls = model.nodes.iter().zip(&masks.of_node);
        if calls.any(|(node, of)| {
            model.layers[node.layer].layer.name() == name && of.iter().any(Option::is_some)
        }) {
            return Err(error);
        }
    }
    Ok(())
}

/// That every mask that the file spells out is the one that the model computes.
fn check_spelled_out(
    model: &Model,
    mut expressions: MaskExpressions,
    spelled_out: Vec<SpelledOut>,
) -> Result<()> {
    let masks = model.masks(|_| false);
    let found = expressions.of_model(&masks);
    for SpelledOut { layer, node, input, mask, reference } in spelled_out {
        let carried =
            masks.of_node[node].get(input).copied().flatten().and_then(|mask| found[mask]);
        if carried != mask {
            return Err(Error::UnsupportedArgument {
                layer,
                argument: "mask".into(),
                value: reference,
                reason: "it is not the mask that the input carries; give the mask as an input of the model".into(),
            });
        }
    }
    Ok(())
}
