//! LSTMs over sequences of arrays that have a place: their products are convolutions.

use super::definition::{Definition, MaskRule, WeightSpec, Wrong, arguments, size};
use super::dims::{Dims, shown};
use super::initializer::Initializer;
use super::lowering::Lowering;
use super::padding::Padding;
use super::role::{Direction, Role};
use super::windows::Sliding;
use crate::error::Error;
use crate::graph::{ArrayId, Constant};
use crate::operator::{
    Activate, Binary, BinaryFunction, Concat, Convolution, Slice, Transpose, Where,
};
use birnn_cell::Activation;
use ndarray::{ArrayD, Slice as Indices, arr0};

/// A call is a graph of some fifteen operators for each timestep: what is longer would take minutes
/// to prepare.
const MOST_TIMESTEPS: usize = 1024;
const STATES: [Role; 2] =
    [Role::HiddenState(Direction::Forward), Role::CellState(Direction::Forward)];

/// The arguments of both layers.
struct ConvLstm {
    filters: usize,
    sliding: Sliding,
    /// Of the product with the hidden state, which has the place of the output.
    recurrent: Sliding,
    activation: Activation,
    recurrent_activation: Activation,
    use_bias: bool,
    channels_first: bool,
    go_backwards: bool,
    in_order_of_time: bool,
    return_sequences: bool,
    zero_output_for_mask: bool,
}

/// What a timestep hands to the next; `None` is zeros.
#[derive(Clone, Copy, Default)]
struct Carried {
    hidden: Option<ArrayId>,
    cell: Option<ArrayId>,
    output: Option<ArrayId>,
}

impl ConvLstm {
    fn check(&self) -> Result<(), Wrong> {
        self.sliding.check()?;
        self.sliding.not_causal()?;
        size("filters", self.filters)?;
        let above = |numbers: &[usize]| numbers.iter().any(|&number| number > 1);
        if above(&self.sliding.strides) && above(&self.sliding.dilation) {
            return Err(("strides", "Keras takes no strides with a dilation_rate".to_string()));
        }
        for (argument, activation) in
            [("activation", self.activation), ("recurrent_activation", self.recurrent_activation)]
        {
            if !activation.is_elementwise() {
                let reason = format!(
                    "{activation} goes over a whole axis; a recurrent layer takes element-wise ones"
                );
                return Err((argument, reason));
            }
        }
        Ok(())
    }

    /// The timesteps, and what each holds with the features last.
    fn timestep(&self, input: &Dims) -> Result<(Option<usize>, Dims), String> {
        let axes = self.sliding.size.len();
        match &input[..] {
            [timesteps, rest @ ..] if rest.len() == axes + 1 => {
                let mut of_each = rest.to_vec();
                if self.channels_first {
                    of_each.rotate_left(1);
                }
                Ok((*timesteps, of_each))
            }
            _ => {
                let places = if axes == 1 { "places" } else { "rows, columns" };
                Err(format!(
                    "it reads [batch, timesteps, {places}, features] and its input is {}",
                    shown(input)
                ))
            }
        }
    }

    fn features(&self, inputs: &[Dims]) -> usize {
        let of_each = inputs.first().and_then(|input| self.timestep(input).ok());
        of_each.and_then(|(_, of_each)| of_each.last().copied().flatten()).unwrap_or(0)
    }

    /// The shape of a state.
    fn state_shape(&self, input: &Dims) -> Result<Dims, String> {
        let (_, of_each) = self.timestep(input)?;
        let (mut state, features) = self.sliding.output(&of_each)?;
        if features.is_none() {
            return Err("the axis of the features of its input has no fixed length".to_string());
        }
        state.push(Some(self.filters));
        if self.channels_first {
            state.rotate_right(1);
        }
        Ok(state)
    }

    fn results(&self, input: &Dims, return_state: bool) -> Result<Vec<(Role, Dims)>, String> {
        let state = self.state_shape(input)?;
        let timesteps = self.return_sequences.then(|| input[0]);
        let output = timesteps.into_iter().chain(state.iter().copied()).collect();
        let states = STATES.into_iter().filter(|_| return_state);
        let states = states.map(|role| (role, state.clone()));
        Ok(std::iter::once((Role::Output, output)).chain(states).collect())
    }

    fn weights(&self, inputs: &[Dims]) -> Vec<WeightSpec> {
        let gates = self.filters.saturating_mul(4);
        let kernel = |features: usize| [&self.sliding.size[..], &[features, gates]].concat();
        let features = self.features(inputs);
        let mut weights = vec![
            WeightSpec::new("kernel", kernel(features), Initializer::GlorotUniform),
            WeightSpec::new("recurrent_kernel", kernel(self.filters), Initializer::Orthogonal),
        ];
        weights.extend(self.use_bias.then(|| WeightSpec::new("bias", [gates], Initializer::Zeros)));
        weights
    }

    /// A graph of all timesteps: the product with the input is one convolution over them all.
    fn lower(
        &self,
        call: &mut Lowering,
        states: &[Option<ArrayId>],
    ) -> Result<Vec<ArrayId>, Error> {
        let x = self.features_last(call, call.input(0), 2)?;
        let shape = call.shape(x);
        let (batch, timesteps) = (shape[0], shape[1]);
        if !(1..=MOST_TIMESTEPS).contains(&timesteps) {
            return Err(Error::Limit {
                what: format!("layer {:?}", call.name),
                needed: timesteps as u64,
                limit: "timesteps of a ConvLSTM, at least one",
                allowed: MOST_TIMESTEPS as u64,
                instead: "run the sequence in parts, each from the states of the one before",
            });
        }
        let gates = 4 * self.filters;
        let folded = call.reshaped(x, [&[batch * timesteps], &shape[2..]].concat())?;
        let features = call.features(folded);
        let kernel = call.constant(0, [&self.sliding.size[..], &[features, gates]].concat());
        let bias = self.use_bias.then(|| call.constant(2, [gates]));
        let windows = self.sliding.windows(&call.shape(folded));
        let product = Convolution { windows, groups: 1, activation: Activation::Linear };
        let projected = call.add(product, [Some(folded), Some(kernel), bias])?;
        let places = call.shape(projected)[1..].to_vec();
        let projected = call.reshaped(projected, [&[batch, timesteps], &places[..]].concat())?;
        let mut carried = Carried::default();
        for (to, from) in [&mut carried.hidden, &mut carried.cell].into_iter().zip(states) {
            *to = from.map(|state| self.features_last(call, state, 1)).transpose()?;
        }
        let mut outputs = Vec::new();
        for step in 0..timesteps {
            let timestep = if self.go_backwards { timesteps - 1 - step } else { step };
            let at = |axis: usize| Slice { axis, start: timestep, step: 1, length: 1 };
            let projected = call.apply(at(1), projected)?;
            let projected = call.reshaped(projected, [&[batch], &places[..]].concat())?;
            let mask = match call.mask(0) {
                Some(mask) => {
                    let mask = call.apply(at(1), mask)?;
                    let ones = vec![1; places.len()];
                    Some(call.reshaped(mask, [&[batch], &ones[..]].concat())?)
                }
                None => None,
            };
            carried = self.step(call, projected, mask, carried)?;
            outputs.extend(carried.output);
        }
        let mut written = vec![self.output(call, outputs)?];
        for state in [carried.hidden, carried.cell].into_iter().flatten() {
            written.push(self.features_back(call, state, 1)?);
        }
        Ok(written)
    }

    /// The output, from those of all timesteps in the order of reading.
    fn output(&self, call: &mut Lowering, mut outputs: Vec<ArrayId>) -> Result<ArrayId, Error> {
        let last = outputs[outputs.len() - 1];
        if !self.return_sequences {
            return self.features_back(call, last, 1);
        }
        if self.go_backwards && self.in_order_of_time {
            outputs.reverse();
        }
        let mut shape = call.shape(last);
        shape.insert(1, 1);
        let mut sequence = Vec::new();
        for output in outputs {
            sequence.push(Some(call.reshaped(output, shape.clone())?));
        }
        let sequence = call.add(Concat { axis: 1 }, sequence)?;
        self.features_back(call, sequence, 2)
    }

    /// One timestep: `projected` is the product with the input, of all gates.
    fn step(
        &self,
        call: &mut Lowering,
        projected: ArrayId,
        mask: Option<ArrayId>,
        before: Carried,
    ) -> Result<Carried, Error> {
        let binary = |call: &mut Lowering, function, a: ArrayId, b: ArrayId| {
            call.add(Binary { function }, [Some(a), Some(b)])
        };
        let mut sums = projected;
        if let Some(hidden) = before.hidden {
            let gates = 4 * self.filters;
            let shape = [&self.recurrent.size[..], &[self.filters, gates]].concat();
            let kernel = call.constant(1, shape);
            let windows = self.recurrent.windows(&call.shape(hidden));
            let product = Convolution { windows, groups: 1, activation: Activation::Linear };
            let product = call.add(product, [Some(hidden), Some(kernel)])?;
            sums = binary(call, BinaryFunction::Add, sums, product)?;
        }
        let axis = call.shape(sums).len() - 1;
        let gate = |call: &mut Lowering, index: usize, activation: Activation| {
            let (start, length) = (index * self.filters, self.filters);
            let sums = call.apply(Slice { axis, start, step: 1, length }, sums)?;
            match activation {
                Activation::Linear => Ok(sums),
                activation => call.apply(Activate { activation }, sums),
            }
        };
        let input = gate(call, 0, self.recurrent_activation)?;
        let candidate = gate(call, 2, self.activation)?;
        let output = gate(call, 3, self.recurrent_activation)?;
        let mut cell = binary(call, BinaryFunction::Multiply, input, candidate)?;
        if let Some(old) = before.cell {
            let forget = gate(call, 1, self.recurrent_activation)?;
            let kept = binary(call, BinaryFunction::Multiply, forget, old)?;
            cell = binary(call, BinaryFunction::Add, kept, cell)?;
        }
        let activated = call.apply(Activate { activation: self.activation }, cell)?;
        let hidden = binary(call, BinaryFunction::Multiply, output, activated)?;
        let Some(mask) = mask else {
            return Ok(Carried { hidden: Some(hidden), cell: Some(cell), output: Some(hidden) });
        };
        let zero = call.constant(self.zero(), []);
        let mut chosen = |new: ArrayId, old: Option<ArrayId>| {
            call.add(Where, [Some(mask), Some(new), Some(old.unwrap_or(zero))]).map(Some)
        };
        let before_it = before.output.filter(|_| !self.zero_output_for_mask);
        Ok(Carried {
            output: chosen(hidden, before_it)?,
            hidden: chosen(hidden, before.hidden)?,
            cell: chosen(cell, before.cell)?,
        })
    }

    /// Which constant is the number zero.
    fn zero(&self) -> usize {
        2 + usize::from(self.use_bias)
    }

    /// An array of `leading` axes before those of an image, with the features last.
    fn features_last(
        &self,
        call: &mut Lowering,
        array: ArrayId,
        leading: usize,
    ) -> Result<ArrayId, Error> {
        let mut order: Vec<usize> = (0..call.shape(array).len()).collect();
        order[leading..].rotate_left(1);
        if self.channels_first { call.apply(Transpose { order }, array) } else { Ok(array) }
    }

    /// The way back.
    fn features_back(
        &self,
        call: &mut Lowering,
        array: ArrayId,
        leading: usize,
    ) -> Result<ArrayId, Error> {
        let mut order: Vec<usize> = (0..call.shape(array).len()).collect();
        order[leading..].rotate_right(1);
        if self.channels_first { call.apply(Transpose { order }, array) } else { Ok(array) }
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
                Ok(self.common().results(&inputs[0], false)?.remove(0).1)
            }

            fn results(&self, inputs: &[Dims]) -> Result<Vec<(Role, Dims)>, String> {
                self.common().results(&inputs[0], self.return_state)
            }

            fn weights(&self, inputs: &[Dims]) -> Vec<WeightSpec> {
                self.common().weights(inputs)
            }

            fn adjust_initial(&self, weights: &mut [ArrayD<f32>]) {
                let forget = self.filters..2 * self.filters;
                if let Some(bias) = weights.get_mut(2).filter(|_| self.unit_forget_bias) {
                    bias.slice_each_axis_mut(|_| Indices::from(forget.clone())).fill(1.0);
                }
            }

            fn constants<'w>(&self, weights: &'w [ArrayD<f32>], _: &[Dims]) -> Vec<Constant<'w>> {
                let zero = Constant::Derived(arr0(0.0).into_dyn());
                let weights = weights.iter().map(|weight| Constant::weight(weight.view()));
                weights.chain([zero]).collect()
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

            fn state_shape(&self, inputs: &[Dims]) -> Dims {
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
    /// let x = graph.input("x", &[None, Some(6), Some(2)])?; // [batch, timesteps, places, features]
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
