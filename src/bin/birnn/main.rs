//! The program `birnn`: run Keras models, list adapters, and the notebook's four programs.
#![deny(unsafe_code)]

mod demo;
mod devices;
mod inspect;
mod kernel;
mod npy;
mod plan;
mod run;
mod show;
mod terminal;

use anyhow::{Context, Result};
use birnn::{CpuOptions, Device, DeviceOptions};
use clap::{Args, Parser, Subcommand};
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

/// Recurrent networks trained in Keras (LSTM, GRU, SimpleRNN, Bidirectional) on any GPU, without
/// Python.
///
/// Exit status: 0 done; 1 it failed, and stderr says why in one line; 2 wrong arguments;
/// 3 `devices --check` found no GPU.
#[derive(Debug, Parser)]
#[command(name = "birnn", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a .keras or .h5 model on .npy arrays and print what it returns.
    Run(run::RunArgs),
    /// Print a model's layers, shapes and parameters; of a file that can't be loaded every layer
    /// that isn't supported.
    Inspect(inspect::InspectArgs),
    /// List the GPU adapters and their limits, and say which one is used and why.
    Devices(devices::DevicesArgs),
    /// Say what a layer of a shape would do on a GPU, without one: its dispatches, their work, and
    /// what bounds them.
    Plan(plan::PlanArgs),
    /// Print the WGSL of a kernel as the driver gets it, for a layer of a shape; without a name list
    /// the kernels.
    Kernel(kernel::KernelArgs),
    /// Run the notebook's four programs (lstm1, lstm2, gru1, gru2), print what it prints, and
    /// compare them with the f64 reference.
    Demo(demo::DemoArgs),
}

impl Command {
    /// Whether warnings are left out.
    fn is_quiet(&self) -> bool {
        matches!(self, Command::Run(args) if args.quiet)
    }
}

#[derive(Debug, Args)]
struct DeviceArgs {
    /// best (a GPU where there is one, otherwise the CPU), gpu, cpu, reference (plain formulas in
    /// float64, slow), or part of an adapter's name.
    #[arg(long, value_name = "DEVICE", env = "BIRNN_DEVICE", default_value = "best")]
    device: String,
    /// Let best and gpu choose an adapter that computes on the CPU, too: lavapipe, WARP.
    /// So does the environment variable BIRNN_ALLOW_SOFTWARE=1.
    #[arg(long, env = "BIRNN_ALLOW_SOFTWARE", hide_env = true, value_parser = yes_or_no)]
    allow_software: bool,
    /// Store recurrent layers' kernels as 16-bit floats, rounded to 11 bits: half as much to read,
    /// which pays for large layers and small batches. On the CPU path of layers of more than 8
    /// units, and not of the input's kernels.
    #[arg(long)]
    half_weights: bool,
    /// Threads of the CPU path; 0: as many as cores, or RAYON_NUM_THREADS. They change no bit of
    /// the result.
    #[arg(
        long,
        value_name = "THREADS",
        default_value_t = 0,
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(u16).range(..=1024)
    )]
    threads: u16,
}

/// The value of BIRNN_ALLOW_SOFTWARE, with the words that the crate takes; the crate itself takes
/// any other word for 0.
fn yes_or_no(value: &str) -> Result<bool, String> {
    match value.to_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "" | "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("the environment variable BIRNN_ALLOW_SOFTWARE is 1 or 0".to_string()),
    }
}

impl DeviceArgs {
    fn open(&self) -> birnn::Result<Device> {
        let options = DeviceOptions::new()
            .parse(&self.device)
            .allow_software(self.allow_software)
            .half_weights(self.half_weights)
            .with_cpu(CpuOptions::new().threads(self.threads.into()));
        terminal::without_mesas_line(|| options.open())
    }

    fn open_for_work(&self) -> Result<Device> {
        self.open().with_context(|| {
            format!(
                "device {:?} (--device, or the environment variable BIRNN_DEVICE; best, gpu, cpu \
                 or part of an adapter's name)",
                self.device
            )
        })
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if !cli.command.is_quiet() {
        terminal::print_warnings();
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let result = dispatch(&cli.command, &mut out);
    let result = result.and_then(|code| out.flush().map(|()| code).map_err(Into::into));
    match result {
        Ok(code) => code,
        // The reader, `head` for instance, has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = out.flush();
            let _ = writeln!(io::stderr(), "error: {}", one_line(&error));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: &Command, out: &mut impl Write) -> Result<ExitCode> {
    match command {
        Command::Run(args) => run::run(args, out),
        Command::Inspect(args) => inspect::inspect(args, out),
        Command::Devices(args) => devices::devices(args, out),
        Command::Plan(args) => plan::plan(args, out),
        Command::Kernel(args) => kernel::kernel(args, out),
        Command::Demo(args) => demo::demo(args, out),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

/// The error and its causes in one line. Some errors already hold their cause's text; it is not
/// said twice.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if line.contains(&cause) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&cause);
    }
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
