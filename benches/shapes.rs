//! One bidirectional layer, whole sequences and states, on every backend that is at hand.
//!
//!     cargo bench --bench shapes                     all
//!     cargo bench --bench shapes -- gpu/lstm         those whose name contains it
//!
//! Criterion's "elem/s" are floating-point operations a second: 2 · directions · batch · timesteps
//! · gates · units · (features + units), the matmuls alone. `BIRNN_DEVICE` picks another adapter; a
//! software adapter runs where there is no other.

use birnn::{Bidirectional, Device, DeviceOptions, Gru, Layer, Lstm, Model};
use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use ndarray::Array3;
use rand::{RngExt, SeedableRng};
use std::hint::black_box;
use std::time::Duration;

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

fn devices() -> Vec<(&'static str, Device)> {
    let wanted = std::env::var("BIRNN_DEVICE").unwrap_or_default();
    let options = DeviceOptions::new().allow_software(true);
    let gpu = if wanted.is_empty() { options.gpu() } else { options.parse(&wanted) };
    let mut devices = vec![("cpu", Device::cpu())];
    match gpu.open() {
        Ok(gpu) => devices.insert(0, ("gpu", gpu)),
        Err(error) => eprintln!("no GPU is measured: {error}"),
    }
    devices
}

fn layer(cell: &str, units: usize) -> Layer {
    let layer = match cell {
        "lstm" => Bidirectional::new(Lstm::new(units).return_sequences(true).return_state(true)),
        _ => Bidirectional::new(Gru::new(units).return_sequences(true).return_state(true)),
    };
    layer.into()
}

fn shapes(criterion: &mut Criterion) {
    let mut rng = rand_chacha::ChaCha12Rng::seed_from_u64(1);
    for (backend, device) in devices() {
        eprintln!("{backend}: {}", device.info());
        for (cell, gates) in [("lstm", 4), ("gru", 3)] {
            let mut group = criterion.benchmark_group(format!("{backend}/{cell}"));
            group.sample_size(10).sampling_mode(SamplingMode::Flat);
            group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(4));
            for [batch, timesteps, features, units] in SHAPES {
                let flops = 4 * batch * timesteps * gates * units * (features + units);
                group.throughput(Throughput::Elements(flops as u64));
                let model =
                    Model::sequential(features, [layer(cell, units)]).and_then(|m| m.initialize(1));
                let mut session =
                    model.and_then(|m| device.compile(&m)).expect("the model compiles");
                let x = Array3::from_shape_simple_fn((batch, timesteps, features), || {
                    rng.random_range(-1.0f32..1.0)
                });
                let name = format!("{batch},{timesteps},{features},{units}");
                group.bench_function(BenchmarkId::from_parameter(name), |b| {
                    b.iter(|| black_box(session.run(x.view()).expect("the session runs")));
                });
            }
            group.finish();
        }
    }
}

criterion_group!(benches, shapes);
criterion_main!(benches);
