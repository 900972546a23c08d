//! Builds the graph of a model. The layers of a model that is a layer itself stand in the same
//! graph, and are called as often as it is.

use super::assembly::{Added, Assembly};
use super::call::Reference;
use super::class::{Class, Root};
use super::entry::{Entry, Nested};
use super::layer;
use super::mask_operation::{self, Mask, MaskExpressions, Piece};
use super::messages::malformed;
use super::network::{Network, Node, too_many_calls};
use super::recurrent::Built;
use super::sequential;
use super::version::Version;
use crate::layer::{Identity, Reshape};
use crate::{Call, Error, LayerId, Model, Result, Tensor};
use ndarray::ArrayD;
use serde_json::Value;
use std::collections::HashMap;

/// A model that stands in a file.
pub(super) struct Source<'a> {
    /// What the file is called in messages.
    pub label: &'a str,
    pub version: Version,
    pub root: Root,
    pub value: &'a Value,
    pub entries: &'a [Entry<'a>],
    pub max_calls: usize,
}

/// Builds it.
pub(super) fn build(source: &Source) -> Result<Model> {
    let mut builder = Builder {
        label: source.label,
        version: source.version,
        max_calls: source.max_calls,
        calls: 0,
        assembly: Assembly::new(source.version),
        masks: MaskExpressions::default(),
        constants: HashMap::new(),
        spelled_out: Vec::new(),
        attention: Vec::new(),
    };
    let mut top = Part::new(source, "")?;
    let inputs = builder.inputs(source, &top.network)?;
    top.inputs = top.network.inputs(source.value)?;
    let outputs = builder.run(&mut top, inputs)?;
    let has_models = source.entries.iter().any(|entry| entry.model.is_some());
    let model = builder.assembly.build(outputs)?;
    check_spelled_out(&model, builder.masks, builder.spelled_out)?;
    if has_models && source.version != Version::Keras2 {
        check_attention(&model, builder.attention)?;
    }
    Ok(model)
}

/// The whole model or one in it, with its layers on their way into the graph.
struct Part<'a> {
    path: &'a str,
    network: Network<'a>,
    steps: Vec<Step<'a>>,
    /// The entries of its inputs; none of a Sequential without an input layer.
    inputs: Vec<usize>,
    /// Whether its inputs have names by which they are given.
    inputs_are_dict: bool,
    /// By input the layer that gives it the masks of calls, once there is one.
    mask_layers: HashMap<usize, LayerId>,
}

/// A layer of the file on its way into the graph.
enum Step<'a> {
    /// It has not been called yet.
    New(Built),
    Called(Added),
    Model(Box<Part<'a>>),
    /// An input, or an operation.
    None,
}

impl<'a> Part<'a> {
    fn new(source: &Source<'a>, path: &'a str) -> Result<Part<'a>> {
        let Source { label, version, root, value, entries, max_calls } = *source;
        let network = Network::new(label, version, root, value, entries, max_calls)?;
        let steps = Part::steps(source, &network)?;
        let inputs_are_dict = value.pointer("/config/input_layers").is_some_and(Value::is_object);
        let mask_layers = HashMap::new();
        Ok(Part { path, network, steps, inputs: Vec::new(), inputs_are_dict, mask_layers })
    }

    /// A model that is a layer.
    fn inside(source: &Source<'a>, entry: &'a Entry, nested: &'a Nested) -> Result<Part<'a>> {
        let Nested { value, root, entries } = nested;
        let source = Source { root: *root, value, entries, ..*source };
        let mut part = Part::new(&source, &entry.path)?;
        part.inputs = part.network.inputs(value)?;
        Ok(part)
    }

    /// The layers, each as its calls ask for it.
    fn steps(source: &Source<'a>, network: &Network<'a>) -> Result<Vec<Step<'a>>> {
        let mut causal = vec![None; network.entries.len()];
        for node in &network.nodes {
            let use_causal_mask = node.call.use_causal_mask;
            let before = causal[node.entry].replace(use_causal_mask);
            if before.is_some_and(|before| before != use_causal_mask) {
                return Err(Error::UnsupportedArgument {
                    layer: network.entries[node.entry].path.clone(),
                    argument: "use_causal_mask".into(),
                    value: use_causal_mask.to_string(),
                    reason:
                        "another call of the layer has it otherwise; use the same in every call"
                            .into(),
                });
            }
        }
        let is_functional = network.root == Root::Functional;
        let step = |(index, causal): (usize, Option<bool>)| {
            let entry = &network.entries[index];
            match (entry.class, &entry.model) {
                (_, Some(nested)) => {
                    Part::inside(source, entry, nested).map(|part| Step::Model(Box::new(part)))
                }
                (Class::Input | Class::MaskOperation(_), _) if is_functional => Ok(Step::None),
                (Class::Input, _) if index == 0 => Ok(Step::None),
                _ => layer::build(source.label, entry, source.version, causal.unwrap_or(false))
                    .map(Step::New),
            }
        };
        causal.into_iter().enumerate().map(step).collect()
    }
}

/// One call of a model: its inputs, and what the calls in it have returned so far.
struct Scope<'s, 'a> {
    network: &'s Network<'a>,
    /// The input of a Sequential.
    input: Option<Piece>,
    /// By entry and number of the call.
    results: HashMap<(usize, usize), Vec<Piece>>,
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
    max_calls: usize,
    /// How many calls were run, those in called models included.
    calls: usize,
    assembly: Assembly,
    masks: MaskExpressions,
    /// The arrays that stand in the file, by where they stand in memory.
    constants: HashMap<*const ArrayD<f32>, Tensor>,
    spelled_out: Vec<SpelledOut>,
    /// The calls of layers that take the masks of their inputs away, by their place in the model.
    attention: Vec<(usize, String)>,
}

impl Builder<'_> {
    /// Adds the inputs of the whole model.
    fn inputs<'a>(&mut self, source: &Source<'a>, network: &Network<'a>) -> Result<Vec<Tensor>> {
        if source.root == Root::Sequential {
            let Source { label, version, value, entries, .. } = *source;
            let (name, axes) = sequential::input(label, version, value, entries)?;
            return Ok(vec![self.assembly.graph.input(&name, &axes)?]);
        }
        let mut inputs = Vec::new();
        for index in network.inputs(source.value)? {
            let entry = &source.entries[index];
            let axes = layer::input(entry, self.version)?;
            inputs.push(self.assembly.graph.input(entry.name, &axes)?);
        }
        Ok(inputs)
    }

    /// Runs the calls of a model on these inputs, and returns what it returns.
    fn run(&mut self, part: &mut Part, inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let Part { network, steps, inputs: entries, .. } = part;
        let network = &*network;
        let input = inputs.first().map(|&input| Piece::Array(input));
        let results = entries.iter().zip(inputs);
        let results = results.map(|(&entry, input)| ((entry, 0), vec![Piece::Array(input)]));
        let mut scope = Scope { network, input, results: results.collect() };
        for &index in &network.order {
            let node = &network.nodes[index];
            self.calls += 1;
            if self.calls > self.max_calls {
                return too_many_calls(self.label, self.max_calls);
            }
            let results = self.call(&scope, node, &mut steps[node.entry])?;
            scope.results.insert((node.entry, node.number), results);
        }
        self.outputs(&scope)
    }

    fn outputs(&mut self, scope: &Scope) -> Result<Vec<Tensor>> {
        let reader = "a model output";
        if scope.network.root == Root::Functional {
            return self.tensors(scope, reader, &scope.network.outputs);
        }
        let last = scope.network.nodes.last();
        let results = last.and_then(|node| scope.results.get(&(node.entry, 0)));
        let array = |piece: &Piece| match piece {
            Piece::Array(array) => Some(*array),
            _ => None,
        };
        // A Sequential of nothing but its input returns that.
        let pieces = results.map_or(scope.input.as_slice(), Vec::as_slice);
        Ok(pieces.iter().filter_map(array).collect())
    }

    fn call(&mut self, scope: &Scope, node: &Node, step: &mut Step) -> Result<Vec<Piece>> {
        let entry = &scope.network.entries[node.entry];
        check_on_every_timestep(entry, node)?;
        if matches!(entry.class, Class::MaskOperation(_)) {
            return Ok(vec![self.operation(scope, node)?]);
        }
        let reader = scope.network.reader(node);
        scope.check_row(entry, node)?;
        let arrays = match std::mem::replace(step, Step::None) {
            Step::Model(mut part) => {
                let inputs = self.model_inputs(scope, node, &mut part)?;
                let outputs = self.run(&mut part, inputs)?;
                *step = Step::Model(part);
                outputs
            }
            Step::New(built) => {
                let layer = self.assembly.add(&entry.path, built)?;
                *step = Step::Called(layer.clone());
                self.layer_call(scope, node, &layer)?
            }
            Step::Called(layer) => {
                *step = Step::Called(layer.clone());
                self.layer_call(scope, node, &layer)?
            }
            Step::None => return malformed(self.label, format!("{reader} can't be found")),
        };
        Ok(arrays.into_iter().map(Piece::Array).collect())
    }

    fn operation(&mut self, scope: &Scope, node: &Node) -> Result<Piece> {
        let reader = scope.network.reader(node);
        let operands =
            node.call.inputs.iter().map(|reference| self.piece(scope, &reader, reference));
        let operands: Vec<Piece> = operands.collect::<Result<_>>()?;
        let entry = &scope.network.entries[node.entry];
        self.masks.run(&self.assembly.graph, entry, &operands, node.call.number)
    }

    fn layer_call(&mut self, scope: &Scope, node: &Node, layer: &Added) -> Result<Vec<Tensor>> {
        let (reader, entry) = (scope.network.reader(node), &scope.network.entries[node.entry]);
        let inputs = self.tensors(scope, &reader, &node.call.inputs)?;
        let inputs = self.of_one_rank(entry, node, inputs)?;
        let states = self.tensors(scope, &reader, &node.call.initial_state)?;
        let masks = self.call_masks(scope, node)?;
        let place = self.assembly.calls();
        // Attention takes a list of masks as a whole: where it doesn't consist of arrays, its
        // inputs have to carry it.
        let listed = matches!(entry.class, Class::Stateless("Attention" | "AdditiveAttention"));
        let as_carried =
            listed && masks.iter().any(|mask| matches!(mask, Some(GivenMask { array: None, .. })));
        for (input, mask) in masks.iter().enumerate() {
            let mask = match mask {
                Some(mask) if as_carried || mask.array.is_none() => mask.clone(),
                None if as_carried => GivenMask::none(),
                _ => continue,
            };
            self.spelled_out.push(mask.spelled_out(&entry.path, place, input));
        }
        let arrays = masks.iter().map(|mask| mask.as_ref().and_then(|mask| mask.array));
        let arrays: Vec<_> = if as_carried { Vec::new() } else { arrays.collect() };
        if entry.class == Class::Stateless("MultiHeadAttention") {
            self.attention.push((place, entry.path.clone()));
        }
        self.assembly.call(layer, &inputs, &arrays, &states)
    }

    fn piece(&mut self, scope: &Scope, reader: &str, reference: &Reference) -> Result<Piece> {
        match reference {
            Reference::Constant(array) => self.constant(array).map(Piece::Array),
            _ => scope.piece(reader, reference).cloned(),
        }
    }

    /// An array that stands in the file; a model that is called again reads the same one.
    fn constant(&mut self, array: &ArrayD<f32>) -> Result<Tensor> {
        if let Some(&tensor) = self.constants.get(&std::ptr::from_ref(array)) {
            return Ok(tensor);
        }
        let name = format!("constant_{}", self.constants.len() + 1);
        let tensor = self.assembly.graph.constant(&name, array.clone())?;
        self.constants.insert(std::ptr::from_ref(array), tensor);
        Ok(tensor)
    }

    /// An array; what an operation returns is none.
    fn tensor(&mut self, scope: &Scope, reader: &str, reference: &Reference) -> Result<Tensor> {
        match self.piece(scope, reader, reference)? {
            Piece::Array(tensor) => Ok(tensor),
            _ => scope.refused(reader, reference),
        }
    }

    fn tensors(
        &mut self,
        scope: &Scope,
        reader: &str,
        references: &[Reference],
    ) -> Result<Vec<Tensor>> {
        references.iter().map(|reference| self.tensor(scope, reader, reference)).collect()
    }

    /// Gives the inputs of a layer that joins them as many axes: as Keras does, by axes of length
    /// one after the batch.
    fn of_one_rank(
        &mut self,
        entry: &Entry,
        node: &Node,
        mut inputs: Vec<Tensor>,
    ) -> Result<Vec<Tensor>> {
        let most =
            inputs.iter().map(|&input| self.assembly.graph.axes(input).len()).max().unwrap_or(0);
        if !matches!(entry.class, Class::Stateless(class) if layer::MERGES.contains(&class)) {
            return Ok(inputs);
        }
        for (index, input) in inputs.iter_mut().enumerate() {
            let axes = self.assembly.graph.axes(*input);
            if axes.len() < most && entry.time_distributed > 0 {
                let reason = "it joins arrays of different ranks";
                return Err(layer::in_time_distributed(entry, reason));
            }
            if axes.len() < most {
                let axes = [&vec![Some(1); most - axes.len()], axes].concat();
                let name = format!("{}/expand_{}_{index}", entry.path, node.number);
                *input = self.reshaped(*input, axes, &name)?;
            }
        }
        Ok(inputs)
    }

    /// An array with other axes, by a layer of this name, or of it with a number behind it.
    fn reshaped(&mut self, array: Tensor, axes: Vec<Option<usize>>, name: &str) -> Result<Tensor> {
        let reshape = self.assembly.graph.layer(Reshape::new(axes).named(name))?;
        let reshaped = self.assembly.call_layer(reshape, array)?;
        Ok(*reshaped.first().unwrap_or(&array))
    }

    /// The arrays that a model is called on, in the order of its inputs.
    fn model_inputs(&mut self, scope: &Scope, node: &Node, part: &mut Part) -> Result<Vec<Tensor>> {
        let (reader, entry) = (scope.network.reader(node), &scope.network.entries[node.entry]);
        let mut inputs = self.tensors(scope, &reader, &node.call.inputs)?;
        let masks = self.call_masks(scope, node)?;
        let wanted = part.inputs.len().max(usize::from(part.network.root == Root::Sequential));
        let distributed = entry.class == Class::TimeDistributed;
        if inputs.len() != wanted || masks.len() > wanted || distributed && wanted != 1 {
            let (arrays, masks) = (inputs.len(), masks.len());
            return malformed(
                self.label,
                format!(
                    "layer {:?} is called on {arrays} arrays with {masks} masks; the model has \
                     {wanted} inputs, and in TimeDistributed it has one",
                    part.path
                ),
            );
        }
        for (index, mask) in masks.into_iter().enumerate() {
            let Some(mut mask) = mask else { continue };
            // In Keras 3 an array keeps such a mask for whoever reads it later: where somebody may,
            // it has to carry the mask anyway.
            let read_again = scope.reads(&node.call.inputs[index]) > 1;
            mask.array = mask.array.filter(|_| !read_again || self.version == Version::Keras2);
            inputs[index] = self.masked(part, index, inputs[index], mask)?;
        }
        let inputs = by_name(self.label, part, &node.call.input_names, inputs)?;
        for (&index, &input) in part.inputs.iter().zip(&inputs) {
            let inner = &part.network.entries[index];
            let axes = layer::input(inner, self.version)?.len() + inner.time_distributed;
            let given = self.assembly.graph.axes(input).len();
            if given != axes {
                return Err(Error::Graph(format!(
                    "layer {:?} is called on an array of {given} axes beside the batch, and its \
                     model reads {axes}; put a Reshape before it",
                    part.path
                )));
            }
        }
        Ok(inputs)
    }

    /// An input of a model with the mask that a call gives it.
    fn masked(
        &mut self,
        part: &mut Part,
        input: usize,
        array: Tensor,
        mask: GivenMask,
    ) -> Result<Tensor> {
        let layer = match part.mask_layers.get(&input) {
            Some(&layer) => layer,
            None => {
                let entry = part.inputs.get(input).map(|&entry| &part.network.entries[entry]);
                let name = match entry {
                    Some(entry) => entry.path.clone(),
                    None => format!("{}/input", part.path),
                };
                let identity = Identity::of_class("Identity").unwrap_or(Identity::dropout());
                let layer = self.assembly.graph.layer(identity.named(name))?;
                part.mask_layers.insert(input, layer);
                layer
            }
        };
        let call = Call::on(array).masks(&[mask.array]);
        if mask.array.is_none() {
            self.spelled_out.push(mask.spelled_out(part.path, self.assembly.calls(), 0));
        }
        Ok(*self.assembly.call_layer(layer, call)?.first().unwrap_or(&array))
    }

    /// The masks of a call.
    fn call_masks(&mut self, scope: &Scope, node: &Node) -> Result<Vec<Option<GivenMask>>> {
        let reader = scope.network.reader(node);
        let mut masks = Vec::new();
        for reference in &node.call.masks {
            masks.push(match reference {
                Some(reference) => Some(self.call_mask(scope, &reader, reference)?),
                None => None,
            });
        }
        Ok(masks)
    }

    /// A mask as an array, where it is one, and among the masks that operations compute.
    fn call_mask(
        &mut self,
        scope: &Scope,
        reader: &str,
        reference: &Reference,
    ) -> Result<GivenMask> {
        let piece = self.piece(scope, reader, reference)?;
        let (array, mask) = match (&piece, self.masks.mask(&self.assembly.graph, &piece)) {
            (_, Some(Some(mask))) => (self.masks.array(mask), Some(mask)),
            (_, Some(None)) => (None, None),
            // Whether it can be a mask is for the graph to say.
            (Piece::Array(array), None) => (Some(*array), None),
            (_, None) => return scope.refused(reader, reference),
        };
        Ok(GivenMask { array, mask, reference: reference.describe() })
    }
}

impl Scope<'_, '_> {
    fn piece(&self, reader: &str, reference: &Reference) -> Result<&Piece> {
        let network = self.network;
        if *reference == Reference::Input {
            return self.input.as_ref().map_or_else(|| network.dangling(reader, reference), Ok);
        }
        let found = network.entry(reader, reference)?;
        let found =
            found.and_then(|(entry, call, tensor)| self.results.get(&(entry, call))?.get(tensor));
        found.map_or_else(|| network.dangling(reader, reference), Ok)
    }

    /// How many times it is read by calls of the model.
    fn reads(&self, reference: &Reference) -> usize {
        let read = self.network.nodes.iter().flat_map(|node| &node.call.inputs);
        read.filter(|read| *read == reference).count()
    }

    /// That what the reference means is none of the operations that are known.
    fn refused<T>(&self, reader: &str, reference: &Reference) -> Result<T> {
        match self.network.entry(reader, reference)? {
            Some((entry, ..)) => Err(mask_operation::refused(&self.network.entries[entry])),
            None => self.network.dangling(reader, reference),
        }
    }

    /// That what comes before a layer of a Sequential returns one array.
    fn check_row(&self, entry: &Entry, node: &Node) -> Result<()> {
        let before = node.entry.checked_sub(1).and_then(|before| self.results.get(&(before, 0)));
        match before.map(Vec::len) {
            Some(count) if self.network.root == Root::Sequential && count != 1 => {
                Err(Error::Graph(format!(
                    "layer {:?} of a Sequential follows one that returns {count} arrays; only the \
                     last layer may have return_state or merge_mode None",
                    entry.path
                )))
            }
            _ => Ok(()),
        }
    }
}

/// A mask that a call gives.
#[derive(Clone)]
struct GivenMask {
    /// It, where it is an array.
    array: Option<Tensor>,
    /// It among the masks that operations compute.
    mask: Mask,
    /// For messages.
    reference: String,
}

impl GivenMask {
    fn none() -> GivenMask {
        GivenMask { array: None, mask: None, reference: "None".to_string() }
    }

    fn spelled_out(self, layer: &str, node: usize, input: usize) -> SpelledOut {
        let GivenMask { mask, reference, .. } = self;
        SpelledOut { layer: layer.to_string(), node, input, mask, reference }
    }
}

/// The arrays in the order of the model's inputs, where the call names them and the model doesn't.
fn by_name(label: &str, part: &Part, names: &[&str], inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
    if names.len() != inputs.len() || part.inputs_are_dict {
        return Ok(inputs);
    }
    let place = |&entry: &usize| {
        let name = part.network.entries[entry].name;
        names.iter().position(|given| *given == name).and_then(|place| inputs.get(place)).copied()
    };
    match part.inputs.iter().map(place).collect() {
        Some(ordered) => Ok(ordered),
        None => malformed(
            label,
            format!("layer {:?} is called on {names:?}, which its inputs aren't named", part.path),
        ),
    }
}

/// That a call in a model in `TimeDistributed` can be run on all timesteps.
fn check_on_every_timestep(entry: &Entry, node: &Node) -> Result<()> {
    let call = &node.call;
    let constant = call.references().any(|read| matches!(read, Reference::Constant(_)));
    let is_model = matches!(entry.class, Class::Model(_));
    let reason = match entry.time_distributed {
        0 => return Ok(()),
        _ if matches!(entry.class, Class::MaskOperation(_)) => "it computes a mask",
        _ if !call.initial_state.is_empty() => "it has initial states",
        _ if constant => "it reads a constant",
        _ if call.masks.iter().any(Option::is_some) => "its call has a mask",
        _ if call.inputs.len() > 1 && !is_model && !layer::joins(entry) => {
            "it reads several arrays"
        }
        _ => return Ok(()),
    };
    Err(layer::in_time_distributed(entry, reason))
}

/// In Keras 3 a layer behind a model finds its input's mask when the model runs, and a
/// MultiHeadAttention has taken it away by then; here it would be found in the graph.
fn check_attention(model: &Model, attention: Vec<(usize, String)>) -> Result<()> {
    let masks = model.mask_origins(|_| false);
    let masked = |(node, _): &(usize, String)| masks.calls[*node].iter().any(Option::is_some);
    match attention.into_iter().find(masked) {
        None => Ok(()),
        Some((_, layer)) => Err(Error::UnsupportedArgument {
            layer,
            argument: "mask".into(),
            value: "that of its input".into(),
            reason: "in Keras 3 it takes the masks of its inputs away from the layers of other \
                     models; put the layers of the inner models in their places"
                .into(),
        }),
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
