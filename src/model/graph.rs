use super::mask_rules::MaskRules;
use super::{BuiltLayer, InputSpec, Model, Node, TensorSpec};
use crate::error::{Error, Result};
use crate::layer::{Dims, Layer, Role, default_name, describe};
use crate::order::standard;
use ndarray::ArrayD;
use std::collections::HashMap;
use std::sync::Arc;

/// Builds a [`Model`] whose layers are not just in a row: with several inputs and outputs,
/// branches, shared layers, or states that one layer hands to another. It corresponds to Keras's
/// functional API: [`Graph::sequence_input`] and its kin add inputs, [`Graph::add`] adds a layer
/// and calls it, and [`Graph::build`] makes the model.
///
/// ```
/// use birnn::{Call, Device, Graph, Inputs, Lstm};
/// use ndarray::Array3;
///
/// // An encoder hands its final states to a decoder.
/// let mut graph = Graph::new();
/// let source = graph.sequence_input("source", None, 5)?;
/// let target = graph.sequence_input("target", None, 4)?;
/// let encoded = graph.add(Lstm::new(8).return_state(true), source)?; // output, hidden, cell
/// let call = Call::on(target).initial_state(&encoded[1..]);
/// let decoded = graph.add(Lstm::new(8).return_sequences(true), call)?;
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
    /// The layers, with the shapes of their inputs once they are called.
    layers: Vec<(Layer, Option<Vec<Dims>>)>,
    nodes: Vec<Node>,
    tensors: Vec<TensorSpec>,
    counters: HashMap<String, usize>,
    mask_rules: MaskRules,
}

/// Stands for an array in a [`Graph`]: an input, or what a call of a layer returns. It is valid in
/// that graph and in the model that the graph builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tensor(usize);

impl Tensor {
    /// The array at this place among a graph's arrays.
    pub(super) fn at(index: usize) -> Tensor {
        Tensor(index)
    }
}

/// Stands for a layer in a [`Graph`], to call it several times with the same weights. It is valid
/// in that graph only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerId(usize);

/// What a layer is called on: one or more arrays, and where needed initial states and masks. A
/// [`Tensor`], an array of them or a slice of them converts to a call without states and masks.
///
/// ```
/// use birnn::{Call, Graph, Lstm};
/// let mut graph = Graph::new();
/// let x = graph.sequence_input("x", None, 2)?; // [batch, timesteps, features]
/// let mask = graph.input("mask", &[None])?; // [batch, timesteps]
/// let h = graph.state_input("h", 3)?; // [batch, units]
/// let c = graph.state_input("c", 3)?;
/// let outputs = graph.add(Lstm::new(3), Call::on(x).initial_state(&[h, c]).mask(mask))?;
/// let model = graph.build(outputs)?;
/// # Ok::<(), birnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Call {
    inputs: Vec<Tensor>,
    initial_state: Vec<Tensor>,
    masks: Vec<Option<Tensor>>,
    model: usize,
}

impl Call {
    /// A call on these arrays, in the layer's order: `[query, value, key]` for attention.
    pub fn on(inputs: impl Into<Call>) -> Call {
        inputs.into()
    }

    /// Sets the states that a recurrent layer starts from, each `[batch, units]`: the hidden state
    /// and for an LSTM the cell state; for a bidirectional layer those of the forward direction,
    /// then those of the backward one. The default is zeros, or for a stateful layer the states
    /// that the last call ended with.
    ///
    /// As in Keras 3, such a call doesn't use the mask that its input carries: give it with
    /// [`Call::mask`].
    pub fn initial_state(mut self, states: &[Tensor]) -> Call {
        self.initial_state = states.to_vec();
        self
    }

    /// Says in which call of a model the layer is called, where a model is called as a layer of
    /// another: any number that is this call's alone. The default is 0, which is the outermost
    /// model.
    ///
    /// In Keras 3 masks are arguments of the calls within a model; a layer of another model reads
    /// the mask that an array has when the model runs, which attention may have taken away.
    pub fn in_model(mut self, call: usize) -> Call {
        self.model = call;
        self
    }

    /// Sets the mask of the first array, `[batch, timesteps]`: nonzero where the timestep counts.
    /// It takes the place of the mask that the array carries.
    pub fn mask(self, mask: Tensor) -> Call {
        self.masks(&[Some(mask)])
    }

    /// Sets the mask of each array, `[batch, timesteps]`: nonzero where the timestep counts. For
    /// arrays with `None`, or beyond the end of the list, the mask that the array carries stays.
    ///
    /// Two kinds of layers differ, as in Keras. [`Attention`](crate::layer::Attention) and
    /// [`AdditiveAttention`](crate::layer::AdditiveAttention) take `None` for no mask.
    /// [`MultiHeadAttention`](crate::layer::MultiHeadAttention) always uses the mask that its query
    /// carries.
    pub fn masks(mut self, masks: &[Option<Tensor>]) -> Call {
        self.masks = masks.to_vec();
        self
    }
}

impl From<Tensor> for Call {
    fn from(input: Tensor) -> Call {
        Call::from([input].as_slice())
    }
}

impl From<&[Tensor]> for Call {
    fn from(inputs: &[Tensor]) -> Call {
        Call { inputs: inputs.to_vec(), initial_state: Vec::new(), masks: Vec::new(), model: 0 }
    }
}

impl<const N: usize> From<[Tensor; N]> for Call {
    fn from(inputs: [Tensor; N]) -> Call {
        Call::from(inputs.as_slice())
    }
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Graph {
        Graph::default()
    }

    /// Sets whose rules masks follow from layer to layer (default: those of Keras 3).
    ///
    /// ```
    /// use birnn::{Graph, MaskRules};
    /// let graph = Graph::new().mask_rules(MaskRules::Keras2); // of a model made in Keras 2
    /// ```
    pub fn mask_rules(mut self, rules: MaskRules) -> Graph {
        self.mask_rules = rules;
        self
    }

    /// Adds an input of shape `[batch, timesteps, features]`. With `timesteps` `None` it takes any
    /// number of timesteps, otherwise only this one.
    ///
    /// # Errors
    /// [`Error::Graph`] where `features` or `timesteps` isn't from 1 to 2^31 - 1, or an input has
    /// this name already.
    pub fn sequence_input(
        &mut self,
        name: &str,
        timesteps: Option<usize>,
        features: usize,
    ) -> Result<Tensor> {
        self.input(name, &[timesteps, Some(features)])
    }

    /// Adds an input of shape `[batch, features]`, for example the initial state of a layer with
    /// `features` units.
    ///
    /// # Errors
    /// [`Error::Graph`] where `features` isn't from 1 to 2^31 - 1, or an input has this name
    /// already.
    pub fn state_input(&mut self, name: &str, features: usize) -> Result<Tensor> {
        self.input(name, &[Some(features)])
    }

    /// Adds an input of any shape. `axes` are the lengths of the axes after the batch; `None` is
    /// any length. So `&[None]` is `[batch, timesteps]`: the ids for an
    /// [`Embedding`](crate::layer::Embedding), or a mask.
    ///
    /// # Errors
    /// [`Error::Graph`] where `axes` is empty, a length isn't from 1 to 2^31 - 1, or an input has
    /// this name already.
    pub fn input(&mut self, name: &str, axes: &[Option<usize>]) -> Result<Tensor> {
        if axes.is_empty() || axes.iter().flatten().any(|axis| !(1..1 << 31).contains(axis)) {
            return Err(Error::Graph(format!(
                "input {name:?} is {}; timesteps and features have to be 1 to 2^31 - 1",
                describe(&axes.to_vec())
            )));
        }
        if self.inputs.iter().any(|input| input.name == name) {
            return Err(Error::Graph(format!("two inputs are named {name:?}")));
        }
        Ok(self.fed(axes.to_vec(), name, None))
    }

    /// An array that is part of the model, `[batch, …]`, such as an initial state `[batch, units]`
    /// or a mask `[batch, timesteps]` (not zero where the timestep counts). The model then takes
    /// that batch alone; one row stands for every row of any batch.
    ///
    /// # Errors
    /// [`Error::Graph`] where it has less than two axes, an empty one, or the name is taken.
    ///
    /// ```
    /// use birnn::{Call, Device, Graph, Gru};
    /// use ndarray::{Array3, arr2};
    /// let mut graph = Graph::new();
    /// let x = graph.sequence_input("x", None, 2)?;
    /// let start = graph.constant("start", arr2(&[[0.5, -0.5, 1.0]]).into_dyn())?;
    /// let h = graph.add(Gru::new(3), Call::on(x).initial_state(&[start]))?;
    /// let model = graph.build(h)?.initialize(1)?;
    /// let x = Array3::<f32>::zeros((4, 6, 2)); // [batch, timesteps, features]
    /// assert_eq!(Device::cpu().compile(&model)?.run(x.view())?.output().shape(), [4, 3]);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn constant(&mut self, name: &str, array: ArrayD<f32>) -> Result<Tensor> {
        if array.ndim() < 2 || array.is_empty() {
            return Err(Error::Graph(format!(
                "the constant {name:?} has shape {:?}; it has to be [batch, …] with no empty axis",
                array.shape()
            )));
        }
        if self.inputs.iter().any(|input| input.name == name) {
            return Err(Error::Graph(format!("two inputs are named {name:?}")));
        }
        let axes = array.shape()[1..].iter().map(|&length| Some(length)).collect();
        Ok(self.fed(axes, name, Some(Arc::new(standard(array)))))
    }

    fn fed(&mut self, axes: Dims, name: &str, constant: Option<Arc<ArrayD<f32>>>) -> Tensor {
        let tensor = self.tensor(axes, Role::Input, name);
        self.inputs.push(InputSpec { name: name.to_string(), tensor: tensor.0, constant });
        tensor
    }

    fn tensor(&mut self, shape: Dims, role: Role, source: &str) -> Tensor {
        self.tensors.push(TensorSpec { shape, role, source: source.to_string() });
        Tensor(self.tensors.len() - 1)
    }

    /// Adds a layer without calling it, so that [`Graph::call`] can call it several times with the
    /// same weights.
    ///
    /// # Errors
    /// [`Error::Argument`] where an argument has a value that it can't have, [`Error::Graph`] where
    /// a layer has this name already.
    pub fn layer(&mut self, layer: impl Into<Layer>) -> Result<LayerId> {
        let mut layer = layer.into();
        if layer.name().is_empty() {
            let name = self.fresh_name(layer.class_name());
            layer = layer.named(name);
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
        let base = default_name(class_name);
        let counter = self.counters.entry(base.clone()).or_insert(0);
        *counter += 1;
        if *counter == 1 { base } else { format!("{base}_{}", *counter - 1) }
    }

    /// Adds a layer, calls it once, and returns the arrays that it returns, as [`Graph::call`]
    /// does.
    ///
    /// # Errors
    /// Those of [`Graph::layer`] and [`Graph::call`].
    ///
    /// ```
    /// use birnn::{Graph, Lstm, layer::Merge};
    /// let mut graph = Graph::new();
    /// let x = graph.sequence_input("x", None, 4)?;
    /// let y = graph.add(Lstm::new(4).return_sequences(true), x)?[0];
    /// let model = graph.add(Merge::add(), [x, y]).and_then(|sum| graph.build(sum))?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn add(&mut self, layer: impl Into<Layer>, call: impl Into<Call>) -> Result<Vec<Tensor>> {
        let layer = self.layer(layer)?;
        let results = self.call(layer, call);
        if results.is_err() {
            self.layers.pop(); // a layer that was never called could not be built
        }
        results
    }

    /// Calls a layer and returns the arrays that it returns, in Keras's order.
    ///
    /// First comes the output: for a recurrent layer `[batch, timesteps, features]` with
    /// `return_sequences`, otherwise `[batch, features]`, where the features are its units or what
    /// `merge_mode` makes of them; with [`MergeMode::None`](crate::MergeMode::None) two outputs,
    /// forward and backward. With `return_state` the final states follow, each `[batch, units]`:
    /// the hidden state and for an LSTM the cell state, first forward, then backward.
    ///
    /// # Errors
    /// [`Error::Graph`] where the layer can't be called on arrays of such shapes, was called before
    /// on arrays for which its weights have other shapes, or the initial states or masks don't fit.
    pub fn call(&mut self, layer: LayerId, call: impl Into<Call>) -> Result<Vec<Tensor>> {
        let call = call.into();
        let Some((built, before)) = self.layers.get(layer.0).cloned() else {
            return Err(Error::Graph("a LayerId of another graph was used".into()));
        };
        let inputs =
            call.inputs.iter().map(|&t| self.shape(t).cloned()).collect::<Result<Vec<_>>>()?;
        if !built.inputs().contains(&inputs.len()) {
            let (name, class) = (built.name(), built.class_name());
            return Err(Error::Graph(format!(
                "layer {name:?} ({class}) can't be called on {} arrays",
                inputs.len()
            )));
        }
        if inputs.iter().any(Vec::is_empty) && !built.reads_numbers() {
            let (name, class) = (built.name(), built.class_name());
            return Err(Error::Graph(format!(
                "layer {name:?} ({class}) can't be called on an array of shape [batch]: put a \
                 Reshape to [batch, 1] before it"
            )));
        }
        let results = built.results(&inputs)?;
        if let Some(before) =
            before.filter(|before| built.weight_specs(before) != built.weight_specs(&inputs))
        {
            return Err(Error::Graph(format!(
                "layer {:?} was built for {}, and is called on {}",
                built.name(),
                describe(&before[0]),
                describe(&inputs[0])
            )));
        }
        self.check_states(&built, &inputs, &call.initial_state)?;
        self.check_masks(&built, &call, &inputs)?;
        self.layers[layer.0].1.get_or_insert(inputs);
        let name = built.name();
        let results: Vec<_> =
            results.into_iter().map(|(role, shape)| self.tensor(shape, role, name)).collect();
        self.nodes.push(Node {
            layer: layer.0,
            inputs: call.inputs.iter().map(|t| t.0).collect(),
            initial_state: call.initial_state.iter().map(|t| t.0).collect(),
            masks: call.masks.iter().map(|mask| mask.map(|t| t.0)).collect(),
            results: results.iter().map(|t| t.0).collect(),
            model: call.model,
        });
        Ok(results)
    }

    /// The lengths of an array's axes after the batch; `None` is any length. Of a [`Tensor`] of
    /// another graph they are meaningless, perhaps empty.
    ///
    /// ```
    /// use birnn::{Graph, Lstm};
    /// let mut graph = Graph::new();
    /// let x = graph.sequence_input("x", None, 4)?; // [batch, timesteps, features]
    /// let y = graph.add(Lstm::new(3), x)?[0]; // [batch, units]
    /// assert_eq!(graph.axes(x), [None, Some(4)]);
    /// assert_eq!(graph.axes(y), [Some(3)]);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn axes(&self, tensor: Tensor) -> &[Option<usize>] {
        self.tensors.get(tensor.0).map(|spec| &spec.shape[..]).unwrap_or_default()
    }

    fn shape(&self, tensor: Tensor) -> Result<&Dims> {
        let spec = self.tensors.get(tensor.0);
        spec.map(|spec| &spec.shape)
            .ok_or_else(|| Error::Graph("a Tensor of another graph was used".into()))
    }

    fn check_states(&self, layer: &Layer, inputs: &[Dims], states: &[Tensor]) -> Result<()> {
        if states.is_empty() {
            return Ok(());
        }
        let wanted = layer.states(inputs);
        if wanted.len() != states.len() {
            let names: Vec<_> = wanted.iter().map(|state| state.role.to_string()).collect();
            return Err(Error::Graph(format!(
                "layer {:?} takes {} initial states ({}), got {}",
                layer.name(),
                wanted.len(),
                names.join(", "),
                states.len()
            )));
        }
        for (wanted, &state) in wanted.iter().zip(states) {
            if self.shape(state)? != &wanted.shape {
                return Err(Error::Graph(format!(
                    "layer {:?}: initial {} must be {}, and {} is not",
                    layer.name(),
                    wanted.role,
                    describe(&wanted.shape),
                    self.tensors[state.0].describe()
                )));
            }
        }
        Ok(())
    }

    fn check_masks(&self, layer: &Layer, call: &Call, inputs: &[Dims]) -> Result<()> {
        let wrong =
            |reason: String| Err(Error::Graph(format!("layer {:?}: mask: {reason}", layer.name())));
        if call.masks.len() > inputs.len() {
            return wrong(format!("{} masks for {} arrays", call.masks.len(), inputs.len()));
        }
        // More axes than the timesteps' has what several timesteps of others are in, which a layer
        // that computes nothing only hands on.
        let hands_on = layer.definition().is_some_and(|kind| kind.returns_its_input());
        let most = if hands_on { usize::MAX } else { 1 + layer.times_distributed() };
        for (mask, input) in call.masks.iter().zip(inputs) {
            let Some(mask) = *mask else { continue };
            let shape = self.shape(mask)?;
            let mut same = shape.iter().zip(input);
            let fits = (1..=most).contains(&shape.len())
                && shape.len() < input.len()
                && same.all(|(mask, axis)| mask.is_none() || axis.is_none() || mask == axis);
            if !fits {
                return wrong(format!(
                    "{} of a mask doesn't fit an array of {}",
                    describe(shape),
                    describe(input)
                ));
            }
        }
        Ok(())
    }

    /// Builds the model that returns `outputs`, in this order. Its layers have no weights yet; see
    /// [`Model::initialize`] and [`Model::set_weights`].
    ///
    /// # Errors
    /// [`Error::Graph`] where there is no layer or no output, an added layer was never called, or a
    /// layer can't use the mask that its input carries.
    pub fn build(self, outputs: impl IntoIterator<Item = Tensor>) -> Result<Model> {
        let outputs: Vec<usize> = outputs.into_iter().map(|t| t.0).collect();
        if outputs.is_empty() || self.nodes.is_empty() {
            return Err(Error::Graph("a model needs at least one layer and one output".into()));
        }
        if outputs.iter().any(|&o| o >= self.tensors.len()) {
            return Err(Error::Graph("a Tensor of another graph was used".into()));
        }
        let mut layers = Vec::new();
        for (layer, inputs) in self.layers {
            let Some(inputs) = inputs else {
                return Err(Error::Graph(format!("layer {:?} is never called", layer.name())));
            };
            layers.push(BuiltLayer { layer, inputs });
        }
        let (mut inputs, nodes, tensors) = (self.inputs, self.nodes, self.tensors);
        inputs.sort_by_key(|input| input.constant.is_some()); // stable: the rest stays in order
        let model = Model {
            inputs,
            layers,
            nodes,
            tensors,
            outputs,
            mask_rules: self.mask_rules,
            program: None,
            attachment: None,
        };
        model.check_masks(&model.masks(|_| false))?;
        Ok(model)
    }
}

impl Model {
    /// Builds a model of layers in a row on one input, `[batch, timesteps, features]`, with any
    /// number of timesteps; Keras's `Sequential`. The model returns what the last layer returns.
    /// [`Model::sequential_on`] takes inputs of other shapes, such as ids.
    ///
    /// A recurrent layer before another one needs `return_sequences`. A layer without a name gets
    /// the one that Keras would give it: its class in snake case, with a counter from the second
    /// layer of the class on (`lstm`, `lstm_1`).
    ///
    /// # Errors
    /// [`Error::Argument`] where a layer has an argument value that it can't have,
    /// [`Error::Graph`] where `features` is zero, there is no layer, or a layer doesn't fit the one
    /// before it.
    ///
    /// ```
    /// use birnn::{Bidirectional, Gru, Layer, Lstm, Model};
    /// let below = Bidirectional::new(Gru::new(8).return_sequences(true));
    /// let layers: [Layer; 2] = [below.into(), Lstm::new(4).into()];
    /// let model = Model::sequential(2, layers)?;
    /// assert_eq!(model.layer_names(), ["bidirectional", "lstm"]);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn sequential<L: Into<Layer>>(
        features: usize,
        layers: impl IntoIterator<Item = L>,
    ) -> Result<Model> {
        Model::sequential_on(&[None, Some(features)], layers)
    }

    /// As [`Model::sequential`], on one input of any shape: `axes` are the lengths of the axes
    /// after the batch, and `None` is any length. So `&[None]` is `[batch, timesteps]`, the ids
    /// that an [`Embedding`](crate::layer::Embedding) reads.
    ///
    /// # Errors
    /// Those of [`Model::sequential`], and [`Error::Graph`] where `axes` is empty or a length is
    /// zero.
    ///
    /// ```
    /// use birnn::{Device, Embedding, Gru, Layer, Model};
    /// let layers: [Layer; 2] = [Embedding::new(10, 4).mask_zero(true).into(), Gru::new(3).into()];
    /// let model = Model::sequential_on(&[None], layers)?.initialize(1)?;
    /// let ids = ndarray::arr2(&[[3.0f32, 7.0, 0.0], [1.0, 2.0, 9.0]]).into_dyn();
    /// let outputs = Device::cpu().compile(&model)?.run(ids.view())?;
    /// assert_eq!(outputs.output().shape(), [2, 3]);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn sequential_on<L: Into<Layer>>(
        axes: &[Option<usize>],
        layers: impl IntoIterator<Item = L>,
    ) -> Result<Model> {
        let mut graph = Graph::new();
        let mut outputs = vec![graph.input("input", axes)?];
        for layer in layers {
            outputs = graph.add(layer, outputs[0])?;
        }
        graph.build(outputs)
    }
}
