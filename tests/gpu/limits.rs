//! Sequences and batches that don't fit WebGPU's default limits in one piece, on a device that
//! keeps to them.

use crate::device;
use birnn::layer::*;
use birnn::{Call, Error, GpuOptions, Graph, Inputs, Model, Outputs};
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

/// Sequences of several arrays, of several layers, which a device with small buffers cuts along
/// time: each has more bytes than its largest buffer. With them the features of their input.
fn long_models() -> Vec<(&'static str, usize, Model)> {
    let sequential =
        |features, layers: Vec<Layer>| (features, Model::sequential(features, layers).unwrap());
    let gru = || Gru::new(5).return_sequences(true);
    let mut models = vec![
        (
            "between recurrences, and after them",
            sequential(
                3,
                vec![
                    Dense::new(6).activation(Activation::Relu).into(),
                    Bidirectional::new(Lstm::new(4).return_sequences(true)).into(),
                    LayerNormalization::new().into(),
                    gru().return_state(true).into(),
                ],
            ),
        ),
        (
            "activations along the features",
            sequential(
                3,
                vec![
                    gru().into(),
                    Dense::new(8).activation(Activation::Glu).into(),
                    BatchNormalization::new().into(),
                    Dense::new(6).activation(Activation::Softmax).into(),
                ],
            ),
        ),
        (
            "a mask, which is whole",
            sequential(
                3,
                vec![
                    Masking::new().into(),
                    Dense::new(7).into(),
                    Lstm::new(4).return_sequences(true).into(),
                    Dense::new(6).into(),
                ],
            ),
        ),
        (
            "axes between time and features",
            sequential(
                12,
                vec![
                    Reshape::new(vec![None, Some(3), Some(4)]).into(),
                    Dense::new(4).activation(Activation::Tanh).into(),
                    TimeDistributed::new(Dense::new(5)).into(),
                    Reshape::new(vec![None, Some(15)]).into(),
                    gru().into(),
                ],
            ),
        ),
    ];
    let mut graph = Graph::new();
    let x = graph.sequence_input("x", None, 3).unwrap();
    let masked = graph.add(Masking::new(), x).unwrap()[0];
    let one = graph.add(gru(), masked).unwrap()[0];
    let other = graph.add(Dense::new(5), masked).unwrap()[0];
    let sum = graph.add(Merge::add(), Call::on(&[one, other][..])).unwrap()[0];
    let both = graph.add(Concatenate::new(), Call::on(&[sum, x][..])).unwrap()[0];
    let largest = graph.add(Merge::maximum(), Call::on(&[one, sum][..])).unwrap()[0];
    models.push(("several arrays", (3, graph.build([both, largest]).unwrap())));
    let models = models.into_iter();
    models.map(|(name, (features, model))| (name, features, model.initialize(5).unwrap())).collect()
}

#[test]
fn layers_of_all_kinds_are_cut_along_time() {
    let open = |options| device::open(device::options().with_gpu(options));
    let small = GpuOptions::new().max_buffer_bytes(6_000);
    let (Some(small), Some(large)) = (open(small), open(GpuOptions::new())) else { return };
    for (name, features, model) in long_models() {
        let mut x = random((2, 700, features));
        // Some timesteps are masked, where the model says so.
        x.slice_axis_mut(Axis(1), Slice::from(100..).step_by(3)).fill(0.0);
        let whole = large.compile(&model).unwrap().run(x.view()).unwrap();
        let mut session = small.compile(&model).unwrap();
        for _ in 0..2 {
            let found = session.run(x.view()).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(found == whole, "{name}");
        }
    }
}

#[test]
fn queries_are_cut_along_time_and_what_is_looked_up_is_not() {
    let open = |options| device::open(device::options().with_gpu(options));
    let small = GpuOptions::new().max_buffer_bytes(6_000);
    let (Some(small), Some(large)) = (open(small), open(GpuOptions::new())) else { return };
    let mut graph = Graph::new();
    let ids = graph.input("ids", &[None]).unwrap();
    let values = graph.sequence_input("values", None, 4).unwrap();
    let embedded = graph.add(Embedding::new(9, 8).mask_zero(true), ids).unwrap()[0];
    let query = graph.add(Gru::new(4).return_sequences(true), embedded).unwrap()[0];
    let attended = MultiHeadAttention::new(2, 3);
    let attended = graph.add(attended, Call::on(&[query, values][..])).unwrap()[0];
    let model = graph.build([attended]).unwrap().initialize(6).unwrap();
    let ids = ndarray::Array2::from_shape_fn((2, 300), |(row, t)| ((3 * t + row) % 9) as f32);
    let values = random((2, 11, 4));
    let inputs = || Inputs::new(ids.view()).input(values.view());
    let whole = large.compile(&model).unwrap().run(inputs()).unwrap();
    let found = small.compile(&model).unwrap().run(inputs()).unwrap();
    assert!(found == whole);
}

/// Parts of arrays that are whole are copied into the same memory, one after another: nothing of
/// one may reach what is made of the next, in the places that fill up its vectors neither.
#[test]
fn what_is_not_finite_stays_in_its_own_layer() {
    let options = GpuOptions::new().max_buffer_bytes(2_000);
    let Some(small) = device::open(device::options().with_gpu(options)) else { return };
    let mut graph = Graph::new();
    let [a, b] = [("a", 4), ("b", 3)].map(|(name, features)| {
        // A convolution needs its array whole.
        let x = graph.sequence_input(name, None, features).unwrap();
        graph.add(Conv1d::new(features, 2).padding(Padding::Same), x).unwrap()[0]
    });
    let outputs = [a, b].map(|x| graph.add(Dense::new(8), x).unwrap()[0]);
    let model = graph.build(outputs).unwrap().initialize(7).unwrap();
    let (mut a, b) = (random((1, 100, 4)), random((1, 100, 3)));
    a.slice_axis_mut(Axis(1), Slice::from(60..)).fill(f32::NAN);
    let mut session = small.compile(&model).unwrap();
    for _ in 0..2 {
        let outputs = session.run(Inputs::new(a.view()).input(b.view())).unwrap();
        assert!(outputs.list()[0].array.iter().any(|value| value.is_nan()));
        assert!(outputs.list()[1].array.iter().all(|value| value.is_finite()));
    }
}

#[test]
fn what_needs_all_of_a_long_sequence_says_that_it_does_not_fit() {
    let options = GpuOptions::new().max_buffer_bytes(6_000);
    let Some(small) = device::open(device::options().with_gpu(options)) else { return };
    let layers: [Layer; 2] =
        [Gru::new(5).return_sequences(true).into(), GlobalAveragePooling1d::new().into()];
    let model = Model::sequential(3, layers).and_then(|m| m.initialize(1)).unwrap();
    let mut session = small.compile(&model).unwrap();
    let error = session.run(random((2, 700, 3)).view()).unwrap_err();
    assert!(matches!(error, Error::Limit { allowed: 6_000, .. }), "{error:?}");
    assert!(session.run(random((2, 70, 3)).view()).is_ok(), "the session stays usable");
}
