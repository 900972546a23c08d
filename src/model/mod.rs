//! A model: a graph of layers with named inputs and outputs.

mod bind;
mod few;
mod graph;
mod inputs;
mod known_call;
mod layer_outputs;
mod lower;
mod mask_origins;
mod mask_rules;
mod masks;
mod outputs;
mod outputs_mut;
mod parts;
mod program;
mod summary;
mod values;

pub(crate) use bind::{Bound, FittingCall};
pub(crate) use few::Few;
pub use graph::{Call, Graph, LayerId, Tensor};
pub use inputs::Inputs;
pub(crate) use known_call::{KnownCall, Places};
pub(crate) use lower::CallShape;
pub use mask_origins::{MaskOrigin, MaskOrigins};
pub use mask_rules::MaskRules;
pub use outputs::{DirectionOutputs, Output, Outputs};
pub use outputs_mut::OutputsMut;
pub(crate) use parts::Parts;
pub use summary::{Summary, SummaryRow};

use crate::error::{Error, Result};
use crate::layer::{Dims, Layer, Recurrent, Role, WeightSpec, Weights};
use crate::program::Body;
use ndarray::ArrayD;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use std::any::Any;
use std::sync::Arc;

/// A network: its layers, how they are connected, and their weights.
///
/// A model is built from layers ([`Model::sequential`], [`Graph`]) or read from a file
/// (`Model::from_keras`, with the crate's feature `keras`). To run it, compile it for a device:
///
/// ```
/// use birnn::{Bidirectional, Device, Lstm, Model};
/// use ndarray::Array3;
///
/// let layer = Bidirectional::new(Lstm::new(3).return_sequences(true).return_state(true));
/// let model = Model::sequential(2, [layer])?.initialize(42)?;
/// let mut session = Device::cpu().compile(&model)?;
/// let x = Array3::<f32>::zeros((1, 8, 2)); // [batch, timesteps, features]
/// let outputs = session.run(x.view())?;
/// assert_eq!(outputs.output().shape(), [1, 8, 6]);
/// assert_eq!(outputs.backward().cell()?.shape(), [1, 3]);
/// # Ok::<(), birnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) inputs: Vec<InputSpec>,
    pub(crate) layers: Vec<BuiltLayer>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) tensors: Vec<TensorSpec>,
    /// The tensors that the model returns, in order.
    pub(crate) outputs: Vec<usize>,
    pub(crate) mask_rules: MaskRules,
    /// What runs in place of the layers' nodes, of which there are none then.
    pub(crate) program: Option<Arc<Body>>,
    /// What the model's importer keeps with it.
    attachment: Option<Arc<dyn Any + Send + Sync>>,
}

/// What the model is fed with: first what the caller gives, then the constants.
#[derive(Clone, Debug)]
pub(crate) struct InputSpec {
    pub name: String,
    pub tensor: usize,
    /// The value of one that the caller doesn't give, `[batch, …]`; or with a batch of one, for
    /// any.
    pub constant: Option<Arc<ArrayD<f32>>>,
}

/// A layer and the shapes of its inputs at its first call, from which its weights' shapes follow.
#[derive(Clone, Debug)]
pub(crate) struct BuiltLayer {
    pub layer: Layer,
    pub inputs: Vec<Dims>,
}

/// One call of a layer.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub layer: usize,
    pub inputs: Vec<usize>,
    /// Hidden and cell states of forward, then of backward; or none.
    pub initial_state: Vec<usize>,
    /// For the first inputs the mask that the call gives.
    pub masks: Vec<Option<usize>>,
    /// What the layer returns, in Keras's order.
    pub results: Vec<usize>,
    /// The number of the call of the model among those of layers that it stands in; 0: in none.
    pub model: usize,
}

/// An array in the graph.
#[derive(Clone, Debug)]
pub(crate) struct TensorSpec {
    pub shape: Dims,
    pub role: Role,
    /// The layer or input that it comes from.
    pub source: String,
}

impl Model {
    /// Gives every layer new weights, drawn by its initializers from `seed`. The same model and
    /// seed get the same weights.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] where the weights of a layer don't fit in memory.
    pub fn initialize(mut self, seed: u64) -> Result<Model> {
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        for built in &mut self.layers {
            check_weight_memory(built)?;
            built.layer.initialize(&built.inputs, &mut rng);
        }
        Ok(self)
    }

    /// Sets the weights of the layer with this name, from the arrays of Keras's
    /// `layer.get_weights()` in the same order.
    ///
    /// A recurrent layer has these, where `gates` is 4 for an LSTM, 3 for a GRU and 1 for a
    /// SimpleRNN; [`Weights`](crate::layer::Weights) gives the order of the gates:
    ///
    /// * `kernel`, `[features, gates · units]`
    /// * `recurrent_kernel`, `[units, gates · units]`
    /// * with `use_bias` the `bias`, `[gates · units]`; for a GRU with `reset_after` it is
    ///   `[2, gates · units]`, the bias and the recurrent bias
    ///
    /// A bidirectional layer has those of its forward layer, then those of its backward layer.
    ///
    /// # Errors
    /// [`Error::UnknownLayer`] where no layer has this name, [`Error::WeightCount`] and
    /// [`Error::WeightShape`] where the arrays aren't those of the layer, and
    /// [`Error::NonFiniteWeight`] where one holds NaN or an infinity (which only a
    /// `moving_variance` may). The weights then stay as they were.
    ///
    /// ```
    /// use birnn::{Model, SimpleRnn};
    /// use ndarray::{arr1, arr2};
    /// let mut model = Model::sequential(1, [SimpleRnn::new(1).named("sum")])?;
    /// let (kernel, recurrent_kernel, bias) = (arr2(&[[1.0]]), arr2(&[[0.5]]), arr1(&[0.0]));
    /// let weights = [kernel.into_dyn(), recurrent_kernel.into_dyn(), bias.into_dyn()];
    /// model.set_weights("sum", weights)?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn set_weights(
        &mut self,
        layer: &str,
        arrays: impl IntoIterator<Item = ArrayD<f32>>,
    ) -> Result<()> {
        match self.layers.iter_mut().find(|built| built.layer.name() == layer) {
            Some(built) => built.layer.set_weights(&built.inputs, arrays.into_iter().collect()),
            None => Err(self.unknown(layer)),
        }
    }

    /// Copies the weights of the layer with this name: the arrays of [`Model::set_weights`], in the
    /// same order and shapes. Empty for a layer that has none.
    ///
    /// # Errors
    /// [`Error::UnknownLayer`] where no layer has this name, [`Error::MissingWeights`] where its
    /// weights aren't set.
    pub fn weights(&self, layer: &str) -> Result<Vec<ArrayD<f32>>> {
        let BuiltLayer { layer, inputs } = self.built(layer)?;
        match layer.weight_arrays() {
            Some(arrays) => Ok(arrays),
            None if layer.weight_specs(inputs).is_empty() => Ok(Vec::new()),
            None => Err(Error::MissingWeights { layer: layer.name().to_string() }),
        }
    }

    /// The names and shapes of the weights of the layer with this name: those of the arrays that
    /// [`Model::set_weights`] takes, in the same order. Empty for a layer that has none. A
    /// bidirectional layer has each name twice, first of its forward layer.
    ///
    /// # Errors
    /// [`Error::UnknownLayer`] where no layer has this name.
    ///
    /// ```
    /// use birnn::{Gru, Model};
    /// let model = Model::sequential(2, [Gru::new(3).use_bias(false)])?;
    /// let [kernel, recurrent_kernel] = &model.weight_specs("gru")?[..] else { unreachable!() };
    /// assert_eq!(kernel.name, "kernel");
    /// assert_eq!(kernel.shape, [2, 9]); // [features, 3 · units]
    /// assert_eq!(recurrent_kernel.shape, [3, 9]); // [units, 3 · units]
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn weight_specs(&self, layer: &str) -> Result<Vec<WeightSpec>> {
        let BuiltLayer { layer, inputs } = self.built(layer)?;
        Ok(layer.weight_specs(inputs))
    }

    fn built(&self, layer: &str) -> Result<&BuiltLayer> {
        let built = self.layers.iter().find(|built| built.layer.name() == layer);
        built.ok_or_else(|| self.unknown(layer))
    }

    fn unknown(&self, layer: &str) -> Error {
        Error::UnknownLayer { name: layer.to_string(), known: self.layer_names() }
    }

    /// Keeps a value with the model, in place of the one that was attached before: for an importer
    /// that has to know later what it read, for example where a file of weights has those of each
    /// layer. Nothing else looks at it; clones of the model share it.
    ///
    /// ```
    /// use birnn::{Gru, Model};
    /// struct Origin(String);
    /// let mut model = Model::sequential(2, [Gru::new(3)])?;
    /// model.attach(Origin("model.txt".into()));
    /// assert_eq!(model.attachment::<Origin>().unwrap().0, "model.txt");
    /// assert!(model.attachment::<u32>().is_none());
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn attach<T: Any + Send + Sync>(&mut self, value: T) {
        self.attachment = Some(Arc::new(value));
    }

    /// The value that [`Model::attach`] keeps; `None` where there is none or it is of another type.
    pub fn attachment<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.attachment.clone()?.downcast().ok()
    }

    /// The names of the layers, in the order in which they were added to the model.
    pub fn layer_names(&self) -> Vec<String> {
        self.layers.iter().map(|built| built.layer.name().to_string()).collect()
    }

    /// The layers, in the order in which they were added to the model.
    pub fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.layers.iter().map(|built| &built.layer)
    }

    /// The names of the model's inputs, in the order in which [`Inputs`] takes their arrays.
    pub fn input_names(&self) -> Vec<String> {
        self.given_inputs().iter().map(|input| input.name.clone()).collect()
    }

    /// Names each array that the model returns by its role and layer, such as `output of lstm` or
    /// `forward hidden state of lstm`, in the order of [`Outputs::list`].
    pub fn output_names(&self) -> Vec<String> {
        self.outputs.iter().map(|&o| self.tensors[o].describe()).collect()
    }

    /// The inputs without the constants, which stand behind them.
    pub(crate) fn given_inputs(&self) -> &[InputSpec] {
        let given = self.inputs.partition_point(|input| input.constant.is_none());
        &self.inputs[..given]
    }

    /// That every layer has weights.
    pub(crate) fn check_weights(&self) -> Result<()> {
        let missing = |built: &&BuiltLayer| {
            !built.layer.weight_specs(&built.inputs).is_empty()
                && built.layer.weight_arrays().is_none()
        };
        match self.layers.iter().find(missing) {
            Some(built) => Err(Error::MissingWeights { layer: built.layer.name().to_string() }),
            None => Ok(()),
        }
    }

    /// The directions of the recurrence that a layer lowers to, with their weights; none where it
    /// is no recurrence. `layer`: its number in the model, which is `Recurrent::weights` of its
    /// operators.
    pub(crate) fn directions(&self, layer: usize) -> Result<Vec<(&Recurrent, &Weights)>> {
        let Some(built) = self.layers.get(layer) else { return Ok(Vec::new()) };
        let directions = built.layer.innermost().directions().into_iter();
        let with_weights = directions.map(|(_, direction)| match direction.weights() {
            Some(weights) => Ok((direction, weights)),
            None => Err(Error::MissingWeights { layer: built.layer.name().to_string() }),
        });
        with_weights.collect()
    }

    /// Whether a call starts from what the last one ended with: a layer is `stateful`, or an ONNX
    /// model hands an output on to an input. Then the rows of a batch belong together.
    pub fn is_stateful(&self) -> bool {
        match &self.program {
            Some(program) => program.is_stateful(),
            None => self.layers().any(Layer::is_stateful),
        }
    }

    /// The shape of every array but the batch, for inputs of these shapes.
    pub(crate) fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Vec<usize>>> {
        let mut shapes: Vec<Dims> = vec![Vec::new(); self.tensors.len()];
        for (input, shape) in self.inputs.iter().zip(inputs) {
            shapes[input.tensor] = shape.iter().map(|&n| Some(n)).collect();
        }
        for node in &self.nodes {
            let inputs: Vec<_> = node.inputs.iter().map(|&t| shapes[t].clone()).collect();
            let results = self.layers[node.layer].layer.results(&inputs)?;
            for (&tensor, (_, shape)) in node.results.iter().zip(results) {
                shapes[tensor] = shape;
            }
        }
        Ok(shapes.into_iter().map(|shape| shape.into_iter().flatten().collect()).collect())
    }
}

impl TensorSpec {
    pub(crate) fn describe(&self) -> String {
        format!("{} of {}", self.role, self.source)
    }
}

/// That there is memory for a layer's weights: an allocation that fails later would end the
/// program.
fn check_weight_memory(built: &BuiltLayer) -> Result<()> {
    for weight in built.layer.weight_specs(&built.inputs) {
        let values = weight.shape.iter().try_fold(1usize, |values, &n| values.checked_mul(n));
        if values.is_none_or(|values| Vec::<f32>::new().try_reserve_exact(values).is_err()) {
            let what =
                format!("{} {:?} of layer {:?}", weight.name, weight.shape, built.layer.name());
            return Err(Error::OutOfMemory { what });
        }
    }
    Ok(())
}
