//! What the layers that keep no state have in common: their names, arguments, shapes, masks and
//! weights.

use super::attention::{AdditiveAttention, Attention, MultiHeadAttention};
use super::convolution::{
    AveragePooling1d, Conv1d, GlobalAveragePooling1d, GlobalMaxPooling1d, MaxPooling1d,
};
use super::core::{
    ActivationLayer, Dense, Embedding, Identity, Masking, PRelu, ReluLayer, SoftmaxLayer,
};
use super::merging::{Concatenate, Merge};
use super::normalization::{
    BatchNormalization, LayerNormalization, RmsNormalization, UnitNormalization,
};
use super::reshaping::{
    Cropping1d, Flatten, Permute, RepeatVector, Reshape, UpSampling1d, ZeroPadding1d,
};
use super::time_distributed::TimeDistributed;
use super::{Activation, Initializer, Layer};
use crate::error::{Error, Result};
use ndarray::{Array1, ArrayD};
use rand_chacha::ChaCha12Rng;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// An array's shape without the batch; `None` is any length.
pub(crate) type Dims = Vec<Option<usize>>;

/// A layer that isn't recurrent, such as [`Dense`] or [`Conv1d`], or a [`TimeDistributed`]. The
/// types of these layers convert to a [`Layer`] by `into()`, which holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Feedforward {
    pub(super) name: String,
    pub(crate) kind: Kind,
    pub(super) weights: Option<Arc<Vec<ArrayD<f32>>>>,
}

macro_rules! kinds {
    ($($kind:ident($layer:ty)),+ $(,)?) => {
        /// Which layer it is, with its arguments.
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) enum Kind {
            $($kind($layer),)+
        }

        impl Kind {
            pub(crate) fn definition(&self) -> &dyn Definition {
                match self {
                    $(Kind::$kind(layer) => layer,)+
                }
            }
        }

        $(
            impl From<$layer> for Layer {
                fn from(layer: $layer) -> Layer {
                    Layer::Feedforward(Feedforward { name: String::new(), kind: Kind::$kind(layer), weights: None })
                }
            }

            impl $layer {
                /// Gives the layer a name (default: its class in snake case, with a counter from
                /// the second layer of the class on), and makes it a [`Layer`].
                pub fn named(self, name: impl Into<String>) -> Layer {
                    Layer::from(self).named(name)
                }
            }
        )+
    };
}
kinds! {
    Dense(Dense),
    Embedding(Embedding),
    Masking(Masking),
    Activation(ActivationLayer),
    Relu(ReluLayer),
    PRelu(PRelu),
    Softmax(SoftmaxLayer),
    Identity(Identity),
    LayerNormalization(LayerNormalization),
    RmsNormalization(RmsNormalization),
    BatchNormalization(BatchNormalization),
    UnitNormalization(UnitNormalization),
    Conv1d(Conv1d),
    MaxPooling1d(MaxPooling1d),
    AveragePooling1d(AveragePooling1d),
    GlobalMaxPooling1d(GlobalMaxPooling1d),
    GlobalAveragePooling1d(GlobalAveragePooling1d),
    Merge(Merge),
    Concatenate(Concatenate),
    Flatten(Flatten),
    Reshape(Reshape),
    Permute(Permute),
    RepeatVector(RepeatVector),
    Cropping1d(Cropping1d),
    ZeroPadding1d(ZeroPadding1d),
    UpSampling1d(UpSampling1d),
    Attention(Attention),
    AdditiveAttention(AdditiveAttention),
    MultiHeadAttention(MultiHeadAttention),
    TimeDistributed(TimeDistributed),
}

impl Kind {
    /// Whether Keras returns the very array that it was called on.
    pub(crate) fn returns_its_input(&self) -> bool {
        match self {
            Kind::Identity(_) => true,
            Kind::Activation(layer) => layer.activation == Activation::Linear,
            _ => false,
        }
    }

    /// Whether the arrays that it was called on have no masks any more for the layers that look at
    /// them later.
    pub(crate) fn takes_masks_away(&self) -> bool {
        matches!(self, Kind::MultiHeadAttention(_))
    }

    /// Whether its call in Keras has an argument `mask`, in which a model's graph keeps the mask.
    pub(crate) fn has_mask_argument(&self) -> bool {
        use Kind::{BatchNormalization, GlobalAveragePooling1d, Softmax, TimeDistributed};
        matches!(
            self,
            BatchNormalization(_) | GlobalAveragePooling1d(_) | TimeDistributed(_) | Softmax(_)
        )
    }

    /// Whether it looks at the masks of the arrays themselves when it runs.
    pub(crate) fn looks_at_arrays_masks(&self) -> bool {
        self.has_scores() || matches!(self, Kind::Merge(_))
    }

    /// Whether it is an attention, which has a score for each pair of timesteps of its first two
    /// inputs.
    pub(crate) fn has_scores(&self) -> bool {
        matches!(
            self,
            Kind::Attention(_) | Kind::AdditiveAttention(_) | Kind::MultiHeadAttention(_)
        )
    }

    /// Whether what it computes depends on its inputs' masks.
    pub(crate) fn computes_with_masks(&self) -> bool {
        match self {
            Kind::TimeDistributed(each) => each.layer.computes_with_masks(),
            Kind::GlobalAveragePooling1d(_) | Kind::Merge(_) => true,
            _ => self.has_scores(),
        }
    }

    /// Whether it can be called on an array of so many axes with a mask of so many (beside the
    /// batch).
    pub(super) fn reads_mask(&self, mask_axes: usize, axes: usize) -> bool {
        match self {
            Kind::Softmax(_) => false,
            Kind::BatchNormalization(_) => mask_axes + 1 == axes,
            Kind::GlobalAveragePooling1d(_) => mask_axes == 1,
            _ if self.has_scores() => mask_axes == 1,
            Kind::Merge(_) => mask_axes + 1 == axes,
            // Along time or the last axis: as a mask has them.
            Kind::Concatenate(_) => mask_axes == 1 && axes == 2,
            Kind::TimeDistributed(each) => {
                mask_axes > 0 && each.layer.reads_mask(mask_axes - 1, axes - 1)
            }
            _ => true,
        }
    }
}

/// A struct of arguments with Keras's names and defaults, and a setter for each that has a default.
macro_rules! arguments {
    ($(#[$doc:meta])* $layer:ident($($(#[$own:meta])* $required:ident: $required_type:ty),*) {
        $($(#[$field:meta])* $name:ident: $type:ty = $default:expr),* $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $layer {
            $(pub(crate) $required: $required_type,)*
            $(pub(crate) $name: $type,)*
        }

        impl $layer {
            /// A layer with these arguments, and Keras's defaults for those that have one.
            #[allow(clippy::new_without_default)]
            pub fn new($($required: $required_type),*) -> $layer {
                $layer { $($required,)* $($name: $default,)* }
            }

            $($(#[$field])* pub fn $name(mut self, $name: $type) -> $layer {
                self.$name = $name;
                self
            })*
        }
    };
}
pub(super) use arguments;

/// What an argument can't be: its name and the reason.
pub(super) type Wrong = (&'static str, String);

/// A layer's kind: what follows from its arguments.
pub(crate) trait Definition {
    /// Keras's name for the class.
    fn class_name(&self) -> &'static str;

    /// How many arrays it is called on.
    fn inputs(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn check(&self) -> std::result::Result<(), Wrong> {
        Ok(())
    }

    /// The output's shape, or why the layer can't be called on such inputs.
    fn output(&self, inputs: &[Dims]) -> std::result::Result<Dims, String>;

    /// The weights, in the order of Keras's `get_weights()`; asked for only where `output`
    /// succeeded.
    fn weights(&self, _inputs: &[Dims]) -> Vec<WeightSpec> {
        Vec::new()
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Pass
    }
}

/// What becomes of the masks of a layer's inputs. Source: `compute_mask` of each layer in Keras.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum MaskRule {
    /// The output has the first input's mask.
    Pass,
    /// The output has none.
    Drop,
    /// Those of the inputs joined: see [`Masks`](crate::model::Masks).
    Any,
    /// As the arrays, along this axis of Keras's.
    Concatenate(isize),
    /// Made from the values: false where all features have this value.
    Values(f32),
    /// Made from the ids: false where they are zero.
    Ids,
}

/// A weight that a layer has; see [`Model::weight_specs`](crate::Model::weight_specs).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WeightSpec {
    /// Keras's name for it, such as `kernel`, `recurrent_kernel` or `bias`; in a
    /// [`MultiHeadAttention`] with the projection before it, such as `query kernel`.
    pub name: &'static str,
    /// Its shape, such as `[features, units]`.
    pub shape: Vec<usize>,
    pub(crate) initializer: Initializer,
}

impl WeightSpec {
    pub(crate) fn new(
        name: &'static str,
        shape: impl Into<Vec<usize>>,
        initializer: Initializer,
    ) -> WeightSpec {
        WeightSpec { name, shape: shape.into(), initializer }
    }

    fn sample(&self, rng: &mut ChaCha12Rng) -> ArrayD<f32> {
        // Keras's fans of a weight of more than two axes: all but the last two are the receptive
        // field.
        let columns = self.shape.last().copied().unwrap_or(1);
        let count: usize = self.shape.iter().product();
        let rows = count / columns.max(1);
        let values = self.initializer.sample(rows, columns, rng);
        let flat: Array1<f32> = values.into_iter().collect();
        flat.into_shape_with_order(self.shape.clone())
            .unwrap_or_else(|_| ArrayD::zeros(self.shape.clone()))
    }
}

impl Feedforward {
    /// The layer's name; empty where none was set and no model has given it one.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The layer's class in Keras, such as `Dense`.
    pub fn class_name(&self) -> &'static str {
        self.kind.definition().class_name()
    }

    /// The layer's arrays in Keras's order, once they are set; of a [`TimeDistributed`] those of
    /// the layer in it.
    pub(crate) fn weights(&self) -> Option<&[ArrayD<f32>]> {
        self.weights.as_deref().map(Vec::as_slice)
    }

    pub(super) fn check(&self) -> Result<()> {
        self.kind.definition().check().map_err(|(argument, reason)| Error::Argument {
            layer: self.name.clone(),
            argument: argument.to_string(),
            reason,
        })
    }

    pub(crate) fn output(&self, inputs: &[Dims]) -> Result<Dims> {
        self.kind.definition().output(inputs).map_err(|reason| {
            Error::Graph(format!("layer {:?} ({}): {reason}", self.name, self.class_name()))
        })
    }

    pub(super) fn initialize(&mut self, inputs: &[Dims], rng: &mut ChaCha12Rng) {
        if let Kind::TimeDistributed(each) = &mut self.kind {
            each.layer.initialize(&TimeDistributed::inside(inputs), rng);
            self.weights = each.layer.weight_arrays().map(Arc::new);
        } else {
            let weights = self.kind.definition().weights(inputs);
            self.weights =
                Some(Arc::new(weights.iter().map(|weight| weight.sample(rng)).collect()));
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

/// The features of an input: its last axis.
pub(super) fn features(dims: &Dims) -> std::result::Result<usize, String> {
    dims.last()
        .copied()
        .flatten()
        .ok_or_else(|| "the last axis of its input has no fixed length".to_string())
}

/// The features that an activation makes of `features`, or why it can't.
pub(super) fn output_features(
    activation: Activation,
    features: Option<usize>,
) -> std::result::Result<Option<usize>, String> {
    match (activation, features) {
        (Activation::Glu, Some(n)) if n % 2 == 1 => {
            Err(format!("glu splits the features into halves, and there are {n}"))
        }
        (Activation::Glu, Some(n)) => Ok(Some(n / 2)),
        (Activation::Glu, None) => Err("glu needs a last axis of fixed length".to_string()),
        (_, features) => Ok(features),
    }
}

/// An axis in Keras's count (0 is the batch, negative from the end) as an index of [`Dims`].
pub(crate) fn axis_of(axis: isize, dims: usize) -> std::result::Result<usize, String> {
    let rank = dims as isize + 1;
    let index = if axis < 0 { axis + rank } else { axis };
    match index {
        0 => Err("its axis is the batch".to_string()),
        index if (1..rank).contains(&index) => Ok(index as usize - 1),
        _ => Err(format!("its axis {axis} isn't one of an array of {rank} axes")),
    }
}

/// That the input is `[batch, timesteps, features]`.
pub(super) fn sequence(dims: &Dims) -> std::result::Result<(Option<usize>, Option<usize>), String> {
    match dims[..] {
        [timesteps, features] => Ok((timesteps, features)),
        _ => {
            Err(format!("it reads [batch, timesteps, features], and its input is {}", shown(dims)))
        }
    }
}

/// A shape for a message: `[batch, ?, 3]`.
pub(crate) fn shown(dims: &Dims) -> String {
    let axes = dims.iter().map(|axis| axis.map_or("?".to_string(), |n| n.to_string()));
    format!("[{}]", std::iter::once("batch".to_string()).chain(axes).collect::<Vec<_>>().join(", "))
}
