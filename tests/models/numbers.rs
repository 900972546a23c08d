//! Numbers at the edges: the same bits in every run, extreme weights and inputs, ten thousand
//! timesteps.

#[cfg(feature = "gpu")]
use crate::device;
use birnn::layer::{
    Attention, Conv1d, GlobalAveragePooling1d, LayerNormalization, MultiHeadAttention, Padding,
    Rescaling,
};
use birnn::{
    Activation, Bidirectional, Call, Dense, Device, Graph, Gru, Initializer, Inputs, Layer, Lstm,
    Masking, MergeMode, Model, Outputs, SimpleRnn, reference,
};
use ndarray::{Array3, ArrayD, Axis};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

fn devices() -> Vec<Device> {
    #[allow(unused_mut)]
    let mut devices = vec![Device::cpu()];
    #[cfg(feature = "gpu")]
    devices.extend(device::open(device::options()));
    devices
}

fn random(shape: (usize, usize, usize), seed: u64) -> Array3<f32> {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    Array3::from_shape_simple_fn(shape, || rng.random_range(-1.5f32..1.5))
}

fn bits(outputs: &Outputs) -> Vec<u32> {
    outputs
        .list()
        .iter()
        .flat_map(|output| output.array.iter().map(|value| value.to_bits()))
        .collect()
}

/// A graph with sums of every kind in it.
fn graph() -> Model {
    let mut graph = Graph::new();
    let x = graph.sequence_input("x", None, 37).unwrap();
    let mut h = graph.add(Conv1d::new(24, 3).padding(Padding::Same), x).unwrap()[0];
    h = graph.add(Bidirectional::new(Lstm::new(70).return_sequences(true)), h).unwrap()[0];
    h = graph.add(LayerNormalization::new(), h).unwrap()[0];
    h = graph.add(MultiHeadAttention::new(3, 5), Call::on([h, h])).unwrap()[0];
    h = graph.add(Attention::new(), Call::on([h, h])).unwrap()[0];
    let pooled = graph.add(GlobalAveragePooling1d::new(), h).unwrap()[0];
    let soft = graph.add(Dense::new(33).activation(Activation::Softmax), pooled).unwrap()[0];
    graph.build([h, soft]).unwrap().initialize(5).unwrap()
}

/// Call after call, session after session, with other calls between.
#[test]
fn the_same_call_gives_the_same_bits() {
    let layer = |reset| Gru::new(65).reset_after(reset).return_sequences(true).return_state(true);
    let sequential = |layer: Layer| Model::sequential(37, [layer]).unwrap().initialize(5).unwrap();
    let models = [
        graph(),
        sequential(Bidirectional::new(layer(true)).merge_mode(MergeMode::Sum).into()),
        sequential(Bidirectional::new(layer(false)).into()),
        sequential(SimpleRnn::new(130).return_sequences(true).into()),
    ];
    for device in devices() {
        for model in &models {
            let (x, other) = (random((9, 21, 37), 1), random((33, 5, 37), 2));
            let mut session = device.compile(model).unwrap();
            let first = bits(&session.run(x.view()).unwrap());
            for _ in 0..3 {
                session.run(other.view()).unwrap();
                assert!(bits(&session.run(x.view()).unwrap()) == first, "{}", device.info().name);
            }
            let mut again = device.compile(model).unwrap();
            assert!(bits(&again.run(x.view()).unwrap()) == first, "{}", device.info().name);
        }
    }
}

/// Every recurrence, with weights of the size `scale`.
fn scaled(features: usize, scale: f32, activation: Activation) -> Vec<Model> {
    let mut layers: Vec<Layer> = Vec::new();
    macro_rules! add {
        ($layer:expr) => {
            let sized = |low: f32| Initializer::RandomUniform { min: low * scale, max: scale };
            let layer = $layer.activation(activation).return_sequences(true).return_state(true);
            let layer = layer.kernel_initializer(sized(-1.0)).recurrent_initializer(sized(-1.0));
            layers.push(Bidirectional::new(layer.bias_initializer(sized(-0.5))).into());
        };
    }
    add!(Lstm::new(6));
    add!(Gru::new(6));
    add!(Gru::new(6).reset_after(false));
    add!(SimpleRnn::new(6));
    layers
        .into_iter()
        .map(|layer| Model::sequential(features, [layer]).unwrap().initialize(3).unwrap())
        .collect()
}

/// NaN where the reference has it, the same infinity, or a number that close.
fn same(found: f32, exact: f64, tolerance: f64) -> bool {
    let rounded = exact as f32;
    if rounded.is_nan() || rounded.is_infinite() {
        return found == rounded || (found.is_nan() && rounded.is_nan());
    }
    (f64::from(found) - exact).abs() <= tolerance * exact.abs().max(1.0)
}

#[track_caller]
fn compare(found: &Outputs, exact: &Outputs<f64>, tolerance: f64, what: &str) {
    for (found, exact) in found.list().iter().zip(exact.list()) {
        for ((place, &f), &e) in found.array.indexed_iter().zip(&exact.array) {
            assert!(same(f, e, tolerance), "{what}: {} at {place:?}: {f} and {e}", found.role);
        }
    }
}

/// Gates that are all the way open or shut, and sums of 1e30: the results are Keras's.
#[test]
fn huge_weights_saturate() {
    for device in devices() {
        for scale in [30.0, 1e4, 1e30] {
            for (index, model) in scaled(5, scale, Activation::Tanh).iter().enumerate() {
                let x = random((7, 12, 5), 8);
                let found = device.compile(model).unwrap().run(x.view()).unwrap();
                let exact = reference::run(model, x.mapv(f64::from).view()).unwrap();
                // A sum that happens to be near zero shows its rounding, that of terms of 1e4; at
                // 1e30 there is none.
                let tolerance = if scale < 1e6 { 2e-3 } else { 2e-6 };
                let finite =
                    found.list().iter().all(|output| output.array.iter().all(|v| v.is_finite()));
                assert!(finite, "{}: {scale}, model {index}", device.info().name);
                compare(
                    &found,
                    &exact,
                    tolerance,
                    &format!("{}: {scale}, model {index}", device.info().name),
                );
            }
        }
    }
}

/// Weights of 1e-30 give results of 1e-30 and not zero.
#[test]
fn tiny_weights_are_not_lost() {
    for device in devices() {
        for model in scaled(5, 1e-30, Activation::Linear) {
            let x = random((7, 12, 5), 8);
            let found = device.compile(&model).unwrap().run(x.view()).unwrap();
            let exact = reference::run(&model, x.mapv(f64::from).view()).unwrap();
            for (found, exact) in found.list().iter().zip(exact.list()) {
                for (&f, &e) in found.array.iter().zip(&exact.array) {
                    assert!(
                        (f64::from(f) - e).abs() <= 1e-5 * e.abs() + 1e-35,
                        "{}: {f} and {e}",
                        device.info().name
                    );
                }
                assert!(exact.array.iter().any(|e| e.abs() > 1e-32), "what is compared isn't zero");
            }
        }
    }
}

/// Numbers below f32's normal ones may count as zero, as they do on many GPUs, and as nothing else.
#[test]
fn denormal_inputs_are_small() {
    for device in devices() {
        for model in scaled(4, 0.5, Activation::Tanh) {
            let zeros = Array3::<f32>::zeros((3, 5, 4));
            let denormals = Array3::from_shape_fn((3, 5, 4), |(b, t, f)| {
                f32::from_bits((1 + b * 40 + t * 9 + f) as u32)
            });
            let mut session = device.compile(&model).unwrap();
            let (found, expected) =
                (session.run(denormals.view()).unwrap(), session.run(zeros.view()).unwrap());
            for (found, expected) in found.list().iter().zip(expected.list()) {
                let close = |(f, e): (&f32, &f32)| (f - e).abs() <= 1e-7;
                assert!(
                    found.array.iter().zip(&expected.array).all(close),
                    "{}",
                    device.info().name
                );
            }
        }
    }
}

/// NaN and infinities in the input come out where they come out of the reference, in their own row
/// only.
#[test]
fn inputs_that_are_not_finite_do_what_they_do_in_the_reference() {
    let activations =
        [Activation::Tanh, Activation::Relu, Activation::Sigmoid, Activation::HardSigmoid];
    for device in devices() {
        for activation in activations {
            for (index, model) in scaled(6, 0.8, activation).iter().enumerate() {
                let mut x = random((9, 7, 6), 8);
                for (row, value) in
                    [(1, f32::NAN), (3, f32::INFINITY), (5, f32::NEG_INFINITY), (7, f32::MAX)]
                {
                    x[[row, 3, row % 6]] = value;
                }
                let found = device.compile(model).unwrap().run(x.view()).unwrap();
                // In f32, whose largest number overflows where f64's doesn't.
                let exact = reference::run::<f32>(model, x.view()).unwrap();
                for (found, exact) in found.list().iter().zip(exact.list()) {
                    for ((place, &f), &e) in found.array.indexed_iter().zip(&exact.array) {
                        let name = &device.info().name;
                        assert!(
                            same(f, e.into(), 1e-5),
                            "{name}: {activation}, model {index}, {place:?}: {f}, {e}"
                        );
                    }
                    for row in [0, 2, 4, 6, 8] {
                        assert!(found.array.index_axis(Axis(0), row).iter().all(|v| v.is_finite()));
                    }
                }
            }
        }
    }
}

/// The largest difference of the outputs up to a timestep.
fn error(found: &ArrayD<f32>, exact: &ArrayD<f64>, timesteps: usize) -> f64 {
    let first = |t: usize| ndarray::Slice::from(..t);
    let (found, exact) =
        (found.slice_axis(Axis(1), first(timesteps)), exact.slice_axis(Axis(1), first(timesteps)));
    found.iter().zip(&exact).fold(0.0, |max, (&f, &e)| max.max((f64::from(f) - e).abs()))
}

fn shown(errors: [f64; 4]) -> String {
    errors.map(|error| format!("{error:.1e}")).join(", ")
}

const STEPS: [usize; 4] = [10, 100, 1000, 10_000];

/// Layers as Keras initialises them forget: an error doesn't grow with the timesteps.
/// docs/accuracy.md states the bound.
#[test]
fn ten_thousand_timesteps_are_as_exact_as_ten() {
    let models = scaled_by_keras();
    for device in devices() {
        for (name, model) in &models {
            let x = random((2, 10_000, 8), 4);
            let found = device.compile(model).unwrap().run(x.view()).unwrap();
            let exact = reference::run(model, x.mapv(f64::from).view()).unwrap();
            let errors = STEPS.map(|steps| error(found.output(), exact.output(), steps));
            println!(
                "{}: {name}: largest error up to {STEPS:?} timesteps: {}",
                device.info().name,
                shown(errors)
            );
            assert!(errors[3] <= 2e-6, "{}: {name}: {errors:?}", device.info().name);
        }
    }
}

fn scaled_by_keras() -> Vec<(&'static str, Model)> {
    let layers: [(&'static str, Layer); 4] = [
        ("LSTM", Bidirectional::new(Lstm::new(24).return_sequences(true)).into()),
        ("GRU", Bidirectional::new(Gru::new(24).return_sequences(true)).into()),
        ("GRU, reset_after=False", Gru::new(24).reset_after(false).return_sequences(true).into()),
        ("SimpleRNN", SimpleRnn::new(24).return_sequences(true).into()),
    ];
    let model = |layer| Model::sequential(8, [layer]).unwrap().initialize(7).unwrap();
    layers.map(|(name, layer)| (name, model(layer))).into()
}

/// A layer that only adds up keeps every rounding: at most n of half a unit in the last place of
/// the largest sum.
#[test]
fn a_sum_of_ten_thousand_terms_is_within_its_bound() {
    let ones = Initializer::Ones;
    let layer = SimpleRnn::new(1)
        .activation(Activation::Linear)
        .kernel_initializer(ones)
        .recurrent_initializer(ones);
    let model =
        Model::sequential(1, [layer.return_sequences(true)]).unwrap().initialize(1).unwrap();
    let x = random((4, 10_000, 1), 6);
    for device in devices() {
        let found = device.compile(&model).unwrap().run(Inputs::new(x.view())).unwrap();
        let exact = reference::run(&model, x.mapv(f64::from).view()).unwrap();
        let errors = STEPS.map(|steps| error(found.output(), exact.output(), steps));
        let largest = exact.output().iter().fold(0.0f64, |max, value| max.max(value.abs()));
        println!("{}: a sum up to {largest:.0}: {}", device.info().name, shown(errors));
        for (steps, error) in STEPS.iter().zip(errors) {
            assert!(
                error <= *steps as f64 * f64::from(f32::EPSILON) / 2.0 * largest,
                "{steps}: {error}"
            );
        }
    }
}

/// Masking compares as Keras does: NaN differs from everything, so that its timestep counts and the
/// result is NaN; -0 is 0; what is infinite or denormal is itself.
#[test]
fn masking_compares_as_keras_does() {
    let values = [0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-40, 0.5];
    let x = Array3::from_shape_fn((values.len(), 4, 2), |(row, t, feature)| match (t, feature) {
        (2, _) => values[row],
        _ => 0.25 + (row + t + feature) as f32 / 16.0,
    });
    for mask_value in values {
        let layers: [Layer; 2] = [
            Masking::new().mask_value(mask_value).into(),
            Gru::new(9).return_sequences(true).into(),
        ];
        let model = Model::sequential(2, layers).unwrap().initialize(1).unwrap();
        let exact = reference::run(&model, x.mapv(f64::from).view()).unwrap();
        for device in devices() {
            let found = device.compile(&model).unwrap().run(x.view()).unwrap();
            for (found, &exact) in found.output().iter().zip(exact.output()) {
                let found = f64::from(*found);
                let same = found.is_nan() && exact.is_nan() || (found - exact).abs() < 2e-6;
                assert!(same, "{mask_value}: {found} is not {exact} on {}", device.info());
            }
        }
    }
    // A mask that is an array: what isn't zero counts, NaN too.
    let mut graph = Graph::new();
    let (input, mask) =
        (graph.sequence_input("x", None, 2).unwrap(), graph.input("mask", &[None]).unwrap());
    let h = graph.add(Gru::new(9), Call::on(input).mask(mask)).unwrap();
    let model = graph.build(h).unwrap().initialize(1).unwrap();
    let x = x.mapv(|value| if value.is_finite() { value } else { 0.5 });
    let mask =
        ndarray::Array2::from_shape_fn(
            (values.len(), 4),
            |(row, t)| {
                if t == 2 { values[row] } else { 1.0 }
            },
        );
    let exact = reference::run(&model, Inputs::new(x.view()).input(mask.view())).unwrap();
    for device in devices() {
        let inputs = Inputs::new(x.view()).input(mask.view());
        let found = device.compile(&model).unwrap().run(inputs).unwrap();
        for (found, exact) in found.output().iter().zip(exact.output()) {
            assert!((found - exact).abs() < 2e-6, "{found} is not {exact} on {}", device.info());
        }
    }
}

/// One layer on arrays of different ranks: its two numbers belong to none of their axes.
#[test]
fn rescaling_is_one_multiplication_and_one_addition() {
    let mut graph = Graph::new();
    let vector = graph.input("vector", &[Some(5)]).unwrap();
    let sequence = graph.sequence_input("sequence", None, 5).unwrap();
    let layer = graph.layer(Rescaling::new(1.0 / 255.0).offset(-0.5)).unwrap();
    let vector = graph.call(layer, Call::on(vector)).unwrap()[0];
    let sequence = graph.call(layer, Call::on(sequence)).unwrap()[0];
    let model = graph.build([vector, sequence]).unwrap();
    let x = random((2, 3, 5), 8);
    let first = x.index_axis(Axis(1), 0);
    let expected = x.mapv(|value| value * (1.0 / 255.0) - 0.5);
    for device in devices() {
        let inputs = Inputs::new(first).input(x.view());
        let outputs = device.compile(&model).unwrap().run(inputs).unwrap();
        let arrays: Vec<_> = outputs.list().iter().map(|output| &output.array).collect();
        for (found, &expected) in arrays[1].iter().zip(&expected) {
            assert!(same(*found, expected.into(), 1e-7), "{found} {expected}");
        }
        assert_eq!(arrays[0], &arrays[1].index_axis(Axis(1), 0), "{device:?}");
    }
}
