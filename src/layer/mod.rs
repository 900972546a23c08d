//! What a network is made of: layers, their arguments, weights and initialisers. No device code.

mod activation;
mod bidirectional;
mod initializer;
mod recurrent;
mod weights;

pub use activation::Activation;
pub use bidirectional::{Bidirectional, MergeMode};
pub use initializer::Initializer;
pub use recurrent::{Cell, Gru, GruCell, Lstm, LstmCell, Recurrent, RecurrentBuilder, SimpleRnn, SimpleRnnCell};
pub use weights::Weights;

use crate::error::Result;
use ndarray::ArrayD;
use rand_chacha::ChaCha12Rng;
use std::fmt;

/// Which way a layer reads time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// The forward layer of a [`Bidirectional`], and any layer that stands alone.
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

/// A layer of a [`Model`](crate::Model).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Layer {
    /// An [`Lstm`], [`Gru`] or [`SimpleRnn`] that stands alone.
    Recurrent(Recurrent),
    /// Two of them, reading time in opposite directions.
    Bidirectional(Box<Bidirectional>),
}

impl Layer {
    /// The layer's name; empty until a model gives it one.
    pub fn name(&self) -> &str {
        match self {
            Layer::Recurrent(layer) => layer.name(),
            Layer::Bidirectional(layer) => layer.name(),
        }
    }

    pub(crate) fn set_name(&mut self, name: String) {
        match self {
            Layer::Recurrent(layer) => layer.name = name,
            Layer::Bidirectional(layer) => layer.name = name,
        }
    }

    /// The Keras class: `LSTM`, `GRU`, `SimpleRNN` or `Bidirectional`.
    pub fn class_name(&self) -> &'static str {
        match self {
            Layer::Recurrent(layer) => layer.cell().class_name(),
            Layer::Bidirectional(_) => "Bidirectional",
        }
    }

    /// The recurrent layers in it: one, or forward's then backward's.
    pub fn directions(&self) -> Vec<(Direction, &Recurrent)> {
        match self {
            Layer::Recurrent(layer) => vec![(Direction::Forward, layer)],
            Layer::Bidirectional(layer) => {
                vec![(Direction::Forward, layer.forward()), (Direction::Backward, layer.backward())]
            }
        }
    }

    fn directions_mut(&mut self) -> Vec<&mut Recurrent> {
        match self {
            Layer::Recurrent(layer) => vec![layer],
            Layer::Bidirectional(layer) => {
                let layer = layer.as_mut();
                vec![&mut layer.forward, &mut layer.backward]
            }
        }
    }

    pub(crate) fn first(&self) -> &Recurrent {
        match self {
            Layer::Recurrent(layer) => layer,
            Layer::Bidirectional(layer) => layer.forward(),
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        self.directions().into_iter().try_for_each(|(_, layer)| layer.check())?;
        match self {
            Layer::Recurrent(_) => Ok(()),
            Layer::Bidirectional(layer) => layer.check(),
        }
    }

    pub(crate) fn initialize(&mut self, features: usize, rng: &mut ChaCha12Rng) {
        for layer in self.directions_mut() {
            layer.initialize(features, rng);
        }
    }

    /// Sets the weights from arrays in Keras's order: `kernel`, `recurrent_kernel`, `bias` (if used), forward's then backward's.
    pub(crate) fn set_weights(&mut self, features: usize, arrays: Vec<ArrayD<f32>>) -> Result<()> {
        let name = self.name().to_string();
        let names: Vec<_> = self.directions().into_iter().flat_map(|(_, layer)| layer.weight_names()).collect();
        if arrays.len() != names.len() {
            return Err(crate::Error::WeightCount {
                layer: name,
                expected: names.len(),
                names: names.join(", "),
                found: arrays.len(),
            });
        }
        let mut arrays = arrays.into_iter();
        for layer in self.directions_mut() {
            let count = layer.weight_names().len();
            let arrays: Vec<_> = arrays.by_ref().take(count).collect();
            layer.weights = Some(Weights::new(&name, layer, features, &arrays)?.into());
        }
        Ok(())
    }

    /// The weights in Keras's order, or `None` where they are not set.
    pub(crate) fn weight_arrays(&self) -> Option<Vec<ArrayD<f32>>> {
        let mut arrays = Vec::new();
        for (_, layer) in self.directions() {
            arrays.extend(layer.weights()?.arrays(layer));
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
