//! The layers of a network, with their arguments, weights and initializers. No device code.
//!
//! Arguments have Keras's names and defaults. Shapes are written with the batch as the first axis,
//! as in `[batch, timesteps, features]`. Arguments that are axes count them as Keras does: 0 is the
//! batch, 1 the axis after it, and -1 the last.
//!
//! An argument is set without a check; a value that a layer can't have is an [`Error::Argument`]
//! when the layer is added to a model.

mod attention;
mod bidirectional;
mod convolution;
mod core;
mod feedforward;
mod initializer;
mod merging;
mod name;
mod normalization;
mod recurrent;
mod reshaping;
mod time_distributed;
mod weights;

pub use attention::{AdditiveAttention, Attention, MultiHeadAttention, ScoreMode};
pub use bidirectional::{Bidirectional, MergeMode};
#[doc(inline)]
pub use birnn_cell::{Activation, Cell, Parameter};
pub use convolution::{
    AveragePooling1d, Conv1d, GlobalAveragePooling1d, GlobalMaxPooling1d, MaxPooling1d, Padding,
};
pub use core::{
    ActivationLayer, Dense, Embedding, Identity, Masking, PRelu, ReluLayer, SoftmaxLayer,
};
pub(crate) use feedforward::{Dims, Kind, MaskRule, axis_of, shown};
pub use feedforward::{Feedforward, WeightSpec};
pub use initializer::Initializer;
pub(crate) use merging::MergeOperation;
pub use merging::{Concatenate, Merge};
pub use name::default_name;
pub(crate) use normalization::axes_of;
pub use normalization::{
    BatchNormalization, LayerNormalization, RmsNormalization, UnitNormalization,
};
pub use recurrent::{
    Gru, GruCell, Lstm, LstmCell, Recurrent, RecurrentBuilder, SimpleRnn, SimpleRnnCell,
};
pub use reshaping::{
    Cropping1d, Flatten, Permute, RepeatVector, Reshape, UpSampling1d, ZeroPadding1d,
};
pub use time_distributed::TimeDistributed;
pub use weights::Weights;

use crate::error::{Error, Result};
use crate::model::Role;
use crate::order::standard;
use ndarray::ArrayD;
use rand_chacha::ChaCha12Rng;
use std::fmt;

/// One of the two directions of a [`Bidirectional`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// The forward layer of a [`Bidirectional`]; also a recurrent layer that is in none, whichever
    /// way it reads time.
    Forward,
    /// The backward layer of a [`Bidirectional`].
    Backward,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Forward => "forward",
            Direction::Backward => "backward",
        })
    }
}

/// A layer of a [`Model`](crate::Model). The type of every layer converts to it by `into()`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Layer {
    /// An [`Lstm`], [`Gru`] or [`SimpleRnn`].
    Recurrent(Recurrent),
    /// Two of these, which read time in opposite directions.
    Bidirectional(Box<Bidirectional>),
    /// A layer that keeps no state, such as [`Dense`].
    Feedforward(Feedforward),
}

impl Layer {
    /// The layer's name; empty where none was set and no model has given it one.
    pub fn name(&self) -> &str {
        match self {
            Layer::Recurrent(layer) => layer.name(),
            Layer::Bidirectional(layer) => layer.name(),
            Layer::Feedforward(layer) => layer.name(),
        }
    }

    /// Gives the layer this name.
    pub fn named(mut self, name: impl Into<String>) -> Layer {
        match &mut self {
            Layer::Recurrent(layer) => layer.name = name.into(),
            Layer::Bidirectional(layer) => layer.name = name.into(),
            Layer::Feedforward(layer) => layer.name = name.into(),
        }
        self
    }

    /// The layer's class in Keras, such as `LSTM` or `Dense`.
    pub fn class_name(&self) -> &'static str {
        match self {
            Layer::Recurrent(layer) => layer.cell().class_name(),
            Layer::Bidirectional(_) => "Bidirectional",
            Layer::Feedforward(layer) => layer.class_name(),
        }
    }

    /// The recurrent layers that it consists of: itself, or of a [`Bidirectional`] the forward and
    /// then the backward layer, or none of a layer that isn't recurrent (a [`TimeDistributed`]
    /// included).
    pub fn directions(&self) -> Vec<(Direction, &Recurrent)> {
        match self {
            Layer::Recurrent(layer) => vec![(Direction::Forward, layer)],
            Layer::Bidirectional(layer) => {
                vec![(Direction::Forward, layer.forward()), (Direction::Backward, layer.backward())]
            }
            Layer::Feedforward(_) => vec![],
        }
    }

    fn directions_mut(&mut self) -> Vec<&mut Recurrent> {
        match self {
            Layer::Recurrent(layer) => vec![layer],
            Layer::Bidirectional(layer) => {
                let layer = layer.as_mut();
                vec![&mut layer.forward, &mut layer.backward]
            }
            Layer::Feedforward(_) => vec![],
        }
    }

    /// How many arrays it is called on.
    pub(crate) fn inputs(&self) -> std::ops::RangeInclusive<usize> {
        match self {
            Layer::Feedforward(layer) => layer.kind.definition().inputs(),
            _ => 1..=1,
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        self.directions().into_iter().try_for_each(|(_, layer)| layer.check())?;
        match self {
            Layer::Recurrent(_) => Ok(()),
            Layer::Bidirectional(layer) => layer.check(),
            Layer::Feedforward(layer) => layer.check(),
        }
    }

    /// What it returns in Keras's order when it is called on such inputs.
    pub(crate) fn results(&self, inputs: &[Dims]) -> Result<Vec<(Role, Dims)>> {
        let Some((_, first)) = self.directions().first().copied() else {
            let Layer::Feedforward(layer) = self else { return Ok(vec![]) };
            return Ok(vec![(Role::Output, layer.output(inputs)?)]);
        };
        let [timesteps, Some(_)] = inputs[0][..] else {
            return Err(Error::Graph(format!(
                "layer {:?} reads [batch, timesteps, features] with a fixed number of features, and its input is {}; set return_sequences on a recurrent layer before it",
                self.name(),
                shown(&inputs[0])
            )));
        };
        let shape = |features: usize| match first.return_sequences() {
            true => vec![timesteps, Some(features)],
            false => vec![Some(features)],
        };
        let mut results = Vec::new();
        match self {
            Layer::Bidirectional(both) if both.mode() == MergeMode::None => {
                for (direction, layer) in self.directions() {
                    results.push((Role::DirectionOutput(direction), shape(layer.units())));
                }
            }
            Layer::Bidirectional(both) => {
                results.push((Role::Output, shape(both.merged_features())))
            }
            _ => results.push((Role::Output, shape(first.units()))),
        }
        if first.return_state() {
            for (direction, layer) in self.directions() {
                let state = vec![Some(layer.units())];
                results.push((Role::HiddenState(direction), state.clone()));
                results.extend(
                    layer.cell().has_cell_state().then_some((Role::CellState(direction), state)),
                );
            }
        }
        Ok(results)
    }

    /// What becomes of its inputs' masks.
    pub(crate) fn masking(&self) -> MaskRule {
        match self {
            Layer::Feedforward(layer) => layer.kind.definition().masking(),
            _ if self.directions()[0].1.return_sequences() => MaskRule::Pass,
            _ => MaskRule::Drop,
        }
    }

    /// Whether it can be called on an array of so many axes with a mask of so many (beside the
    /// batch).
    pub(crate) fn reads_mask(&self, mask_axes: usize, axes: usize) -> bool {
        match self {
            Layer::Feedforward(layer) => layer.kind.reads_mask(mask_axes, axes),
            _ => mask_axes == 1,
        }
    }

    /// Whether what it computes depends on its inputs' masks; other layers only hand them on.
    pub(crate) fn computes_with_masks(&self) -> bool {
        match self {
            Layer::Feedforward(layer) => layer.kind.computes_with_masks(),
            _ => true,
        }
    }

    /// The layer that a [`TimeDistributed`] calls on every timestep; `None` for other layers.
    ///
    /// ```
    /// use birnn::{Dense, Layer, TimeDistributed};
    /// let each = Layer::from(TimeDistributed::new(Dense::new(3)));
    /// assert_eq!(each.time_distributed().map(Layer::class_name), Some("Dense"));
    /// assert_eq!(Layer::from(Dense::new(3)).time_distributed(), None);
    /// ```
    pub fn time_distributed(&self) -> Option<&Layer> {
        match self {
            Layer::Feedforward(Feedforward { kind: Kind::TimeDistributed(each), .. }) => {
                Some(&*each.layer)
            }
            _ => None,
        }
    }

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
        let labels = self.directions().into_iter().flat_map(|(direction, layer)| {
            let two = matches!(self, Layer::Bidirectional(_));
            let label = move |weight: &str| {
                if two { format!("{direction} {weight}") } else { weight.to_string() }
            };
            layer.weight_names().into_iter().map(label)
        });
        let labels = labels.chain(specs.iter().map(|spec| spec.name.to_string()));
        let mut checked = specs.iter().zip(&arrays).zip(labels.collect::<Vec<_>>());
        checked.try_for_each(|((spec, array), label)| {
            weights::check(&name, &label, &spec.shape, array)
        })?;
        let mut arrays = arrays.into_iter().map(standard);
        for layer in self.directions_mut() {
            let count = layer.weight_names().len();
            let arrays: Vec<_> = arrays.by_ref().take(count).collect();
            layer.weights = Some(Weights::new(&name, layer, &arrays)?.into());
        }
        match self {
            Layer::Feedforward(layer) => layer.set_weights(inputs, arrays.collect()),
            _ => Ok(()),
        }
    }

    /// The weights in Keras's order, or `None` where they are not set.
    pub(crate) fn weight_arrays(&self) -> Option<Vec<ArrayD<f32>>> {
        let mut arrays = Vec::new();
        for (_, layer) in self.directions() {
            arrays.extend(layer.weights()?.arrays(layer));
        }
        if let Layer::Feedforward(layer) = self {
            arrays.extend(layer.weights()?.iter().cloned());
        }
        Some(arrays)
    }
}

impl<C> From<RecurrentBuilder<C>> for Layer {
    fn from(builder: RecurrentBuilder<C>) -> Layer {
        Layer::Recurrent(builder.into())
    }
}

impl From<Recurrent> for Layer {
    fn from(layer: Recurrent) -> Layer {
        Layer::Recurrent(layer)
    }
}

impl From<Bidirectional> for Layer {
    fn from(layer: Bidirectional) -> Layer {
        Layer::Bidirectional(Box::new(layer))
    }
}
