use super::{BuiltLayer, InputSpec, Model, Node, Role, Shape, TensorSpec};
use crate::error::{Error, Result};
use crate::layer::{Direction, Layer, MergeMode};
use std::collections::HashMap;

/// Builds a [`Model`] whose layers are not just in a row: several inputs and outputs, branches,
/// shared layers, states handed from one layer to another. Keras's functional API.
///
/// ```
/// use birnn::{Device, Graph, Inputs, Lstm};
/// use ndarray::Array3;
///
/// // An encoder hands its final states to a decoder.
/// let mut graph = Graph::new();
/// let source = graph.sequence_input("source", None, 5)?;
/// let target = graph.sequence_input("target", None, 4)?;
/// let encoded = graph.add(Lstm::new(8).return_state(true), source)?; // output, hidden, cell
/// let decoded = graph.add_with_state(Lstm::new(8).return_sequences(true), target, &encoded[1..])?;
/// let model = graph.build(decoded)?.initialize(1)?;
///
/// let (source, target) = (Array3::<f32>::zeros((2, 7, 5)), Array3::<f32>::zeros((2, 3, 4)));
/// let inputs = Inputs::new(source.view()).input(target.view());
/// let outputs = Device::cpu().compile(&model)?.run(inputs)?;
/// assert_eq!(outputs.output().shape(), [2, 3, 8]);
/// # Ok::<(), birnn::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Graph {
    inputs: Vec<InputSpec>,
    /// The layers, with the features of their input once they are called.
    layers: Vec<(Layer, Option<usize>)>,
    nodes: Vec<Node>,
    tensors: Vec<TensorSpec>,
    counters: HashMap<String, usize>,
}

/// An array in a [`Graph`]: an input, or what a layer returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tensor(usize);

/// A layer in a [`Graph`] that can be called several times, with the same weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerId(usize);

impl Graph {
    /// An empty graph.
    pub fn new() -> Graph {
        Graph::default()
    }

    /// An input of `[batch, timesteps, features]`; with `timesteps` given it takes no other number of them.
    ///
    /// # Errors
    /// [`Error::Graph`] where `features` or `timesteps` is zero or the name is taken.
    pub fn sequence_input(&mut self, name: &str, timesteps: Option<usize>, features: usize) -> Result<Tensor> {
        if timesteps == Some(0) {
            return Err(Error::Graph(format!("input {name:?} has 0 timesteps")));
        }
        let shape = Shape::Sequence { timesteps_of: self.inputs.len(), features };
        self.input(name, timesteps, shape)
    }

    /// An input of `[batch, features]`: an initial state of a layer with as many units.
    ///
    /// # Errors
    /// [`Error::Graph`] where `features` is zero or the name is taken.
    pub fn state_input(&mut self, name: &str, features: usize) -> Result<Tensor> {
        self.input(name, None, Shape::Vector { features })
    }

    fn input(&mut self, name: &str, timesteps: Option<usize>, shape: Shape) -> Result<Tensor> {
        if shape.features() == 0 || shape.features() >= 1 << 31 {
            return Err(Error::Graph(format!(
                "input {name:?} has {} features; it needs 1 to 2^31 - 1",
                shape.features()
            )));
        }
        if self.inputs.iter().any(|input| input.name == name) {
            return Err(Error::Graph(format!("two inputs are named {name:?}")));
        }
        let tensor = self.tensor(shape, Role::Input, name);
        self.inputs.push(InputSpec { name: name.to_string(), tensor: tensor.0, timesteps });
        Ok(tensor)
    }

    fn tensor(&mut self, shape: Shape, role: Role, source: &str) -> Tensor {
        self.tensors.push(TensorSpec { shape, role, source: source.to_string() });
        Tensor(self.tensors.len() - 1)
    }

    /// Adds a layer without calling it yet, so that it can be called several times.
    ///
    /// # Errors
    /// [`Error::Argument`] where its arguments don't fit together, [`Error::Graph`] where its name is taken.
    pub fn layer(&mut self, layer: impl Into<Layer>) -> Result<LayerId> {
        let mut layer = layer.into();
        if layer.name().is_empty() {
            let name = self.fresh_name(layer.class_name());
            layer.set_name(name);
        }
        layer.check()?;
        if self.layers.iter().any(|(other, _)| other.name() == layer.name()) {
            return Err(Error::Graph(format!("two layers are named {:?}", layer.name())));
        }
        self.layers.push((layer, None));
        Ok(LayerId(self.layers.len() - 1))
    }

    /// Keras's default name: the class in snake case, with a counter from the second on.
    fn fresh_name(&mut self, class_name: &str) -> String {
        let base = match class_name {
            "SimpleRNN" => "simple_rnn".to_string(),
            other => other.to_lowercase(),
        };
        let counter = self.counters.entry(base.clone()).or_insert(0);
        *counter += 1;
        if *counter == 1 { base } else { format!("{base}_{}", *counter - 1) }
    }

    /// Adds a layer and calls it on `input`; returns its outputs in Keras's order: the output (two with
    /// `merge_mode` none), then with `return_state` forward's hidden and cell state, then backward's.
    ///
    /// # Errors
    /// As [`Graph::layer`] and [`Graph::call`].
    pub fn add(&mut self, layer: impl Into<Layer>, input: Tensor) -> Result<Vec<Tensor>> {
        self.add_with_state(layer, input, &[])
    }

    /// [`Graph::add`] with `initial_state`: hidden and cell state of forward, then of backward, each `[batch, units]`.
    ///
    /// # Errors
    /// As [`Graph::layer`] and [`Graph::call`].
    pub fn add_with_state(
        &mut self,
        layer: impl Into<Layer>,
        input: Tensor,
        initial_state: &[Tensor],
    ) -> Result<Vec<Tensor>> {
        let layer = self.layer(layer)?;
        let results = self.call(layer, input, initial_state);
        if results.is_err() {
            self.layers.pop(); // a layer that was never called could not be built
        }
        results
    }

    /// Calls a layer on `input` (`[batch, timesteps, features]`), with its initial states or with none (zeros).
    ///
    /// # Errors
    /// [`Error::Graph`] where `input` is no sequence, has other features than at an earlier call, or the
    /// states are not as many and as long as the layer needs.
    pub fn call(&mut self, layer: LayerId, input: Tensor, initial_state: &[Tensor]) -> Result<Vec<Tensor>> {
        let Some((built, features)) = self.layers.get(layer.0).cloned() else {
            return Err(Error::Graph("a LayerId of another graph was used".into()));
        };
        let (timesteps_of, found) = self.sequence(built.name(), input)?;
        if let Some(features) = features.filter(|&features| features != found) {
            let name = built.name();
            return Err(Error::Graph(format!("layer {name:?} was built for {features} features, called on {found}")));
        }
        self.check_states(&built, initial_state)?;
        self.layers[layer.0].1 = Some(found);
        let results = self.results(&built, timesteps_of);
        self.nodes.push(Node {
            layer: layer.0,
            input: input.0,
            initial_state: initial_state.iter().map(|t| t.0).collect(),
            results: results.iter().map(|t| t.0).collect(),
        });
        Ok(results)
    }

    /// The timesteps and features of a layer's input.
    fn sequence(&self, layer: &str, input: Tensor) -> Result<(usize, usize)> {
        match self.tensors.get(input.0) {
            Some(TensorSpec { shape: Shape::Sequence { timesteps_of, features }, .. }) => {
                Ok((*timesteps_of, *features))
            }
            Some(spec) => Err(Error::Graph(format!(
                "layer {layer:?} reads sequences [batch, timesteps, features], and {} is [batch, {}]; set return_sequences on the layer that made it",
                spec.describe(),
                spec.shape.features()
            ))),
            None => Err(Error::Graph("a Tensor of another graph was used".into())),
        }
    }

    fn check_states(&self, layer: &Layer, states: &[Tensor]) -> Result<()> {
        if states.is_empty() {
            return Ok(());
        }
        let wanted: Vec<(String, usize)> = layer
            .directions()
            .into_iter()
            .flat_map(|(direction, l)| l.state_names(direction).into_iter().map(move |name| (name, l.units())))
            .collect();
        if wanted.len() != states.len() {
            let names: Vec<_> = wanted.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Error::Graph(format!(
                "layer {:?} takes {} initial states ({}), got {}",
                layer.name(),
                wanted.len(),
                names.join(", "),
                states.len()
            )));
        }
        for ((name, units), state) in wanted.iter().zip(states) {
            match self.tensors.get(state.0) {
                Some(spec) if spec.shape == (Shape::Vector { features: *units }) => {}
                Some(spec) => {
                    return Err(Error::Graph(format!(
                        "layer {:?}: initial {name} must be [batch, {units}], and {} is not",
                        layer.name(),
                        spec.describe()
                    )));
                }
                None => return Err(Error::Graph("a Tensor of another graph was used".into())),
            }
        }
        Ok(())
    }

    fn results(&mut self, layer: &Layer, timesteps_of: usize) -> Vec<Tensor> {
        let sequences = layer.first().return_sequences();
        let shape = |features| match sequences {
            true => Shape::Sequence { timesteps_of, features },
            false => Shape::Vector { features },
        };
        let mut results = Vec::new();
        match layer {
            Layer::Bidirectional(both) if both.mode() == MergeMode::None => {
                for (direction, l) in layer.directions() {
                    results.push(self.tensor(shape(l.units()), Role::DirectionOutput(direction), layer.name()));
                }
            }
            Layer::Bidirectional(both) => {
                results.push(self.tensor(shape(both.merged_features()), Role::Output, layer.name()));
            }
            Layer::Recurrent(l) => results.push(self.tensor(shape(l.units()), Role::Output, layer.name())),
        }
        if layer.first().return_state() {
            for (direction, l) in layer.directions() {
                for role in state_roles(l.cell().has_cell_state(), direction) {
                    results.push(self.tensor(Shape::Vector { features: l.units() }, role, layer.name()));
                }
            }
        }
        results
    }

    /// The model that returns `outputs`, in this order.
    ///
    /// # Errors
    /// [`Error::Graph`] where there is no output, or an added layer was never called.
    pub fn build(self, outputs: impl IntoIterator<Item = Tensor>) -> Result<Model> {
        let outputs: Vec<usize> = outputs.into_iter().map(|t| t.0).collect();
        if outputs.is_empty() || self.nodes.is_empty() {
            return Err(Error::Graph("a model needs at least one layer and one output".into()));
        }
        if outputs.iter().any(|&o| o >= self.tensors.len()) {
            return Err(Error::Graph("a Tensor of another graph was used".into()));
        }
        let mut layers = Vec::new();
        for (layer, features) in self.layers {
            let Some(features) = features else {
                return Err(Error::Graph(format!("layer {:?} is never called", layer.name())));
            };
            layers.push(BuiltLayer { layer, features });
        }
        Ok(Model { inputs: self.inputs, layers, nodes: self.nodes, tensors: self.tensors, outputs })
    }
}

fn state_roles(has_cell_state: bool, direction: Direction) -> Vec<Role> {
    let mut roles = vec![Role::HiddenState(direction)];
    roles.extend(has_cell_state.then_some(Role::CellState(direction)));
    roles
}
