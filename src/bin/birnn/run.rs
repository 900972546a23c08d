//! `birnn run`

use crate::{DeviceArgs, npy, show};
use anyhow::{Context, Result};
use birnn::{Error, Inputs, Model, Output, Outputs, Session, reference};
use clap::Args;
use ndarray::ArrayD;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[derive(Debug, Args)]
pub struct RunArgs {
    /// The model: a .keras or legacy .h5 file that Keras saved.
    model: PathBuf,
    /// The model's inputs in its own order, which `birnn inspect` shows.
    ///
    /// Sequences are [batch, timesteps, features], ids for an Embedding and masks [batch,
    /// timesteps], initial states [batch, units] and other inputs [batch, features]; of float32,
    /// float64, int32, int64 or bool.
    #[arg(required = true, value_name = "INPUT.npy")]
    inputs: Vec<PathBuf>,
    /// Write each output to DIR as float32 .npy, named by its place and role: 0_output.npy,
    /// 1_forward_hidden_state.npy, ... Files of these names are replaced.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Compute the f64 reference too and print how far each output is from it.
    #[arg(long)]
    reference: bool,
    /// Run N times more and print the times, copies to and from the device included.
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    repeat: usize,
    /// Print no arrays and no device.
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: &RunArgs, out: &mut impl Write) -> Result<ExitCode> {
    let model = load(&args.model)?;
    let arrays = args.inputs.iter().map(|path| npy::read(path)).collect::<Result<Vec<_>>>()?;
    let device = args.device.open_for_work()?;
    let mut session = device.compile(&model).with_context(|| args.model.display().to_string())?;
    let outputs = inputs(&arrays).and_then(|x| session.run(x)).with_context(|| args.describe())?;
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
    /// The files at work, for an error that names none.
    fn describe(&self) -> String {
        let inputs: Vec<_> = self.inputs.iter().map(|path| path.display().to_string()).collect();
        format!("{} on {}", self.model.display(), inputs.join(", "))
    }
}

fn load(path: &Path) -> Result<Model> {
    Model::from_keras(path).map_err(|error| in_file(path, error))
}

/// An error of loading with the file's name, once.
pub fn in_file(path: &Path, error: Error) -> anyhow::Error {
    match error {
        Error::Io { .. } | Error::MalformedFile { .. } => error.into(), // they name it themselves
        error => anyhow::Error::new(error).context(path.display().to_string()),
    }
}

/// `arrays` is never empty: clap asks for one.
fn inputs<F>(arrays: &[ArrayD<F>]) -> birnn::Result<Inputs<'_, F>> {
    let (first, rest) =
        arrays.split_first().ok_or_else(|| Error::Graph("no input was given".into()))?;
    Ok(rest.iter().fold(Inputs::new(first.view()), |inputs, array| inputs.input(array.view())))
}

fn exact(model: &Model, arrays: &[ArrayD<f32>]) -> birnn::Result<Outputs<f64>> {
    let arrays: Vec<_> = arrays.iter().map(|array| array.mapv(f64::from)).collect();
    reference::run(model, inputs(&arrays)?)
}

fn write(dir: &Path, outputs: &Outputs) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(dir)
        .with_context(|| format!("cannot make the directory {}", dir.display()))?;
    let paths = outputs.list().iter().enumerate().map(|(index, output)| {
        let path = dir.join(file_name(index, output));
        npy::write(&path, &output.array).map(|()| path)
    });
    paths.collect()
}

/// The place keeps the names apart; layers' names, which can hold any character, stay out of them.
fn file_name(index: usize, output: &Output) -> String {
    format!("{index}_{}.npy", output.role.to_string().replace(' ', "_"))
}

fn time(
    args: &RunArgs,
    session: &mut Session,
    arrays: &[ArrayD<f32>],
    out: &mut impl Write,
) -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..args.repeat {
        let start = Instant::now();
        session.run(inputs(arrays)?).with_context(|| args.describe())?;
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
