//! Builds the graph of a functional model.

use super::assembly::{Added, Assembly};
use super::call::{Call, Reference, calls, references};
use super::class::Class;
use super::entry::Entry;
use super::layer;
use super::mask_operation::{self, Mask, MaskExpressions, Piece};
use super::messages::malformed;
use super::order::order;
use super::recurrent::Built;
use super::version::Version;
use crate::layer::Reshape;
use crate::{Error, Model, Result, Tensor};
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
        assembly: Assembly::new(version),
        results: HashMap::new(),
        masks: MaskExpressions::default(),
        constants: 0,
        spelled_out: Vec::new(),
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
    let model = builder.assembly.build(outputs)?;
    check_spelled_out(&model, builder.masks, builder.spelled_out)?;
    Ok(model)
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
    Called(Added),
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
    assembly: Assembly,
    /// What each call returned, by entry and number.
    results: HashMap<(usize, usize), Vec<Piece>>,
    masks: MaskExpressions,
    /// How many constants it has.
    constants: usize,
    spelled_out: Vec<SpelledOut>,
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
            return self.assembly.graph.constant(&name, array.clone()).map(Piece::Array);
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
            let tensor =
                self.assembly.graph.input(entry.name, &layer::input(entry, self.version)?)?;
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
        self.masks.run(&self.assembly.graph, &self.entries[node.entry], &operands, node.call.number)
    }

    fn layer_call(&mut self, node: &Node, step: &mut Step) -> Result<Vec<Tensor>> {
        let reader = self.reader(node);
        let layer = match std::mem::replace(step, Step::None) {
            Step::New(built) => self.assembly.add(self.entries[node.entry].name, built)?,
            Step::Called(layer) => layer,
            Step::None => return malformed(self.label, format!("{reader} can't be found")),
        };
        *step = Step::Called(layer.clone());
        let inputs = self.tensors(&reader, &node.call.inputs)?;
        let inputs = self.of_one_rank(node, inputs)?;
        let states = self.tensors(&reader, &node.call.initial_state)?;
        let masks = self.call_masks(node)?;
        self.assembly.call(&layer, &inputs, &masks, &states)
    }

    /// Gives the inputs of a layer that joins them as many axes: as Keras does, by axes of length
    /// one after the batch.
    fn of_one_rank(&mut self, node: &Node, mut inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let entry = &self.entries[node.entry];
        let joins = ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"];
        let most =
            inputs.iter().map(|&input| self.assembly.graph.axes(input).len()).max().unwrap_or(0);
        if !matches!(entry.class, Class::Stateless(class) if joins.contains(&class)) {
            return Ok(inputs);
        }
        for (index, input) in inputs.iter_mut().enumerate() {
            let axes = self.assembly.graph.axes(*input);
            if axes.len() < most {
                let axes = [&vec![Some(1); most - axes.len()], axes].concat();
                let name = format!("{}/expand_{}_{index}", entry.name, node.number);
                let reshape = self.assembly.graph.layer(Reshape::new(axes).named(name))?;
                let expanded = self.assembly.call_layer(reshape, *input)?;
                *input = *expanded.first().unwrap_or(input);
            }
        }
        Ok(inputs)
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
            self.spelled_out.push(SpelledOut {
                layer,
                node: self.assembly.calls(),
                input,
                mask,
                reference,
            });
        }
        Ok(if as_carried { Vec::new() } else { arrays })
    }

    /// A mask as an array, where it is one, and among the masks that operations compute.
    fn call_mask(&mut self, reader: &str, reference: &Reference) -> Result<(Option<Tensor>, Mask)> {
        let piece = self.piece(reader, reference)?;
        match (&piece, self.masks.mask(&self.assembly.graph, &piece)) {
            (_, Some(Some(mask))) => Ok((self.masks.array(mask), Some(mask))),
            (_, Some(None)) => Ok((None, None)),
            // Whether it can be a mask is for the graph to say.
            (Piece::Array(array), None) => Ok((Some(*array), None)),
            (_, None) => self.refused(reader, reference),
        }
    }
}

/// That every mask that the file spells out is the one that the model computes.
fn check_spelled_out(
    model: &Model,
    mut expressions: MaskExpressions,
    spelled_out: Vec<SpelledOut>,
) -> Result<()> {
    let masks = model.mask_origins(|_| false);
    let found = expressions.of_model(&masks.origins);
    for SpelledOut { layer, node, input, mask, reference } in spelled_out {
        let carried = masks.calls[node].get(input).copied().flatten().and_then(|mask| found[mask]);
        if carried != mask {
            return Err(Error::UnsupportedArgument {
                layer,
                argument: "mask".into(),
                value: reference,
                reason: "it is not the mask that the input carries; give the mask as an input of \
                         the model"
                    .into(),
            });
        }
    }
    Ok(())
}
