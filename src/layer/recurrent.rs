use super::definition::WeightSpec;
use super::initializer::Initializer;
use super::lowering::Lowering;
use super::weights::Weights;
use crate::error::{Error, Result};
use crate::graph::ArrayId;
use crate::operator::{self, MergeMode};
use birnn_cell::{Activation, Cell, Reader, WeightRole};
use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use std::{marker::PhantomData, sync::Arc};

/// A recurrent layer of one direction: the arguments of Keras's `LSTM`, `GRU` or `SimpleRNN`, and
/// its weights. [`Lstm`], [`Gru`] and [`SimpleRnn`] build it, and convert to it by `into()`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recurrent {
    pub(crate) name: String,
    cell: Cell,
    units: usize,
    activation: Activation,
    recurrent_activation: Activation,
    use_bias: bool,
    unit_forget_bias: bool,
    pub(super) go_backwards: bool,
    return_sequences: bool,
    return_state: bool,
    pub(super) zero_output_for_mask: bool,
    stateful: bool,
    kernel_initializer: Initializer,
    recurrent_initializer: Initializer,
    bias_initializer: Initializer,
    #[serde(skip)]
    pub(super) weights: Option<Arc<Weights>>,
}

impl Recurrent {
    fn new(cell: Cell, units: usize) -> Recurrent {
        Recurrent {
            name: String::new(),
            cell,
            units,
            activation: Activation::Tanh,
            recurrent_activation: Activation::Sigmoid,
            use_bias: true,
            unit_forget_bias: true,
            go_backwards: false,
            return_sequences: false,
            return_state: false,
            zero_output_for_mask: false,
            stateful: false,
            kernel_initializer: Initializer::GlorotUniform,
            recurrent_initializer: Initializer::Orthogonal,
            bias_initializer: Initializer::Zeros,
            weights: None,
        }
    }

    /// What reads the sequence; `reverse_output` puts its output into the reverse of the order in
    /// which it does.
    pub(crate) fn reader(&self, reverse_output: bool) -> Reader {
        Reader {
            cell: self.cell,
            units: self.units,
            activation: self.activation,
            recurrent_activation: self.recurrent_activation,
            go_backwards: self.go_backwards,
            reverse_output,
            zero_output_for_mask: self.zero_output_for_mask,
        }
    }

    /// The layer's name; empty where none was set and no model has given it one.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The recurrence that it runs.
    pub fn cell(&self) -> Cell {
        self.cell
    }

    /// The number of units: the length of the hidden state of a row.
    pub fn units(&self) -> usize {
        self.units
    }

    /// The activation of candidates and states.
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// The activation of the gates; a SimpleRNN doesn't use it.
    pub fn recurrent_activation(&self) -> Activation {
        self.recurrent_activation
    }

    /// Whether it has a bias.
    pub fn use_bias(&self) -> bool {
        self.use_bias
    }

    /// Whether it reads time from the last timestep to the first.
    pub fn go_backwards(&self) -> bool {
        self.go_backwards
    }

    /// Whether the output is the hidden state of every timestep, `[batch, timesteps, units]`, or
    /// that of the last one only, `[batch, units]`.
    pub fn return_sequences(&self) -> bool {
        self.return_sequences
    }

    /// Whether it returns its final states, each `[batch, units]`, after the output.
    pub fn return_state(&self) -> bool {
        self.return_state
    }

    /// Whether the output at a masked timestep is zero (true) or that of the timestep before it.
    pub fn zero_output_for_mask(&self) -> bool {
        self.zero_output_for_mask
    }

    /// Whether a call starts from the states that the last call ended with.
    pub fn stateful(&self) -> bool {
        self.stateful
    }

    /// The weights, or `None` where they aren't set.
    pub fn weights(&self) -> Option<&Weights> {
        self.weights.as_deref()
    }

    /// The same layer, with weights where it has some, that reads time from the last timestep to
    /// the first or not.
    ///
    /// ```
    /// use birnn::{Lstm, layer::Recurrent};
    /// let forward = Recurrent::from(Lstm::new(8));
    /// assert!(forward.clone().with_go_backwards(true).go_backwards());
    /// ```
    pub fn with_go_backwards(mut self, go_backwards: bool) -> Recurrent {
        self.go_backwards = go_backwards;
        self
    }

    /// The same layer, with weights where it has some, whose output at a masked timestep is zero or
    /// not.
    ///
    /// ```
    /// use birnn::{Lstm, layer::Recurrent};
    /// let layer = Recurrent::from(Lstm::new(8).return_sequences(true));
    /// assert!(layer.with_zero_output_for_mask(true).zero_output_for_mask());
    /// ```
    pub fn with_zero_output_for_mask(mut self, zero_output_for_mask: bool) -> Recurrent {
        self.zero_output_for_mask = zero_output_for_mask;
        self
    }

    /// The same layer, with weights where it has some, that returns the hidden state of every
    /// timestep or that of the last one only.
    ///
    /// ```
    /// use birnn::{Lstm, layer::Recurrent};
    /// let last = Recurrent::from(Lstm::new(8));
    /// assert!(last.with_return_sequences(true).return_sequences());
    /// ```
    pub fn with_return_sequences(mut self, return_sequences: bool) -> Recurrent {
        self.return_sequences = return_sequences;
        self
    }

    /// The same layer, with weights where it has some, that returns its final states after the
    /// output or doesn't.
    ///
    /// ```
    /// use birnn::{Lstm, layer::Recurrent};
    /// let layer = Recurrent::from(Lstm::new(8));
    /// assert!(layer.with_return_state(true).return_state());
    /// ```
    pub fn with_return_state(mut self, return_state: bool) -> Recurrent {
        self.return_state = return_state;
        self
    }

    /// The same layer, with weights where it has some, whose calls start from the states that the
    /// last call ended with or don't.
    ///
    /// ```
    /// use birnn::{Lstm, layer::Recurrent};
    /// assert!(Recurrent::from(Lstm::new(8)).with_stateful(true).stateful());
    /// ```
    pub fn with_stateful(mut self, stateful: bool) -> Recurrent {
        self.stateful = stateful;
        self
    }

    /// How many rows its bias has; 0: it has none.
    pub(super) fn bias_rows(&self) -> usize {
        if self.use_bias { self.cell.bias_rows() } else { 0 }
    }

    pub(super) fn weight_names(&self) -> Vec<&'static str> {
        self.weight_roles().into_iter().map(WeightRole::name).collect()
    }

    pub(super) fn weight_roles(&self) -> Vec<WeightRole> {
        self.cell.weights(self.use_bias)
    }

    /// The weights, in the order of files.
    pub(super) fn weight_specs(&self, features: usize) -> Vec<WeightSpec> {
        let initializer = |role: WeightRole| match role {
            WeightRole::Kernel | WeightRole::Peepholes => self.kernel_initializer,
            WeightRole::RecurrentKernel => self.recurrent_initializer,
            WeightRole::Bias => self.bias_initializer,
        };
        let spec = |role: WeightRole| {
            let shape = self.cell.weight_shape(role, features, self.units);
            WeightSpec::new(role.name(), shape, initializer(role))
        };
        self.weight_roles().into_iter().map(spec).collect()
    }

    pub(super) fn check(&self) -> Result<()> {
        // 2^24 units would be a recurrent kernel of 4 PiB: an argument above it is a mistake or a
        // hostile file, and below it no product of the sizes overflows.
        if self.units == 0 || self.units >= 1 << 24 {
            return Err(Error::Argument {
                layer: self.name.clone(),
                argument: "units".into(),
                reason: format!("{} is not from 1 to below 2^24", self.units),
            });
        }
        for (argument, activation) in
            [("activation", self.activation), ("recurrent_activation", self.recurrent_activation)]
        {
            if !activation.is_elementwise() {
                let reason = format!(
                    "{activation} goes over a whole axis; a recurrent layer takes element-wise ones"
                );
                return Err(Error::Argument {
                    layer: self.name.clone(),
                    argument: argument.into(),
                    reason,
                });
            }
        }
        match self.cell.wrong_option() {
            None => Ok(()),
            Some((argument, reason)) => {
                Err(Error::Argument { layer: self.name.clone(), argument: argument.into(), reason })
            }
        }
    }

    pub(super) fn initialize(&mut self, features: usize, rng: &mut ChaCha12Rng) {
        let columns = self.cell.gates().len() * self.units;
        let kernel = self.kernel_initializer.sample(features, columns, rng);
        let recurrent_kernel = self.recurrent_initializer.sample(self.units, columns, rng);
        let rows = self.bias_rows();
        let initializer = if self.use_bias { self.bias_initializer } else { Initializer::Zeros };
        let bias = initializer.sample(2, columns, rng);
        let row = |i: usize| {
            if i < rows { bias.row(i).to_owned() } else { ndarray::Array1::zeros(columns) }
        };
        let (mut bias, recurrent_bias) = (row(0), row(1));
        let forget_gate = self.cell.description().forget_gate;
        if let Some(gate) = forget_gate.filter(|_| self.use_bias && self.unit_forget_bias) {
            bias.slice_mut(ndarray::s![gate * self.units..(gate + 1) * self.units]).fill(1.0);
        }
        let peepholes = match self.cell.options.peepholes {
            true => self.kernel_initializer.sample(
                self.cell.description().peepholes.len(),
                self.units,
                rng,
            ),
            false => ndarray::Array2::zeros((0, self.units)),
        };
        let weights = Weights { kernel, recurrent_kernel, bias, recurrent_bias, peepholes };
        self.weights = Some(weights.into());
    }
}

/// Adds the operator of a recurrent layer of one or two directions, whose outputs and final states
/// it returns.
pub(super) fn lower(
    directions: &[&Recurrent],
    merge_mode: MergeMode,
    call: &mut Lowering,
    states: &[Option<ArrayId>],
) -> Result<Vec<ArrayId>> {
    let operator = operator::Recurrent {
        // The output of the second one goes back into the order of time.
        directions: directions
            .iter()
            .zip([false, true])
            .map(|(layer, back)| layer.reader(back))
            .collect(),
        merge_mode,
        return_sequences: directions[0].return_sequences,
        weights: call.layer,
    };
    let reads = [&[Some(call.input(0)), call.mask(0)], states].concat();
    call.graph.step(call.name, operator, reads)
}

/// The type parameter that makes a [`RecurrentBuilder`] an [`Lstm`].
#[derive(Clone, Copy, Debug)]
pub struct LstmCell;
/// The type parameter that makes a [`RecurrentBuilder`] a [`Gru`].
#[derive(Clone, Copy, Debug)]
pub struct GruCell;
/// The type parameter that makes a [`RecurrentBuilder`] a [`SimpleRnn`].
#[derive(Clone, Copy, Debug)]
pub struct SimpleRnnCell;

/// Keras's `LSTM` layer. It reads `[batch, timesteps, features]` and returns
/// `[batch, timesteps, units]` with `return_sequences`, otherwise `[batch, units]`.
///
/// At each timestep it computes from the input x, the hidden state h and the cell state c the next
/// states h' and c'. W is `kernel`, U `recurrent_kernel` and b `bias`, of which each gate has its
/// own columns (W_c those of the candidate); ⊙ multiplies value by value.
///
/// ```text
/// i, f, o = recurrent_activation(x·W + h·U + b)        gates side by side in W, U, b: i f c o
/// c'      = f ⊙ c + i ⊙ activation(x·W_c + h·U_c + b_c)
/// h'      = o ⊙ activation(c')
/// ```
///
/// Four options that Keras has not, but the operator LSTM of ONNX has:
/// [`peepholes`](Lstm::peepholes) let the gates see the cell state, [`coupled`](Lstm::coupled)
/// makes f = 1 - i, [`state_activation`](Lstm::state_activation) is that of c' where it isn't the
/// candidate's, and [`clip`](RecurrentBuilder::clip) limits the sums that the gates are activations
/// of.
///
/// Source: Hochreiter & Schmidhuber 1997 and `keras.layers.LSTMCell`.
///
/// ```
/// use birnn::{Activation, Lstm};
/// let layer = Lstm::new(64).return_sequences(true).recurrent_activation(Activation::HardSigmoid);
/// ```
pub type Lstm = RecurrentBuilder<LstmCell>;

/// Keras's `GRU` layer. It reads `[batch, timesteps, features]` and returns
/// `[batch, timesteps, units]` with `return_sequences`, otherwise `[batch, units]`.
///
/// At each timestep it computes from the input x and the hidden state h the update gate z, the
/// reset gate r, the candidate ĥ and the next hidden state h'. W is `kernel`, U `recurrent_kernel`
/// and b `bias`, of which each gate has its own columns (W_h those of the candidate); ⊙ multiplies
/// value by value. With `reset_after` there is a recurrent bias, too: b_rh is the candidate's, and
/// that of z and r is added to their b.
///
/// ```text
/// z, r = recurrent_activation(x·W + h·U + b)           gates side by side in W, U, b: z r h
/// ĥ    = activation(x·W_h + b_h + r ⊙ (h·U_h + b_rh))  reset_after true (the default)
/// ĥ    = activation(x·W_h + b_h + (r ⊙ h)·U_h)         reset_after false
/// h'   = z ⊙ h + (1 - z) ⊙ ĥ
/// ```
///
/// Source: Cho et al. 2014 and `keras.layers.GRUCell`.
///
/// ```
/// let layer = birnn::Gru::new(64).reset_after(false).return_state(true);
/// ```
pub type Gru = RecurrentBuilder<GruCell>;

/// Keras's `SimpleRNN` layer. It reads `[batch, timesteps, features]` and returns
/// `[batch, timesteps, units]` with `return_sequences`, otherwise `[batch, units]`.
///
/// At each timestep it computes from the input x and the hidden state h the next hidden state
/// `h' = activation(x·W + h·U + b)`, where W is `kernel`, U `recurrent_kernel` and b `bias`.
///
/// ```
/// use birnn::{Activation, SimpleRnn};
/// let layer = SimpleRnn::new(16).activation(Activation::Relu);
/// ```
pub type SimpleRnn = RecurrentBuilder<SimpleRnnCell>;

/// Builds an [`Lstm`], [`Gru`] or [`SimpleRnn`], or with `RecurrentBuilder<Cell>` a layer of any
/// [`Cell`]: `new` makes a layer with Keras's default
/// arguments, and a method for each argument changes it. It converts by `into()` to a
/// [`Layer`](super::Layer), and to the [`Recurrent`] that a
/// [`Bidirectional`](super::Bidirectional) takes.
#[derive(Clone, Debug)]
pub struct RecurrentBuilder<C> {
    layer: Recurrent,
    cell: PhantomData<C>,
}

impl<C> From<RecurrentBuilder<C>> for Recurrent {
    fn from(builder: RecurrentBuilder<C>) -> Recurrent {
        builder.layer
    }
}

impl RecurrentBuilder<LstmCell> {
    /// An LSTM of `units` units: its hidden and cell states are `[batch, units]`.
    pub fn new(units: usize) -> Self {
        Self { layer: Recurrent::new(Cell::LSTM, units), cell: PhantomData }
    }

    /// Whether [`Model::initialize`](crate::Model::initialize) sets the forget gate's bias to one
    /// (default: true; Jozefowicz et al. 2015).
    pub fn unit_forget_bias(mut self, yes: bool) -> Self {
        self.layer.unit_forget_bias = yes;
        self
    }

    /// Whether the gates see the cell state (default: false), by a further weight `peepholes`,
    /// `[3, units]`, with rows p_i, p_f and p_o (Gers & Schmidhuber 2000). To the sums of i and f
    /// p_i ⊙ c and p_f ⊙ c are added, to that of o p_o ⊙ c', which is the new cell state.
    ///
    /// It is the input P of ONNX's LSTM, which has the rows in the order i, o, f.
    ///
    /// ```
    /// use birnn::{Lstm, Model};
    /// let model = Model::sequential(2, [Lstm::new(3).peepholes(true)])?.initialize(1)?;
    /// assert_eq!(model.weights("lstm")?[3].shape(), [3, 3]);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn peepholes(mut self, yes: bool) -> Self {
        self.layer.cell.options.peepholes = yes;
        self
    }

    /// Whether the forget gate is one minus the input gate (default: false): f = 1 - i, as with
    /// `input_forget` in ONNX. The columns of f in `kernel`, `recurrent_kernel` and `bias` are then
    /// there, but without effect.
    pub fn coupled(mut self, yes: bool) -> Self {
        self.layer.cell.options.coupled = yes;
        self
    }

    /// The activation of the new cell state in `h' = o ⊙ activation(c')`, where it isn't the
    /// `activation` of the candidate (default: it is). It has to be element-wise, and is the third
    /// of the activations of ONNX's LSTM.
    ///
    /// ```
    /// use birnn::{Activation, Lstm};
    /// let layer = Lstm::new(3).state_activation(Activation::Softsign);
    /// ```
    pub fn state_activation(mut self, activation: Activation) -> Self {
        self.layer.cell.options.state_activation = Some(activation);
        self
    }
}

impl RecurrentBuilder<GruCell> {
    /// A GRU of `units` units: its hidden state is `[batch, units]`.
    pub fn new(units: usize) -> Self {
        Self { layer: Recurrent::new(Cell::GRU, units), cell: PhantomData }
    }

    /// Whether the reset gate is applied after the product of hidden state and `recurrent_kernel`
    /// (true, the default) or before (false). With true the layer has a recurrent bias, and its
    /// `bias` is `[2, 3 · units]` instead of `[3 · units]`.
    pub fn reset_after(mut self, yes: bool) -> Self {
        let cell = if yes { Cell::GRU } else { Cell::GRU_RESET_BEFORE };
        self.layer.cell = cell.with(self.layer.cell.options);
        self
    }
}

impl RecurrentBuilder<SimpleRnnCell> {
    /// A SimpleRNN of `units` units: its hidden state is `[batch, units]`.
    pub fn new(units: usize) -> Self {
        Self { layer: Recurrent::new(Cell::SIMPLE_RNN, units), cell: PhantomData }
    }
}

impl RecurrentBuilder<Cell> {
    /// A layer of any cell, such as one that has no builder of its own.
    ///
    /// ```
    /// use birnn::layer::{Cell, RecurrentBuilder};
    /// use birnn::Model;
    /// let layer = RecurrentBuilder::of(Cell::GRU, 4).return_sequences(true);
    /// let model = Model::sequential(2, [layer])?.initialize(1)?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn of(cell: Cell, units: usize) -> Self {
        Self { layer: Recurrent::new(cell, units), cell: PhantomData }
    }
}

impl<C> RecurrentBuilder<C> {
    /// Limits the sums of all gates and candidates to what is between `-limit` and `limit`, before
    /// their activations (default: they have no limit). The limit has to be above zero. It is
    /// `clip` in ONNX.
    pub fn clip(mut self, limit: f32) -> Self {
        self.layer.cell.options.clip = Some(limit.into());
        self
    }
}

macro_rules! arguments {
    ($($(#[$doc:meta])* $name:ident: $type:ty),+ $(,)?) => {
        impl<C> RecurrentBuilder<C> {
            $($(#[$doc])* pub fn $name(mut self, $name: $type) -> Self {
                self.layer.$name = $name;
                self
            })+
        }
    };
}
arguments! {
    /// The activation of candidates and states (default: tanh; see also
    /// [`Lstm::state_activation`]). It has to be element-wise.
    activation: Activation,
    /// The activation of the gates (default: sigmoid). It has to be element-wise. A SimpleRNN has
    /// no gates and doesn't use it.
    recurrent_activation: Activation,
    /// Whether the layer has a bias (default: true).
    use_bias: bool,
    /// Whether the layer reads time from the last timestep to the first (default: false). A
    /// sequence that it returns is in the order of reading, as in Keras: its first timestep is that
    /// of the input's last.
    go_backwards: bool,
    /// Whether the output is the hidden state of every timestep, `[batch, timesteps, units]`, or
    /// that of the last one only, `[batch, units]` (default: false, the last one).
    return_sequences: bool,
    /// Whether the layer returns, after the output, its final states, each `[batch, units]`: the
    /// hidden state and for an LSTM the cell state (default: false).
    return_state: bool,
    /// Whether the output at a masked timestep is zero (true) or that of the timestep before it
    /// (default: false). A [`Bidirectional`](super::Bidirectional) sets it itself: to true with
    /// `return_sequences`, otherwise to false.
    zero_output_for_mask: bool,
    /// Whether each call of a session starts from the states that the last call ended with
    /// (default: false); see [`Session::reset_states`](crate::Session::reset_states).
    stateful: bool,
    /// How [`Model::initialize`](crate::Model::initialize) draws `kernel` (default:
    /// `GlorotUniform`).
    kernel_initializer: Initializer,
    /// How [`Model::initialize`](crate::Model::initialize) draws `recurrent_kernel` (default:
    /// `Orthogonal`).
    recurrent_initializer: Initializer,
    /// How [`Model::initialize`](crate::Model::initialize) draws `bias` (default: `Zeros`; see
    /// also [`Lstm::unit_forget_bias`]).
    bias_initializer: Initializer,
}

impl<C> RecurrentBuilder<C> {
    /// Gives the layer a name (default: its class in snake case, with a counter from the second
    /// layer of the class on: `lstm`, `lstm_1`).
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.layer.name = name.into();
        self
    }
}
