//! Where each array's mask comes from. A mask is `[batch, timesteps]`, true where the timestep
//! counts; Keras hands it from layer to layer beside the array. Pure: which masks there are depends
//! on the graph and on the call alone.

use super::mask_rules::MaskRules;
use super::{Model, Node};
use crate::error::{Error, Result};
use crate::layer::{Layer, MaskArguments, MaskRule, axis_of};

/// How a mask is made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum MaskSource {
    /// Given with the call, for this input of the model.
    Given(usize),
    /// True where this array, `[batch, timesteps]`, is not zero.
    Tensor(usize),
    /// True where not all features of this array have the value of these bits.
    Values { tensor: usize, value: u32 },
    /// True where this mask is at any place of its last axis.
    AnyInLastAxis(usize),
    /// True where any of these masks is.
    Any(Vec<usize>),
    /// True where all of these masks are.
    All(Vec<usize>),
    /// One after another along time: of each array its mask, or true.
    Concatenate(Vec<(usize, Option<usize>)>),
}

/// The masks of a call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Masks {
    /// In an order in which each only needs those before it.
    pub sources: Vec<MaskSource>,
    /// Of each array the index of the mask that it carries along the graph.
    pub of_tensor: Vec<Option<usize>>,
    /// Of each call of a layer the masks of its inputs.
    pub of_node: Vec<Vec<Option<usize>>>,
}

impl Masks {
    fn add(&mut self, source: MaskSource) -> usize {
        match self.sources.iter().position(|known| *known == source) {
            Some(index) => index,
            None => {
                self.sources.push(source);
                self.sources.len() - 1
            }
        }
    }

    /// The shape of a mask but the batch.
    pub fn shape(&self, model: &Model, shapes: &[Vec<usize>], mask: usize) -> Vec<usize> {
        match &self.sources[mask] {
            MaskSource::Given(input) => vec![shapes[model.inputs[*input].tensor][0]],
            MaskSource::Tensor(tensor) => shapes[*tensor].clone(),
            MaskSource::Values { tensor, .. } => {
                shapes[*tensor][..shapes[*tensor].len() - 1].to_vec()
            }
            MaskSource::AnyInLastAxis(mask) => {
                let mut shape = self.shape(model, shapes, *mask);
                shape.pop();
                shape
            }
            MaskSource::Any(masks) | MaskSource::All(masks) => self.shape(model, shapes, masks[0]),
            MaskSource::Concatenate(parts) => {
                let first = &shapes[parts[0].0];
                let mut shape = first[..first.len() - 1].to_vec();
                shape[0] = parts.iter().map(|(tensor, _)| shapes[*tensor][0]).sum();
                shape
            }
        }
    }
}

impl Model {
    /// The masks of a call that gives masks for these inputs of the model.
    pub(crate) fn masks(&self, given: impl Fn(usize) -> bool) -> Masks {
        let mut masks = Masks { of_tensor: vec![None; self.tensors.len()], ..Masks::default() };
        for (index, input) in self.inputs.iter().enumerate() {
            if given(index) {
                masks.of_tensor[input.tensor] = Some(masks.add(MaskSource::Given(index)));
            }
        }
        // Keras 3 hands a mask on twice: along the graph when the model is built, as an argument of
        // the layers that have one for it, and with the arrays when it runs. The two only differ
        // after attention, which takes the masks of its arrays away. An array is the same object as
        // another where a layer returns its input itself.
        //
        // The graph that a mask is handed along ends where a model is called: what a layer finds
        // there are the masks of the arrays.
        let mut attached = masks.of_tensor.clone();
        let mut made_in: Vec<usize> = vec![0; self.tensors.len()];
        let mut same: Vec<usize> = (0..self.tensors.len()).collect();
        for node in &self.nodes {
            let layer = &self.layers[node.layer].layer;
            let kind = layer.definition();
            let is_here = |tensor: usize| {
                self.mask_rules == MaskRules::Keras2 || made_in[tensor] == node.model
            };
            let carried = |masks: &[Option<usize>], everywhere: bool| -> Vec<Option<usize>> {
                let of = |&tensor: &usize| masks[tensor].filter(|_| everywhere || is_here(tensor));
                node.inputs.iter().map(of).collect()
            };
            let along_graph = carried(&masks.of_tensor, false);
            let along_graph = masks.of_inputs(node, layer, &along_graph);
            let with_arrays = masks.of_inputs(node, layer, &carried(&attached, true));
            let either = along_graph.iter().zip(&with_arrays);
            let either: Vec<_> = either.map(|(along, with)| along.or(*with)).collect();
            let output = self.output_mask(&mut masks, node, layer, &along_graph);
            let is_argument =
                kind.is_none_or(|kind| kind.has_mask_argument()) && node.initial_state.is_empty();
            let passed_on = if is_argument { &either } else { &with_arrays };
            let attached_output = self.output_mask(&mut masks, node, layer, passed_on);
            if kind.is_some_and(|kind| kind.takes_masks_away())
                && self.mask_rules == MaskRules::Keras3
            {
                let taken: Vec<usize> = node.inputs.iter().map(|&tensor| same[tensor]).collect();
                let of_arrays =
                    attached.iter_mut().zip(&same).filter(|(_, same)| taken.contains(same));
                of_arrays.for_each(|(mask, _)| *mask = None);
            }
            if kind.is_some_and(|kind| kind.returns_its_input()) {
                same[node.results[0]] = same[node.inputs[0]];
            }
            for &tensor in node.results.iter().filter(|&&t| self.tensors[t].role.has_mask()) {
                masks.of_tensor[tensor] = output;
                attached[tensor] = attached_output;
                made_in[tensor] = node.model;
            }
            let looks_at_arrays = kind.is_some_and(|kind| kind.looks_at_arrays_masks());
            masks.of_node.push(self.read_masks(
                node,
                layer,
                if looks_at_arrays { with_arrays } else { either },
            ));
        }
        masks
    }

    /// The mask that a layer's output carries.
    fn output_mask(
        &self,
        masks: &mut Masks,
        node: &Node,
        layer: &Layer,
        of: &[Option<usize>],
    ) -> Option<usize> {
        let input = node.inputs[0];
        if let (Some(inside), MaskRules::Keras2, false) =
            (layer.time_distributed(), self.mask_rules, layer.has_own_masks())
        {
            return self.mask_of_timesteps(masks, input, inside, of[0], 1);
        }
        match layer.masking() {
            MaskRule::Drop => None,
            MaskRule::Pass => of[0],
            MaskRule::Ids => Some(masks.add(MaskSource::Tensor(input))),
            MaskRule::Values(value) => {
                Some(masks.add(MaskSource::Values { tensor: input, value: value.to_bits() }))
            }
            MaskRule::OfSecond(axes) => match self.mask_rules {
                MaskRules::Keras3 => of[1],
                MaskRules::Keras2 => of[0].or_else(|| self.shortened(masks, of[1], axes)),
            },
            MaskRule::Any => masks.joined(of, self.mask_rules),
            // Along the features, whatever model it is in.
            MaskRule::Concatenate(-1) => masks.joined(of, self.mask_rules),
            MaskRule::Concatenate(axis) => match axis_of(axis, self.tensors[input].shape.len()) {
                Ok(0) if self.tensors[input].shape.len() > 1 => {
                    masks.one_after_another(&node.inputs, of)
                }
                _ => masks.joined(of, self.mask_rules),
            },
        }
    }

    /// Keras 2: the mask that a layer makes that is called on every timestep, at a depth of so many
    /// TimeDistributed. Where it makes none, its input's mask with no more axes than the output of
    /// every layer has.
    fn mask_of_timesteps(
        &self,
        masks: &mut Masks,
        input: usize,
        layer: &Layer,
        mask: Option<usize>,
        depth: usize,
    ) -> Option<usize> {
        if let Some(inside) = layer.time_distributed() {
            return self.mask_of_timesteps(masks, input, inside, mask, depth + 1);
        }
        match layer.masking() {
            MaskRule::Ids => Some(masks.add(MaskSource::Tensor(input))),
            MaskRule::Values(value) => {
                Some(masks.add(MaskSource::Values { tensor: input, value: value.to_bits() }))
            }
            MaskRule::Drop => self.shortened(masks, mask, depth),
            MaskRule::Pass | MaskRule::Any | MaskRule::Concatenate(_) | MaskRule::OfSecond(_) => {
                mask
            }
        }
    }

    /// A mask at no more than so many axes: true where it is anywhere along the others.
    fn shortened(&self, masks: &mut Masks, mut mask: Option<usize>, axes: usize) -> Option<usize> {
        while let Some(long) = mask.filter(|&mask| self.mask_axes(masks, mask) > axes) {
            mask = Some(masks.add(MaskSource::AnyInLastAxis(long)));
        }
        mask
    }

    /// Of its inputs' masks those that a layer reads.
    fn read_masks(
        &self,
        node: &Node,
        layer: &Layer,
        mut of_inputs: Vec<Option<usize>>,
    ) -> Vec<Option<usize>> {
        match self.mask_rules {
            // Keras 3 gives a call with several arrays no mask that it isn't given explicitly.
            MaskRules::Keras3 if !node.initial_state.is_empty() => {
                let explicit = |index: usize| node.masks.get(index).is_some_and(Option::is_some);
                of_inputs
                    .iter_mut()
                    .enumerate()
                    .filter(|(index, _)| !explicit(*index))
                    .for_each(|(_, mask)| *mask = None);
            }
            MaskRules::Keras2 if layer.masking() == MaskRule::Any => of_inputs.fill(None),
            _ => {}
        }
        of_inputs
    }

    /// That every layer can use the masks that it gets. Where it can't Keras fails, too.
    pub(crate) fn check_masks(&self, masks: &Masks) -> Result<()> {
        let joined = masks.sources.iter().filter_map(|source| match source {
            MaskSource::Any(of) | MaskSource::All(of) => {
                Some(of.iter().map(|&mask| self.mask_axes(masks, mask)))
            }
            _ => None,
        });
        if joined
            .into_iter()
            .any(|mut axes| axes.next().is_some_and(|first| axes.any(|other| other != first)))
        {
            return Err(Error::Graph("masks of different ranks are joined".to_string()));
        }
        for (node, of_node) in self.nodes.iter().zip(&masks.of_node) {
            let layer = &self.layers[node.layer].layer;
            for (&tensor, mask) in node.inputs.iter().zip(of_node) {
                let Some(axes) = mask.map(|mask| self.mask_axes(masks, mask)) else { continue };
                if !layer.reads_mask(axes, self.tensors[tensor].shape.len()) {
                    let (name, class) = (layer.name(), layer.class_name());
                    return Err(Error::Graph(format!(
                        "layer {name:?} ({class}) can't use the mask that its input has"
                    )));
                }
            }
        }
        Ok(())
    }

    /// That every mask has the timesteps of the array that it is read with.
    pub(crate) fn check_mask_shapes(
        &self,
        masks: &Masks,
        shapes: &[Vec<usize>],
        batch: usize,
    ) -> Result<()> {
        let shape = |mask: usize| masks.shape(self, shapes, mask);
        for source in &masks.sources {
            if let MaskSource::Any(of) | MaskSource::All(of) = source {
                let first = shape(of[0]);
                if let Some(other) =
                    of.iter().map(|&mask| shape(mask)).find(|other| *other != first)
                {
                    let (first, other) = (with_batch(batch, &first), with_batch(batch, &other));
                    return Err(Error::Graph(format!(
                        "masks of {first:?} and {other:?} are joined"
                    )));
                }
            }
        }
        let parts = masks.sources.iter().filter_map(|source| match source {
            MaskSource::Concatenate(parts) => Some(parts),
            _ => None,
        });
        let joined =
            parts.flatten().map(|&(tensor, mask)| (tensor, mask, &self.tensors[tensor].source));
        let readers = self.nodes.iter().zip(&masks.of_node).flat_map(|(node, of_node)| {
            let layer = &self.layers[node.layer].layer;
            let read = if layer.computes_with_masks() { &of_node[..] } else { &[] };
            node.inputs.iter().zip(read).map(move |(&tensor, &mask)| (tensor, mask, layer.name()))
        });
        for (tensor, mask, name) in
            joined.map(|(tensor, mask, name)| (tensor, mask, &name[..])).chain(readers)
        {
            let Some(found) = mask.map(shape) else { continue };
            let expected = &shapes[tensor][..found.len().min(shapes[tensor].len())];
            if found != expected {
                return Err(Error::InputShape {
                    input: format!("the mask that layer {name:?} reads"),
                    found: with_batch(batch, &found),
                    expected: format!("{:?}, as its input has it", with_batch(batch, expected)),
                });
            }
        }
        Ok(())
    }

    /// How many axes a mask has beside the batch.
    fn mask_axes(&self, masks: &Masks, mask: usize) -> usize {
        let axes = |tensor: usize| self.tensors[tensor].shape.len();
        match &masks.sources[mask] {
            MaskSource::Given(_) => 1,
            MaskSource::Tensor(tensor) => axes(*tensor),
            MaskSource::Values { tensor, .. } => axes(*tensor) - 1,
            MaskSource::AnyInLastAxis(mask) => self.mask_axes(masks, *mask) - 1,
            MaskSource::Any(of) | MaskSource::All(of) => self.mask_axes(masks, of[0]),
            MaskSource::Concatenate(parts) => axes(parts[0].0) - 1,
        }
    }
}

impl Masks {
    /// The masks of a node's inputs: those that they carry, or that the call gives.
    fn of_inputs(
        &mut self,
        node: &Node,
        layer: &Layer,
        carried: &[Option<usize>],
    ) -> Vec<Option<usize>> {
        let arguments =
            layer.definition().map_or(MaskArguments::OfEachArray, |kind| kind.mask_arguments());
        let listed = arguments == MaskArguments::Listed && !node.masks.is_empty();
        let carries_its_own =
            |index: usize| arguments == MaskArguments::AllButTheQuery && index == 0;
        let of_input = |(index, &carried): (usize, &Option<usize>)| match node
            .masks
            .get(index)
            .copied()
            .flatten()
        {
            Some(mask) if !carries_its_own(index) => Some(self.add(MaskSource::Tensor(mask))),
            _ if listed => None,
            _ => carried,
        };
        carried.iter().enumerate().map(of_input).collect()
    }

    /// Keras 3: true where any mask is, and none where an array has none (that counts as true
    /// everywhere). Keras 2: true where all are that there are.
    fn joined(&mut self, of: &[Option<usize>], rules: MaskRules) -> Option<usize> {
        let mut some: Vec<usize> = of.iter().copied().flatten().collect();
        let missing = some.len() < of.len();
        some.sort_unstable();
        some.dedup();
        match (rules, &some[..]) {
            (_, []) => None,
            (MaskRules::Keras3, _) if missing => None,
            (_, &[one]) => Some(one),
            (MaskRules::Keras3, _) => Some(self.add(MaskSource::Any(some))),
            (MaskRules::Keras2, _) => Some(self.add(MaskSource::All(some))),
        }
    }

    fn one_after_another(&mut self, inputs: &[usize], of: &[Option<usize>]) -> Option<usize> {
        let parts = inputs.iter().copied().zip(of.iter().copied()).collect();
        of.iter().any(Option::is_some).then(|| self.add(MaskSource::Concatenate(parts)))
    }
}

fn with_batch(batch: usize, shape: &[usize]) -> Vec<usize> {
    std::iter::once(batch).chain(shape.iter().copied()).collect()
}
