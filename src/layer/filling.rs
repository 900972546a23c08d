//! The weights of layers: drawn, set, read, and left out where a file has them elsewhere.

use super::definition::WeightSpec;
use super::dims::Dims;
use super::kinds::{Feedforward, Kind, Layer, TimeDistributed};
use super::weights::{self, Weights};
use crate::error::{Error, Result};
use crate::order::standard;
use ndarray::ArrayD;
use rand_chacha::ChaCha12Rng;
use std::sync::Arc;

impl Layer {
    /// The weights in Keras's order.
    pub(crate) fn weight_specs(&self, inputs: &[Dims]) -> Vec<WeightSpec> {
        let features = inputs.first().and_then(|dims| dims.last().copied().flatten()).unwrap_or(0);
        match self {
            Layer::Feedforward(layer) => layer.kind.definition().weights(inputs),
            _ => self
                .directions()
                .into_iter()
                .flat_map(|(_, layer)| layer.weight_specs(features))
                .collect(),
        }
    }

    /// What its weights are called in messages, in Keras's order: of a [`Bidirectional`] with the
    /// direction.
    pub(crate) fn weight_labels(&self, inputs: &[Dims]) -> Vec<String> {
        let two = matches!(self, Layer::Bidirectional(_));
        let labels = self.directions().into_iter().flat_map(|(direction, layer)| {
            let label = move |weight: &str| {
                if two { format!("{direction} {weight}") } else { weight.to_string() }
            };
            layer.weight_names().into_iter().map(label)
        });
        match self {
            Layer::Feedforward(_) => {
                self.weight_specs(inputs).iter().map(|spec| spec.name.to_string()).collect()
            }
            _ => labels.collect(),
        }
    }

    pub(crate) fn initialize(&mut self, inputs: &[Dims], rng: &mut ChaCha12Rng) {
        let features = inputs.first().and_then(|dims| dims.last().copied().flatten()).unwrap_or(0);
        for layer in self.directions_mut() {
            layer.initialize(features, rng);
        }
        if let Layer::Feedforward(layer) = self {
            layer.initialize(inputs, rng);
        }
    }

    /// Sets the weights from arrays in Keras's order, that of [`Layer::weight_specs`].
    pub(crate) fn set_weights(&mut self, inputs: &[Dims], arrays: Vec<ArrayD<f32>>) -> Result<()> {
        let name = self.name().to_string();
        let specs = self.weight_specs(inputs);
        if arrays.len() != specs.len() {
            let names: Vec<_> = specs.iter().map(|spec| spec.name).collect();
            let (expected, names) = (specs.len(), names.join(", "));
            return Err(Error::WeightCount { layer: name, expected, names, found: arrays.len() });
        }
        let mut checked = specs.iter().zip(&arrays).zip(self.weight_labels(inputs));
        checked.try_for_each(|((spec, array), label)| {
            weights::check(&name, &label, &spec.shape, array)
        })?;
        let mut arrays = arrays.into_iter().map(standard);
        for layer in self.directions_mut() {
            let count = layer.weight_names().len();
            let arrays: Vec<_> = arrays.by_ref().take(count).collect();
            layer.weights = Some(Weights::new(&name, &layer.weight_roles(), &arrays)?.into());
        }
        match self {
            Layer::Feedforward(layer) => layer.set_weights(inputs, arrays.collect()),
            _ => Ok(()),
        }
    }

    /// The layer as files hold it: without what stands beside it there, its weights and the
    /// operations of a [`Function`](crate::program::Function).
    pub(crate) fn bare(mut self) -> Layer {
        self.directions_mut().into_iter().for_each(|layer| layer.weights = None);
        if let Layer::Feedforward(layer) = &mut self {
            layer.weights = None;
            match &mut layer.kind {
                Kind::TimeDistributed(each) => *each.layer = each.layer.as_ref().clone().bare(),
                Kind::Foreign(foreign) => foreign.definition = None,
                _ => {}
            }
        }
        self
    }

    /// The weights in Keras's order, or `None` where they are not set.
    pub(crate) fn weight_arrays(&self) -> Option<Vec<ArrayD<f32>>> {
        let mut arrays = Vec::new();
        for (_, layer) in self.directions() {
            arrays.extend(layer.weights()?.arrays(&layer.weight_roles(), layer.cell().bias_rows()));
        }
        if let Layer::Feedforward(layer) = self {
            arrays.extend(layer.weights()?.iter().cloned());
        }
        Some(arrays)
    }
}

impl Feedforward {
    /// The layer's arrays in Keras's order, once they are set; of a [`TimeDistributed`] those of
    /// the layer in it.
    pub(crate) fn weights(&self) -> Option<&[ArrayD<f32>]> {
        self.weights.as_deref().map(Vec::as_slice)
    }

    pub(super) fn initialize(&mut self, inputs: &[Dims], rng: &mut ChaCha12Rng) {
        if let Kind::TimeDistributed(each) = &mut self.kind {
            each.layer.initialize(&TimeDistributed::inside(inputs), rng);
            self.weights = each.layer.weight_arrays().map(Arc::new);
        } else {
            let kind = self.kind.definition();
            let weights = kind.weights(inputs);
            let mut weights: Vec<_> = weights.iter().map(|weight| weight.sample(rng)).collect();
            kind.adjust_initial(&mut weights);
            self.weights = Some(Arc::new(weights));
        }
    }

    /// Sets the weights, whose number and shapes are checked.
    pub(super) fn set_weights(&mut self, inputs: &[Dims], arrays: Vec<ArrayD<f32>>) -> Result<()> {
        if let Kind::TimeDistributed(each) = &mut self.kind {
            each.layer.set_weights(&TimeDistributed::inside(inputs), arrays.clone())?;
        }
        self.weights = Some(Arc::new(arrays));
        Ok(())
    }
}
