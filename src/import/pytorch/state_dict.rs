//! State dicts, and the parts of models that are made of them.

use super::file::TensorFile;
use super::limits::TorchLimits;
use super::parts::{self, PartInfo};
use super::reader::Reader;
use super::recurrent::{Module, NamedWeights, Recurrent, Sizes};
use crate::layer::{BatchNormalization, LayerNormalization, Padding, ZeroPadding1d};
use crate::{
    Activation, Call, Dense, Embedding, Error, Graph, Layer, Model, Result, Tensor, layer,
};
use ndarray::ArrayD;
use std::path::Path;

/// The tensors of a file that PyTorch saved, and a builder of models that are made of them.
///
/// The file is what `torch.save(model.state_dict(), …)` wrote, `.pt` or `.pth` of any version, a
/// checkpoint with a state dict in it, or what `safetensors.torch.save_file` wrote. Nothing in it
/// is executed. The states of optimizers are passed over.
///
/// A state dict has a model's weights, and not how its parts are connected. So a model is built as
/// its `forward` says: each part is added to a [`Graph`] by the prefix of its tensors' names, and
/// [`StateDict::build`] makes the model and sets the weights. A prefix may leave out what
/// checkpoints and wrappers put before it (`state_dict.`, `model_state_dict.`, `module.`, …).
///
/// Arrays are birnn's: `[batch, timesteps, features]`, for convolutions, too.
///
/// ```
/// use birnn::torch::StateDict;
/// use birnn::{Device, Graph};
/// // Embedding(20, 8), LSTM(8, 6, bidirectional=True), Linear(12, 5)
/// let mut state = StateDict::open("tests/fixtures/torch/tagger.safetensors")?;
/// let mut graph = Graph::new();
/// let ids = graph.input("ids", &[None])?; // [batch, timesteps]
/// let embedded = state.embedding(&mut graph, "embedding", ids)?;
/// let encoded = state.lstm(&mut graph, "lstm", embedded)?.output;
/// let scores = state.linear(&mut graph, "classifier", encoded)?;
/// let model = state.build(graph, [scores])?;
///
/// let ids = ndarray::arr2(&[[1.0f32, 7.0, 3.0]]).into_dyn();
/// let outputs = Device::cpu().compile(&model)?.run(ids.view())?;
/// assert_eq!(outputs.output().shape(), [1, 3, 5]);
/// # Ok::<(), birnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct StateDict {
    pub(super) reader: Reader,
    /// Those of the layers that were added and not built yet.
    weights: NamedWeights,
}

/// A tensor of a state dict, without its values.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorInfo {
    /// Its whole name in the file, such as `state_dict.lstm.weight_ih_l0`.
    pub name: String,
    /// The lengths of its axes.
    pub shape: Vec<usize>,
    /// What its values are: `f32`, `f16`, `i64`, …
    pub dtype: String,
}

/// What a `Conv1d` of PyTorch's has beside its tensors, with PyTorch's defaults; see
/// [`StateDict::conv1d`]. Its number of groups follows from the shapes.
///
/// ```
/// use birnn::torch::Conv1d;
/// let same = Conv1d::new().padding(2); // Conv1d(…, kernel_size=5, padding=2)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv1d {
    stride: usize,
    padding: usize,
    dilation: usize,
}

impl Default for Conv1d {
    fn default() -> Self {
        Self::new()
    }
}

impl Conv1d {
    /// The defaults.
    pub fn new() -> Conv1d {
        Conv1d { stride: 1, padding: 0, dilation: 1 }
    }

    /// The number of timesteps from one window to the next (default: 1).
    pub fn stride(mut self, stride: usize) -> Conv1d {
        self.stride = stride;
        self
    }

    /// How many zeros are put before the first timestep, and as many behind the last one (default:
    /// 0). `padding="same"` is `dilation * (kernel_size - 1) / 2`.
    pub fn padding(mut self, padding: usize) -> Conv1d {
        self.padding = padding;
        self
    }

    /// The number of timesteps from one element of a window to the next (default: 1).
    pub fn dilation(mut self, dilation: usize) -> Conv1d {
        self.dilation = dilation;
        self
    }

    /// Whether its padding gives as many timesteps as it reads.
    fn keeps_timesteps(&self, size: usize) -> bool {
        let span = size.saturating_sub(1).checked_mul(self.dilation);
        self.stride == 1 && span.is_some() && span == self.padding.checked_mul(2)
    }
}

impl TorchLimits {
    /// [`StateDict::open`] within these limits.
    ///
    /// # Errors
    /// As [`StateDict::open`].
    pub fn open(&self, path: impl AsRef<Path>) -> Result<StateDict> {
        Ok(StateDict::new(TensorFile::read(path.as_ref(), self)?))
    }

    /// [`StateDict::from_bytes`] within these limits.
    ///
    /// # Errors
    /// As [`StateDict::from_bytes`].
    pub fn open_bytes(&self, name: &str, bytes: Vec<u8>) -> Result<StateDict> {
        Ok(StateDict::new(TensorFile::open(name, bytes, self)?))
    }
}

impl StateDict {
    /// Reads a file, whose content says which format it has.
    ///
    /// # Errors
    /// [`Error::Io`] where it can't be read, [`Error::MalformedFile`] where it is damaged, no file
    /// of PyTorch's, or holds no tensors: TorchScript, or a module that was pickled as a whole. The
    /// text says what to do.
    pub fn open(path: impl AsRef<Path>) -> Result<StateDict> {
        TorchLimits::new().open(path)
    }

    /// [`StateDict::open`] on a file's content; `name` stands for the file in messages.
    ///
    /// # Errors
    /// As [`StateDict::open`], without [`Error::Io`].
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<StateDict> {
        TorchLimits::new().open_bytes(name, bytes)
    }

    fn new(file: TensorFile) -> StateDict {
        StateDict { reader: Reader::new(file), weights: NamedWeights::new() }
    }

    /// The file's tensors, but those of optimizers' states.
    ///
    /// ```
    /// let state = birnn::torch::StateDict::open("tests/fixtures/torch/tagger.safetensors")?;
    /// let embedding = state.tensors().find(|tensor| tensor.name == "embedding.weight").unwrap();
    /// assert_eq!((embedding.shape, &embedding.dtype[..]), (vec![20, 8], "f32"));
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn tensors(&self) -> impl Iterator<Item = TensorInfo> {
        self.reader.file.tensors.iter().map(|tensor| TensorInfo {
            name: tensor.name.clone(),
            shape: tensor.shape.clone(),
            dtype: tensor.dtype.to_string(),
        })
    }

    /// The parts that are recognized by their tensors' names and shapes. Others may be hidden in
    /// the tensors, and a `Linear` without a bias looks like an `Embedding`.
    ///
    /// # Errors
    /// [`Error::MalformedFile`] where the tensors of a recurrent module don't fit together.
    ///
    /// ```
    /// let state = birnn::torch::StateDict::open("tests/fixtures/torch/tagger.safetensors")?;
    /// let classes: Vec<_> = state.parts()?.into_iter().map(|part| part.class).collect();
    /// assert_eq!(classes, ["Linear", "Embedding or Linear", "LSTM"]);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn parts(&self) -> Result<Vec<PartInfo>> {
        parts::parts(&self.reader)
    }

    /// The names of the tensors that no part has read yet: whether something was forgotten.
    pub fn unread(&self) -> Vec<String> {
        let unread = self.reader.names().filter(|name| !self.reader.is_read(name));
        unread.map(str::to_string).collect()
    }

    /// The values of a tensor, by its whole name, in f32.
    ///
    /// # Errors
    /// [`Error::MalformedFile`] where there is none of this name, or its values are not f16, bf16,
    /// f32 or f64.
    pub fn array(&mut self, name: &str) -> Result<ArrayD<f32>> {
        self.reader.take(name)
    }

    /// Adds a `torch.nn.Embedding`: it reads ids, `[batch, timesteps]` or any other shape, and
    /// returns the array with an axis of `embedding_dim` features more.
    ///
    /// # Errors
    /// Those of [`Graph::add`], and [`Error::MalformedFile`] where a tensor is missing or has
    /// another number of axes.
    pub fn embedding(&mut self, graph: &mut Graph, prefix: &str, ids: Tensor) -> Result<Tensor> {
        let part = self.reader.resolve(prefix)?;
        let name = format!("{part}weight");
        let [rows, columns] = self.reader.shape(&name)?;
        let weight = self.reader.take(&name)?;
        self.add(graph, prefix, Embedding::new(rows, columns), [Some(weight)], ids)
    }

    /// Adds a `torch.nn.Linear`, with or without a bias: it reads `[batch, …, in_features]` and
    /// returns `[batch, …, out_features]`.
    ///
    /// # Errors
    /// Those of [`Graph::add`], and [`Error::MalformedFile`] where a tensor is missing or has
    /// another number of axes.
    pub fn linear(&mut self, graph: &mut Graph, prefix: &str, x: Tensor) -> Result<Tensor> {
        let part = self.reader.resolve(prefix)?;
        let name = format!("{part}weight");
        let [units, _] = self.reader.shape(&name)?;
        let kernel = self.reader.take(&name)?.reversed_axes();
        let bias = self.reader.take_optional(&format!("{part}bias"))?;
        let layer = Dense::new(units).use_bias(bias.is_some());
        self.add(graph, prefix, layer, [Some(kernel), bias], x)
    }

    /// Adds a `torch.nn.LayerNorm` with weights, over the last axes: as many as its weight has. It
    /// returns the shape that it reads. PyTorch's default `epsilon` is 1e-5.
    ///
    /// # Errors
    /// Those of [`Graph::add`], and [`Error::MalformedFile`] where the weight is missing.
    pub fn layer_norm(
        &mut self,
        graph: &mut Graph,
        prefix: &str,
        x: Tensor,
        epsilon: f64,
    ) -> Result<Tensor> {
        let part = self.reader.resolve(prefix)?;
        let gamma = self.reader.take(&format!("{part}weight"))?;
        let beta = self.reader.take_optional(&format!("{part}bias"))?;
        let axes = (1..=gamma.ndim() as isize).rev().map(|axis| -axis).collect();
        let layer = LayerNormalization::new().axis(axes).epsilon(epsilon).center(beta.is_some());
        self.add(graph, prefix, layer, [Some(gamma), beta], x)
    }

    /// Adds a `torch.nn.BatchNorm1d` as it is after `eval()`, with the mean and variance that
    /// training left. It reads `[batch, timesteps, features]` or `[batch, features]` and returns
    /// the same shape. PyTorch's default `epsilon` is 1e-5.
    ///
    /// # Errors
    /// Those of [`Graph::add`], and [`Error::MalformedFile`] where the mean or the variance is
    /// missing: without them it computes with those of the batch.
    pub fn batch_norm1d(
        &mut self,
        graph: &mut Graph,
        prefix: &str,
        x: Tensor,
        epsilon: f64,
    ) -> Result<Tensor> {
        let part = self.reader.resolve(prefix)?;
        let mean = self.reader.take(&format!("{part}running_mean"))?;
        let variance = self.reader.take(&format!("{part}running_var"))?;
        let gamma = self.reader.take_optional(&format!("{part}weight"))?;
        let beta = self.reader.take_optional(&format!("{part}bias"))?;
        let layer = BatchNormalization::new()
            .epsilon(epsilon)
            .scale(gamma.is_some())
            .center(beta.is_some());
        self.add(graph, prefix, layer, [gamma, beta, Some(mean), Some(variance)], x)
    }

    /// Adds a `torch.nn.Conv1d`, with or without a bias and of any number of groups. It reads
    /// `[batch, timesteps, features]` and returns `[batch, output timesteps, filters]`, where
    /// PyTorch has the timesteps last.
    ///
    /// # Errors
    /// Those of [`Graph::add`], and [`Error::MalformedFile`] where a tensor is missing or has
    /// another number of axes.
    ///
    /// ```
    /// use birnn::Graph;
    /// use birnn::torch::{Conv1d, StateDict};
    /// let mut state = StateDict::open("tests/fixtures/torch/parts.safetensors")?;
    /// let mut graph = Graph::new();
    /// let x = graph.sequence_input("x", None, 6)?;
    /// let y = state.conv1d(&mut graph, "conv", x, Conv1d::new().padding(1))?;
    /// assert_eq!(graph.axes(y), [None, Some(8)]);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn conv1d(
        &mut self,
        graph: &mut Graph,
        prefix: &str,
        x: Tensor,
        arguments: Conv1d,
    ) -> Result<Tensor> {
        let part = self.reader.resolve(prefix)?;
        let name = format!("{part}weight");
        let [filters, of_group, size] = self.reader.shape(&name)?;
        let groups = groups(graph, prefix, x, of_group)?;
        let kernel = self.reader.take(&name)?.reversed_axes();
        let bias = self.reader.take_optional(&format!("{part}bias"))?;
        let (x, padding) = match (arguments.padding, arguments.keeps_timesteps(size)) {
            (0, _) => (x, Padding::Valid),
            (_, true) => (x, Padding::Same),
            (zeros, false) => {
                let zeros = Layer::from(ZeroPadding1d::new((zeros, zeros)));
                (graph.add(zeros.named(format!("{prefix}_padding")), x)?[0], Padding::Valid)
            }
        };
        let layer = layer::Conv1d::new(filters, size)
            .strides(arguments.stride)
            .dilation_rate(arguments.dilation)
            .groups(groups)
            .padding(padding)
            .use_bias(bias.is_some());
        self.add(graph, prefix, layer, [Some(kernel), bias], x)
    }

    /// Adds a `torch.nn.LSTM` of any number of layers and directions, with or without a bias and
    /// `proj_size`, or an `LSTMCell`, which it runs on each timestep. It reads
    /// `[batch, timesteps, features]`, as PyTorch does with `batch_first=True`.
    ///
    /// Its layers are named `<prefix>_l0` and so on; by these names a call gives them other initial
    /// states than zeros ([`Inputs::initial_state_of`](crate::Inputs::initial_state_of)). A mask of
    /// the call ([`Call::mask`]) is for padding at the end of the sequences, and has the effect of
    /// `pack_padded_sequence`.
    ///
    /// With `proj_size` the states that the layer itself keeps, and initial hidden states, are
    /// those before the projection, `[batch, hidden_size]`; what it returns is projected.
    ///
    /// # Errors
    /// Those of [`Graph::add`], and [`Error::MalformedFile`] where tensors are missing, don't fit
    /// together, or are those of another module.
    pub fn lstm(
        &mut self,
        graph: &mut Graph,
        prefix: &str,
        x: impl Into<Call>,
    ) -> Result<Recurrent> {
        self.recurrent(graph, prefix, x.into(), "LSTM", Activation::Tanh)
    }

    /// Adds a `torch.nn.GRU`, or a `GRUCell`; see [`StateDict::lstm`].
    ///
    /// # Errors
    /// As [`StateDict::lstm`].
    pub fn gru(
        &mut self,
        graph: &mut Graph,
        prefix: &str,
        x: impl Into<Call>,
    ) -> Result<Recurrent> {
        self.recurrent(graph, prefix, x.into(), "GRU", Activation::Tanh)
    }

    /// Adds a `torch.nn.RNN`, or an `RNNCell`; see [`StateDict::lstm`]. Its `nonlinearity`, which
    /// no tensor tells, is [`Activation::Tanh`] by default in PyTorch, or [`Activation::Relu`].
    ///
    /// # Errors
    /// As [`StateDict::lstm`]; [`Error::Argument`] with another `nonlinearity`.
    pub fn rnn(
        &mut self,
        graph: &mut Graph,
        prefix: &str,
        x: impl Into<Call>,
        nonlinearity: Activation,
    ) -> Result<Recurrent> {
        self.recurrent(graph, prefix, x.into(), "RNN", nonlinearity)
    }

    fn recurrent(
        &mut self,
        graph: &mut Graph,
        prefix: &str,
        call: Call,
        class: &str,
        nonlinearity: Activation,
    ) -> Result<Recurrent> {
        let part = self.reader.resolve(prefix)?;
        match Sizes::of(&self.reader, &part)? {
            Some(sizes) if sizes.class().trim_end_matches("Cell") != class => {
                let found = sizes.class();
                self.reader.wrong(format!("{prefix:?} is of class {found}, and not {class}"))
            }
            _ => self.add_recurrent(graph, &part, prefix, call, nonlinearity),
        }
    }

    /// Adds a module of any class, whose tensors' names begin with `part`, under a name.
    pub(super) fn add_recurrent(
        &mut self,
        graph: &mut Graph,
        part: &str,
        name: &str,
        call: Call,
        nonlinearity: Activation,
    ) -> Result<Recurrent> {
        let module = Module::read(&mut self.reader, part)?;
        let name = match name.trim_end_matches('.') {
            "" => module.sizes.class().to_lowercase(),
            name => name.to_string(),
        };
        let (added, weights) = module.add(graph, &name, call, nonlinearity)?;
        self.weights.extend(weights);
        Ok(added)
    }

    /// Adds a layer that returns one array, with its weights.
    fn add(
        &mut self,
        graph: &mut Graph,
        prefix: &str,
        layer: impl Into<Layer>,
        weights: impl IntoIterator<Item = Option<ArrayD<f32>>>,
        x: Tensor,
    ) -> Result<Tensor> {
        let layer = layer.into();
        let name = match prefix.trim_end_matches('.') {
            "" => layer.class_name().to_lowercase(),
            name => name.to_string(),
        };
        let output = graph.add(layer.named(&name), x)?[0];
        self.weights.push((name, weights.into_iter().flatten().collect()));
        Ok(output)
    }

    /// Builds the model that returns `outputs`, in this order, and gives its layers the weights of
    /// the parts that were added. Layers of birnn's own may stand between them; those that have
    /// weights get them by [`Model::set_weights`].
    ///
    /// # Errors
    /// Those of [`Graph::build`] and [`Model::set_weights`].
    pub fn build(
        &mut self,
        graph: Graph,
        outputs: impl IntoIterator<Item = Tensor>,
    ) -> Result<Model> {
        let mut model = graph.build(outputs)?;
        for (layer, weights) in std::mem::take(&mut self.weights) {
            model.set_weights(&layer, weights)?;
        }
        Ok(model)
    }
}

/// The groups of a convolution that reads so many features in each.
fn groups(graph: &Graph, prefix: &str, x: Tensor, of_group: usize) -> Result<usize> {
    match graph.axes(x).last() {
        Some(&Some(features)) if features % of_group == 0 => Ok(features / of_group),
        axes => {
            let found =
                axes.copied().flatten().map_or("an open number of".into(), |n| n.to_string());
            Err(Error::Graph(format!(
                "the convolution {prefix:?} reads {of_group} features in each group, and the array \
                 has {found} features"
            )))
        }
    }
}
