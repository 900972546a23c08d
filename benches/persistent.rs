//! Persistent kernels beside the kernels that run without them, on the same adapter with the same
//! weights, in turns: the GPU's own time where it has timestamps, else the caller's, and the
//! largest difference between the outputs.
//!
//!     cargo bench --bench persistent                    all shapes
//!     cargo bench --bench persistent -- lstm/1,256      those whose name contains it
//!
//! `BIRNN_DEVICE` picks another adapter; a software adapter runs where there is no other, and says
//! nothing of GPUs. A layer with no persistent dispatch runs without such kernels: `birnn plan
//! --persistent` says why.

use birnn::{
    Bidirectional, Counters, Device, DeviceOptions, GpuOptions, Gru, Layer, Lstm, Model, Session,
};
use ndarray::Array3;
use rand::{RngExt, SeedableRng};
use std::time::{Duration, Instant};

/// (batch, timesteps, features, units)
const SHAPES: [[usize; 4]; 8] = [
    [1, 8, 2, 3],
    [1, 256, 128, 128],
    [32, 100, 128, 128],
    [8, 400, 80, 512],
    [64, 50, 512, 512],
    [1, 1000, 256, 256],
    [16, 50, 512, 512],
    [4, 50, 1536, 1536],
];
/// Turns of each, and how long a turn is.
const TURNS: usize = 3;
const TURN: Duration = Duration::from_millis(700);

fn open(persistent: bool) -> birnn::Result<Device> {
    let wanted = std::env::var("BIRNN_DEVICE").unwrap_or_default();
    let options = DeviceOptions::new().allow_software(true);
    let gpu = GpuOptions::new().gpu_time(true).persistent(persistent);
    let options = options.with_gpu(gpu);
    let options = if wanted.is_empty() { options.gpu() } else { options.parse(&wanted) };
    options.open()
}

fn layer(cell: &str, units: usize) -> Layer {
    match cell {
        "lstm" => {
            Bidirectional::new(Lstm::new(units).return_sequences(true).return_state(true)).into()
        }
        _ => Bidirectional::new(Gru::new(units).return_sequences(true).return_state(true)).into(),
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Calls for a turn; adds how long each took.
fn turn(session: &mut Session, x: &Array3<f32>, times: &mut Vec<Duration>) -> birnn::Result<()> {
    let began = Instant::now();
    let enough = times.len() + 3;
    while times.len() < enough || began.elapsed() < TURN {
        let call = Instant::now();
        session.run(x.view())?;
        let took = call.elapsed();
        times.push(session.gpu_time().unwrap_or(took));
    }
    Ok(())
}

fn main() -> birnn::Result<()> {
    let wanted =
        std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let devices = [open(false)?, open(true)?];
    println!("{}", devices[0].info());
    println!(
        "| layer | without | with | gain | dispatches | persistent | difference | again |\n\
         |---|---|---|---|---|---|---|---|"
    );
    for cell in ["lstm", "gru"] {
        for [batch, timesteps, features, units] in SHAPES {
            let name = format!("{cell}/{batch},{timesteps},{features},{units}");
            if !name.contains(&wanted) {
                continue;
            }
            let model = Model::sequential(features, [layer(cell, units)])?.initialize(1)?;
            let mut sessions = [devices[0].compile(&model)?, devices[1].compile(&model)?];
            let mut rng = rand_chacha::ChaCha12Rng::seed_from_u64(1);
            let x = Array3::from_shape_simple_fn((batch, timesteps, features), || {
                rng.random_range(-1.0f32..1.0)
            });
            let [plain, found] = [sessions[0].run(x.view())?, sessions[1].run(x.view())?];
            let pairs = plain.output().iter().zip(found.output());
            let difference = pairs
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, |a: f32, b| if b > a || b.is_nan() { b } else { a });
            let mut times = [Vec::new(), Vec::new()];
            for _ in 0..TURNS {
                for (session, times) in sessions.iter_mut().zip(&mut times) {
                    turn(session, &x, times)?;
                }
            }
            let Counters { dispatches, persistent_dispatches, runs_again, .. } =
                sessions[1].counters();
            let [without, with] = times.map(median);
            let gain = without.as_secs_f64() / with.as_secs_f64();
            println!(
                "| {name} | {without:.2?} | {with:.2?} | {gain:.2} | {dispatches} | \
                 {persistent_dispatches} | {difference:.1e} | {runs_again} |"
            );
        }
    }
    Ok(())
}
