//! `birnn demo`: the notebook's four programs on the notebook's input, printed as the notebook
//! prints them.

use crate::device_args::DeviceArgs;
use crate::show;
use anyhow::{Result, bail};
use birnn::{Bidirectional, Device, Gru, Lstm, Model, reference};
use clap::Args;
use ndarray::{Array3, arr3};
use std::io::Write;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// The weights are drawn from this seed.
    #[arg(long, default_value_t = 42, allow_negative_numbers = true)]
    seed: u64,
    #[command(flatten)]
    device: DeviceArgs,
}

const UNITS: usize = 3;

/// float32 against float64 on values up to 1 and 8 timesteps: a handful of roundings of 6e-8 each.
const TOLERANCE: f64 = 2e-6;
/// The same of kernels in 16 bits: what a weight is off by, of itself.
const HALF_TOLERANCE: f64 = 4.9e-4;

/// The notebook's X: one batch, 8 timesteps, 2 features. The digits are those that it printed.
fn notebook_x() -> Array3<f64> {
    arr3(&[[
        [-1.87171987, -0.08259338],
        [-0.14598867, 1.97546405],
        [1.09927105, -0.20543904],
        [-0.32963817, 0.40001905],
        [0.65010311, 1.828023],
        [-0.02007692, 0.2562293],
        [-0.93879494, -0.96806222],
        [0.62621956, -1.59947435],
    ]])
}

/// One of the notebook's functions.
struct Program {
    /// The function's name in the notebook.
    name: &'static str,
    /// The notebook's heading over it.
    heading: &'static str,
    /// The layer as Keras writes it.
    keras: String,
    layer: Bidirectional,
}

/// The notebook's functions, in its order.
fn programs() -> [Program; 4] {
    let lstm = |sequences| {
        Bidirectional::new(Lstm::new(UNITS).return_state(true).return_sequences(sequences))
    };
    let gru = |sequences| {
        Bidirectional::new(Gru::new(UNITS).return_state(true).return_sequences(sequences))
    };
    let keras = |class: &str| format!("Bidirectional({class}({UNITS}, return_state=True))");
    let keras_sequences = |class: &str| {
        format!("Bidirectional({class}({UNITS}, return_state=True, return_sequences=True))")
    };
    [
        Program {
            name: "lstm1",
            heading: "With Return States",
            keras: keras("LSTM"),
            layer: lstm(false),
        },
        Program {
            name: "lstm2",
            heading: "With Return States and Return Sequences",
            keras: keras_sequences("LSTM"),
            layer: lstm(true),
        },
        Program {
            name: "gru1",
            heading: "With Return States",
            keras: keras("GRU"),
            layer: gru(false),
        },
        Program {
            name: "gru2",
            heading: "With Return States and Sequences",
            keras: keras_sequences("GRU"),
            layer: gru(true),
        },
    ]
}

pub fn demo(args: &DemoArgs, out: &mut impl Write) -> Result<ExitCode> {
    let device = args.device.open_for_work()?;
    let x = notebook_x();
    writeln!(out, "{}\n", show::numpy(&x.view().into_dyn()))?;
    show::device(out, device.info())?;
    let x = x.mapv(|v| v as f32);
    let mut worst = 0.0;
    let tolerance = if args.device.how.half_weights { HALF_TOLERANCE } else { TOLERANCE };
    for Program { name, heading, keras, layer } in programs() {
        writeln!(out, "\n{heading}")?;
        writeln!(out, "{name}: {keras}, weights from seed {}", args.seed)?;
        let difference = run(&device, layer, args.seed, &x, out)?;
        if difference.is_nan() || difference > tolerance {
            bail!(
                "{name} differs by {difference:e} from the f64 reference; {tolerance:e} is allowed"
            );
        }
        worst = difference.max(worst);
    }
    writeln!(
        out,
        "\nAll four programs agree with the f64 reference: the largest difference is {worst:.1e}."
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Runs one program and prints its arrays as the notebook does; returns the largest difference from
/// the reference.
fn run(
    device: &Device,
    layer: Bidirectional,
    seed: u64,
    x: &Array3<f32>,
    out: &mut impl Write,
) -> Result<f64> {
    let model = Model::sequential(x.dim().2, [layer])?.initialize(seed)?;
    let outputs = device.compile(&model)?.run(x.view())?;
    let exact = reference::run(&model, x.mapv(f64::from).view())?;
    for output in outputs.list() {
        let label = show::label(outputs.list(), output);
        writeln!(out, "{label} is :  {}", show::numpy(&output.array.view()))?;
    }
    let differences = outputs
        .list()
        .iter()
        .zip(exact.list())
        .map(|(o, e)| show::difference(&o.array, &e.array).value);
    Ok(differences.fold(0.0, |max: f64, d| if d.is_nan() || d > max { d } else { max }))
}
