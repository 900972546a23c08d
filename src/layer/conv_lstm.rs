//! LSTMs over sequences of arrays that have a place, in one direction and in both.

use super::conv_lstm_cell::ConvLstm;
use super::definition::{Definition, MaskRule, WeightSpec, Wrong, arguments};
use super::dims::{Dims, describe};
use super::lowering::Lowering;
use super::padding::Padding;
use super::role::{Direction, Role};
use super::windows::Sliding;
use crate::error::Error;
use crate::graph::{ArrayId, Constant};
use crate::operator::{Binary, BinaryFunction, Concat, MergeMode, Unary, UnaryFunction};
use birnn_cell::Activation;
use ndarray::{ArrayD, Slice};
use serde::{Deserialize, Serialize};

const STATES: [Role; 2] =
    [Role::HiddenState(Direction::Forward), Role::CellState(Direction::Forward)];
const STATES_OF_BOTH: [Role; 4] = [
    Role::HiddenState(Direction::Forward),
    Role::CellState(Direction::Forward),
    Role::HiddenState(Direction::Backward),
    Role::CellState(Direction::Backward),
];

/// Sets the bias of the forget gate to one.
fn forget_nothing(filters: usize, weights: &mut [ArrayD<f32>]) {
    if let Some(bias) = weights.get_mut(2) {
        bias.slice_each_axis_mut(|_| Slice::from(filters..2 * filters)).fill(1.0);
    }
}

macro_rules! conv_lstm {
    ($(#[$doc:meta])* $layer:ident, $class_name:literal, $Along:ty, $one:expr) => {
        arguments! {
            $(#[$doc])*
            $layer(
                filters: usize,
                /// How many indices of each axis a window has.
                kernel_size: $Along
            ) {
                /// From one window of the input to the next (default: 1).
                strides: $Along = $one,
                /// How the input is padded (default: [`Padding::Valid`]; `Causal` is an error).
                /// The hidden state is padded so that it keeps its lengths. Padding is zeros.
                padding: Padding = Padding::Valid,
                /// From one element of a window of the input to the next (default: 1). It can't be
                /// above 1 together with `strides`.
                dilation_rate: $Along = $one,
                /// Whether the features stand before the other axes of each timestep, as with
                /// Keras's `data_format="channels_first"`: in the input, the output and the states
                /// (default: false).
                channels_first: bool = false,
                /// The activation of candidates and states (default: tanh). It has to be
                /// element-wise.
                activation: Activation = Activation::Tanh,
                /// The activation of the gates (default: sigmoid). It has to be element-wise.
                recurrent_activation: Activation = Activation::Sigmoid,
                /// Whether it has a bias (default: true).
                use_bias: bool = true,
                /// Whether [`Model::initialize`](crate::Model::initialize) sets the forget gate's
                /// bias to one (default: true).
                unit_forget_bias: bool = true,
                /// Whether the output is the hidden state of every timestep or that of the last one
                /// only (default: false, the last one).
                return_sequences: bool = false,
                /// Whether it returns, after the output, its final hidden state and cell state
                /// (default: false).
                return_state: bool = false,
                /// Whether it reads time from the last timestep to the first (default: false). A
                /// sequence that it returns is in the order of reading, as in Keras.
                go_backwards: bool = false,
                /// Whether a sequence that is read backwards is returned in the order of time, as
                /// the backward direction of Keras's `Bidirectional` is (default: false).
                in_order_of_time: bool = false,
                /// Whether the output at a masked timestep is zero (true) or that of the timestep
                /// before it (default: false).
                zero_output_for_mask: bool = false,
                /// Whether each call of a session starts from the states that the last call ended
                /// with (default: false); see
                /// [`Session::reset_states`](crate::Session::reset_states).
                stateful: bool = false,
            }
        }

        impl $layer {
            fn common(&self) -> ConvLstm {
                let &$layer { kernel_size, strides, dilation_rate, padding, .. } = self;
                ConvLstm {
                    filters: self.filters,
                    sliding: Sliding::new(kernel_size, strides, dilation_rate, padding),
                    recurrent: Sliding::new(kernel_size, $one, $one, Padding::Same),
                    activation: self.activation,
                    recurrent_activation: self.recurrent_activation,
                    use_bias: self.use_bias,
                    channels_first: self.channels_first,
                    go_backwards: self.go_backwards,
                    in_order_of_time: self.in_order_of_time,
                    return_sequences: self.return_sequences,
                    zero_output_for_mask: self.zero_output_for_mask,
                    first_constant: 0,
                }
            }
        }

        impl Definition for $layer {
            fn class_name(&self) -> &'static str {
                $class_name
            }

            fn check(&self) -> Result<(), Wrong> {
                self.common().check()
            }

            fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
                self.common().output_shape(&inputs[0])
            }

            fn results(&self, inputs: &[Dims]) -> Result<Vec<(Role, Dims)>, String> {
                let lstm = self.common();
                let mut results = vec![(Role::Output, lstm.output_shape(&inputs[0])?)];
                if self.return_state {
                    let state = lstm.state_shape(&inputs[0])?;
                    results.extend(STATES.map(|role| (role, state.clone())));
                }
                Ok(results)
            }

            fn weights(&self, inputs: &[Dims]) -> Vec<WeightSpec> {
                self.common().weights(inputs)
            }

            fn adjust_initial(&self, weights: &mut [ArrayD<f32>]) {
                if self.unit_forget_bias {
                    forget_nothing(self.filters, weights);
                }
            }

            fn constants<'w>(&self, weights: &'w [ArrayD<f32>], _: &[Dims]) -> Vec<Constant<'w>> {
                self.common().constants(weights)
            }

            fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
                Ok(self.lower_from(call, &[])?.remove(0))
            }

            fn lower_from(
                &self,
                call: &mut Lowering,
                states: &[Option<ArrayId>],
            ) -> Result<Vec<ArrayId>, Error> {
                self.common().lower(call, states)
            }

            fn states(&self) -> &'static [Role] {
                &STATES
            }

            fn state_shape(&self, inputs: &[Dims], _: usize) -> Dims {
                let of_first = inputs.first().map(|input| self.common().state_shape(input));
                of_first.and_then(Result::ok).unwrap_or_default()
            }

            fn is_stateful(&self) -> bool {
                self.stateful
            }

            fn masking(&self) -> MaskRule {
                if self.return_sequences { MaskRule::Pass } else { MaskRule::Drop }
            }

            fn computes_with_masks(&self) -> bool {
                true
            }

            fn reads_mask(&self, mask_axes: usize, _: usize) -> bool {
                mask_axes == 1
            }

            fn has_mask_argument(&self) -> bool {
                true
            }
        }
    };
}
conv_lstm! {
    /// Keras's `ConvLSTM1D`: an LSTM over a sequence of sequences, whose products are convolutions
    /// along the inner one. It reads `[batch, timesteps, places, features]` and returns
    /// `[batch, timesteps, output places, filters]` with `return_sequences`, otherwise
    /// `[batch, output places, filters]`; [`Padding`] says how many places that are. Its states
    /// have the shape of the latter.
    ///
    /// At each timestep it computes from the input x, the hidden state h and the cell state c the
    /// next states h' and c'. W is `kernel`, U `recurrent_kernel` and b `bias`, of which each gate
    /// has its own filters, side by side in the order i f c o; ∗ convolves and ⊙ multiplies value
    /// by value.
    ///
    /// ```text
    /// i, f, o = recurrent_activation(x∗W + h∗U + b)
    /// c'      = f ⊙ c + i ⊙ activation(x∗W_c + h∗U_c + b_c)
    /// h'      = o ⊙ activation(c')
    /// ```
    ///
    /// Its weights are `kernel`, `[kernel_size, features, 4 · filters]`, `recurrent_kernel`,
    /// `[kernel_size, filters, 4 · filters]`, and `bias`, `[4 · filters]`.
    ///
    /// A call is one convolution of all timesteps and then some fifteen operators for each of
    /// them, of which at most 1,024 are taken ([`Error::Limit`](crate::Error::Limit)). Masks are
    /// `[batch, timesteps]`.
    ///
    /// Source: Shi et al. 2015 and `keras.layers.ConvLSTM1D`.
    ///
    /// ```
    /// use birnn::layer::{ConvLstm1d, Padding};
    /// use birnn::{Device, Graph};
    /// let mut graph = Graph::new();
    /// // [batch, timesteps, places, features]
    /// let x = graph.input("x", &[None, Some(6), Some(2)])?;
    /// let layer = ConvLstm1d::new(4, 3).padding(Padding::Same).return_sequences(true);
    /// let outputs = graph.add(layer, x)?;
    /// let model = graph.build(outputs)?.initialize(1)?;
    /// let x = ndarray::Array4::<f32>::ones((2, 5, 6, 2)).into_dyn();
    /// let outputs = Device::cpu().compile(&model)?.run(x.view())?;
    /// assert_eq!(outputs.output().shape(), [2, 5, 6, 4]);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    ConvLstm1d, "ConvLSTM1D", usize, 1
}
conv_lstm! {
    /// Keras's `ConvLSTM2D`: an LSTM over a sequence of images, whose products are convolutions. It
    /// reads `[batch, timesteps, rows, columns, features]` and returns
    /// `[batch, timesteps, output rows, output columns, filters]` with `return_sequences`,
    /// otherwise `[batch, output rows, output columns, filters]`; [`Padding`] says how many that
    /// are along each axis. Its states have the shape of the latter.
    ///
    /// It computes what [`ConvLstm1d`] does, and is limited as that is. Its weights are `kernel`,
    /// `[kernel rows, kernel columns, features, 4 · filters]`, `recurrent_kernel`,
    /// `[kernel rows, kernel columns, filters, 4 · filters]`, and `bias`, `[4 · filters]`.
    ///
    /// ```
    /// use birnn::{Graph, layer::ConvLstm2d};
    /// let mut graph = Graph::new();
    /// let video = graph.input("video", &[None, Some(8), Some(8), Some(3)])?;
    /// let last = graph.add(ConvLstm2d::new(4, (3, 3)), video)?;
    /// assert_eq!(graph.axes(last[0]), [Some(6), Some(6), Some(4)]);
    /// let model = graph.build(last)?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    ConvLstm2d, "ConvLSTM2D", (usize, usize), (1, 1)
}

/// Two directions, and how their outputs are joined.
struct Both {
    forward: ConvLstm,
    backward: ConvLstm,
    merge_mode: MergeMode,
}

impl Both {
    /// Keras's rules: outputs are in the order of time, and zeros at masked timesteps.
    fn new(forward: ConvLstm, backward: ConvLstm, merge_mode: MergeMode) -> Both {
        let of_both = |lstm: ConvLstm, first_constant: usize, go_backwards: bool| ConvLstm {
            go_backwards,
            in_order_of_time: go_backwards,
            zero_output_for_mask: lstm.return_sequences,
            first_constant,
            ..lstm
        };
        // The weights and a zero.
        let behind = 3 + usize::from(forward.use_bias);
        let (forward, backward) = (of_both(forward, 0, false), of_both(backward, behind, true));
        Both { forward, backward, merge_mode }
    }

    fn results(&self, input: &Dims, return_state: bool) -> Result<Vec<(Role, Dims)>, String> {
        let (one, other) = (self.forward.output_shape(input)?, self.backward.output_shape(input)?);
        let last = one.len() - 1;
        let mut results = match self.merge_mode {
            MergeMode::None => vec![
                (Role::DirectionOutput(Direction::Forward), one),
                (Role::DirectionOutput(Direction::Backward), other),
            ],
            MergeMode::Concat if one[..last] == other[..last] => {
                let mut merged = one;
                let features = merged[last].zip(other[last]);
                merged[last] = features.map(|(one, other)| one.saturating_add(other));
                vec![(Role::Output, merged)]
            }
            MergeMode::Sum | MergeMode::Mul | MergeMode::Ave if one == other => {
                vec![(Role::Output, one)]
            }
            mode => {
                let (one, other) = (describe(&one), describe(&other));
                return Err(format!(
                    "its directions return {one} and {other}: {mode:?} can't join them"
                ));
            }
        };
        if return_state {
            let shapes = [self.forward.state_shape(input)?, self.backward.state_shape(input)?];
            let state = |(index, &role): (usize, &Role)| (role, shapes[index / 2].clone());
            results.extend(STATES_OF_BOTH.iter().enumerate().map(state));
        }
        Ok(results)
    }

    fn lower(
        &self,
        call: &mut Lowering,
        states: &[Option<ArrayId>],
    ) -> Result<Vec<ArrayId>, Error> {
        let (one, other) = states.split_at(STATES.len().min(states.len()));
        let mut forward = self.forward.lower(call, one)?;
        let mut backward = self.backward.lower(call, other)?;
        let (one, other) = (forward.remove(0), backward.remove(0));
        let both = [Some(one), Some(other)];
        let axis = call.shape(one).len() - 1;
        let mut written = match self.merge_mode {
            MergeMode::None => vec![one, other],
            MergeMode::Concat => vec![call.add(Concat { axis }, both)?],
            MergeMode::Sum => vec![call.add(Binary { function: BinaryFunction::Add }, both)?],
            MergeMode::Mul => vec![call.add(Binary { function: BinaryFunction::Multiply }, both)?],
            MergeMode::Ave => {
                let sum = call.add(Binary { function: BinaryFunction::Add }, both)?;
                vec![call.apply(Unary { function: UnaryFunction::DividedBy(2.0) }, sum)?]
            }
        };
        written.extend(forward.into_iter().chain(backward));
        Ok(written)
    }
}

macro_rules! bidirectional {
    ($(#[$doc:meta])* $both:ident, $layer:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $both {
            pub(crate) forward: $layer,
            pub(crate) backward: $layer,
            pub(crate) merge_mode: MergeMode,
        }

        impl $both {
            /// A layer whose directions both have the arguments of `layer`.
            pub fn new(layer: $layer) -> $both {
                let backward = layer.clone();
                $both { forward: layer, backward, merge_mode: MergeMode::Concat }
            }

            /// Gives the backward direction a layer with arguments of its own. Its
            /// `return_sequences` and `return_state` have to be those of the forward layer.
            pub fn backward_layer(mut self, layer: $layer) -> $both {
                self.backward = layer;
                self
            }

            /// Sets how the outputs of the two directions are joined (default:
            /// [`MergeMode::Concat`](super::MergeMode::Concat), along the last axis).
            pub fn merge_mode(mut self, merge_mode: MergeMode) -> $both {
                self.merge_mode = merge_mode;
                self
            }

            fn both(&self) -> Both {
                Both::new(self.forward.common(), self.backward.common(), self.merge_mode)
            }

            fn of_forward(&self) -> usize {
                2 + usize::from(self.forward.use_bias)
            }
        }

        impl Definition for $both {
            fn class_name(&self) -> &'static str {
                "Bidirectional"
            }

            fn check(&self) -> Result<(), Wrong> {
                let flags = |layer: &$layer| (layer.return_sequences, layer.return_state);
                self.forward.check()?;
                self.backward.check()?;
                match flags(&self.forward) == flags(&self.backward) {
                    true => Ok(()),
                    false => {
                        let reason = "return_sequences and return_state must equal the forward \
                                      layer's";
                        Err(("backward_layer", reason.to_string()))
                    }
                }
            }

            fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
                Ok(self.both().results(&inputs[0], false)?.remove(0).1)
            }

            fn results(&self, inputs: &[Dims]) -> Result<Vec<(Role, Dims)>, String> {
                self.both().results(&inputs[0], self.forward.return_state)
            }

            fn weights(&self, inputs: &[Dims]) -> Vec<WeightSpec> {
                let Both { forward, backward, .. } = self.both();
                [forward.weights(inputs), backward.weights(inputs)].concat()
            }

            fn adjust_initial(&self, weights: &mut [ArrayD<f32>]) {
                let of_forward = self.of_forward().min(weights.len());
                let (forward, backward) = weights.split_at_mut(of_forward);
                self.forward.adjust_initial(forward);
                self.backward.adjust_initial(backward);
            }

            fn constants<'w>(&self, weights: &'w [ArrayD<f32>], _: &[Dims]) -> Vec<Constant<'w>> {
                let (forward, backward) = weights.split_at(self.of_forward().min(weights.len()));
                let both = self.both();
                let forward = both.forward.constants(forward).into_iter();
                forward.chain(both.backward.constants(backward)).collect()
            }

            fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
                Ok(self.both().lower(call, &[])?.remove(0))
            }

            fn lower_from(
                &self,
                call: &mut Lowering,
                states: &[Option<ArrayId>],
            ) -> Result<Vec<ArrayId>, Error> {
                self.both().lower(call, states)
            }

            fn states(&self) -> &'static [Role] {
                &STATES_OF_BOTH
            }

            fn state_shape(&self, inputs: &[Dims], state: usize) -> Dims {
                let layer = if state < STATES.len() { &self.forward } else { &self.backward };
                layer.state_shape(inputs, 0)
            }

            fn is_stateful(&self) -> bool {
                self.forward.stateful
            }

            fn masking(&self) -> MaskRule {
                self.forward.masking()
            }

            fn computes_with_masks(&self) -> bool {
                true
            }

            fn reads_mask(&self, mask_axes: usize, _: usize) -> bool {
                mask_axes == 1
            }

            fn has_mask_argument(&self) -> bool {
                true
            }
        }
    };
}
bidirectional! {
    /// Keras's `Bidirectional` of a `ConvLSTM1D`: one layer reads time forward, one backward, and
    /// their outputs are joined in the order of time. It reads and returns what [`ConvLstm1d`]
    /// does, with twice the features; whether the layers have `go_backwards` or
    /// `zero_output_for_mask` doesn't matter. With `return_state` the hidden and cell state of the
    /// forward direction follow, and then those of the backward one.
    ///
    /// ```
    /// use birnn::layer::{BidirectionalConvLstm1d, ConvLstm1d};
    /// use birnn::Graph;
    /// let mut graph = Graph::new();
    /// let x = graph.input("x", &[None, Some(6), Some(2)])?;
    /// let both = BidirectionalConvLstm1d::new(ConvLstm1d::new(4, 3).return_sequences(true));
    /// let outputs = graph.add(both, x)?;
    /// assert_eq!(graph.axes(outputs[0]), [None, Some(4), Some(8)]);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    BidirectionalConvLstm1d, ConvLstm1d
}
bidirectional! {
    /// Keras's `Bidirectional` of a `ConvLSTM2D`; see [`BidirectionalConvLstm1d`].
    ///
    /// ```
    /// use birnn::layer::{BidirectionalConvLstm2d, ConvLstm2d, MergeMode};
    /// let layer = ConvLstm2d::new(4, (3, 3)).return_sequences(true);
    /// let both = BidirectionalConvLstm2d::new(layer).merge_mode(MergeMode::Sum);
    /// ```
    BidirectionalConvLstm2d, ConvLstm2d
}
