//! All layers as one type. [`TimeDistributed`] and [`ChannelsFirst`] stand here, too, as they are
//! layers that hold one; what they do is in `time_distributed.rs` and `channels_first.rs`, and what
//! becomes of weights in `filling.rs`.

use super::attention::{AdditiveAttention, Attention, MultiHeadAttention};
use super::bidirectional::Bidirectional;
use super::conv_lstm::{BidirectionalConvLstm1d, BidirectionalConvLstm2d, ConvLstm1d, ConvLstm2d};
use super::convolution::{
    Conv1d, Conv1dTranspose, Conv2d, Conv2dTranspose, Conv3d, DepthwiseConv1d, DepthwiseConv2d,
    SeparableConv1d, SeparableConv2d,
};
use super::core::{
    ActivationLayer, Dense, Embedding, Identity, Masking, PRelu, ReluLayer, Rescaling,
    SoftmaxLayer, WithMaskOf,
};
use super::definition::{Definition, MaskRule};
use super::dims::{Dims, describe};
use super::einsum_dense::EinsumDense;
use super::encoding::{CategoryEncoding, Discretization};
use super::foreign::Foreign;
use super::lowering::Lowering;
use super::merging::{Concatenate, Dot, Merge};
use super::normalization::{
    BatchNormalization, GroupNormalization, LayerNormalization, Normalization, RmsNormalization,
    UnitNormalization,
};
use super::pooling::{
    AveragePooling1d, AveragePooling2d, AveragePooling3d, GlobalAveragePooling1d,
    GlobalAveragePooling2d, GlobalAveragePooling3d, GlobalMaxPooling1d, GlobalMaxPooling2d,
    GlobalMaxPooling3d, MaxPooling1d, MaxPooling2d, MaxPooling3d,
};
use super::recurrent::{self, Recurrent, RecurrentBuilder};
use super::reshaping::{
    Cropping1d, Cropping2d, Cropping3d, Flatten, Permute, RepeatVector, Reshape, UpSampling1d,
    UpSampling2d, UpSampling3d, ZeroPadding1d, ZeroPadding2d, ZeroPadding3d,
};
use super::role::{Direction, Role};
use crate::error::{Error, Result};
use crate::graph::{ArrayId, Constant};
use crate::operator::MergeMode;
use birnn_cell::Activation;
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// A state that a layer keeps along time.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// It says what the state is called in messages, too.
    pub role: Role,
    /// Without the batch.
    pub shape: Dims,
    /// Whether a call starts from what the last call ended with.
    pub stateful: bool,
}

/// A layer of a [`Model`](crate::Model). The type of every layer converts to it by `into()`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Layer {
    /// An [`Lstm`](super::Lstm), [`Gru`](super::Gru) or [`SimpleRnn`](super::SimpleRnn).
    Recurrent(Recurrent),
    /// Two of these, which read time in opposite directions.
    Bidirectional(Box<Bidirectional>),
    /// Any other layer, such as [`Dense`].
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

    pub(super) fn directions_mut(&mut self) -> Vec<&mut Recurrent> {
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
    pub(crate) fn inputs(&self) -> RangeInclusive<usize> {
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
            return layer.results(inputs);
        };
        let [timesteps, Some(_)] = inputs[0][..] else {
            return Err(Error::Graph(format!(
                "layer {:?} reads [batch, timesteps, features] with a fixed number of features, \
                 and its input is {}; set return_sequences on a recurrent layer before it",
                self.name(),
                describe(&inputs[0])
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

    /// The final states that it computes, in Keras's order: for each direction the hidden state
    /// and, where it has one, the cell state. None of a layer that keeps no state.
    ///
    /// ```
    /// use birnn::layer::{Direction, Layer, Role};
    /// use birnn::{Dense, Lstm};
    /// let lstm = Layer::from(Lstm::new(4));
    /// let forward = Direction::Forward;
    /// assert_eq!(lstm.state_roles(), [Role::HiddenState(forward), Role::CellState(forward)]);
    /// assert!(Layer::from(Dense::new(4)).state_roles().is_empty());
    /// ```
    pub fn state_roles(&self) -> Vec<Role> {
        self.states(&[]).into_iter().map(|state| state.role).collect()
    }

    /// Its states, where it is called on such inputs; their shapes are of no use where these are
    /// missing.
    pub(crate) fn states(&self, inputs: &[Dims]) -> Vec<State> {
        if let Some(kind) = self.definition() {
            let stateful = kind.is_stateful();
            let state = |(index, &role): (usize, &Role)| State {
                role,
                shape: kind.state_shape(inputs, index),
                stateful,
            };
            return kind.states().iter().enumerate().map(state).collect();
        }
        let of_direction = |(direction, layer): (Direction, &Recurrent)| {
            let roles = [Role::HiddenState(direction), Role::CellState(direction)];
            let (shape, stateful) = (vec![Some(layer.units())], layer.stateful());
            let state = move |role| State { role, shape: shape.clone(), stateful };
            roles.into_iter().take(layer.cell().states()).map(state)
        };
        self.directions().into_iter().flat_map(of_direction).collect()
    }

    /// Whether it carries its states from call to call.
    pub(crate) fn is_stateful(&self) -> bool {
        self.states(&[]).iter().any(|state| state.stateful)
    }

    /// What becomes of its inputs' masks.
    pub(crate) fn masking(&self) -> MaskRule {
        match self {
            Layer::Feedforward(layer) => layer.kind.definition().masking(),
            _ if self.directions()[0].1.return_sequences() => MaskRule::Pass,
            _ => MaskRule::Drop,
        }
    }

    /// Whether it is a [`TimeDistributed`] whose masks are those of the layer in it.
    pub(crate) fn has_own_masks(&self) -> bool {
        match self {
            Layer::Feedforward(Feedforward { kind: Kind::TimeDistributed(each), .. }) => {
                each.own_masks
            }
            _ => false,
        }
    }

    /// What it says of itself, where it isn't recurrent.
    pub(crate) fn definition(&self) -> Option<&dyn Definition> {
        match self {
            Layer::Feedforward(layer) => Some(layer.kind.definition()),
            _ => None,
        }
    }

    /// Whether it computes with shapes of which the batch is an axis like others, so that what it
    /// does may depend on the number of rows.
    pub(crate) fn is_of_whole_shapes(&self) -> bool {
        matches!(self.innermost(), Layer::Feedforward(Feedforward { kind: Kind::Foreign(_), .. }))
    }

    /// Whether it can be called on an array of shape `[batch]`.
    pub(crate) fn reads_numbers(&self) -> bool {
        self.definition().is_some_and(|kind| kind.reads_numbers())
    }

    /// Whether it can be called on an array of so many axes with a mask of so many (beside the
    /// batch).
    pub(crate) fn reads_mask(&self, mask_axes: usize, axes: usize) -> bool {
        self.definition().map_or(mask_axes == 1, |kind| kind.reads_mask(mask_axes, axes))
    }

    /// Whether what it computes depends on its inputs' masks; other layers only hand them on.
    pub(crate) fn computes_with_masks(&self) -> bool {
        self.definition().is_none_or(|kind| kind.computes_with_masks())
    }

    /// Whether a layer that reads padding at the end of time gives the same output at each timestep
    /// of it.
    pub(crate) fn repeats_at_padding(&self) -> bool {
        match self {
            Layer::Feedforward(_) => false,
            Layer::Recurrent(layer) => !(layer.go_backwards() && layer.return_sequences()),
            Layer::Bidirectional(layer) => !layer.forward().go_backwards(),
        }
    }

    /// Adds the operators that compute it. `states`: where it is recurrent, what it starts from in
    /// Keras's order; none is zeros. Returns the outputs, and then the final states of a recurrent
    /// layer, whether it returns them or not.
    pub(crate) fn lower(
        &self,
        call: &mut Lowering,
        states: &[Option<ArrayId>],
    ) -> Result<Vec<ArrayId>> {
        match self {
            Layer::Feedforward(layer) => layer.kind.definition().lower_from(call, states),
            Layer::Recurrent(layer) => recurrent::lower(&[layer], MergeMode::Concat, call, states),
            Layer::Bidirectional(both) => {
                let directions = [both.forward(), both.backward()];
                recurrent::lower(&directions, both.mode(), call, states)
            }
        }
    }

    /// The constants that its operators read; asked for only where it has its weights. `inputs`:
    /// those of its first call.
    pub(crate) fn constants(&self, inputs: &[Dims]) -> Vec<Constant<'_>> {
        match self {
            Layer::Feedforward(layer) => {
                layer.kind.definition().constants(layer.weights().unwrap_or_default(), inputs)
            }
            _ => Vec::new(),
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

    /// In how many [`TimeDistributed`] the innermost layer is.
    pub(crate) fn times_distributed(&self) -> usize {
        self.time_distributed().map_or(0, |inside| 1 + inside.times_distributed())
    }

    /// The layer that a TimeDistributed holds, at any depth; otherwise the layer itself.
    pub fn innermost(&self) -> &Layer {
        self.time_distributed().map_or(self, Layer::innermost)
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

impl From<Activation> for Layer {
    fn from(activation: Activation) -> Layer {
        ActivationLayer { activation }.into()
    }
}

/// A layer such as [`Dense`] or [`Conv1d`], or a [`TimeDistributed`]: any but those that run a
/// [`Cell`](super::Cell). The types of these layers convert to a [`Layer`] by `into()`, which holds
/// it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feedforward {
    pub(super) name: String,
    pub(crate) kind: Kind,
    #[serde(skip)]
    pub(super) weights: Option<Arc<Vec<ArrayD<f32>>>>,
}

macro_rules! kinds {
    ($($(#[$if:meta])? $kind:ident($layer:ty)),+ $(,)?) => {
        /// Which layer it is, with its arguments. What is built under a condition is in no file.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub(crate) enum Kind {
            $($(#[$if] #[serde(skip)])? $kind($layer),)+
            /// One of another room, whose file has it beside the layer.
            #[serde(rename = "Function")]
            Foreign(Foreign),
        }

        impl Kind {
            /// The names of all that there are.
            #[cfg(test)]
            pub(crate) const NAMES: &'static [&'static str] = &[$(stringify!($kind)),+];

            pub(crate) fn definition(&self) -> &dyn Definition {
                match self {
                    $($(#[$if])? Kind::$kind(layer) => layer,)+
                    Kind::Foreign(layer) => layer.definition(),
                }
            }
        }

        $(
            $(#[$if])?
            impl From<$layer> for Layer {
                fn from(layer: $layer) -> Layer {
                    Layer::Feedforward(Feedforward {
                        name: String::new(),
                        kind: Kind::$kind(layer),
                        weights: None,
                    })
                }
            }

            $(#[$if])?
            impl $layer {
                /// Gives the layer a name (default: its class in snake case, with a counter from
                /// the second layer of the class on), and makes it a [`Layer`].
                #[allow(dead_code)] // of the probe, whose tests need the GPU path
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
    Rescaling(Rescaling),
    CategoryEncoding(CategoryEncoding),
    Discretization(Discretization),
    Identity(Identity),
    WithMaskOf(WithMaskOf),
    EinsumDense(EinsumDense),
    LayerNormalization(LayerNormalization),
    RmsNormalization(RmsNormalization),
    BatchNormalization(BatchNormalization),
    UnitNormalization(UnitNormalization),
    GroupNormalization(GroupNormalization),
    Normalization(Normalization),
    Conv1d(Conv1d),
    Conv2d(Conv2d),
    Conv3d(Conv3d),
    DepthwiseConv1d(DepthwiseConv1d),
    DepthwiseConv2d(DepthwiseConv2d),
    SeparableConv1d(SeparableConv1d),
    SeparableConv2d(SeparableConv2d),
    Conv1dTranspose(Conv1dTranspose),
    Conv2dTranspose(Conv2dTranspose),
    ConvLstm1d(ConvLstm1d),
    ConvLstm2d(ConvLstm2d),
    BidirectionalConvLstm1d(BidirectionalConvLstm1d),
    BidirectionalConvLstm2d(BidirectionalConvLstm2d),
    MaxPooling1d(MaxPooling1d),
    MaxPooling2d(MaxPooling2d),
    MaxPooling3d(MaxPooling3d),
    AveragePooling1d(AveragePooling1d),
    AveragePooling2d(AveragePooling2d),
    AveragePooling3d(AveragePooling3d),
    GlobalMaxPooling1d(GlobalMaxPooling1d),
    GlobalMaxPooling2d(GlobalMaxPooling2d),
    GlobalMaxPooling3d(GlobalMaxPooling3d),
    GlobalAveragePooling1d(GlobalAveragePooling1d),
    GlobalAveragePooling2d(GlobalAveragePooling2d),
    GlobalAveragePooling3d(GlobalAveragePooling3d),
    Merge(Merge),
    Concatenate(Concatenate),
    Dot(Dot),
    Flatten(Flatten),
    Reshape(Reshape),
    Permute(Permute),
    RepeatVector(RepeatVector),
    Cropping1d(Cropping1d),
    Cropping2d(Cropping2d),
    Cropping3d(Cropping3d),
    ZeroPadding1d(ZeroPadding1d),
    ZeroPadding2d(ZeroPadding2d),
    ZeroPadding3d(ZeroPadding3d),
    UpSampling1d(UpSampling1d),
    UpSampling2d(UpSampling2d),
    UpSampling3d(UpSampling3d),
    Attention(Attention),
    AdditiveAttention(AdditiveAttention),
    MultiHeadAttention(MultiHeadAttention),
    TimeDistributed(TimeDistributed),
    ChannelsFirst(ChannelsFirst),
    #[cfg(test)]
    Probe(super::probe::Probe),
}

impl From<Arc<dyn Definition>> for Layer {
    fn from(definition: Arc<dyn Definition>) -> Layer {
        let kind = Kind::Foreign(Foreign { definition: Some(definition) });
        Layer::Feedforward(Feedforward { name: String::new(), kind, weights: None })
    }
}

impl Layer {
    /// The same layer where that is one of another room, or calls one on every timestep, as this
    /// one.
    pub(crate) fn with_foreign(mut self, definition: Arc<dyn Definition>) -> Layer {
        if let Layer::Feedforward(layer) = &mut self {
            match &mut layer.kind {
                Kind::Foreign(foreign) => foreign.definition = Some(definition),
                Kind::TimeDistributed(each) => {
                    *each.layer = each.layer.as_ref().clone().with_foreign(definition);
                }
                _ => {}
            }
        }
        self
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

    pub(super) fn check(&self) -> Result<()> {
        self.kind.definition().check().map_err(|(argument, reason)| Error::Argument {
            layer: self.name.clone(),
            argument: argument.to_string(),
            reason,
        })
    }

    pub(crate) fn results(&self, inputs: &[Dims]) -> Result<Vec<(Role, Dims)>> {
        self.kind.definition().results(inputs).map_err(|reason| {
            Error::Graph(format!("layer {:?} ({}): {reason}", self.name, self.class_name()))
        })
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

/// Keras's `TimeDistributed`: calls a layer, with the same weights, on every timestep by itself. It
/// reads `[batch, timesteps, …]`, where `[batch, …]` is what the layer reads, and returns
/// `[batch, timesteps, …]` with what the layer returns.
///
/// The layer is any that returns one array; of several that it reads each has the timesteps. A
/// recurrent layer reads sequences, so that
/// the input is `[batch, timesteps, steps, features]`; it starts from zeros at every timestep.
///
/// ```
/// use birnn::{Activation, Dense, Gru, Layer, Model, TimeDistributed};
/// let each = TimeDistributed::new(Dense::new(3).activation(Activation::Softmax));
/// let layers: [Layer; 2] = [Gru::new(8).return_sequences(true).into(), each.into()];
/// let model = Model::sequential(2, layers)?;
/// # Ok::<(), birnn::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeDistributed {
    pub(crate) layer: Box<Layer>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) own_masks: bool,
}

/// A layer whose arrays have the features right behind the batch, as Keras's layers have them with
/// `data_format="channels_first"`: it reads `[batch, features, …]` and returns
/// `[batch, features, …]`, where the layer in it reads and returns `[batch, …, features]`. Where
/// that returns one axis beside the batch, as a [`Flatten`] does, so does this.
///
/// The layer is one of those that have the argument in Keras: convolutions, pooling, [`Flatten`],
/// cropping, padding and upsampling. The weights and the name of its class are that layer's. It
/// costs a transposition of its input and one of its output.
///
/// ```
/// use birnn::{Device, Graph, layer::{ChannelsFirst, MaxPooling1d}};
/// let mut graph = Graph::new();
/// let x = graph.input("x", &[Some(2), Some(4)])?; // [batch, features, timesteps]
/// let outputs = graph.add(ChannelsFirst::new(MaxPooling1d::new()), x)?;
/// let model = graph.build(outputs)?;
/// let x = ndarray::arr3(&[[[1.0f32, 2.0, 3.0, 4.0], [8.0, 7.0, 6.0, 5.0]]]);
/// let outputs = Device::cpu().compile(&model)?.run(x.view())?;
/// assert_eq!(outputs.output().as_slice(), Some(&[2.0, 4.0, 8.0, 6.0][..]));
/// # Ok::<(), birnn::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelsFirst {
    pub(super) layer: Box<Layer>,
}
