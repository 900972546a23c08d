//! `birnn demo`: the notebook's four programs on the notebook's input.

use crate::{DeviceArgs, show};
use anyhow::{Result, bail};
use birnn::{Bidirectional, Device, Gru, Lstm, Model, reference};
use clap::Args;
use ndarray::{Array3, arr3};
use std::io::Write;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// The weights are drawn from this seed.
    #[arg(long, default_value_t = 42)]
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

/// Name, layer as Keras writes it, and layer.
fn programs() -> [(&'static str, String, Bidirectional); 4] {
    let text = |class: &str, sequences: &str| {
        format!("Bidirectional({class}({UNITS}, return_state=True, return_sequences={sequences}))")
    };
    let lstm = |sequences| {
        Bidirectional::new(Lstm::new(UNITS).return_state(true).return_sequences(sequences))
    };
    let gru = |sequences| {
        Bidirectional::new(Gru::new(UNITS).return_state(true).return_sequences(sequences))
    };
    [
        ("lstm1", text("LSTM", "True"), lstm(true)),
        ("lstm2", text("LSTM", "False"), lstm(false)),
        ("gru1", text("GRU", "True"), gru(true)),
        ("gru2", text("GRU", "False"), gru(false)),
    ]
}

pub fn demo(args: &DemoArgs, out: &mut impl Write) -> Result<ExitCode> {
    let device = args.device.open_for_work()?;
    show::device(out, device.info())?;
    let x = notebook_x();
    writeln!(out, "\nX, shape {:?} = [batch, timesteps, features]", x.shape())?;
    show::array(out, &x.view().into_dyn())?;
    let x = x.mapv(|v| v as f32);
    let mut worst = 0.0;
    let tolerance = if args.device.half_weights { HALF_TOLERANCE } else { TOLERANCE };
    for (name, text, layer) in programs() {
        writeln!(out, "\n{name}: {text}, weights from seed {}", args.seed)?;
        let difference = program(&device, layer, args.seed, &x, out)?;
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

/// Runs one program and prints its arrays; returns the largest difference from the reference.
fn program(
    device: &Device,
    layer: Bidirectional,
    seed: u64,
    x: &Array3<f32>,
    out: &mut impl Write,
) -> Result<f64> {
    let model = Model::sequential(x.dim().2, [layer])?.initialize(seed)?;
    let outputs = device.compile(&model)?.run(x.view())?;
    let exact = reference::run(&model, x.mapv(f64::from).view())?;
    show::outputs(out, &outputs, Some(&exact))?;
    let differences =
        outputs.list().iter().zip(exact.list()).map(|(o, e)| show::difference(&o.array, &e.array));
    Ok(differences.fold(0.0, |max: f64, d| if d.is_nan() || d > max { d } else { max }))
}
