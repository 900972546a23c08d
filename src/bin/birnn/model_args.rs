//! The arguments that say which files a model is read from.

use crate::progress;
use anyhow::{Context, Result, bail};
use birnn::program::Values;
use birnn::torch::TorchOptions;
use birnn::{Activation, Error, FileFormat, Model, OnnxOptions};
use clap::Args;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A model's files.
#[derive(Debug, Args)]
pub struct ModelArgs {
    /// The model: a .keras or legacy .h5 file that Keras saved, an .onnx file, a state dict of
    /// an LSTM, GRU or RNN that PyTorch saved, .safetensors, .pt or .pth, or birnn's own form,
    /// .safetensors; with --config the weights
    /// of a Keras model alone, .weights.h5 or .h5.
    model: PathBuf,
    /// Of an ONNX model: an input that nobody gives, which is zeros and in a further call what that
    /// output was.
    #[arg(long = "tie", value_name = "INPUT=OUTPUT", value_parser = pair)]
    ties: Vec<(String, String)>,
    /// Of an ONNX model: the length of all axes that the file calls so.
    #[arg(long = "length", value_name = "AXIS=N", value_parser = length)]
    lengths: Vec<(String, usize)>,
    /// Of an ONNX model: an input that is this number in every call, which then nobody gives; a
    /// branch of the model that it decides is taken once.
    #[arg(long = "fixed-input", value_name = "INPUT=NUMBER", value_parser = number)]
    fixed: Vec<(String, Values)>,
    /// The model's configuration, what Keras's model.to_json() returned, for a file that holds
    /// weights only.
    #[arg(long, value_name = "CONFIG.json")]
    config: Option<PathBuf>,
    /// Of a state dict of PyTorch's only the LSTM, GRU or RNN whose tensors' names begin with this,
    /// such as encoder.lstm.
    #[arg(long, value_name = "PREFIX", conflicts_with = "config")]
    prefix: Option<String>,
    /// The nonlinearity of an RNN of PyTorch's, which its state dict doesn't say.
    #[arg(long, value_enum, conflicts_with = "config")]
    nonlinearity: Option<Nonlinearity>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Nonlinearity {
    Tanh,
    Relu,
}

impl ModelArgs {
    /// The model, or why it can't be loaded, with the file's name.
    pub fn load(&self) -> Result<Model> {
        let _spinner = progress::spinner(format!("loading {}", self.model.display()));
        let format = self.format()?;
        let Some(config) = &self.config else {
            return self.load_alone(format).map_err(|error| self.named(error));
        };
        let json = read_config(config)?;
        let model = Model::from_keras_config(&json);
        let mut model = model.with_context(|| config.display().to_string())?;
        model.load_keras_weights(&self.model).map_err(|error| self.named(error))?;
        Ok(model)
    }

    /// How an ONNX file is read.
    pub fn onnx_options(&self) -> OnnxOptions {
        let mut options = OnnxOptions::new();
        for (input, output) in &self.ties {
            options = options.tied(input, output);
        }
        for (input, value) in &self.fixed {
            options = options.fixed_input(input, value.clone());
        }
        for (axis, length) in &self.lengths {
            options = options.length(axis, *length);
        }
        options
    }

    fn load_alone(&self, format: FileFormat) -> birnn::Result<Model> {
        match format {
            FileFormat::Onnx => self.onnx_options().load(&self.model),
            FileFormat::Torch => self.torch_options().load(&self.model),
            _ => Model::load(&self.model),
        }
    }

    fn torch_options(&self) -> TorchOptions {
        let options =
            self.prefix.iter().fold(TorchOptions::new(), |options, prefix| options.prefix(prefix));
        match self.nonlinearity {
            Some(Nonlinearity::Relu) => options.nonlinearity(Activation::Relu),
            Some(Nonlinearity::Tanh) => options.nonlinearity(Activation::Tanh),
            None => options,
        }
    }

    /// The file's format; an error where an option is of another one.
    pub fn format(&self) -> Result<FileFormat> {
        let format = FileFormat::of(&self.model).map_err(|error| self.named(error))?;
        let options = [
            ("--config", FileFormat::Keras, self.config.is_some()),
            ("--tie", FileFormat::Onnx, !self.ties.is_empty()),
            ("--length", FileFormat::Onnx, !self.lengths.is_empty()),
            ("--fixed-input", FileFormat::Onnx, !self.fixed.is_empty()),
            ("--prefix", FileFormat::Torch, self.prefix.is_some()),
            ("--nonlinearity", FileFormat::Torch, self.nonlinearity.is_some()),
        ];
        match options.iter().find(|(_, of, is_given)| *is_given && *of != format) {
            None => Ok(format),
            Some((option, of, _)) => bail!(
                "{}: {option} is an option of {}, and this is {}{}",
                self.model.display(),
                kind(*of).1,
                kind(format).0,
                // Which keeps what birnn convert was told.
                match (of, format) {
                    (FileFormat::Onnx, FileFormat::Portable) => {
                        "; give it to birnn convert with the ONNX file"
                    }
                    _ => "",
                }
            ),
        }
    }

    pub fn path(&self) -> &Path {
        &self.model
    }

    /// Whether the configuration is a file of its own.
    pub fn has_config(&self) -> bool {
        self.config.is_some()
    }

    /// An error of loading with the file's name, once.
    pub fn named(&self, error: Error) -> anyhow::Error {
        match error {
            // They name it themselves.
            Error::Io { .. } | Error::MalformedFile { .. } => error.into(),
            error => anyhow::Error::new(error).context(self.model.display().to_string()),
        }
    }
}

/// A file of a format in words, and several.
fn kind(format: FileFormat) -> (&'static str, &'static str) {
    match format {
        FileFormat::Keras => ("a file of Keras's", "files of Keras's"),
        FileFormat::Onnx => ("an ONNX file", "ONNX files"),
        FileFormat::Torch => ("a state dict of PyTorch's", "state dicts of PyTorch's"),
        _ => ("a model in birnn's own form", "models in birnn's own form"),
    }
}

/// A format's name in JSON.
pub fn word(format: FileFormat) -> &'static str {
    match format {
        FileFormat::Keras => "keras",
        FileFormat::Onnx => "onnx",
        FileFormat::Torch => "pytorch",
        _ => "birnn",
    }
}

/// What `KerasLimits` allows a configuration: of a longer one a byte more is read, and refused.
const CONFIG_BYTES: u64 = 16 << 20;

/// A configuration's text.
fn read_config(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    let file = File::open(path);
    let read = file.and_then(|file| file.take(CONFIG_BYTES + 1).read_to_end(&mut bytes));
    read.with_context(|| format!("cannot read {}", path.display()))?;
    match String::from_utf8(bytes) {
        Ok(json) => Ok(json),
        Err(_) => bail!(
            "{} is not JSON: --config takes the text that model.to_json() returned, and the \
             weights are the model",
            path.display()
        ),
    }
}

/// Two names.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((one, other)) if !one.is_empty() && !other.is_empty() => {
            Ok((one.to_string(), other.to_string()))
        }
        _ => Err("two names with = between them are needed, as in state=stateN".to_string()),
    }
}

/// A name and a number.
fn number(text: &str) -> Result<(String, Values), String> {
    let wrong = || "a name and a number are needed, as in sr=16000".to_string();
    let (name, number) =
        text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(wrong)?;
    let value = match (number.parse(), number.parse::<f32>()) {
        (Ok(whole), _) => Values::integer(whole),
        (_, Ok(number)) => Values::float(number),
        _ => return Err(wrong()),
    };
    Ok((name.to_string(), value))
}

/// A name and a length.
fn length(text: &str) -> Result<(String, usize), String> {
    let found = text.split_once('=').filter(|(name, _)| !name.is_empty());
    match found.map(|(name, length)| (name, length.parse())) {
        Some((name, Ok(length @ 1..))) => Ok((name.to_string(), length)),
        _ => Err("an axis and its length are needed, as in batch=1".to_string()),
    }
}
