//! Small models of every layer, saved by real Keras: what they compute on the CPU, and that the
//! others are refused.

use crate::layers::{
    Case, Errors, F32_TOLERANCE, cases, errors_f32, errors_f64, f64_tolerance, in_f64, on_cpu,
    refused, supported,
};
#[cfg(feature = "gpu")]
use crate::{device, layers};
use birnn::layer::{BidirectionalConvLstm1d, ConvLstm1d, ConvLstm2d, Padding, Permute};
use birnn::{Call, Device, Error, Graph, Inputs, Model, TimeDistributed, reference};
use ndarray::ArrayD;
use ndarray_npy::NpzReader;
use std::fs::File;

/// Compares every case that is supported with what was found of it; lists what fails.
fn compare<T>(
    tolerance: impl Fn(&Case) -> f64,
    found: &[T],
    errors: impl Fn(&Case, &T) -> Result<Errors, String>,
) {
    let cases = cases().len();
    assert!(cases >= 810, "{cases} cases: some are missing");
    let (mut failures, mut passed) = (Vec::new(), 0);
    let mut largest = (0.0, String::new());
    for (case, found) in supported().iter().zip(found) {
        let before = failures.len();
        match errors(case, found) {
            Err(e) => failures.push(format!("{}: {e}", case.name)),
            Ok(errors) => {
                for (place, error) in errors {
                    if error > tolerance(case) {
                        failures.push(format!("{} {place}: error {error:e}", case.name));
                    } else if error / tolerance(case) > largest.0 {
                        largest = (error / tolerance(case), format!("{} {place}", case.name));
                    }
                }
            }
        }
        passed += usize::from(failures.len() == before);
    }
    println!(
        "{passed} of {cases} cases pass, the largest error at {:.2} of its tolerance ({})",
        largest.0, largest.1
    );
    assert!(
        failures.is_empty(),
        "{} failures, {passed} pass\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn every_case_computes_what_keras_computed() {
    compare(|_| F32_TOLERANCE, on_cpu(), errors_f32);
}

#[test]
fn every_case_is_exact_in_f64() {
    compare(f64_tolerance, in_f64(), errors_f64);
}

#[cfg(feature = "gpu")]
#[test]
fn every_case_on_the_gpu_computes_what_keras_computed() {
    if let Some(found) = layers::on_gpu() {
        compare(|_| F32_TOLERANCE, found, errors_f32);
    }
}

/// What birnn lacks is refused with an error that says so, and never computed wrongly.
#[test]
fn what_is_not_supported_is_refused() {
    let mut wrong = Vec::new();
    for case in cases().iter().filter(|case| case.unsupported().is_some()) {
        match case.load() {
            Err(
                Error::UnsupportedLayer { .. }
                | Error::UnsupportedArgument { .. }
                | Error::Graph(_),
            ) => {}
            Err(Error::Argument { argument, .. })
                if ["output_shape", "activation"].contains(&&argument[..]) => {}
            result => wrong.push(format!("{}: {:?}", case.name, result.err())),
        }
    }
    for (path, layer) in refused() {
        let e =
            Model::from_keras(&path).map_or_else(|e| e.to_string(), |_| "was loaded".to_string());
        if e == "was loaded" || layer.is_some_and(|layer| !e.contains(&layer)) {
            wrong.push(format!("{}: {e}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// How far Keras's activations, which it quantizes to int8 row by row, take its results from those
/// of plain ones, of values below 0.8: 1.6e-3 at most here.
const QUANTIZED_ACTIVATIONS: f32 = 4e-3;

/// Weights are the numbers that they stand for, whatever Keras does with activations.
#[test]
fn quantized_weights_are_the_numbers_that_they_stand_for() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/quantized");
    for name in ["int8", "int4_keras312", "attention_int8"] {
        let path = folder.join(name);
        let model = Model::from_keras(path.with_extension("keras")).unwrap();
        let file = File::open(path.with_extension("npz")).unwrap();
        let mut arrays = NpzReader::new(file).unwrap();
        let ids: ArrayD<i32> = arrays.by_name("input0.npy").unwrap();
        let of_keras: ArrayD<f32> = arrays.by_name("output0.npy").unwrap();
        let plain: ArrayD<f64> = arrays.by_name("plain0.npy").unwrap();
        let ids = ids.mapv(|id| id as f32);
        let exact = reference::run(&model, ids.mapv(f64::from).view()).unwrap();
        let error = (exact.output() - &plain).fold(0.0f64, |most, e| most.max(e.abs()));
        // On JAX, which made that file, Keras rounds to f32 somewhere in f64, too.
        let tolerance = if name == "int4_keras312" { 1e-7 } else { 1e-11 };
        assert!(error < tolerance, "{name}: {error}");
        let outputs = Device::cpu().compile(&model).unwrap().run(ids.view()).unwrap();
        let error = (outputs.output() - &of_keras).fold(0.0f32, |most, e| most.max(e.abs()));
        assert!(error < QUANTIZED_ACTIVATIONS, "{name}: {error}");
    }
}

/// Features before the places give the same numbers in another order.
#[test]
fn conv_lstms_with_channels_first_compute_the_same() {
    let layer = |first: bool| {
        let layer = ConvLstm2d::new(3, (2, 3)).padding(Padding::Same).strides((2, 1));
        layer.return_sequences(true).return_state(true).go_backwards(true).channels_first(first)
    };
    let mut graph = Graph::new();
    let x = graph.input("x", &[Some(4), Some(2), Some(5), Some(6)]).unwrap();
    let h = graph.input("h", &[Some(3), Some(3), Some(6)]).unwrap();
    let c = graph.input("c", &[Some(3), Some(3), Some(6)]).unwrap();
    let last = || Permute::new(vec![2, 3, 1]);
    let first = graph.add(layer(true).named("first"), Call::on(x).initial_state(&[h, c])).unwrap();
    let moved = graph.add(TimeDistributed::new(last()), x).unwrap()[0];
    let states = [h, c].map(|state| graph.add(last(), state).unwrap()[0]);
    let other =
        graph.add(layer(false).named("last"), Call::on(moved).initial_state(&states)).unwrap();
    let sequence = graph.add(TimeDistributed::new(last()), first[0]).unwrap()[0];
    let mut outputs = vec![sequence, other[0]];
    for (first, other) in first[1..].iter().zip(&other[1..]) {
        outputs.extend([graph.add(last(), *first).unwrap()[0], *other]);
    }
    let mut model = graph.build(outputs).unwrap().initialize(3).unwrap();
    let weights = model.weights("first").unwrap();
    model.set_weights("last", weights).unwrap();
    let x = ArrayD::from_shape_fn(vec![2, 4, 2, 5, 6], |i| (i[1] + 2 * i[3] + i[4]) as f32 * 0.1);
    let h = ArrayD::from_shape_fn(vec![2, 3, 3, 6], |i| (i[1] + i[3]) as f32 * 0.1);
    let run = |device: Device| {
        let inputs = Inputs::new(x.view()).input(h.view()).input(h.view());
        let outputs = device.compile(&model).unwrap().run(inputs).unwrap().into_list();
        for pair in outputs.chunks(2) {
            assert_eq!(pair[0].array, pair[1].array);
        }
    };
    run(Device::cpu());
    #[cfg(feature = "gpu")]
    if let Some(device) = device::open(device::options()) {
        run(device);
    }
}

/// Initial states that a call gives, by their place and by name, and what is wrong about others.
#[test]
fn states_of_a_conv_lstm_have_its_shape() {
    let layer = ConvLstm1d::new(3, 2).padding(Padding::Same).return_state(true);
    let mut graph = Graph::new();
    let x = graph.input("x", &[None, None, Some(2)]).unwrap();
    let outputs = graph.add(BidirectionalConvLstm1d::new(layer), x).unwrap();
    let model = graph.build(outputs).unwrap().initialize(3).unwrap();
    let mut session = Device::cpu().compile(&model).unwrap();
    let x = ArrayD::from_elem(vec![2, 4, 5, 2], 0.5f32);
    let states = [0.1f32, 0.2, 0.3, 0.4].map(|v| ArrayD::from_elem(vec![2, 5, 3], v));
    let views = || states.iter().map(|state| state.view());
    let all = session.run(Inputs::new(x.view()).initial_state(views())).unwrap();
    let forward = birnn::Direction::Forward;
    let backward = birnn::Direction::Backward;
    let named = Inputs::new(x.view())
        .hidden_state(forward, states[0].view())
        .cell_state(forward, states[1].view())
        .hidden_state(backward, states[2].view())
        .cell_state(backward, states[3].view());
    assert_eq!(session.run(named).unwrap(), all);
    assert_ne!(session.run(x.view()).unwrap(), all);
    let wrong = ArrayD::from_elem(vec![2, 4, 3], 0.1f32);
    let inputs = Inputs::new(x.view()).hidden_state(backward, wrong.view());
    match session.run(inputs) {
        Err(Error::InputShape { input, expected, .. }) => {
            assert!(input.contains("backward hidden state"), "{input}");
            assert_eq!(expected, "[2, 5, 3]");
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(all.forward().hidden(), Err(Error::NoSuchOutput { .. })));
    // More timesteps than a graph takes.
    let long = ArrayD::zeros(vec![1, 2000, 1, 2]);
    match session.run(long.view()) {
        Err(Error::Limit { needed, .. }) => assert_eq!(needed, 2000),
        other => panic!("{other:?}"),
    }
}
