use super::{Activation, Direction, Initializer, WeightSpec, Weights};
use crate::error::{Error, Result};
use rand_chacha::ChaCha12Rng;
use std::{marker::PhantomData, sync::Arc};

/// The recurrence that a layer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cell {
    /// Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000).
    Lstm,
    /// Gated recurrent unit: `reset_after` true is cuDNN's and Keras's default form,
    /// false that of Cho et al. 2014.
    Gru {
        /// Apply the reset gate after the recurrent matmul (true) or before (false).
        reset_after: bool,
    },
    /// Fully connected recurrence (Elman 1990).
    SimpleRnn,
}

impl Cell {
    /// How many gates stand side by side in the kernels: 4, 3 or 1.
    pub fn gates(self) -> usize {
        match self {
            Cell::Lstm => 4,
            Cell::Gru { .. } => 3,
            Cell::SimpleRnn => 1,
        }
    }

    /// Whether it has a cell state beside the hidden state.
    pub fn has_cell_state(self) -> bool {
        self == Cell::Lstm
    }

    /// How many states a direction has: 2 for LSTM (hidden, cell), otherwise 1.
    pub fn states(self) -> usize {
        1 + usize::from(self.has_cell_state())
    }

    /// The Keras class of the layer that runs it.
    pub fn class_name(self) -> &'static str {
        match self {
            Cell::Lstm => "LSTM",
            Cell::Gru { .. } => "GRU",
            Cell::SimpleRnn => "SimpleRNN",
        }
    }

    /// Rows of the bias: 2 for a GRU with `reset_after`, where 1 means a vector.
    pub(crate) fn bias_rows(self) -> usize {
        if self == (Cell::Gru { reset_after: true }) { 2 } else { 1 }
    }
}

/// A recurrent layer of one direction: the arguments of Keras's `LSTM`, `GRU` and `SimpleRNN`,
/// and its weights. Built by [`Lstm`], [`Gru`] and [`SimpleRnn`].
#[derive(Clone, Debug, PartialEq)]
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

    /// The layer's name; empty until a model gives it one.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The recurrence.
    pub fn cell(&self) -> Cell {
        self.cell
    }

    /// The length of the hidden state.
    pub fn units(&self) -> usize {
        self.units
    }

    /// The activation of states and candidates.
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// The activation of the gates; SimpleRNN has none and ignores it.
    pub fn recurrent_activation(&self) -> Activation {
        self.recurrent_activation
    }

    /// Whether a bias is added.
    pub fn use_bias(&self) -> bool {
        self.use_bias
    }

    /// Whether time is read from the end.
    pub fn go_backwards(&self) -> bool {
        self.go_backwards
    }

    /// Whether the output is the hidden state at every timestep (true) or at the last one only.
    pub fn return_sequences(&self) -> bool {
        self.return_sequences
    }

    /// Whether the final states are returned after the output.
    pub fn return_state(&self) -> bool {
        self.return_state
    }

    /// Whether the output is zero at masked timesteps (true) or repeats the one before.
    pub fn zero_output_for_mask(&self) -> bool {
        self.zero_output_for_mask
    }

    /// Whether a call starts from the states that the last one ended with.
    pub fn stateful(&self) -> bool {
        self.stateful
    }

    /// The weights, once they are set.
    pub fn weights(&self) -> Option<&Weights> {
        self.weights.as_deref()
    }

    /// The same layer in the other direction, or with the other outputs at masked timesteps.
    #[cfg_attr(not(feature = "keras"), allow(dead_code))]
    pub(crate) fn with_flags(
        mut self,
        go_backwards: bool,
        zero_output_for_mask: bool,
    ) -> Recurrent {
        self.go_backwards = go_backwards;
        self.zero_output_for_mask = zero_output_for_mask;
        self
    }

    pub(super) fn weight_names(&self) -> Vec<&'static str> {
        let mut names = vec!["kernel", "recurrent_kernel"];
        names.extend(self.use_bias.then_some("bias"));
        names
    }

    /// The weights, in Keras's order.
    pub(super) fn weight_specs(&self, features: usize) -> Vec<WeightSpec> {
        let columns = self.cell.gates() * self.units;
        let bias = if self.cell.bias_rows() == 2 { vec![2, columns] } else { vec![columns] };
        let shapes = [vec![features, columns], vec![self.units, columns], bias];
        let initializers =
            [self.kernel_initializer, self.recurrent_initializer, self.bias_initializer];
        let names = self.weight_names().into_iter();
        names
            .zip(shapes)
            .zip(initializers)
            .map(|((name, shape), i)| WeightSpec::new(name, shape, i))
            .collect()
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
        Ok(())
    }

    pub(super) fn initialize(&mut self, features: usize, rng: &mut ChaCha12Rng) {
        let columns = self.cell.gates() * self.units;
        let kernel = self.kernel_initializer.sample(features, columns, rng);
        let recurrent_kernel = self.recurrent_initializer.sample(self.units, columns, rng);
        let rows = if self.use_bias { self.cell.bias_rows() } else { 0 };
        let initializer = if self.use_bias { self.bias_initializer } else { Initializer::Zeros };
        let bias = initializer.sample(2, columns, rng);
        let row = |i: usize| {
            if i < rows { bias.row(i).to_owned() } else { ndarray::Array1::zeros(columns) }
        };
        let mut weights =
            Weights { kernel, recurrent_kernel, bias: row(0), recurrent_bias: row(1) };
        if self.cell == Cell::Lstm && self.use_bias && self.unit_forget_bias {
            weights.bias.slice_mut(ndarray::s![self.units..2 * self.units]).fill(1.0);
        }
        self.weights = Some(weights.into());
    }

    /// Whether two directions can share a kernel launch: everything that shapes the computation is
    /// equal.
    #[cfg(feature = "gpu")]
    pub(crate) fn same_computation(&self, other: &Recurrent) -> bool {
        let key = |r: &Recurrent| {
            (r.cell, r.units, r.activation, r.recurrent_activation, r.zero_output_for_mask)
        };
        key(self) == key(other)
    }

    /// The names that its states have in messages.
    pub(crate) fn state_names(&self, direction: Direction) -> Vec<String> {
        let mut names = vec![format!("{direction} hidden state")];
        names.extend(self.cell.has_cell_state().then(|| format!("{direction} cell state")));
        names
    }
}

/// Marks an LSTM in [`RecurrentBuilder`].
#[derive(Clone, Copy, Debug)]
pub struct LstmCell;
/// Marks a GRU in [`RecurrentBuilder`].
#[derive(Clone, Copy, Debug)]
pub struct GruCell;
/// Marks a SimpleRNN in [`RecurrentBuilder`].
#[derive(Clone, Copy, Debug)]
pub struct SimpleRnnCell;

/// Keras's `LSTM` layer: `[batch, timesteps, features]` to `[batch, timesteps, units]` with
/// `return_sequences`, otherwise to `[batch, units]`.
///
/// ```text
/// i, f, o = recurrent_activation(x·W + h·U + b)        gates side by side in W, U, b: i f c o
/// c'      = f ⊙ c + i ⊙ activation(x·W_c + h·U_c + b_c)
/// h'      = o ⊙ activation(c')
/// ```
///
/// Source: Hochreiter & Schmidhuber 1997 and `keras.layers.LSTMCell`.
///
/// ```
/// use birnn::{Activation, Lstm};
/// let layer = Lstm::new(64).return_sequences(true).recurrent_activation(Activation::HardSigmoid);
/// ```
pub type Lstm = RecurrentBuilder<LstmCell>;

/// Keras's `GRU` layer: `[batch, timesteps, features]` to `[batch, timesteps, units]` with
/// `return_sequences`, otherwise to `[batch, units]`.
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

/// Keras's `SimpleRNN` layer, `h' = activation(x·W + h·U + b)`: `[batch, timesteps, features]` to
/// `[batch, timesteps, units]` with `return_sequences`, otherwise to `[batch, units]`.
///
/// ```
/// use birnn::{Activation, SimpleRnn};
/// let layer = SimpleRnn::new(16).activation(Activation::Relu);
/// ```
pub type SimpleRnn = RecurrentBuilder<SimpleRnnCell>;

/// Sets the arguments of an [`Lstm`], [`Gru`] or [`SimpleRnn`], with Keras's names and defaults.
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
    /// An LSTM with a hidden and a cell state of `units` each.
    pub fn new(units: usize) -> Self {
        Self { layer: Recurrent::new(Cell::Lstm, units), cell: PhantomData }
    }

    /// Start the forget gate's bias at one (default true; Jozefowicz et al. 2015).
    pub fn unit_forget_bias(mut self, yes: bool) -> Self {
        self.layer.unit_forget_bias = yes;
        self
    }
}

impl RecurrentBuilder<GruCell> {
    /// A GRU with a hidden state of `units`.
    pub fn new(units: usize) -> Self {
        Self { layer: Recurrent::new(Cell::Gru { reset_after: true }, units), cell: PhantomData }
    }

    /// Apply the reset gate after the recurrent matmul (default true) or before.
    pub fn reset_after(mut self, yes: bool) -> Self {
        self.layer.cell = Cell::Gru { reset_after: yes };
        self
    }
}

impl RecurrentBuilder<SimpleRnnCell> {
    /// A SimpleRNN with a hidden state of `units`.
    pub fn new(units: usize) -> Self {
        Self { layer: Recurrent::new(Cell::SimpleRnn, units), cell: PhantomData }
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
    /// The activation of states and candidates (default tanh).
    activation: Activation,
    /// The activation of the gates (default sigmoid). SimpleRNN has no gates and ignores it.
    recurrent_activation: Activation,
    /// Add a bias (default true).
    use_bias: bool,
    /// Read time from the end (default false). The output stays in the order of reading, as in
    /// Keras.
    go_backwards: bool,
    /// Return the hidden state of every timestep (default false: only of the last).
    return_sequences: bool,
    /// Return the final states after the output (default false).
    return_state: bool,
    /// At masked timesteps return zeros (default false: the output of the timestep before). A
    /// [`Bidirectional`](super::Bidirectional) with `return_sequences` always does.
    zero_output_for_mask: bool,
    /// Start each call of a session from the states that the last one ended with (default false);
    /// see [`Session::reset_states`](crate::Session::reset_states).
    stateful: bool,
    /// How `kernel` starts (default glorot_uniform).
    kernel_initializer: Initializer,
    /// How `recurrent_kernel` starts (default orthogonal).
    recurrent_initializer: Initializer,
    /// How `bias` starts (default zeros; see [`Lstm::unit_forget_bias`]).
    bias_initializer: Initializer,
}

impl<C> RecurrentBuilder<C> {
    /// The layer's name (default: the class in snake case, with a counter).
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.layer.name = name.into();
        self
    }
}
