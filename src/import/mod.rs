//! Files to models. Nothing else in this crate knows a file format.
//!
//! Importers use no more of the crate than its public interface: what they do another crate can
//! do, too (`tests/toy_importer` is one, and compiles those that are here).

#[cfg(any(feature = "keras", feature = "onnx"))]
mod angles;
#[cfg(any(feature = "keras", feature = "onnx"))]
mod einsum;
mod format;
#[cfg(feature = "keras")]
mod keras;
#[cfg(feature = "onnx")]
mod onnx;
#[cfg(any(feature = "keras", feature = "onnx"))]
mod operations;
#[cfg(feature = "pytorch")]
pub mod pytorch;
mod recognize;

pub use format::FileFormat;
#[cfg(feature = "keras")]
pub use keras::{
    CustomLayer, KerasFileReport, KerasLayer, KerasLayerReport, KerasLimits, KerasOptions,
    inspect_keras, keras_operations,
};
#[cfg(feature = "onnx")]
pub use onnx::{
    OnnxAxis, OnnxFileReport, OnnxInputReport, OnnxNodeReport, OnnxOptions, inspect_onnx,
    onnx_operators,
};

#[cfg(doc)]
use crate::Error;
use crate::{Model, Result};
use std::path::Path;

#[cfg(feature = "onnx")]
impl Model {
    /// Reads an ONNX file, of opset 7 to 28, whatever wrote it. The content says that it is one,
    /// not the file's name. Values may be in files beside it.
    ///
    /// Inputs and outputs keep the file's names, and their arrays the file's shapes: no axis is the
    /// batch, and an axis whose length the file doesn't say may have any. Inputs of whole numbers
    /// and truth values are given as numbers of the model's type, exact up to 2^24 in `f32`; an
    /// output of them is returned so. An output without an axis is returned as an array of shape
    /// `[1]`.
    ///
    /// LSTM, GRU and RNN are read with all their attributes and inputs; [`onnx_operators`] lists
    /// all operators. Functions that a file defines are taken for the nodes in them. What shapes
    /// and constants alone say is computed before a call runs. Kernels of whole numbers
    /// (`DynamicQuantizeLSTM`, `DequantizeLinear`) become numbers when the model is read. Weights
    /// have to be constants. Whatever types a file has (float16, bfloat16, float64), the model
    /// computes in `f32`.
    ///
    /// [`OnnxOptions`] fixes inputs and lengths, ties an output to an input from call to call, and
    /// limits what a file may ask for.
    ///
    /// [`onnx_operators`]: crate::onnx_operators
    /// [`OnnxOptions`]: crate::OnnxOptions
    ///
    /// # Errors
    /// * [`Error::Io`] where the file can't be read.
    /// * [`Error::MalformedFile`] where it is no ONNX model, is damaged, or is of another opset.
    /// * [`Error::UnsupportedNode`] where a node computes something that this crate doesn't.
    /// * [`Error::Graph`], [`Error::Argument`], [`Error::WeightShape`], [`Error::NonFiniteWeight`]
    ///   where what the file says doesn't fit together. Whether shapes fit is found out when a call
    ///   is prepared.
    ///
    /// ```
    /// use birnn::{Device, Model};
    /// use ndarray::Array3;
    ///
    /// let model = Model::from_onnx("tests/fixtures/onnx/lstm_bidirectional.onnx")?;
    /// assert_eq!(model.input_names(), ["X"]);
    /// let x = Array3::<f32>::ones((5, 2, 3)); // [timesteps, batch, features], as the file has it
    /// let outputs = Device::cpu().compile(&model)?.run(x.view())?;
    /// // [timesteps, directions, batch, units]
    /// assert_eq!(outputs.named("Y")?.shape(), [5, 2, 2, 4]);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn from_onnx(path: impl AsRef<Path>) -> Result<Model> {
        OnnxOptions::new().load(path)
    }

    /// [`Model::from_onnx`] on a file's content; `name` stands for the file in messages. Its values
    /// have to be in it.
    ///
    /// # Errors
    /// As [`Model::from_onnx`], without [`Error::Io`].
    ///
    /// ```
    /// use birnn::{Error, Model};
    /// let error = Model::from_onnx_bytes("notes.txt", b"plain text").unwrap_err();
    /// assert!(matches!(error, Error::MalformedFile { .. }));
    /// ```
    pub fn from_onnx_bytes(name: &str, bytes: &[u8]) -> Result<Model> {
        OnnxOptions::new().load_bytes(name, bytes)
    }
}

impl Model {
    /// Reads a model from a file of any format that this build of the crate knows, which its
    /// content tells ([`FileFormat::of`]): of Keras as `Model::from_keras` does, of ONNX as
    /// `Model::from_onnx`, of PyTorch as `Model::from_torch`, and in birnn's own form as
    /// [`Model::from_portable`].
    ///
    /// # Errors
    /// Those of [`FileFormat::of`] and of the function for the format.
    ///
    /// ```
    /// use birnn::Model;
    /// # #[cfg(feature = "keras")]
    /// assert!(Model::load("tests/fixtures/keras/notebook_lstm2.keras").is_ok());
    /// # #[cfg(feature = "pytorch")]
    /// assert!(Model::load("tests/fixtures/torch/lstm.safetensors").is_ok());
    /// assert!(Model::load("tests/fixtures/portable/version_1.safetensors").is_ok());
    /// ```
    pub fn load(path: impl AsRef<Path>) -> Result<Model> {
        let path = path.as_ref();
        match FileFormat::of(path)? {
            #[cfg(feature = "keras")]
            FileFormat::Keras => Model::from_keras(path),
            #[cfg(feature = "onnx")]
            FileFormat::Onnx => Model::from_onnx(path),
            #[cfg(feature = "pytorch")]
            FileFormat::Torch => Model::from_torch(path),
            FileFormat::Portable => Model::from_portable(path),
            #[cfg(not(all(feature = "keras", feature = "onnx", feature = "pytorch")))]
            format => format.is_not_built(path),
        }
    }
}

#[cfg(feature = "keras")]
impl Model {
    /// Reads a model that Keras saved with its weights: `model.save("model.keras")`, or the legacy
    /// `model.save("model.h5")`, of Keras 3 or Keras 2 (`tf.keras`). The content says which of the
    /// two formats it is, not the file's name.
    ///
    /// Sequential and functional models are read, with shared layers, several inputs and outputs,
    /// masks, and initial states that are tensors; also models that are layers of others, or in
    /// `TimeDistributed`, whose layers then stand in the one model with the names of both,
    /// `encoder/lstm`. Of which layers: LSTM, GRU, SimpleRNN,
    /// CuDNNLSTM, CuDNNGRU, RNN of cells (of several as one layer for each, named `<layer>/cell_0`
    /// and so on), ConvLSTM1D, ConvLSTM2D, Bidirectional, TimeDistributed, and those of
    /// [`layer`](crate::layer) that keep no state, such as Dense, Embedding, Masking, Conv1D,
    /// BatchNormalization and MultiHeadAttention; see [`Error::UnsupportedLayer`] of a file with
    /// another one for the full list.
    ///
    /// Inputs keep the names of the `InputLayer`s, in the order of the Keras model's inputs; ids
    /// and masks are given as numbers of the model's type. The outputs come in the order of Keras's
    /// flattened list. What only matters in training (dropout, regularizers, initializers, the
    /// optimizer) is passed over. A number of timesteps that the file fixes stays fixed; a batch
    /// that it fixes doesn't, as in Keras. Masks follow the rules of the Keras that wrote the file.
    ///
    /// Whatever dtype policy a file has (float16, bfloat16, float64, mixed), the model computes in
    /// f32. So it does with weights that Keras quantized to int8 or int4 (not float8, GPTQ or AWQ):
    /// they are read as the numbers that they stand for. Where Keras quantizes activations, too,
    /// as it does by default with int8, its results differ by that. A LoRA is added to its kernel.
    ///
    /// # Errors
    /// * [`Error::Io`] where the file can't be read.
    /// * [`Error::MalformedFile`] where it is no Keras model, is damaged, or lacks weights.
    /// * [`Error::UnsupportedLayer`], [`Error::UnsupportedArgument`], [`Error::UnsupportedModel`]
    ///   where the model would compute something that this crate doesn't; nothing that changes a
    ///   result is passed over.
    /// * [`Error::Argument`], [`Error::Graph`], [`Error::WeightShape`], [`Error::NonFiniteWeight`]
    ///   where what the file says doesn't fit together.
    ///
    /// ```
    /// use birnn::Model;
    /// use ndarray::Array3;
    ///
    /// let model = Model::from_keras("tests/fixtures/keras/notebook_lstm2.keras")?;
    /// assert_eq!(model.input_names(), ["input_layer"]);
    /// assert_eq!(model.layer_names(), ["bidirectional"]);
    /// let x = Array3::<f32>::ones((1, 8, 2)); // [batch, timesteps, features]
    /// let outputs = birnn::reference::run(&model, x.view())?;
    /// // Bidirectional(LSTM(3, return_sequences=True, return_state=True))
    /// assert_eq!(outputs.output().shape(), [1, 8, 6]);
    /// assert_eq!(outputs.backward().cell()?.shape(), [1, 3]);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn from_keras(path: impl AsRef<Path>) -> Result<Model> {
        KerasLimits::new().load(path)
    }

    /// [`Model::from_keras`] on a file's content, for example one that was downloaded or compiled
    /// in; `name` stands for the file in messages.
    ///
    /// # Errors
    /// As [`Model::from_keras`], without [`Error::Io`].
    ///
    /// ```
    /// use birnn::{Error, Model};
    /// let error = Model::from_keras_bytes("notes.txt", b"plain text".to_vec()).unwrap_err();
    /// assert!(matches!(error, Error::MalformedFile { .. }));
    /// ```
    pub fn from_keras_bytes(name: &str, bytes: Vec<u8>) -> Result<Model> {
        KerasLimits::new().load_bytes(name, bytes)
    }

    /// The model that Keras's `model.to_json()` describes, without weights: they come from
    /// [`Model::load_keras_weights`], [`Model::set_weights`] or [`Model::initialize`].
    ///
    /// # Errors
    /// As [`Model::from_keras`], without [`Error::Io`] and what concerns weights.
    ///
    /// ```
    /// use birnn::Model;
    /// let json = r#"{"class_name": "Sequential", "keras_version": "2.15.0", "config": {
    ///     "name": "sequential", "layers": [
    ///         {"class_name": "Embedding", "config": {
    ///             "name": "embedding", "batch_input_shape": [null, null],
    ///             "input_dim": 100, "output_dim": 8, "mask_zero": true}},
    ///         {"class_name": "SimpleRNN", "config": {
    ///             "name": "rnn", "units": 4, "activation": "tanh"}}]}}"#;
    /// let model = Model::from_keras_config(json)?.initialize(1)?;
    /// assert_eq!(model.layer_names(), ["embedding", "rnn"]);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    ///
    /// With the weights of a file of their own:
    ///
    /// ```
    /// fn load(json: &str) -> birnn::Result<birnn::Model> {
    ///     let mut model = birnn::Model::from_keras_config(json)?; // what to_json() returned
    ///     model.load_keras_weights("model.weights.h5")?;
    ///     Ok(model)
    /// }
    /// ```
    pub fn from_keras_config(json: &str) -> Result<Model> {
        KerasLimits::new().load_config(json)
    }

    /// Reads the weights of a file into the model, which has to come from the configuration of the
    /// same Keras model: from [`Model::from_keras_config`] or [`Model::from_keras`]. The file is
    /// Keras's `model.save_weights(...)` (`.weights.h5`, or the legacy `.h5` of Keras 2) or a whole
    /// saved model.
    ///
    /// # Errors
    /// As [`Model::from_keras`]; [`Error::Graph`] where the model wasn't built from a configuration
    /// of Keras's.
    ///
    /// ```
    /// use birnn::Model;
    /// let mut model = Model::from_keras("tests/fixtures/keras/notebook_lstm2.keras")?;
    /// model.load_keras_weights("tests/fixtures/keras/notebook_lstm2_keras3.h5")?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn load_keras_weights(&mut self, path: impl AsRef<Path>) -> Result<()> {
        KerasLimits::new().load_weights(self, path)
    }

    /// [`Model::load_keras_weights`] on a file's content; `name` stands for the file in messages.
    ///
    /// # Errors
    /// As [`Model::load_keras_weights`], without [`Error::Io`].
    ///
    /// ```
    /// use birnn::Model;
    /// let mut model = Model::from_keras("tests/fixtures/keras/notebook_lstm2.keras")?;
    /// assert!(model.load_keras_weights_bytes("notes.txt", b"plain text".to_vec()).is_err());
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn load_keras_weights_bytes(&mut self, name: &str, bytes: Vec<u8>) -> Result<()> {
        KerasLimits::new().load_weights_bytes(self, name, bytes)
    }
}

#[cfg(feature = "pytorch")]
impl Model {
    /// Reads a state dict of one `nn.LSTM`, `nn.GRU` or `nn.RNN` of PyTorch's, or of an `LSTMCell`,
    /// `GRUCell` or `RNNCell`: `torch.save(module.state_dict(), "module.pt")`, a `.pt` or `.pth`
    /// file of any version, a checkpoint with the state dict in it, or the same in a `.safetensors`
    /// file. The content says which of the formats it is, not the file's name; nothing in it is
    /// executed. Cell, sizes, layers, directions, bias and `proj_size` follow from the tensors, in
    /// f16, bf16, f32 or f64; the model computes in f32.
    ///
    /// The model has the input `input`, `[batch, timesteps, features]`, and the layers
    /// `<module>_l0` and so on. What it returns is PyTorch's `output, (h_n, c_n)`: first the output
    /// of the last layer, `[batch, timesteps, directions · units]`, then of each layer and
    /// direction the final hidden state and of an LSTM the cell state, each `[batch, units]`.
    /// [`torch::h_n`](crate::torch::h_n) and [`torch::c_n`](crate::torch::c_n) put them together as
    /// PyTorch does. Of a cell it runs all timesteps, one after the other.
    ///
    /// Arrays are batch first whatever the module's `batch_first` was; see
    /// [`torch`](crate::torch). Lengths given with a call ([`Inputs::lengths`](crate::Inputs)) have
    /// the effect of `pack_padded_sequence`. With `proj_size` an initial hidden state is that
    /// before the projection, `[batch, hidden_size]`.
    ///
    /// Of a model that is more than a recurrent module
    /// [`torch::StateDict`](crate::torch::StateDict) gives the parts.
    ///
    /// # Errors
    /// * [`Error::Io`] where the file can't be read.
    /// * [`Error::MalformedFile`] where it is damaged, no file of PyTorch's, TorchScript, a module
    ///   that was pickled as a whole, or holds no, several or more than a recurrent module. The
    ///   text says what to do.
    /// * [`Error::NonFiniteWeight`] where a weight is NaN or infinite.
    ///
    /// ```
    /// use birnn::{Device, Direction, Model};
    /// // nn.LSTM(4, 6, num_layers=2, bidirectional=True)
    /// let model = Model::from_torch("tests/fixtures/torch/lstm.safetensors")?;
    /// assert_eq!(model.layer_names(), ["lstm_l0", "lstm_l1"]);
    /// let x = ndarray::Array3::<f32>::ones((3, 5, 4)); // [batch, timesteps, features]
    /// let outputs = Device::cpu().compile(&model)?.run(x.view())?;
    /// assert_eq!(outputs.output().shape(), [3, 5, 12]);
    /// let last = outputs.of_layer("lstm_l1", Direction::Backward)?;
    /// assert_eq!(last.hidden()?.shape(), [3, 6]);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn from_torch(path: impl AsRef<Path>) -> Result<Model> {
        pytorch::TorchOptions::new().load(path)
    }

    /// [`Model::from_torch`] with what the file doesn't say: which of its modules is meant, and
    /// whether an RNN's `nonlinearity` is relu.
    ///
    /// # Errors
    /// As [`Model::from_torch`]; [`Error::Argument`] with a `nonlinearity` that the module can't
    /// have.
    ///
    /// ```
    /// use birnn::torch::TorchOptions;
    /// use birnn::{Activation, Model};
    /// let options = TorchOptions::new().nonlinearity(Activation::Relu);
    /// let model = Model::from_torch_with("tests/fixtures/torch/rnn_relu.pt", &options)?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn from_torch_with(
        path: impl AsRef<Path>,
        options: &pytorch::TorchOptions,
    ) -> Result<Model> {
        options.load(path)
    }
}
