//! `birnn run`

use crate::device_args::DeviceArgs;
use crate::{npy, show};
use anyhow::{Context, Result, bail};
use birnn::torch::TorchOptions;
use birnn::{
    Activation, Error, FileFormat, Inputs, Model, OnnxOptions, Output, Outputs, Session, reference,
};
use clap::Args;
use ndarray::ArrayD;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

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

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// The model's inputs in its own order, which `birnn inspect` shows.
    ///
    /// Sequences are [batch, timesteps, features], ids for an Embedding and masks [batch,
    /// timesteps], initial states [batch, units] and other inputs [batch, features]; of any float,
    /// integer or bool dtype.
    #[arg(required_unless_present = "named", conflicts_with = "named", value_name = "INPUT.npy")]
    inputs: Vec<PathBuf>,
    /// An input by its name, which `birnn inspect` shows, instead of by its place; once for each
    /// input of the model, in any order.
    #[arg(long = "input", id = "named", value_name = "NAME=INPUT.npy", value_parser = named_input)]
    named: Vec<NamedInput>,
    /// Write each output to DIR as float32 .npy, named by its place, layer and role:
    /// 0_lstm_output.npy, 1_lstm_forward_hidden_state.npy, ... Files of these names are replaced.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Compute the f64 reference too and print how far each output is from it.
    #[arg(long)]
    reference: bool,
    /// Run N times more and print the times, copies to and from the device included.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(..=1_000_000)
    )]
    repeat: u32,
    /// Print no arrays, no device and no warnings.
    #[arg(long, short)]
    pub quiet: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Clone, Debug)]
struct NamedInput {
    name: String,
    path: PathBuf,
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

/// A name and a length.
fn length(text: &str) -> Result<(String, usize), String> {
    let (name, length) = pair(text)?;
    match length.parse() {
        Ok(length @ 1..) => Ok((name, length)),
        _ => Err("a length is needed, as in batch=1".to_string()),
    }
}

fn named_input(text: &str) -> Result<NamedInput, String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok(NamedInput { name: name.to_string(), path: path.into() })
        }
        _ => Err("an input's name, = and its file are needed, as in x=x.npy".to_string()),
    }
}

/// The arrays of a run, with the names of their inputs where they are given by name.
struct Arrays<F> {
    list: Vec<(Option<String>, ArrayD<F>)>,
}

impl<F: Copy> Arrays<F> {
    /// They are never none: clap asks for one.
    fn inputs(&self) -> birnn::Result<Inputs<'_, F>> {
        let Some((first, rest)) = self.list.split_first() else {
            return Err(Error::Graph("no input was given".into()));
        };
        let start = match first {
            (Some(name), array) => Inputs::named(name, array.view()),
            (None, array) => Inputs::new(array.view()),
        };
        Ok(rest.iter().fold(start, |inputs, (name, array)| match name {
            Some(name) => inputs.input_named(name, array.view()),
            None => inputs.input(array.view()),
        }))
    }

    fn map<G>(&self, to: impl Fn(F) -> G) -> Arrays<G> {
        let each = |(name, array): &(Option<String>, ArrayD<F>)| (name.clone(), array.mapv(&to));
        Arrays { list: self.list.iter().map(each).collect() }
    }
}

pub fn run(args: &RunArgs, out: &mut impl Write) -> Result<ExitCode> {
    let model = args.model.load()?;
    let arrays = args.read(&model)?;
    let device = args.device.open_for_work()?;
    let mut session =
        device.compile(&model).with_context(|| args.model.path().display().to_string())?;
    let outputs = match arrays.inputs().and_then(|inputs| session.run(inputs)) {
        Ok(outputs) => outputs,
        Err(error) => return Err(args.explain(error, &model, &arrays)),
    };
    // Files before text: a reader of stdout that leaves early must not cost them.
    let written = args.out.as_deref().map(|dir| write(dir, &outputs)).transpose()?;
    let exact = args.reference.then(|| exact(&model, &arrays)).transpose()?;
    if !args.quiet {
        show::device(out, session.device_info())?;
        show::outputs(out, &outputs, exact.as_ref())?;
    } else if let Some(exact) = &exact {
        show::differences(out, &outputs, exact)?;
    }
    for path in written.iter().flatten().filter(|_| !args.quiet) {
        writeln!(out, "written: {}", path.display())?;
    }
    time(args, &mut session, &arrays, out)?;
    Ok(ExitCode::SUCCESS)
}

impl RunArgs {
    /// The files of the inputs, with their names where they are given by name.
    fn files(&self) -> Vec<(Option<&str>, &Path)> {
        let named = self.named.iter().map(|input| (Some(input.name.as_str()), &*input.path));
        self.inputs.iter().map(|path| (None, path.as_path())).chain(named).collect()
    }

    fn read(&self, model: &Model) -> Result<Arrays<f32>> {
        if !self.named.is_empty() {
            self.check_names(&model.input_names())
                .with_context(|| self.model.path().display().to_string())?;
        }
        let read = |(name, path): (Option<&str>, &Path)| {
            npy::read(path).map(|array| (name.map(str::to_string), array))
        };
        Ok(Arrays { list: self.files().into_iter().map(read).collect::<Result<_>>()? })
    }

    /// That each of the model's inputs is given once.
    fn check_names(&self, known: &[String]) -> birnn::Result<()> {
        let wrong = |name: &str, reason: &str| {
            Err(Error::InputName {
                name: name.to_string(),
                reason: reason.to_string(),
                known: known.to_vec(),
            })
        };
        let given = |name: &str| self.named.iter().filter(|input| input.name == name).count();
        for NamedInput { name, .. } in &self.named {
            if !known.contains(name) {
                return wrong(name, "isn't one of the model's");
            }
            if given(name) > 1 {
                return wrong(name, "is given twice");
            }
        }
        match known.iter().find(|name| given(name) == 0) {
            Some(missing) => wrong(missing, "is missing: give it with --input NAME=INPUT.npy"),
            None => Ok(()),
        }
    }

    /// The files at work, for an error that names none.
    fn describe(&self) -> String {
        let inputs: Vec<_> =
            self.files().iter().map(|(_, path)| path.display().to_string()).collect();
        format!("{} on {}", self.model.path().display(), inputs.join(", "))
    }

    /// An error of a run with the files at work, and with what to do where an array lacks the
    /// batch axis.
    fn explain(&self, error: Error, model: &Model, arrays: &Arrays<f32>) -> anyhow::Error {
        let hint = match &error {
            Error::InputShape { input, .. } if lacks_batch(input, model, arrays) => {
                "; add a batch axis: x[None]"
            }
            _ => "",
        };
        match hint {
            "" => anyhow::Error::new(error).context(self.describe()),
            hint => anyhow::anyhow!("{}: {error}{hint}", self.describe()),
        }
    }
}

/// Whether the array that an error calls `input "name"` has the shape of this input of the model
/// but for the batch.
fn lacks_batch(input: &str, model: &Model, arrays: &Arrays<f32>) -> bool {
    let summary = model.summary();
    let rows = summary.rows.iter().filter(|row| row.class_name == "InputLayer");
    let Some((index, row)) =
        rows.enumerate().find(|(_, row)| input == format!("input {:?}", row.name))
    else {
        return false;
    };
    let named = arrays.list.iter().find(|(name, _)| name.as_deref() == Some(row.name.as_str()));
    let placed = arrays.list.get(index).filter(|(name, _)| name.is_none());
    let (Some((_, array)), Some([_, axes @ ..])) =
        (named.or(placed), row.output_shapes.first().map(Vec::as_slice))
    else {
        return false;
    };
    array.ndim() == axes.len()
        && array.shape().iter().zip(axes).all(|(n, axis)| axis.is_none_or(|axis| axis == *n))
}

impl ModelArgs {
    /// The model, or why it can't be loaded, with the file's name.
    pub fn load(&self) -> Result<Model> {
        let Some(config) = &self.config else {
            return self.load_alone().map_err(|error| self.named(error));
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
        for (axis, length) in &self.lengths {
            options = options.length(axis, *length);
        }
        options
    }

    fn load_alone(&self) -> birnn::Result<Model> {
        if !self.is_torch() {
            return match FileFormat::of(&self.model)? {
                FileFormat::Onnx => self.onnx_options().load(&self.model),
                _ => Model::load(&self.model),
            };
        }
        let nonlinearity = match self.nonlinearity {
            Some(Nonlinearity::Relu) => Activation::Relu,
            _ => Activation::Tanh,
        };
        let options = TorchOptions::new().nonlinearity(nonlinearity);
        let options = self.prefix.iter().fold(options, |options, prefix| options.prefix(prefix));
        Model::from_torch_with(&self.model, &options)
    }

    pub fn path(&self) -> &Path {
        &self.model
    }

    /// Whether an argument says that it is a file of PyTorch's.
    pub fn is_torch(&self) -> bool {
        self.prefix.is_some() || self.nonlinearity.is_some()
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

fn exact(model: &Model, arrays: &Arrays<f32>) -> birnn::Result<Outputs<f64>> {
    reference::run(model, arrays.map(f64::from).inputs()?)
}

fn write(dir: &Path, outputs: &Outputs) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(dir)
        .with_context(|| format!("cannot make the directory {}", dir.display()))?;
    let paths = outputs.list().iter().enumerate().map(|(index, output)| {
        let path = dir.join(file_name(index, outputs.list().len(), output));
        npy::write(&path, &output.array).map(|()| path)
    });
    paths.collect()
}

/// The place keeps the names apart, and stands before the first underscore.
fn file_name(index: usize, of: usize, output: &Output) -> String {
    let layer = npy::plain(&output.layer);
    // As many digits as the last one has, so that the names sort as the outputs do.
    let digits = (of - 1).to_string().len();
    format!("{index:0digits$}_{layer}_{}.npy", output.role.to_string().replace(' ', "_"))
}

fn time(
    args: &RunArgs,
    session: &mut Session,
    arrays: &Arrays<f32>,
    out: &mut impl Write,
) -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..args.repeat {
        let start = Instant::now();
        session.run(arrays.inputs()?).with_context(|| args.describe())?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    if let [fastest, ..] = &times[..] {
        let runs = if times.len() == 1 { "run" } else { "runs" };
        let (median, fastest) = (milliseconds(times[times.len() / 2]), milliseconds(*fastest));
        writeln!(out, "{} more {runs}: median {median}, fastest {fastest}", times.len())?;
    }
    Ok(())
}

/// Three digits after the point, or five where these would say nothing.
fn milliseconds(time: Duration) -> String {
    let time = time.as_secs_f64() * 1e3;
    if time < 0.1 { format!("{time:.5} ms") } else { format!("{time:.3} ms") }
}

#[cfg(test)]
mod tests {
    use super::file_name;
    use birnn::{Direction, Output, Role};
    use ndarray::{ArrayD, IxDyn};

    #[test]
    fn files_have_short_plain_names() {
        let output = |layer: &str, role| Output {
            layer: layer.to_string(),
            role,
            array: ArrayD::zeros(IxDyn(&[])),
        };
        let name = |layer: &str, role| file_name(12, 13, &output(layer, role));
        assert_eq!(file_name(2, 10, &output("a", Role::Output)), "2_a_output.npy");
        assert_eq!(file_name(2, 11, &output("a", Role::Output)), "02_a_output.npy");
        let hidden = Role::HiddenState(Direction::Backward);
        assert_eq!(name("lstm_1", hidden), "12_lstm_1_backward_hidden_state.npy");
        assert_eq!(name("../a/b:c d\\é.v-2", Role::Output), "12_.._a_b_c_d__.v-2_output.npy");
        let long = name(&"ü".repeat(1000), Role::Output);
        assert_eq!(long, format!("12_{}_output.npy", "_".repeat(64)));
    }
}
