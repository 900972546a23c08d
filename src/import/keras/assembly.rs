//! The model as it grows: layers of the file in the graph, and calls of them. A layer of the file
//! can be several in the graph, one for each of its cells.

use super::recurrent::{Built, Unmasked, Wiring};
use super::version::Version;
use crate::{
    Call, Error, Graph, Layer, LayerId, MaskOrigin, MaskRules, MergeMode, Model, Result, Tensor,
};
use std::collections::HashMap;

/// A graph, and what has been called in it.
pub(super) struct Assembly {
    pub graph: Graph,
    /// The layer of each call, in order.
    called: Vec<LayerId>,
    /// Layers that can't be called with masks, and why.
    unmasked: Vec<(LayerId, Unmasked)>,
    /// How many axes the arrays have that calls read, beside the batch.
    axes: HashMap<Tensor, usize>,
    /// The number of the call of the model that is run.
    pub model: usize,
}

/// A layer of the file in the graph.
#[derive(Clone)]
pub(super) struct Added {
    name: String,
    members: Vec<Member>,
    wiring: Wiring,
}

/// One of the layers in the graph that stand for one of the file.
#[derive(Clone, Copy)]
struct Member {
    id: LayerId,
    /// How many states one direction of it has.
    states: usize,
    is_bidirectional: bool,
}

impl Assembly {
    /// An empty graph with the rules of the Keras that wrote the file.
    pub(super) fn new(version: Version) -> Assembly {
        let rules = match version {
            Version::Keras2 => MaskRules::Keras2,
            Version::Keras3 | Version::Unknown => MaskRules::Keras3,
        };
        let graph = Graph::new().mask_rules(rules);
        let (called, unmasked, axes) = (Vec::new(), Vec::new(), HashMap::new());
        Assembly { graph, called, unmasked, axes, model: 0 }
    }

    /// How many calls the graph has.
    pub(super) fn calls(&self) -> usize {
        self.called.len()
    }

    /// Adds the layers of one of the file, which is named `name`.
    pub(super) fn add(&mut self, name: &str, built: Built) -> Result<Added> {
        let Built { layers, wiring, unmasked } = built;
        let mut members = Vec::new();
        for layer in layers {
            let of_one = layer.directions().first().map(|(_, layer)| layer.cell().states());
            let states = of_one.unwrap_or(layer.state_roles().len());
            let is_bidirectional = matches!(layer, Layer::Bidirectional(_));
            members.push(Member { id: self.graph.layer(layer)?, states, is_bidirectional });
        }
        self.unmasked.extend(members.first().map(|member| member.id).zip(unmasked));
        Ok(Added { name: name.to_string(), members, wiring })
    }

    /// Calls a layer of the file. Returns the output, or both of a layer with merge mode None, and
    /// then every cell's states.
    pub(super) fn call(
        &mut self,
        layer: &Added,
        inputs: &[Tensor],
        masks: &[Option<Tensor>],
        states: &[Tensor],
    ) -> Result<Vec<Tensor>> {
        let call = Call::from(inputs).masks(masks);
        match (layer.wiring, &layer.members[..]) {
            (Wiring::Row | Wiring::Chain, [only]) => {
                self.call_layer(only.id, call.initial_state(states))
            }
            (Wiring::Chain, [first, rest @ ..]) => {
                let mut outputs = self.call_layer(first.id, call.initial_state(states))?;
                for member in rest {
                    outputs = self.call_layer(member.id, &outputs[..])?;
                }
                Ok(outputs)
            }
            _ => self.call_cells(layer, call, masks, states),
        }
    }

    /// Calls a layer of the graph.
    pub(super) fn call_layer(
        &mut self,
        layer: LayerId,
        call: impl Into<Call>,
    ) -> Result<Vec<Tensor>> {
        self.called.push(layer);
        let results = self.graph.call(layer, call.into().in_model(self.model))?;
        self.axes.extend(results.iter().map(|&tensor| (tensor, self.graph.axes(tensor).len())));
        Ok(results)
    }

    /// Adds an input.
    pub(super) fn input(&mut self, name: &str, axes: &[Option<usize>]) -> Result<Tensor> {
        let input = self.graph.input(name, axes)?;
        self.axes.insert(input, axes.len());
        Ok(input)
    }

    /// How many axes masks have, beside the batch, each in terms of those before it; `arrays`: how
    /// many arrays have.
    fn mask_axes(arrays: &HashMap<Tensor, usize>, origins: &[MaskOrigin]) -> Vec<usize> {
        let of = |tensor: &Tensor| arrays.get(tensor).copied().unwrap_or(1);
        let mut axes: Vec<usize> = Vec::with_capacity(origins.len());
        for origin in origins {
            let before = |mask: usize| axes.get(mask).copied().unwrap_or(1);
            axes.push(match origin {
                MaskOrigin::NotZero(array) => of(array),
                MaskOrigin::NotEqual { array, .. } => of(array).saturating_sub(1),
                MaskOrigin::AnyInLastAxis(mask) => before(*mask).saturating_sub(1),
                MaskOrigin::Any(masks) | MaskOrigin::All(masks) => {
                    masks.first().map_or(1, |&mask| before(mask))
                }
                _ => 1,
            });
        }
        axes
    }

    fn call_cells(
        &mut self,
        layer: &Added,
        first: Call,
        masks: &[Option<Tensor>],
        states: &[Tensor],
    ) -> Result<Vec<Tensor>> {
        let Added { name, members, wiring } = layer;
        let (forward, others, merge_mode) = match *wiring {
            Wiring::Row | Wiring::Chain => (&members[..], &[][..], MergeMode::None),
            Wiring::Both { forward, merge_mode } => {
                let (forward, others) = members.split_at(forward.min(members.len()));
                (forward, others, merge_mode)
            }
        };
        let (backward, merge) = match (merge_mode, others) {
            (MergeMode::None, others) => (others, None),
            (_, [backward @ .., merge]) => (backward, Some(merge.id)),
            (_, []) => (others, None),
        };
        let count = |row: &[Member]| row.iter().map(|member| member.states).sum::<usize>();
        let wanted = count(forward) + count(backward);
        if !states.is_empty() && states.len() != wanted {
            return Err(Error::Graph(format!(
                "layer {name:?} takes {wanted} initial states, got {}",
                states.len()
            )));
        }
        let (own, rest) = states.split_at(count(forward).min(states.len()));
        let (mut outputs, mut returned) = self.call_row(forward, first.clone(), masks, own)?;
        if !backward.is_empty() {
            let (output, more) = self.call_row(backward, first, masks, rest)?;
            outputs.extend(output);
            returned.extend(more);
        }
        if let Some(merge) = merge {
            outputs = self.call_layer(merge, &outputs[..])?;
        }
        outputs.extend(returned);
        Ok(outputs)
    }

    /// Calls layers one on the other's output, with the same masks. Returns the last one's output,
    /// and the states.
    fn call_row(
        &mut self,
        row: &[Member],
        first: Call,
        masks: &[Option<Tensor>],
        mut states: &[Tensor],
    ) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
        let (mut call, mut output, mut returned) = (first, Vec::new(), Vec::new());
        for member in row {
            let (own, rest) = states.split_at(member.states.min(states.len()));
            states = rest;
            let twice = member.is_bidirectional;
            let own = if twice { [own, own].concat() } else { own.to_vec() };
            let mut results = self.call_layer(member.id, call.initial_state(&own))?;
            // Of a cell that runs in both directions only the backward one counts.
            if twice {
                results.remove(0);
                let more = results.len() - 1;
                results.drain(1..1 + more / 2);
            }
            returned.extend(results.split_off(1));
            output = results;
            call = Call::from(&output[..]).masks(masks);
        }
        Ok((output, returned))
    }

    /// The model, after a check that no layer has a mask that can't have one.
    pub(super) fn build(self, outputs: Vec<Tensor>) -> Result<Model> {
        let model = self.graph.build(outputs)?;
        let masks = model.mask_origins(|_| false);
        let axes = Assembly::mask_axes(&self.axes, &masks.origins);
        for (layer, Unmasked { error, axes: most }) in self.unmasked {
            let is_wrong = |mask: &usize| most.is_none_or(|most| axes[*mask] <= most);
            let mut calls = self.called.iter().zip(&masks.calls);
            if calls.any(|(called, of)| *called == layer && of.iter().flatten().any(is_wrong)) {
                return Err(error);
            }
        }
        Ok(model)
    }
}
