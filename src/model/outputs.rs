use crate::error::{Error, Result};
use crate::layer::{Direction, Role};
use ndarray::{Array3, ArrayD, ArrayView2, Ix2};

/// One array that a model returned.
#[derive(Clone, Debug, PartialEq)]
pub struct Output<F = f32> {
    /// The name of the layer that it comes from; the input's where the model returns an input.
    pub layer: String,
    /// Its role, such as output or final state.
    pub role: Role,
    /// Its values. An output has the layer's shape, such as `[batch, timesteps, features]` or
    /// `[batch, features]`; a state is `[batch, units]`.
    pub array: ArrayD<F>,
}

/// The arrays that a model returned, in Keras's order and by name.
///
/// Keras's `o, h1, c1, h2, c2 = model(x)` of a bidirectional LSTM with `return_state` becomes
/// [`output()`](Outputs::output), [`forward().hidden()`](DirectionOutputs::hidden),
/// [`forward().cell()`](DirectionOutputs::cell),
/// [`backward().hidden()`](DirectionOutputs::hidden) and
/// [`backward().cell()`](DirectionOutputs::cell).
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs<F = f32> {
    list: Vec<Output<F>>,
}

impl<F> Outputs<F> {
    /// `list` is never empty: a model has an output.
    pub(crate) fn new(list: Vec<Output<F>>) -> Outputs<F> {
        Outputs { list }
    }

    /// Sequences get this many timesteps, their last one repeated.
    pub(crate) fn with_padding(self, timesteps: usize) -> Outputs<F>
    where
        F: Clone,
    {
        let padded = |output: Output<F>| {
            let found = output.array.shape().to_vec();
            let [batch, computed, features] = found[..] else { return output };
            let places = (batch, timesteps, features);
            let at = |(row, t, feature): (usize, usize, usize)| {
                output.array[[row, t.min(computed - 1), feature]].clone()
            };
            Output { array: Array3::from_shape_fn(places, at).into_dyn(), ..output }
        };
        Outputs { list: self.list.into_iter().map(padded).collect() }
    }

    /// All arrays, in the order in which Keras's model returns them.
    pub fn list(&self) -> &[Output<F>] {
        &self.list
    }

    /// All arrays, in the order of [`Outputs::list`], without copying them.
    pub fn into_list(self) -> Vec<Output<F>> {
        self.list
    }

    /// The first array that the model returned. Where that is the output of a recurrent layer, it
    /// is `[batch, timesteps, features]` with `return_sequences`, otherwise `[batch, features]`.
    pub fn output(&self) -> &ArrayD<F> {
        &self.list[0].array
    }

    /// The output of the layer with this name, in the shape that the layer gives it. For models
    /// with several outputs.
    ///
    /// ```
    /// use birnn::{Dense, Device, Graph, Gru};
    /// let mut graph = Graph::new();
    /// let x = graph.sequence_input("x", None, 2)?;
    /// let h = graph.add(Gru::new(4), x)?[0];
    /// let tag = graph.add(Dense::new(5).named("tag"), h)?[0];
    /// let score = graph.add(Dense::new(1).named("score"), h)?[0];
    /// let model = graph.build([tag, score])?.initialize(1)?;
    /// let x = ndarray::Array3::<f32>::ones((3, 6, 2));
    /// let outputs = Device::cpu().compile(&model)?.run(x.view())?;
    /// assert_eq!(outputs.named("score")?.shape(), [3, 1]);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSuchOutput`] where the model returns no output of such a layer.
    pub fn named(&self, layer: &str) -> Result<&ArrayD<F>> {
        let found =
            self.list.iter().find(|output| output.layer == layer && output.role == Role::Output);
        found.map(|output| &output.array).ok_or_else(|| Error::NoSuchOutput {
            wanted: format!("{} of {layer}", Role::Output),
            available: self
                .list
                .iter()
                .map(|output| format!("{} of {}", output.role, output.layer))
                .collect(),
        })
    }

    /// The states and outputs of the forward direction: each is that of the first layer in the list
    /// that returns one. A recurrent layer that isn't bidirectional counts as forward.
    pub fn forward(&self) -> DirectionOutputs<'_, F> {
        DirectionOutputs { list: self.list.iter().collect(), direction: Direction::Forward }
    }

    /// The states and outputs of the backward direction: each is that of the first layer in the
    /// list that returns one.
    pub fn backward(&self) -> DirectionOutputs<'_, F> {
        DirectionOutputs { list: self.list.iter().collect(), direction: Direction::Backward }
    }

    /// The states and outputs of one direction of the layer with this name.
    ///
    /// # Errors
    /// [`Error::UnknownLayer`] where the model returns no array of such a layer.
    pub fn of_layer(&self, layer: &str, direction: Direction) -> Result<DirectionOutputs<'_, F>> {
        let list: Vec<_> = self.list.iter().filter(|o| o.layer == layer).collect();
        if list.is_empty() {
            let mut known: Vec<_> = self.list.iter().map(|o| o.layer.clone()).collect();
            known.dedup();
            return Err(Error::UnknownLayer { name: layer.to_string(), known });
        }
        Ok(DirectionOutputs { list, direction })
    }
}

/// The final states and the output of one direction of a layer, as far as the model returns them;
/// see [`Outputs::forward`].
#[derive(Clone, Debug)]
pub struct DirectionOutputs<'a, F = f32> {
    list: Vec<&'a Output<F>>,
    direction: Direction,
}

impl<'a, F> DirectionOutputs<'a, F> {
    fn find(&self, role: Role) -> Result<&'a ArrayD<F>> {
        let found = self.list.iter().find(|output| output.role == role).map(|output| &output.array);
        found.ok_or_else(|| Error::NoSuchOutput {
            wanted: format!("{role} (is return_state set?)"),
            available: self.list.iter().map(|o| format!("{} of {}", o.role, o.layer)).collect(),
        })
    }

    fn state(&self, role: Role) -> Result<ArrayView2<'a, F>> {
        let array = self.find(role)?;
        array.view().into_dimensionality::<Ix2>().map_err(|_| Error::NoSuchOutput {
            wanted: format!("{role} of two axes"),
            available: vec![format!("{:?} in Outputs::list", array.shape())],
        })
    }

    /// The direction's own output, of a bidirectional layer with
    /// [`MergeMode::None`](crate::MergeMode::None): `[batch, timesteps, units]` with
    /// `return_sequences`, otherwise `[batch, units]`.
    ///
    /// # Errors
    /// [`Error::NoSuchOutput`] with any other `merge_mode`.
    pub fn output(&self) -> Result<&'a ArrayD<F>> {
        self.find(Role::DirectionOutput(self.direction))
    }

    /// The final hidden state, `[batch, units]`: that after the last timestep which the direction
    /// reads.
    ///
    /// # Errors
    /// [`Error::NoSuchOutput`] where the model doesn't return it; the layer needs `return_state`.
    pub fn hidden(&self) -> Result<ArrayView2<'a, F>> {
        self.state(Role::HiddenState(self.direction))
    }

    /// The final cell state of an LSTM, `[batch, units]`: that after the last timestep which the
    /// direction reads.
    ///
    /// # Errors
    /// [`Error::NoSuchOutput`] where the model doesn't return it; the layer needs `return_state`,
    /// and only an LSTM has a cell state.
    pub fn cell(&self) -> Result<ArrayView2<'a, F>> {
        self.state(Role::CellState(self.direction))
    }
}
