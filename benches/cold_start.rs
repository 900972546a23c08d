//! What the first call of a process costs: opening the device, building the kernels, running once.
//! Each row is the median of fresh processes; Mesa's drivers keep compiled kernels on disk, so that
//! they are measured with that cache and without.
//!
//!     cargo bench --bench cold_start
//!
//! `BIRNN_DEVICE` picks another adapter; a software adapter runs where there is no other.
//!
//! `benches/cold_start/run.sh` starts it beside other runtimes on a model's file: with the
//! arguments MODEL INPUT.npy DEVICE it prints the seconds of one process's steps and the output, as
//! JSON.

use birnn::{Bidirectional, Device, DeviceOptions, Gru, Inputs, Layer, Lstm, Model};
use ndarray::{Array3, ArrayD};
use serde_json::json;
use std::process::Command;
use std::time::{Duration, Instant};

const PROCESSES: usize = 7;
/// Set for the processes that are measured: which cell.
const CHILD: &str = "BIRNN_COLD_START";

fn open() -> birnn::Result<Device> {
    let wanted = std::env::var("BIRNN_DEVICE").unwrap_or_default();
    let options = DeviceOptions::new().allow_software(true);
    let options = if wanted.is_empty() { options.gpu() } else { options.parse(&wanted) };
    options.open()
}

fn model(cell: &str) -> birnn::Result<Model> {
    let layer: Layer = match cell {
        "lstm" => Bidirectional::new(Lstm::new(128).return_sequences(true)).into(),
        _ => Bidirectional::new(Gru::new(128).return_sequences(true)).into(),
    };
    Model::sequential(128, [layer])?.initialize(1)
}

/// Prints the microseconds of each step.
fn child(cell: &str) -> birnn::Result<()> {
    let model = model(cell)?;
    let x = Array3::<f32>::zeros((32, 100, 128));
    let mut at = Instant::now();
    let mut lap = || std::mem::replace(&mut at, Instant::now()).elapsed().as_micros();
    let device = open()?;
    let opened = lap();
    let mut session = device.compile(&model)?;
    let compiled = lap();
    session.run(x.view())?;
    let first = lap();
    session.run(x.view())?;
    println!("{opened} {compiled} {first} {}", lap());
    Ok(())
}

/// From a file to the first output, and a second call.
fn from_file(model: &str, input: &str, device: &str) -> birnn::Result<()> {
    let mut at = Instant::now();
    let mut lap = || std::mem::replace(&mut at, Instant::now()).elapsed().as_secs_f64();
    let device = DeviceOptions::new().allow_software(true).parse(device).open()?;
    let opened = lap();
    let name = device.info().to_string();
    let x: ArrayD<f32> = ndarray_npy::read_npy(input).expect("an array of float32");
    lap(); // the input is no part of the model
    let mut session = device.compile(&Model::load(model)?)?;
    let loaded = lap();
    let first = session.run(Inputs::new(x.view()))?.output().clone();
    let ran = lap();
    session.run(Inputs::new(x.view()))?;
    let again = lap();
    let times = json!({ "import": opened, "load": loaded, "first": ran, "second": again });
    let output: Vec<_> = first.iter().collect();
    println!("{}", json!({ "times": times, "output": output, "device": name }));
    Ok(())
}

/// The steps' times in one fresh process.
fn start(cell: &str, cached: bool) -> Vec<Duration> {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.env(CHILD, cell);
    if !cached {
        command.env("MESA_SHADER_CACHE_DISABLE", "true");
    }
    let output = command.output().expect("it starts again");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let numbers = String::from_utf8_lossy(&output.stdout);
    numbers
        .split_whitespace()
        .map(|n| Duration::from_micros(n.parse().expect("a number")))
        .collect()
}

fn main() -> birnn::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [model, input, device] = &arguments[..] {
        return from_file(model, input, device);
    }
    if let Ok(cell) = std::env::var(CHILD) {
        return child(&cell);
    }
    println!("{}", open()?.info());
    println!(
        "| bidirectional layer, 128 units | device | kernels and weights | first call | second \
         call |"
    );
    println!("|---|---|---|---|---|");
    for cell in ["lstm", "gru"] {
        for cached in [false, true] {
            let runs: Vec<Vec<Duration>> = (0..PROCESSES).map(|_| start(cell, cached)).collect();
            let median = |step: usize| {
                let mut times: Vec<_> = runs.iter().map(|run| run[step]).collect();
                times.sort();
                format!("{:.1?}", times[times.len() / 2])
            };
            let cache = if cached { "driver's cache filled" } else { "no driver's cache" };
            println!(
                "| {cell}, {cache} | {} | {} | {} | {} |",
                median(0),
                median(1),
                median(2),
                median(3)
            );
        }
    }
    Ok(())
}
