use super::few::Few;
use crate::layer::{Direction, Role};
use ndarray::{Array2, ArrayView, ArrayView2, ArrayView3, ArrayViewD, Dimension};

/// What a call of a model reads: an array for each input, and where needed masks and the initial
/// states of recurrent layers.
///
/// An initial state that isn't given is zeros, or for a stateful layer the state that the last call
/// ended with. An `ArrayView3` or `ArrayViewD` alone converts to `Inputs`, so
/// `session.run(x.view())` works for a model with one input.
///
/// ```
/// use birnn::{Bidirectional, Device, Direction, Gru, Inputs, Model};
/// use ndarray::{Array2, Array3};
///
/// let model = Model::sequential(2, [Bidirectional::new(Gru::new(3))])?.initialize(7)?;
/// let (x, h) = (Array3::<f32>::zeros((4, 5, 2)), Array2::<f32>::ones((4, 3)));
/// let inputs = Inputs::new(x.view()).hidden_state(Direction::Backward, h.view());
/// let outputs = Device::cpu().compile(&model)?.run(inputs)?;
/// # Ok::<(), birnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Inputs<'a, F = f32> {
    pub(super) arrays: Few<ArrayViewD<'a, F>, 2>,
    /// Of each array the name of its input, where they are given by name.
    pub(super) names: Few<Option<&'a str>, 2>,
    pub(super) states: Few<StateInput<'a, F>, 4>,
    /// For one of the arrays, by its index.
    pub(super) masks: Vec<(usize, MaskInput)>,
}

#[derive(Clone, Debug)]
pub(super) enum MaskInput {
    Mask(Array2<bool>),
    Lengths(Vec<usize>),
}

#[derive(Clone, Debug)]
pub(super) struct StateInput<'a, F> {
    /// The layer's name; none means the first layer.
    pub layer: Option<&'a str>,
    pub place: WhichState,
    pub array: ArrayViewD<'a, F>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum WhichState {
    Named(Role),
    /// By its place in Keras's list of `count` states.
    Listed {
        index: usize,
        count: usize,
    },
}

impl<'a, F> Inputs<'a, F> {
    /// Starts with the array of the model's first input: `[batch, timesteps, features]`, or what
    /// the model was built for, such as the ids of an embedding, `[batch, timesteps]`.
    /// [`Inputs::input`] adds the others.
    pub fn new<D: Dimension>(x: ArrayView<'a, F, D>) -> Inputs<'a, F> {
        Inputs::of(None, x)
    }

    fn of<D: Dimension>(name: Option<&'a str>, x: ArrayView<'a, F, D>) -> Inputs<'a, F> {
        let (arrays, names) = (Few::default(), Few::default());
        let inputs = Inputs { arrays, names, states: Few::default(), masks: Vec::new() };
        inputs.with(name, x)
    }

    fn with<D: Dimension>(
        mut self,
        name: Option<&'a str>,
        x: ArrayView<'a, F, D>,
    ) -> Inputs<'a, F> {
        self.arrays.push(x.into_dyn());
        self.names.push(name);
        self
    }

    /// Starts with the array of the input with this name, in the shape that the model was built
    /// for. [`Inputs::input_named`] adds the others, in any order.
    ///
    /// ```
    /// use birnn::{Call, Device, Graph, Inputs, layer::Merge};
    /// use ndarray::Array3;
    ///
    /// let mut graph = Graph::new();
    /// let left = graph.sequence_input("left", None, 2)?;
    /// let right = graph.sequence_input("right", None, 2)?;
    /// let difference = graph.add(Merge::subtract(), Call::on([left, right]))?;
    /// let mut session = Device::cpu().compile(&graph.build(difference)?)?;
    /// let (one, two) = (Array3::<f32>::ones((1, 4, 2)), Array3::<f32>::from_elem((1, 4, 2), 2.0));
    /// let inputs = Inputs::named("right", two.view()).input_named("left", one.view());
    /// let outputs = session.run(inputs)?;
    /// assert_eq!(outputs.output()[[0, 0, 0]], -1.0);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn named<D: Dimension>(name: &'a str, x: ArrayView<'a, F, D>) -> Inputs<'a, F> {
        Inputs::of(Some(name), x)
    }

    /// Adds the array of the input with this name, in the shape that the model was built for.
    /// Either all inputs are given by name, or none.
    pub fn input_named<D: Dimension>(self, name: &'a str, x: ArrayView<'a, F, D>) -> Inputs<'a, F> {
        self.with(Some(name), x)
    }

    /// Adds the array of the model's next input, in the order of
    /// [`Model::input_names`](crate::Model::input_names) and in the shape that the model was built
    /// for.
    pub fn input<D: Dimension>(self, x: ArrayView<'a, F, D>) -> Inputs<'a, F> {
        self.with(None, x)
    }

    /// Gives the input that was added last a mask, `[batch, timesteps]`: true where the timestep
    /// counts. The input has to be `[batch, timesteps, features]`, or have more axes.
    ///
    /// Layers treat it as Keras treats the mask that an array carries: recurrent layers keep their
    /// states at masked timesteps, and layers hand the mask on. An input takes a mask or lengths,
    /// not both.
    ///
    /// ```
    /// use birnn::{Device, Inputs, Lstm, Model};
    /// let model = Model::sequential(2, [Lstm::new(3)])?.initialize(7)?;
    /// let x = ndarray::Array3::<f32>::ones((2, 4, 2));
    /// let mask = ndarray::arr2(&[[true, true, false, false], [true, true, true, true]]);
    /// let mut session = Device::cpu().compile(&model)?;
    /// let masked = session.run(Inputs::new(x.view()).mask(mask.view()))?;
    /// assert_eq!(masked, session.run(Inputs::new(x.view()).lengths(&[2, 4]))?);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn mask(self, mask: ArrayView2<bool>) -> Inputs<'a, F> {
        self.masked(MaskInput::Mask(mask.to_owned()))
    }

    /// Gives the input that was added last a mask (see [`Inputs::mask`]) by the number of timesteps
    /// that count in each row, `[batch]`: row `i` has its first `lengths[i]` timesteps, and the
    /// rest is padding.
    ///
    /// In a model with one such input and recurrent layers only, none of them with `go_backwards`,
    /// the timesteps that are padding in every row are left out of the work, all but the first.
    pub fn lengths(self, lengths: &[usize]) -> Inputs<'a, F> {
        self.masked(MaskInput::Lengths(lengths.to_vec()))
    }

    fn masked(mut self, mask: MaskInput) -> Inputs<'a, F> {
        self.masks.push((self.arrays.len() - 1, mask));
        self
    }

    /// Sets the hidden state, `[batch, units]`, that a direction of the model's first recurrent
    /// layer starts from. A layer that isn't bidirectional has the direction
    /// [`Direction::Forward`].
    pub fn hidden_state<D: Dimension>(
        self,
        direction: Direction,
        state: ArrayView<'a, F, D>,
    ) -> Inputs<'a, F> {
        self.state(None, WhichState::Named(Role::HiddenState(direction)), state.into_dyn())
    }

    /// Sets the cell state, `[batch, units]`, that a direction of the model's first recurrent
    /// layer, an LSTM, starts from.
    pub fn cell_state<D: Dimension>(
        self,
        direction: Direction,
        state: ArrayView<'a, F, D>,
    ) -> Inputs<'a, F> {
        self.state(None, WhichState::Named(Role::CellState(direction)), state.into_dyn())
    }

    /// Sets all states that the model's first recurrent layer starts from, in the order of Keras's
    /// `initial_state`: the hidden state and for an LSTM the cell state, each `[batch, units]`; for
    /// a bidirectional layer those of the forward direction, then those of the backward one. A
    /// [`ConvLstm2d`](crate::layer::ConvLstm2d) and its kin have states of more axes.
    pub fn initial_state<D: Dimension>(
        self,
        states: impl IntoIterator<Item = ArrayView<'a, F, D>>,
    ) -> Inputs<'a, F> {
        self.listed(None, states)
    }

    /// Sets all states that the recurrent layer with this name starts from, as
    /// [`Inputs::initial_state`] does for the first one.
    pub fn initial_state_of<D: Dimension>(
        self,
        layer: &'a str,
        states: impl IntoIterator<Item = ArrayView<'a, F, D>>,
    ) -> Inputs<'a, F> {
        self.listed(Some(layer), states)
    }

    fn listed<D: Dimension>(
        mut self,
        layer: Option<&'a str>,
        states: impl IntoIterator<Item = ArrayView<'a, F, D>>,
    ) -> Inputs<'a, F> {
        let before = self.states.len();
        for (index, array) in states.into_iter().enumerate() {
            // How many there are is known behind the last one.
            self = self.state(layer, WhichState::Listed { index, count: 0 }, array.into_dyn());
        }
        let count = self.states.len() - before;
        for state in self.states.iter_mut().skip(before) {
            if let WhichState::Listed { count: listed, .. } = &mut state.place {
                *listed = count;
            }
        }
        self
    }

    fn state(
        mut self,
        layer: Option<&'a str>,
        place: WhichState,
        array: ArrayViewD<'a, F>,
    ) -> Inputs<'a, F> {
        self.states.push(StateInput { layer, place, array });
        self
    }
}

impl<'a, F> From<ArrayView3<'a, F>> for Inputs<'a, F> {
    fn from(x: ArrayView3<'a, F>) -> Inputs<'a, F> {
        Inputs::new(x)
    }
}

impl<'a, F> From<ArrayViewD<'a, F>> for Inputs<'a, F> {
    fn from(x: ArrayViewD<'a, F>) -> Inputs<'a, F> {
        Inputs::new(x)
    }
}
