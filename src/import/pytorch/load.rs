//! From a file with one recurrent module to a model.

use super::limits::TorchLimits;
use super::messages::listed;
use super::parts::recurrent_prefixes;
use super::reader::{Reader, wrappers};
use super::recurrent::Sizes;
use super::state_dict::StateDict;
use crate::{Activation, Error, Graph, Model, Outputs, Result, Role};
use ndarray::{Array3, ArrayView2, Axis, Ix2, stack};
use std::path::Path;

/// What a state dict doesn't say of a recurrent module, with PyTorch's defaults; see
/// [`Model::from_torch_with`].
///
/// ```
/// use birnn::torch::TorchOptions;
/// use birnn::{Activation, Model};
/// let options = TorchOptions::new().prefix("lstm");
/// let model = Model::from_torch_with("tests/fixtures/torch/tagger.safetensors", &options)?;
/// assert_eq!(model.layer_names(), ["lstm_l0"]);
/// # Ok::<(), birnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TorchOptions {
    prefix: Option<String>,
    /// `None`: it wasn't said.
    nonlinearity: Option<Activation>,
    limits: TorchLimits,
}

impl Default for TorchOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl TorchOptions {
    /// The defaults.
    pub fn new() -> TorchOptions {
        TorchOptions { prefix: None, nonlinearity: None, limits: TorchLimits::new() }
    }

    /// Which part of the file it is: what the names of its tensors begin with, such as
    /// `encoder.lstm` (default: the only recurrent module that there is, and the file may hold
    /// nothing else).
    pub fn prefix(mut self, prefix: impl Into<String>) -> TorchOptions {
        self.prefix = Some(prefix.into());
        self
    }

    /// The `nonlinearity` of an RNN: [`Activation::Tanh`] (default) or [`Activation::Relu`]. A file
    /// doesn't say it: where nobody does, a warning of the crate `tracing` tells that tanh is
    /// taken.
    pub fn nonlinearity(mut self, nonlinearity: Activation) -> TorchOptions {
        self.nonlinearity = Some(nonlinearity);
        self
    }

    /// How much the file may ask for.
    pub fn limits(mut self, limits: TorchLimits) -> TorchOptions {
        self.limits = limits;
        self
    }

    /// [`Model::from_torch_with`].
    ///
    /// # Errors
    /// As [`Model::from_torch`].
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Model> {
        self.model(self.limits.open(path)?)
    }

    /// [`TorchOptions::load`] on a file's content; `name` stands for the file in messages.
    ///
    /// # Errors
    /// As [`Model::from_torch`], without [`Error::Io`].
    pub fn load_bytes(&self, name: &str, bytes: Vec<u8>) -> Result<Model> {
        self.model(self.limits.open_bytes(name, bytes)?)
    }

    fn model(&self, mut state: StateDict) -> Result<Model> {
        let part = match &self.prefix {
            Some(prefix) => state.reader.resolve(prefix)?,
            None => only_module(&state.reader)?,
        };
        let Some(Sizes { features, cell, .. }) = Sizes::of(&state.reader, &part)? else {
            let modules = recurrent_prefixes(&state.reader);
            let names = listed(modules.iter().map(|name| name.trim_end_matches('.')));
            return state.reader.wrong(format!(
                "has no recurrent module {:?}; it has {}",
                self.prefix.as_deref().unwrap_or_default(),
                if names.is_empty() { "none" } else { &names }
            ));
        };
        let name = part[wrappers(&part)..].trim_end_matches('.').to_string();
        let mut graph = Graph::new();
        let x = graph.sequence_input("input", None, features)?;
        if self.nonlinearity.is_none() && !cell.has_gates() {
            tracing::warn!(
                "the state dict doesn't say whether its RNN computes tanh or relu: tanh is taken \
                 (TorchOptions::nonlinearity)"
            );
        }
        let nonlinearity = self.nonlinearity.unwrap_or(Activation::Tanh);
        let module = state.add_recurrent(&mut graph, &part, &name, x.into(), nonlinearity)?;
        let mut outputs = vec![module.output];
        for (place, &hidden) in module.h_n.iter().enumerate() {
            outputs.push(hidden);
            outputs.extend(module.c_n.get(place));
        }
        state.build(graph, outputs)
    }
}

/// What the names of the tensors of a file's only recurrent module begin with, beside which the
/// state dict has nothing else.
fn only_module(reader: &Reader) -> Result<String> {
    let modules = recurrent_prefixes(reader);
    let mut found = modules.iter();
    let names = || listed(modules.iter().map(|name| name.trim_end_matches('.')));
    let part = match (found.next(), found.next()) {
        (Some(part), None) => part,
        (None, _) => {
            let tensors = listed(reader.names());
            let instead = reader.of_parametrized();
            return reader
                .wrong(format!("holds no LSTM, GRU or RNN; its tensors are {tensors}{instead}"));
        }
        _ => {
            return reader.wrong(format!(
                "holds several recurrent modules: {}; name one (TorchOptions::prefix), or build \
                 the whole model with torch::StateDict",
                names()
            ));
        }
    };
    let root = &part[..wrappers(part)];
    let is_own = |name: &str| name.strip_prefix(&part[..]).is_some_and(|own| !own.contains('.'));
    let is_other = |name: &&str| name.starts_with(root) && !is_own(name);
    let others: Vec<&str> = reader.names().filter(is_other).collect();
    match &others[..] {
        [] => Ok(part.clone()),
        others => reader.wrong(format!(
            "holds more than the recurrent module {}: {}; build the whole model with \
             torch::StateDict, or ask for the module alone (TorchOptions::prefix){}",
            names(),
            listed(others.iter().copied()),
            reader.of_parametrized()
        )),
    }
}

/// PyTorch's `h_n` of a model from [`Model::from_torch`]: the final hidden states of all layers and
/// directions, `[layers · directions, batch, units]`, with `proj_size` in place of the units where
/// an LSTM has one.
///
/// ```
/// use birnn::{Device, Model, torch};
/// let model = Model::from_torch("tests/fixtures/torch/lstm.safetensors")?; // 2 layers, both ways
/// let x = ndarray::Array3::<f32>::ones((3, 5, 4)); // [batch, timesteps, features]
/// let outputs = Device::cpu().compile(&model)?.run(x.view())?;
/// assert_eq!(torch::h_n(&outputs)?.shape(), [4, 3, 6]);
/// assert_eq!(torch::c_n(&outputs)?.shape(), [4, 3, 6]);
/// # Ok::<(), birnn::Error>(())
/// ```
///
/// # Errors
/// [`Error::NoSuchOutput`] of the outputs of another model.
pub fn h_n<F: Clone>(outputs: &Outputs<F>) -> Result<Array3<F>> {
    final_states("h_n", outputs, false)
}

/// PyTorch's `c_n` of a model from [`Model::from_torch`]: the final cell states of all layers and
/// directions of an LSTM, `[layers · directions, batch, units]`; see [`h_n`].
///
/// # Errors
/// [`Error::NoSuchOutput`] of the outputs of another model, or of a GRU or RNN.
pub fn c_n<F: Clone>(outputs: &Outputs<F>) -> Result<Array3<F>> {
    final_states("c_n", outputs, true)
}

fn final_states<F: Clone>(wanted: &str, outputs: &Outputs<F>, of_cells: bool) -> Result<Array3<F>> {
    let none = || Error::NoSuchOutput {
        wanted: wanted.to_string(),
        available: outputs.list().iter().map(|o| format!("{} of {}", o.role, o.layer)).collect(),
    };
    // The output comes first, and all others are states.
    let states = outputs.list().iter().skip(1);
    let states = states.filter(|output| matches!(output.role, Role::CellState(_)) == of_cells);
    let views: Option<Vec<ArrayView2<F>>> =
        states.map(|output| output.array.view().into_dimensionality::<Ix2>().ok()).collect();
    let views = views.filter(|views| !views.is_empty()).ok_or_else(none)?;
    stack(Axis(0), &views).map_err(|_| none())
}
