//! Where the time of a call goes: the GPU's own timestamps beside the time that the caller waits,
//! with the work counted.
//!
//!     cargo bench --bench gpu_time                   all shapes
//!     cargo bench --bench gpu_time -- lstm/32,100    those whose name contains it
//!
//! `BIRNN_DEVICE` picks another adapter; a software adapter runs where there is no other.

use birnn::{
    Bidirectional, Counters, Device, DeviceOptions, GpuOptions, Gru, Layer, Lstm, Model, Pending,
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
const MEASURED: Duration = Duration::from_secs(2);

fn open() -> birnn::Result<Device> {
    let wanted = std::env::var("BIRNN_DEVICE").unwrap_or_default();
    let options = DeviceOptions::new().allow_software(true);
    let options = options.with_gpu(GpuOptions::new().gpu_time(true));
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

fn main() -> birnn::Result<()> {
    let wanted =
        std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let device = open()?;
    println!("{}", device.info());
    println!(
        "| layer | call | of it the GPU | a call of four in flight | matmuls on the GPU | \
         dispatches | submits |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (cell, gates) in [("lstm", 4), ("gru", 3)] {
        for [batch, timesteps, features, units] in SHAPES {
            let name = format!("{cell}/{batch},{timesteps},{features},{units}");
            if !name.contains(&wanted) {
                continue;
            }
            let model = Model::sequential(features, [layer(cell, units)])?.initialize(1)?;
            let mut session = device.compile(&model)?;
            let mut rng = rand_chacha::ChaCha12Rng::seed_from_u64(1);
            let x = Array3::from_shape_simple_fn((batch, timesteps, features), || {
                rng.random_range(-1.0f32..1.0)
            });
            session.run(x.view())?;
            let (began, mut calls, mut gpu) = (Instant::now(), Vec::new(), Vec::new());
            while calls.len() < 3 || began.elapsed() < MEASURED {
                let call = Instant::now();
                session.run(x.view())?;
                calls.push(call.elapsed());
                gpu.extend(session.gpu_time());
            }
            let Counters { dispatches, submits, .. } = session.counters();
            let (began, mut count) = (Instant::now(), 0);
            while count == 0 || began.elapsed() < MEASURED {
                let pending: Vec<Pending> =
                    (0..4).map(|_| session.submit(x.view())).collect::<birnn::Result<_>>()?;
                pending.into_iter().try_for_each(|pending| pending.wait().map(drop))?;
                count += 4;
            }
            let in_flight = began.elapsed() / count;
            let flops = (4 * batch * timesteps * gates * units * (features + units)) as f64;
            let (gpu_text, rate) = match gpu.is_empty() {
                true => ("no timestamps".to_string(), String::new()),
                false => {
                    let gpu = median(gpu);
                    (
                        format!("{gpu:.2?}"),
                        format!("{:.2} GFLOP/s", flops / gpu.as_secs_f64() / 1e9),
                    )
                }
            };
            let call = median(calls);
            println!(
                "| {name} | {call:.2?} | {gpu_text} | {in_flight:.2?} | {rate} | {dispatches} | \
                 {submits} |"
            );
        }
    }
    Ok(())
}
