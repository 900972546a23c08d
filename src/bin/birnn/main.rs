//! The program `birnn`: run Keras models, list adapters, and the notebook's four programs.
#![deny(unsafe_code)]

mod array_file;
mod bench;
mod columns;
mod compare;
mod convert;
mod demo;
mod device_args;
mod devices;
mod inputs;
mod inspect;
mod json;
mod kernel;
mod model_args;
mod npy;
mod outputs;
mod palette;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(feature = "parquet")]
mod parquet_footer;
#[cfg(feature = "parquet")]
mod parquet_writer;
mod picture;
mod plan;
mod plot;
mod profiles;
mod progress;
mod run;
mod sample;
mod shell;
mod show;
mod table;
mod terminal;
mod words;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

/// Recurrent networks trained in Keras or PyTorch (LSTM, GRU, RNN, Bidirectional), or in ONNX
/// files, on any GPU, without Python.
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
    /// Run a model of Keras's, PyTorch's or ONNX on arrays and print what it returns.
    Run(run::RunArgs),
    /// Print a model's layers, shapes and parameters; of a file that can't be loaded every layer
    /// that isn't supported.
    Inspect(inspect::InspectArgs),
    /// Write a model in birnn's own form, which every build of birnn reads, or its weights for
    /// Keras.
    Convert(convert::ConvertArgs),
    /// Draw a recurrent layer's hidden and cell states over time, both directions side by side, and
    /// its gates on request.
    Plot(plot::PlotArgs),
    /// Measure a model: how long a call takes, and how much it does in a second; on a GPU and
    /// beside it on the CPU.
    Bench(bench::BenchArgs),
    /// Run a model on two devices, or a device and the reference, and print the largest difference
    /// of each layer.
    Compare(compare::CompareArgs),
    /// List the GPU adapters and their limits, and say which one is used and why.
    Devices(devices::DevicesArgs),
    /// Say what a layer of a shape would do on a GPU, without one: its dispatches, their work, and
    /// what bounds them.
    Plan(plan::PlanArgs),
    /// Print the WGSL of a kernel as the driver gets it, for a layer of a shape; without a name
    /// list the kernels.
    Kernel(kernel::KernelArgs),
    /// Run the notebook's four programs (lstm1, lstm2, gru1, gru2), print what it prints, and
    /// compare them with the f64 reference.
    Demo(demo::DemoArgs),
    /// Print what makes a shell complete the arguments of this program.
    Completions(shell::CompletionsArgs),
    /// Print the manual page, or write one for each command.
    Man(shell::ManArgs),
}

impl Command {
    /// Whether warnings are left out.
    fn is_quiet(&self) -> bool {
        matches!(self, Command::Run(args) if args.quiet)
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
            let _ = writeln!(io::stderr(), "error: {}", terminal::one_line(&error));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: &Command, out: &mut impl Write) -> Result<ExitCode> {
    match command {
        Command::Run(args) => run::run(args, out),
        Command::Inspect(args) => inspect::inspect(args, out),
        Command::Convert(args) => convert::convert(args, out),
        Command::Plot(args) => plot::plot(args, out),
        Command::Bench(args) => bench::bench(args, out),
        Command::Compare(args) => compare::compare(args, out),
        Command::Devices(args) => devices::devices(args, out),
        Command::Plan(args) => plan::plan(args, out),
        Command::Kernel(args) => kernel::kernel(args, out),
        Command::Demo(args) => demo::demo(args, out),
        Command::Completions(args) => shell::completions(args, Cli::command(), out),
        Command::Man(args) => shell::man(args, Cli::command(), out),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}
