//! All layers as one type. In one file, as a [`TimeDistributed`] is a layer that holds one.

use super::attention::{AdditiveAttention, Attention, MultiHeadAttention};
use super::bidirectional::Bidirectional;
use super::conv_lstm::{BidirectionalConvLstm1d, BidirectionalConvLstm2d, ConvLstm1d, ConvLstm2d};
use super::convolution::{
    Conv1d, Conv1dTranspose, Conv2d, Conv2dTranspose, DepthwiseConv1d, DepthwiseConv2d,
    SeparableConv1d, SeparableConv2d,
};
use super::core::{
    ActivationLayer, Dense, Embedding, Identity, Masking, PRelu, ReluLayer, Rescaling, SoftmaxLayer,
};
use super::definition::{Definition, MaskRule, WeightSpec, Wrong};
use super::dims::{Dims, shown};
use super::encoding::{CategoryEncoding, Discretization};
use super::lowering::Lowering;
use super::merging::{Concatenate, Dot, Merge};
use super::normalization::{
    BatchNormalization, GroupNormalization, LayerNormalization, Normalization, RmsNormalization,
    UnitNormalization,
};
use super::pooling::{
    AveragePooling1d, AveragePooling2d, GlobalAveragePooling1d, GlobalAveragePooling2d,
    GlobalMaxPooling1d, GlobalMaxPooling2d, MaxPooling1d, MaxPooling2d,
};
use super::recurrent::{self, Recurrent, RecurrentBuilder};
use super::reshaping::{
    Cropping1d, Cropping2d, Flatten, Permute, RepeatVector, Reshape, UpSampling1d, UpSampling2d,
    ZeroPadding1d, ZeroPadding2d,
};
use super::role::{Direction, Role};
use super::weights::{self, Weights};
use crate::error::{Error, Result};
use crate::graph::{ArrayId, Constant};
use crate::operator::MergeMode;
use crate::order::standard;
use birnn_cell::Activation;
use ndarray::ArrayD;
use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
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
            return layer.results(inputs);
        };
        let [timesteps, Some(_)] = inputs[0][..] else {
            return Err(Error::Graph(format!(
                "layer {:?} reads [batch, timesteps, features] with a fixed number of features, and \
                 its input is {}; set return_sequences on a recurrent layer before it",
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

    /// The final states that it computes, in Keras's order: for each direction the hidden state and,
    /// where it has one, the cell state. None of a layer that keeps no state.
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

    /// The layer that a TimeDistributed holds, at any depth; otherwise the layer itself.
    pub(crate) fn innermost(&self) -> &Layer {
        self.time_distributed().map_or(self, Layer::innermost)
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
    LayerNormalization(LayerNormalization),
    RmsNormalization(RmsNormalization),
    BatchNormalization(BatchNormalization),
    UnitNormalization(UnitNormalization),
    GroupNormalization(GroupNormalization),
    Normalization(Normalization),
    Conv1d(Conv1d),
    Conv2d(Conv2d),
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
    AveragePooling1d(AveragePooling1d),
    AveragePooling2d(AveragePooling2d),
    GlobalMaxPooling1d(GlobalMaxPooling1d),
    GlobalMaxPooling2d(GlobalMaxPooling2d),
    GlobalAveragePooling1d(GlobalAveragePooling1d),
    GlobalAveragePooling2d(GlobalAveragePooling2d),
    Merge(Merge),
    Concatenate(Concatenate),
    Dot(Dot),
    Flatten(Flatten),
    Reshape(Reshape),
    Permute(Permute),
    RepeatVector(RepeatVector),
    Cropping1d(Cropping1d),
    Cropping2d(Cropping2d),
    ZeroPadding1d(ZeroPadding1d),
    ZeroPadding2d(ZeroPadding2d),
    UpSampling1d(UpSampling1d),
    UpSampling2d(UpSampling2d),
    Attention(Attention),
    AdditiveAttention(AdditiveAttention),
    MultiHeadAttention(MultiHeadAttention),
    TimeDistributed(TimeDistributed),
    #[cfg(test)]
    Probe(super::probe::Probe),
}

/// A layer that is defined in another room, such as a [`Function`](crate::program::Function). A file
/// has no more of it than that it is one: what it is stands beside the layer there.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Foreign {
    #[serde(skip)]
    definition: Option<Arc<dyn Definition>>,
}

impl PartialEq for Foreign {
    fn eq(&self, other: &Foreign) -> bool {
        match (&self.definition, &other.definition) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other) || one.equals(&**other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }
}

impl Foreign {
    fn definition(&self) -> &dyn Definition {
        match &self.definition {
            Some(definition) => &**definition,
            None => &Nowhere,
        }
    }
}

/// A layer of another room that a file left out.
#[derive(Debug)]
struct Nowhere;

impl Definition for Nowhere {
    fn class_name(&self) -> &'static str {
        "Function"
    }

    fn check(&self) -> Result<(), Wrong> {
        Err(("function", "is missing".to_string()))
    }

    fn output(&self, _: &[Dims]) -> Result<Dims, String> {
        Err("its operations are missing".to_string())
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId> {
        Err(Error::Graph(format!("layer {:?}: its operations are missing", call.name)))
    }
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

    pub(crate) fn results(&self, inputs: &[Dims]) -> Result<Vec<(Role, Dims)>> {
        self.kind.definition().results(inputs).map_err(|reason| {
            Error::Graph(format!("layer {:?} ({}): {reason}", self.name, self.class_name()))
        })
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

/// Keras's `TimeDistributed`: calls a layer, with the same weights, on every timestep by itself. It
/// reads `[batch, timesteps, …]`, where `[batch, …]` is what the layer reads, and returns
/// `[batch, timesteps, …]` with what the layer returns.
///
/// The layer is any that reads and returns one array. A recurrent layer reads sequences, so that
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
}

impl TimeDistributed {
    /// Calls `layer` on every timestep.
    pub fn new(layer: impl Into<Layer>) -> TimeDistributed {
        TimeDistributed { layer: Box::new(layer.into()) }
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

    fn check(&self) -> Result<(), Wrong> {
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
        let timesteps = match inputs[0].first() {
            Some(&timesteps) if inputs[0].len() > 1 => timesteps,
            _ => return Err("it reads [batch, timesteps, …]".to_string()),
        };
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

    /// Batch and time as one axis. A mask of `[batch, timesteps, steps]` reaches the layer; one of
    /// `[batch, timesteps]` says nothing about what the layer reads.
    fn lower(&self, call: &mut Lowering) -> Result<ArrayId> {
        let (input, mask) = (call.input(0), call.mask(0));
        let outer = call.shape(input)[..2].to_vec();
        let folded = |shape: &[usize]| [&[outer[0] * outer[1]], &shape[2..]].concat();
        let inputs = vec![call.reshaped(input, folded(&call.shape(input)))?];
        let masks = match mask.filter(|&mask| call.shape(mask).len() > 2) {
            Some(mask) => vec![Some(call.reshaped(mask, folded(&call.shape(mask)))?)],
            None => vec![None],
        };
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
        true
    }
}
