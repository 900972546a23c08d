use super::{Model, Shape};
use crate::error::{Error, Result};
use crate::layer::{Direction, Layer};
use ndarray::{ArrayView, ArrayView2, ArrayView3, ArrayViewD, Dimension};

/// What a call of a model reads: its inputs, and the initial states of its layers (zeros where not given).
///
/// An `ArrayView3` alone converts to it, so `session.run(x.view())` works.
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
    arrays: Vec<ArrayViewD<'a, F>>,
    states: Vec<StateInput<'a, F>>,
}

#[derive(Clone, Debug)]
struct StateInput<'a, F> {
    /// The layer's name; none means the first layer.
    layer: Option<String>,
    place: Place,
    array: ArrayView2<'a, F>,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// By direction, and whether it is the cell state.
    Named(Direction, bool),
    /// By its place in Keras's list of `of` states.
    Listed { index: usize, of: usize },
}

impl<'a, F> Inputs<'a, F> {
    /// The model's first input, `[batch, timesteps, features]`.
    pub fn new<D: Dimension>(x: ArrayView<'a, F, D>) -> Inputs<'a, F> {
        Inputs { arrays: vec![x.into_dyn()], states: Vec::new() }
    }

    /// The model's next input, in the order of [`Model::input_names`].
    pub fn input<D: Dimension>(mut self, x: ArrayView<'a, F, D>) -> Inputs<'a, F> {
        self.arrays.push(x.into_dyn());
        self
    }

    /// The hidden state that the first layer's direction starts from, `[batch, units]`.
    pub fn hidden_state(self, direction: Direction, state: ArrayView2<'a, F>) -> Inputs<'a, F> {
        self.state(None, Place::Named(direction, false), state)
    }

    /// The cell state that the first layer's direction starts from, `[batch, units]`.
    pub fn cell_state(self, direction: Direction, state: ArrayView2<'a, F>) -> Inputs<'a, F> {
        self.state(None, Place::Named(direction, true), state)
    }

    /// Keras's `initial_state` list of the first layer: hidden and (LSTM) cell state of forward, then of backward,
    /// each `[batch, units]`.
    pub fn initial_state(self, states: impl IntoIterator<Item = ArrayView2<'a, F>>) -> Inputs<'a, F> {
        self.listed(None, states)
    }

    /// [`Inputs::initial_state`] of the layer with this name.
    pub fn initial_state_of(self, layer: &str, states: impl IntoIterator<Item = ArrayView2<'a, F>>) -> Inputs<'a, F> {
        self.listed(Some(layer.to_string()), states)
    }

    fn listed(mut self, layer: Option<String>, states: impl IntoIterator<Item = ArrayView2<'a, F>>) -> Inputs<'a, F> {
        let states: Vec<_> = states.into_iter().collect();
        let of = states.len();
        for (index, array) in states.into_iter().enumerate() {
            self = self.state(layer.clone(), Place::Listed { index, of }, array);
        }
        self
    }

    fn state(mut self, layer: Option<String>, place: Place, array: ArrayView2<'a, F>) -> Inputs<'a, F> {
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

/// Inputs that fit the model: what every backend reads.
#[derive(Debug)]
pub(crate) struct Bound<'a, F> {
    #[cfg_attr(not(feature = "gpu"), allow(dead_code))]
    pub batch: usize,
    /// The model's inputs, in order.
    pub arrays: Vec<ArrayViewD<'a, F>>,
    /// The timesteps of each input; 1 for a state input.
    #[cfg_attr(not(feature = "gpu"), allow(dead_code))]
    pub timesteps: Vec<usize>,
    /// For each node its initial states in Keras's order, where the call gives them.
    pub states: Vec<Vec<Option<ArrayView2<'a, F>>>>,
}

impl Model {
    /// Checks the inputs against the model.
    pub(crate) fn bind<'a, F>(&self, inputs: Inputs<'a, F>) -> Result<Bound<'a, F>> {
        if inputs.arrays.len() != self.inputs.len() {
            return Err(Error::InputCount {
                expected: self.inputs.len(),
                names: self.input_names(),
                found: inputs.arrays.len(),
            });
        }
        let batch = inputs.arrays[0].shape().first().copied().unwrap_or(0);
        let mut timesteps = Vec::new();
        for (index, array) in inputs.arrays.iter().enumerate() {
            timesteps.push(self.check_input(index, array.shape(), batch)?);
        }
        let states = self.bind_states(inputs.states, batch)?;
        Ok(Bound { batch, arrays: inputs.arrays, timesteps, states })
    }

    /// Checks one input's shape; returns its timesteps.
    fn check_input(&self, index: usize, found: &[usize], batch: usize) -> Result<usize> {
        let spec = &self.inputs[index];
        let input = format!("input {:?}", spec.name);
        let any = "batch".to_string();
        let batch_name = if index == 0 { any } else { batch.to_string() };
        let (expected, fits) = match self.tensors[spec.tensor].shape {
            Shape::Sequence { features, .. } => {
                let timesteps = spec.timesteps.map_or("timesteps".to_string(), |t| t.to_string());
                let fits = found.len() == 3 && found[2] == features && spec.timesteps.is_none_or(|t| t == found[1]);
                (format!("[{batch_name}, {timesteps}, {features}]"), fits)
            }
            Shape::Vector { features } => {
                (format!("[{batch_name}, {features}]"), found.len() == 2 && found[1] == features)
            }
        };
        let empty = found.iter().position(|&n| n == 0).filter(|_| fits);
        if let Some(axis) = empty {
            let axis = ["batch", "timesteps", "features"][axis.min(2)];
            return Err(Error::EmptyAxis { input, axis, shape: found.to_vec() });
        }
        if !fits || found[0] != batch {
            return Err(Error::InputShape { input, found: found.to_vec(), expected });
        }
        Ok(if found.len() == 3 { found[1] } else { 1 })
    }

    fn bind_states<'a, F>(
        &self,
        given: Vec<StateInput<'a, F>>,
        batch: usize,
    ) -> Result<Vec<Vec<Option<ArrayView2<'a, F>>>>> {
        let mut states: Vec<Vec<Option<ArrayView2<'a, F>>>> = self
            .nodes
            .iter()
            .map(|node| {
                let layer = &self.layers[node.layer].layer;
                let count = layer.directions().iter().map(|(_, l)| l.cell().states()).sum();
                std::iter::repeat_with(|| None).take(count).collect()
            })
            .collect();
        for state in given {
            let node = self.state_node(state.layer.as_deref())?;
            let layer = &self.layers[self.nodes[node].layer].layer;
            let (index, units) = self.state_slot(layer, state.place)?;
            if state.array.shape() != [batch, units] {
                return Err(Error::InputShape {
                    input: format!("initial state {index} of layer {:?}", layer.name()),
                    found: state.array.shape().to_vec(),
                    expected: format!("[{batch}, {units}]"),
                });
            }
            states[node][index] = Some(state.array);
        }
        Ok(states)
    }

    /// The node whose initial states a call sets: the only one of the layer, and not set by the graph already.
    fn state_node(&self, layer: Option<&str>) -> Result<usize> {
        let name = |node: usize| self.layers[self.nodes[node].layer].layer.name();
        let nodes: Vec<usize> = match layer {
            None => vec![0],
            Some(layer) => (0..self.nodes.len()).filter(|&node| name(node) == layer).collect(),
        };
        let wrong = |node: usize, reason: &str| Error::Argument {
            layer: name(node).to_string(),
            argument: "initial_state".into(),
            reason: reason.to_string(),
        };
        match nodes[..] {
            [] => Err(Error::UnknownLayer { name: layer.unwrap_or_default().to_string(), known: self.layer_names() }),
            [node] if self.nodes[node].initial_state.is_empty() => Ok(node),
            [node] => Err(wrong(node, "the model already sets it from another layer or an input")),
            [node, ..] => Err(wrong(node, "the layer is called several times; give the states as inputs of the model")),
        }
    }

    /// Where a state stands in the layer's list, and its units.
    fn state_slot(&self, layer: &Layer, place: Place) -> Result<(usize, usize)> {
        let slots: Vec<(Direction, bool, usize)> = layer
            .directions()
            .into_iter()
            .flat_map(|(direction, l)| (0..l.cell().states()).map(move |s| (direction, s == 1, l.units())))
            .collect();
        let wrong = |reason: String| {
            Err(Error::Argument { layer: layer.name().to_string(), argument: "initial_state".into(), reason })
        };
        match place {
            Place::Listed { of, .. } if of != slots.len() => {
                wrong(format!("the list needs {} arrays, got {of}", slots.len()))
            }
            Place::Listed { index, .. } => Ok((index, slots[index].2)),
            Place::Named(direction, cell) => {
                match slots.iter().position(|slot| (slot.0, slot.1) == (direction, cell)) {
                    Some(index) => Ok((index, slots[index].2)),
                    None => wrong(format!(
                        "a {} layer has no {direction} {} state",
                        layer.class_name(),
                        if cell { "cell" } else { "hidden" }
                    )),
                }
            }
        }
    }
}
