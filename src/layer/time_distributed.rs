//! A layer that is called on every timestep; the type itself stands beside that of all layers.

use super::definition::{Definition, MaskArguments, MaskRule, WeightSpec, Wrong};
use super::dims::Dims;
use super::kinds::{Layer, TimeDistributed};
use super::lowering::Lowering;
use crate::error::Result;
use crate::graph::{ArrayId, Constant};
use ndarray::ArrayD;
use std::ops::RangeInclusive;

impl TimeDistributed {
    /// Calls `layer` on every timestep.
    pub fn new(layer: impl Into<Layer>) -> TimeDistributed {
        TimeDistributed { layer: Box::new(layer.into()), own_masks: false }
    }

    /// Whether it makes masks and hands them on as the layer in it does by itself, each with the
    /// timesteps as an axis more (default: false; then its output has the mask of its input). So
    /// stands a layer of a model here that a `TimeDistributed` of Keras calls.
    ///
    /// ```
    /// use birnn::layer::{Embedding, Gru};
    /// use birnn::{Graph, TimeDistributed};
    /// let mut graph = Graph::new();
    /// let ids = graph.input("ids", &[None, Some(6)])?; // [batch, sentences, words]
    /// let embedding = TimeDistributed::new(Embedding::new(100, 8).mask_zero(true));
    /// let words = graph.add(embedding.own_masks(true), ids)?[0];
    /// let sentences = graph.add(TimeDistributed::new(Gru::new(4)).own_masks(true), words)?;
    /// let model = graph.build(sentences)?; // [batch, sentences, 4]
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn own_masks(mut self, own_masks: bool) -> TimeDistributed {
        self.own_masks = own_masks;
        self
    }

    /// What the layer says of itself, where masks are its own.
    fn own(&self) -> Option<&dyn Definition> {
        self.layer.definition().filter(|_| self.own_masks)
    }

    /// What the layer inside reads.
    pub(crate) fn inside(inputs: &[Dims]) -> Vec<Dims> {
        inputs.iter().map(|dims| dims.get(1..).unwrap_or_default().to_vec()).collect()
    }
}

impl Definition for TimeDistributed {
    fn class_name(&self) -> &'static str {
        "TimeDistributed"
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        self.layer.inputs()
    }

    fn check(&self) -> Result<(), Wrong> {
        if let (true, MaskRule::Concatenate(axis)) = (self.own_masks, self.layer.masking())
            && axis != -1
        {
            let reason = "a Concatenate along another axis than the last can't hand on masks of \
                          its own";
            return Err(("own_masks", reason.to_string()));
        }
        match &*self.layer {
            layer if layer.is_stateful() => {
                let reason = "a stateful layer can't be TimeDistributed, where each timestep is a \
                              sequence of its own; use stateful=False";
                Err(("layer", reason.to_string()))
            }
            Layer::Feedforward(layer) => layer.kind.definition().check(),
            layer => layer.check().map_err(|e| ("layer", e.to_string())),
        }
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        if inputs.iter().any(|dims| dims.len() < 2) {
            return Err("it reads [batch, timesteps, …]".to_string());
        }
        let known: Vec<usize> = inputs.iter().filter_map(|dims| dims[0]).collect();
        if let Some(other) = known.iter().find(|&&other| other != known[0]) {
            return Err(format!("its inputs have {} and {other} timesteps", known[0]));
        }
        let timesteps = inputs.iter().find_map(|dims| dims[0]);
        let mut results =
            self.layer.results(&TimeDistributed::inside(inputs)).map_err(|e| e.to_string())?;
        if results.len() != 1 {
            return Err("a layer that returns several arrays can't be TimeDistributed".to_string());
        }
        results[0].1.insert(0, timesteps);
        Ok(results.remove(0).1)
    }

    fn weights(&self, inputs: &[Dims]) -> Vec<WeightSpec> {
        self.layer.weight_specs(&TimeDistributed::inside(inputs))
    }

    fn constants<'w>(&'w self, weights: &'w [ArrayD<f32>], inputs: &[Dims]) -> Vec<Constant<'w>> {
        let inside = TimeDistributed::inside(inputs);
        self.layer.definition().map_or(Vec::new(), |kind| kind.constants(weights, &inside))
    }

    /// Batch and time as one axis, but for a layer that takes any number of axes, so that those of
    /// its array stay what they are. A mask of `[batch, timesteps, steps]` reaches the layer; one
    /// of `[batch, timesteps]` says nothing about what the layer reads.
    fn lower(&self, call: &mut Lowering) -> Result<ArrayId> {
        if let Some(kind) = self.layer.definition().filter(|kind| kind.goes_vector_by_vector()) {
            return kind.lower(call);
        }
        let outer = call.shape(call.input(0))[..2].to_vec();
        let folded = |call: &mut Lowering, array: ArrayId| {
            let shape = [&[outer[0] * outer[1]], &call.shape(array)[2..]].concat();
            call.reshaped(array, shape)
        };
        let (mut inputs, mut masks) = (Vec::new(), Vec::new());
        for index in 0..call.inputs.len() {
            let input = call.input(index);
            inputs.push(folded(call, input)?);
            let mask = call.mask(index).filter(|&mask| call.shape(mask).len() > 2);
            masks.push(mask.map(|mask| folded(call, mask)).transpose()?);
        }
        let (layer, name) = (call.layer, call.name);
        let mut inside = Lowering { graph: &mut *call.graph, layer, name, inputs, masks };
        let output = self.layer.lower(&mut inside, &[])?[0];
        let unfolded = [&outer, &call.shape(output)[1..]].concat();
        call.reshaped(output, unfolded)
    }

    fn computes_with_masks(&self) -> bool {
        self.layer.computes_with_masks()
    }

    fn reads_mask(&self, mask_axes: usize, axes: usize) -> bool {
        mask_axes > 0 && self.layer.reads_mask(mask_axes - 1, axes - 1)
    }

    fn has_mask_argument(&self) -> bool {
        self.own().is_none_or(|kind| kind.has_mask_argument())
    }

    fn masking(&self) -> MaskRule {
        if self.own_masks { self.layer.masking() } else { MaskRule::Pass }
    }

    fn mask_arguments(&self) -> MaskArguments {
        self.own().map_or(MaskArguments::OfEachArray, |kind| kind.mask_arguments())
    }

    fn looks_at_arrays_masks(&self) -> bool {
        self.own().is_some_and(|kind| kind.looks_at_arrays_masks())
    }

    fn takes_masks_away(&self) -> bool {
        self.own().is_some_and(|kind| kind.takes_masks_away())
    }

    fn returns_its_input(&self) -> bool {
        self.own().is_some_and(|kind| kind.returns_its_input())
    }
}
