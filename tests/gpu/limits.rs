//! Sequences and batches that don't fit WebGPU's default limits in one piece, on a device that
//! keeps to them.

use crate::device;
use birnn::{Bidirectional, GpuOptions, Gru, Layer, Lstm, MergeMode, Model, Outputs};
use ndarray::{Array3, Axis, Slice, concatenate};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

fn random(shape: (usize, usize, usize)) -> Array3<f32> {
    let mut rng = ChaCha12Rng::seed_from_u64(11);
    Array3::from_shape_simple_fn(shape, || rng.random_range(-1.0f32..1.0))
}

/// Runs the model within the default limits, and unhindered, where the adapter has more to give;
/// the results must be equal to the last bit.
fn run_both(model: &Model, x: &Array3<f32>) -> Option<Outputs> {
    let open = |options| device::open(device::options().with_gpu(options));
    let limited = open(GpuOptions::new().default_limits(true))?;
    let chunked = limited.compile(model).unwrap().run(x.view()).unwrap();
    drop(limited);
    let whole = open(GpuOptions::new().memory_budget(8 << 30))?
        .compile(model)
        .unwrap()
        .run(x.view())
        .unwrap();
    assert!(chunked == whole, "chunked and unchunked results differ");
    Some(chunked)
}

#[test]
fn a_hundred_thousand_timesteps_fit_the_default_limits() {
    // 160 MB of input, above the default limit of 128 MiB for a binding: cut along time.
    let layers: [Layer; 2] = [
        Bidirectional::new(Gru::new(2).return_sequences(true)).merge_mode(MergeMode::Ave).into(),
        Bidirectional::new(Lstm::new(3).return_sequences(true).return_state(true)).into(),
    ];
    let model = Model::sequential(400, layers).and_then(|m| m.initialize(1)).unwrap();
    let x = random((1, 100_000, 400));
    let Some(found) = run_both(&model, &x) else { return };
    let exact = birnn::reference::run(&model, x.mapv(f64::from).view()).unwrap();
    for (found, exact) in found.list().iter().zip(exact.list()) {
        let error = found
            .array
            .iter()
            .zip(&exact.array)
            .map(|(&f, &e)| (f64::from(f) - e).abs())
            .fold(0.0, f64::max);
        assert!(error < 2e-6, "{}: {error:e}", found.role);
    }
}

#[test]
fn a_batch_of_five_thousand_fits_the_default_limits() {
    // 160 MB of input: cut along the batch.
    let model = Model::sequential(
        200,
        [Bidirectional::new(Lstm::new(20).return_sequences(true).return_state(true))],
    );
    let model = model.and_then(|m| m.initialize(2)).unwrap();
    let x = random((5_000, 40, 200));
    let Some(found) = run_both(&model, &x) else { return };
    // Rows are independent: the first, the last and those around the cut stand for all.
    let ends = [0..3, 2_498..2_502, 4_997..5_000];
    let rows = |array: &ndarray::ArrayD<f32>| {
        let parts: Vec<_> = ends
            .iter()
            .map(|range| array.slice_axis(Axis(0), Slice::from(range.clone())))
            .collect();
        concatenate(Axis(0), &parts).unwrap().mapv(f64::from)
    };
    let exact = birnn::reference::run(&model, rows(&x.clone().into_dyn()).view()).unwrap();
    for (found, exact) in found.list().iter().zip(exact.list()) {
        let error = (rows(&found.array) - &exact.array).iter().fold(0.0f64, |a, d| a.max(d.abs()));
        assert!(error < 2e-6, "{}: {error:e}", found.role);
    }
}
