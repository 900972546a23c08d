//! Builds the graph of a model. The layers of a model that is a layer itself stand in the same
//! graph, and are called as often as it is.

use super::assembly::{Added, Assembly};
use super::class::{Class, Root};
use super::entry::Entry;
use super::given_mask::{GivenMask, SpelledOut, other_mask};
use super::json;
use super::layer;
use super::level::{Level, Source, Step};
use super::mask_operation::{MaskExpressions, MaskPiece};
use super::merged::Merged;
use super::messages::malformed;
use super::network::{Network, Node, too_many_calls};
use super::operation::{self, Called, Computed, Id, Made};
use super::reference::Reference;
use super::scope::{Piece, Scope, check_on_every_timestep};
use super::sequential;
use super::version::Version;
use crate::layer::{Identity, Reshape, WithMaskOf};
use crate::{Call, Error, Model, Result, Tensor};
use ndarray::ArrayD;
use std::collections::{HashMap, HashSet};

/// Operations in a row that become one layer at most.
const MOST_OPERATIONS: usize = 64;

/// Builds it. The model, and which layers are called where axes are merged with the batch.
pub(super) fn build(source: &Source) -> Result<(Model, Merged)> {
    // A mask that a call gives is first taken to be the one that its input carries. Where that is
    // another one, the call gets it as an array.
    let mut as_arrays = HashSet::new();
    let mut merged = Merged::default();
    loop {
        let mut wanted = None;
        let built = match merged.is_empty() {
            true => build_once(source, &as_arrays, &merged, &mut wanted),
            false => {
                let mut entries = source.entries.to_vec();
                merged.apply(&mut entries);
                let source = Source { entries: &entries, ..*source };
                build_once(&source, &as_arrays, &merged, &mut wanted)
            }
        };
        match (built, wanted) {
            (Err(_), Some((path, axes))) if merged.add(&path, axes) => {}
            (Err(error), _) => return Err(error),
            (Ok((model, None)), _) => return Ok((model, merged)),
            (Ok((_, Some((call, error)))), _) if !as_arrays.insert(call) => return Err(error),
            (Ok(_), _) => {}
        }
    }
}

/// Builds it with masks as arrays in these calls, and these layers where axes are merged with the
/// batch. Whether a call has to have another mask than it has. `wanted`: where it fails, the layer
/// that is to be among the merged ones, with how many axes.
fn build_once(
    source: &Source,
    as_arrays: &HashSet<usize>,
    merged: &Merged,
    wanted: &mut Option<(String, usize)>,
) -> Result<(Model, Option<(usize, Error)>)> {
    let mut builder = Builder {
        label: source.label,
        version: source.version,
        max_calls: source.max_calls,
        calls: 0,
        assembly: Assembly::new(source.version),
        masks: MaskExpressions::default(),
        constants: HashMap::new(),
        spelled_out: Vec::new(),
        masks_inside: source.masks,
        models: 0,
        merged,
        wanted,
        computed: Computed::default(),
        as_arrays,
    };
    let mut top = Level::new(source, "")?;
    let inputs = builder.inputs(source, &top.network)?;
    top.inputs = top.network.inputs(source.value)?;
    builder.add_layers(&mut top)?;
    let outputs = builder.run(&mut top, inputs)?;
    let model = builder.assembly.build(outputs)?;
    let other = other_mask(&model, builder.masks, builder.spelled_out);
    Ok((model, other))
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
    /// Whether the whole model makes masks.
    masks_inside: bool,
    /// How many calls of models were run.
    models: usize,
    merged: &'a Merged,
    wanted: &'a mut Option<(String, usize)>,
    /// What operations compute.
    computed: Computed,
    /// The calls whose masks are given as arrays.
    as_arrays: &'a HashSet<usize>,
}

impl Builder<'_> {
    /// Adds the inputs of the whole model.
    fn inputs<'a>(&mut self, source: &Source<'a>, network: &Network<'a>) -> Result<Vec<Tensor>> {
        if source.root == Root::Sequential {
            let Source { label, version, value, entries, .. } = *source;
            let (name, axes) = sequential::input(label, version, value, entries)?;
            return Ok(vec![self.assembly.input(&name, &axes)?]);
        }
        let mut inputs = Vec::new();
        for index in network.inputs(source.value)? {
            let entry = &source.entries[index];
            let axes = layer::input(entry, self.version)?;
            let input = self.assembly.input(entry.name, &axes)?;
            let dtype = entry.config.get("dtype").and_then(serde_json::Value::as_str);
            if let Some(kind) = dtype.and_then(operation::kind_of) {
                self.computed.set_kind(input, kind);
            }
            self.computed.rows = self.computed.rows.or(layer::rows(entry));
            inputs.push(input);
        }
        Ok(inputs)
    }

    /// Adds the layers that are called in the order of the file, which is Keras's `model.layers`
    /// and the order of its weights; calls can come in another order.
    fn add_layers(&mut self, level: &mut Level) -> Result<()> {
        let Level { network, steps, .. } = level;
        let called = network.order.iter().map(|&index| network.nodes[index].entry);
        let called: HashSet<usize> = called.collect();
        for (index, step) in steps.iter_mut().enumerate() {
            if !called.contains(&index) {
                continue;
            }
            *step = match std::mem::replace(step, Step::None) {
                Step::New(built) => {
                    Step::Called(self.assembly.add(&network.entries[index].path, built)?)
                }
                Step::Model(mut level) => {
                    self.add_layers(&mut level)?;
                    Step::Model(level)
                }
                other => other,
            };
        }
        Ok(())
    }

    /// Runs a call of a model that is a layer.
    fn run_inside(&mut self, level: &mut Level, inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
        self.models += 1;
        let around = std::mem::replace(&mut self.assembly.model, self.models);
        let outputs = self.run(level, inputs);
        self.assembly.model = around;
        outputs
    }

    /// As [`Builder::run_inside`], of a model that `TimeDistributed` calls: of masks it gets that
    /// of its input, and what it returns has that mask, too.
    fn run_on_every_timestep(
        &mut self,
        level: &mut Level,
        entry: &Entry,
        mut inputs: Vec<Tensor>,
    ) -> Result<Vec<Tensor>> {
        if !self.masks_inside {
            return self.run_inside(level, inputs);
        }
        let axes = level.network.entries.first().map_or(1, |inner| inner.time_distributed.max(1));
        while level.borders.len() < 2 {
            let name = ["before", "behind"][level.borders.len()];
            let name = format!("{}/masks_{name}", entry.path);
            level.borders.push(self.assembly.graph.layer(WithMaskOf::new(axes).named(name))?);
        }
        let (before, behind) = (level.borders[0], level.borders[1]);
        let masked = |assembly: &mut Assembly, layer, x: Tensor, of: Tensor| {
            let results = assembly.call_layer(layer, [x, of])?;
            results.first().copied().ok_or_else(|| Error::Graph("a mask is of no array".into()))
        };
        let outer = inputs.first().copied();
        for input in &mut inputs {
            *input = masked(&mut self.assembly, before, *input, *input)?;
        }
        let mut outputs = self.run_inside(level, inputs)?;
        let outer = outer.ok_or_else(|| Error::Graph("a model is called on no array".into()))?;
        for output in &mut outputs {
            *output = masked(&mut self.assembly, behind, *output, outer)?;
        }
        Ok(outputs)
    }

    /// Runs the calls of a model on these inputs, and returns what it returns.
    fn run(&mut self, level: &mut Level, inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let Level { network, steps, inputs: entries, .. } = level;
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
            Piece::Merged(..) | Piece::Computed(..) => None,
        };
        // A Sequential of nothing but its input returns that.
        let pieces = results.map_or(scope.input.as_slice(), Vec::as_slice);
        Ok(pieces.iter().filter_map(array).collect())
    }

    fn call(&mut self, scope: &Scope, node: &Node, step: &mut Step) -> Result<Vec<Piece>> {
        let entry = &scope.network.entries[node.entry];
        check_on_every_timestep(entry, node)?;
        if let Class::Operation(name) = entry.class {
            return self.operation(scope, node, name);
        }
        let reader = scope.network.reader(node);
        scope.check_row(entry, node)?;
        let arrays = match std::mem::replace(step, Step::None) {
            Step::Model(mut level) => {
                let inputs = self.model_inputs(scope, node, &mut level)?;
                let outputs = match entry.class {
                    Class::TimeDistributed => {
                        self.run_on_every_timestep(&mut level, entry, inputs)?
                    }
                    _ => self.run_inside(&mut level, inputs)?,
                };
                *step = Step::Model(level);
                outputs
            }
            Step::Called(layer) => {
                *step = Step::Called(layer.clone());
                self.layer_call(scope, node, &layer)?
            }
            Step::New(_) | Step::None => {
                return malformed(self.label, format!("{reader} can't be found"));
            }
        };
        let piece = |tensor| match self.merged.axes(&entry.path) {
            0 => Piece::Array(tensor),
            axes => Piece::Merged(tensor, axes),
        };
        Ok(arrays.into_iter().map(piece).collect())
    }

    /// What an operation returns: nothing is computed in the graph before something reads it,
    /// unless several do.
    fn operation(&mut self, scope: &Scope, node: &Node, name: &'static str) -> Result<Vec<Piece>> {
        let (reader, entry) = (scope.network.reader(node), &scope.network.entries[node.entry]);
        let Some(given) = &node.call.operation else {
            return malformed(self.label, format!("{reader} can't be found"));
        };
        let time_distributed = entry.time_distributed;
        let (mut arrays, mut masks) = (Vec::new(), Vec::new());
        for reference in &node.call.inputs {
            let (id, mask) = match self.piece(scope, &reader, reference)? {
                Piece::Array(tensor) => {
                    let mask = Some(MaskPiece::Array(tensor));
                    (self.computed.array(tensor, time_distributed), mask)
                }
                Piece::Merged(tensor, axes) => (self.computed.merged(tensor, axes), None),
                Piece::Computed(id, mask) => (id, mask),
            };
            arrays.push(id);
            masks.push(mask);
        }
        let path = &entry.path;
        let called = Called { path, name, config: entry.config, given, arrays, time_distributed };
        let results = operation::run(&mut self.computed, &self.assembly.graph, &called)?;
        let number = given.positional.get(1).and_then(|value| json::number(value));
        let masks: Option<Vec<MaskPiece>> = masks.into_iter().collect();
        let mut mask = masks.and_then(|masks| {
            self.masks.run(&self.assembly.graph, entry, &masks, number.map(|n| n as f32))
        });
        let mut pieces = Vec::with_capacity(results.len());
        for (index, id) in results.into_iter().enumerate() {
            let mask = mask.take();
            let reference =
                Reference::Output { layer: entry.name, call: node.number, tensor: index };
            let shared = scope.network.reads(&reference) > 1;
            let long = self.computed.depth(id) > MOST_OPERATIONS;
            if mask.is_none() && (shared || long) {
                // Where it can't be one, whoever reads it says so or computes it again.
                let _ = self.made(id, entry)?;
            }
            pieces.push(Piece::Computed(id, mask));
        }
        Ok(pieces)
    }

    /// What an operation computes, as an array of the graph; `None` where it can't be one.
    fn made(&mut self, id: Id, entry: &Entry) -> Result<Result<Tensor, &'static str>> {
        self.made_as(id, &entry.path, entry.time_distributed)
    }

    fn made_as(
        &mut self,
        id: Id,
        name: &str,
        time_distributed: usize,
    ) -> Result<Result<Tensor, &'static str>> {
        let graph = &self.assembly.graph;
        match self.computed.made(graph, id, name, time_distributed)? {
            Made::Array(tensor) => Ok(Ok(tensor)),
            Made::By(layer, reads, kind) => {
                let layer = self.assembly.graph.layer(*layer)?;
                let results = self.assembly.call_layer(layer, &reads[..])?;
                let Some(&tensor) = results.first() else { return Ok(Err("it returns nothing")) };
                self.computed.set_made(id, tensor, kind);
                Ok(Ok(tensor))
            }
            Made::NotOfTheBatch => Ok(Err("what it returns hasn't the batch as its first axis")),
        }
    }

    fn layer_call(&mut self, scope: &Scope, node: &Node, layer: &Added) -> Result<Vec<Tensor>> {
        let (reader, entry) = (scope.network.reader(node), &scope.network.entries[node.entry]);
        let inputs = self.reads(scope, entry, &reader, &node.call.inputs)?;
        let inputs = self.of_one_rank(entry, node, inputs)?;
        let states = self.tensors(scope, &reader, &node.call.initial_state)?;
        let masks = self.call_masks(scope, node)?;
        let place = (self.assembly.calls(), self.calls);
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

    /// An array of the graph.
    fn tensor(&mut self, scope: &Scope, reader: &str, reference: &Reference) -> Result<Tensor> {
        let id = match self.piece(scope, reader, reference)? {
            Piece::Array(tensor) => return Ok(tensor),
            Piece::Merged(..) => {
                return Err(Error::Graph(format!(
                    "{reader} is {}, whose first axis is the batch together with others: split it \
                     by a Reshape before",
                    reference.describe()
                )));
            }
            Piece::Computed(id, _) => id,
        };
        let Some((entry, ..)) = scope.network.entry(reader, reference)? else {
            return scope.network.dangling(reader, reference);
        };
        let entry = &scope.network.entries[entry];
        match self.made(id, entry)? {
            Ok(tensor) => Ok(tensor),
            Err(reason) if entry.time_distributed > 0 => {
                Err(layer::in_time_distributed(entry, reason))
            }
            Err(reason) => Err(Error::Graph(format!(
                "{reader} is what operation {:?} ({}) returns: {reason}, which layers and outputs \
                 of a model have to",
                entry.path,
                entry.class.name()
            ))),
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

    /// What a layer is called on, where axes may be merged with the batch: then as they were
    /// before.
    fn reads(
        &mut self,
        scope: &Scope,
        entry: &Entry,
        reader: &str,
        references: &[Reference],
    ) -> Result<Vec<Tensor>> {
        let merged = self.merged.axes(&entry.path);
        let mut tensors = Vec::with_capacity(references.len());
        for reference in references {
            let found = match self.piece(scope, reader, reference)? {
                Piece::Merged(tensor, axes) => Some((Some(tensor), axes)),
                Piece::Computed(id, _) if entry.time_distributed == merged => {
                    self.split(id, entry, merged)?
                }
                _ => None,
            };
            let axes = found.map_or(0, |(_, axes)| axes);
            if axes != merged {
                if merged == 0 {
                    *self.wanted = Some((entry.path.clone(), axes));
                }
                return Err(Error::Graph(format!(
                    "{reader}: {axes} axes of {} are merged with the batch, and {merged} of what \
                     else the layer is called on; use a layer for each",
                    reference.describe()
                )));
            }
            tensors.push(match found {
                Some((Some(tensor), _)) => tensor,
                _ => self.tensor(scope, reader, reference)?,
            });
        }
        Ok(tensors)
    }

    /// What an operation computes, with the axes that are merged with the batch as they were
    /// before, and how many they are; `None` where the batch is its first axis, or it can't be
    /// found out. A layer makes it where that is as many as `merged`.
    fn split(
        &mut self,
        id: Id,
        entry: &Entry,
        merged: usize,
    ) -> Result<Option<(Option<Tensor>, usize)>> {
        let graph = &self.assembly.graph;
        // Errors are those of who reads it otherwise.
        let known = self.computed.describe(graph, id, 0);
        if !known.is_ok_and(|known| !known.has_batch) {
            return Ok(None);
        }
        let Some((id, axes)) = self.computed.split(graph, id) else { return Ok(None) };
        if axes != merged {
            return Ok(Some((None, axes)));
        }
        let name = format!("{}/rows", entry.path);
        Ok(self.made_as(id, &name, 0)?.ok().map(|tensor| (Some(tensor), axes)))
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
    fn model_inputs(
        &mut self,
        scope: &Scope,
        node: &Node,
        level: &mut Level,
    ) -> Result<Vec<Tensor>> {
        let (reader, entry) = (scope.network.reader(node), &scope.network.entries[node.entry]);
        let mut inputs = self.reads(scope, entry, &reader, &node.call.inputs)?;
        let masks = self.call_masks(scope, node)?;
        let wanted = level.inputs.len().max(usize::from(level.network.root == Root::Sequential));
        let distributed = entry.class == Class::TimeDistributed;
        if inputs.len() != wanted || masks.len() > wanted || distributed && wanted != 1 {
            let (arrays, masks) = (inputs.len(), masks.len());
            return malformed(
                self.label,
                format!(
                    "layer {:?} is called on {arrays} arrays with {masks} masks; the model has \
                     {wanted} inputs, and in TimeDistributed it has one",
                    level.path
                ),
            );
        }
        for (index, mask) in masks.into_iter().enumerate() {
            let Some(mut mask) = mask else { continue };
            // In Keras 3 an array keeps such a mask for whoever reads it later: where somebody may,
            // it has to carry the mask anyway.
            let read_again = scope.network.reads(&node.call.inputs[index]) > 1;
            mask.array = mask.array.filter(|_| !read_again || self.version == Version::Keras2);
            inputs[index] = self.masked(level, index, inputs[index], mask)?;
        }
        let inputs = level.in_order(self.label, &node.call.input_names, inputs)?;
        for (&index, &input) in level.inputs.iter().zip(&inputs) {
            let inner = &level.network.entries[index];
            let axes = layer::input(inner, self.version)?.len() + inner.time_distributed;
            let given = self.assembly.graph.axes(input).len();
            if given != axes {
                return Err(Error::Graph(format!(
                    "layer {:?} is called on an array of {given} axes beside the batch, and its \
                     model reads {axes}; put a Reshape before it",
                    level.path
                )));
            }
        }
        Ok(inputs)
    }

    /// An input of a model with the mask that a call gives it.
    fn masked(
        &mut self,
        level: &mut Level,
        input: usize,
        array: Tensor,
        mask: GivenMask,
    ) -> Result<Tensor> {
        let layer = match level.mask_layers.get(&input) {
            Some(&layer) => layer,
            None => {
                let entry = level.inputs.get(input).map(|&entry| &level.network.entries[entry]);
                let name = match entry {
                    Some(entry) => entry.path.clone(),
                    None => format!("{}/input", level.path),
                };
                let identity = Identity::of_class("InputLayer").unwrap_or(Identity::dropout());
                let layer = self.assembly.graph.layer(identity.named(name))?;
                level.mask_layers.insert(input, layer);
                layer
            }
        };
        let call = Call::on(array).masks(&[mask.array]);
        if mask.array.is_none() {
            self.spelled_out.push(mask.spelled_out(
                level.path,
                (self.assembly.calls(), self.calls),
                0,
            ));
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
        let piece = match self.piece(scope, reader, reference)? {
            Piece::Array(tensor) => Some(MaskPiece::Array(tensor)),
            Piece::Merged(..) => None,
            Piece::Computed(_, mask) => mask.filter(|_| !self.as_arrays.contains(&self.calls)),
        };
        let inside = scope.network.entries.first().map_or(0, |entry| entry.time_distributed);
        let mask = piece.and_then(|piece| self.masks.mask(&self.assembly.graph, &piece, inside));
        let (array, mask) = match mask {
            Some(Some(mask)) => (self.masks.array(mask), Some(mask)),
            Some(None) => (None, None),
            // Whether it can be a mask is for the graph to say.
            None => (Some(self.tensor(scope, reader, reference)?), None),
        };
        Ok(GivenMask { array, mask, reference: reference.describe() })
    }
}
