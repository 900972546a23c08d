//! What a session promises: work per call, waiting without blocking, faults, values that are not
//! finite.

use crate::device;
use birnn::layer::{Conv1d, LayerNormalization, MultiHeadAttention, Padding};
use birnn::{
    Activation, Bidirectional, Counters, Dense, Device, Embedding, Error, Graph, Gru, Initializer,
    Inputs, Lstm, MergeMode, Model, SimpleRnn, reference,
};
use ndarray::Array3;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

fn open() -> Option<Device> {
    device::open(device::options())
}

fn model() -> Model {
    let layer = Bidirectional::new(Lstm::new(5).return_sequences(true).return_state(true));
    Model::sequential(3, [layer]).and_then(|m| m.initialize(9)).unwrap()
}

fn input(batch: usize, timesteps: usize) -> Array3<f32> {
    Array3::from_shape_fn((batch, timesteps, 3), |(b, t, f)| ((b * 31 + t * 7 + f) as f32).sin())
}

/// What tests/run.sh asks first.
#[test]
fn an_adapter_is_there() {
    if let Some(device) = open() {
        println!("GPU tests run on {}", device.info());
    }
}

#[test]
fn a_steady_call_does_nothing_but_work() {
    let Some(device) = open() else { return };
    let mut session = device.compile(&model()).unwrap();
    let x = input(6, 12);
    session.run(x.view()).unwrap();
    let first = session.counters();
    assert!(first.buffers_created > 0 && first.bind_groups_created > 0);
    session.run(x.view()).unwrap();
    let expected = (
        // The projection; the sequence, which writes the output and four states.
        1 + 1,
        1,
        4 * 6 * 12 * 4,
        // The output's 10 features, and the states' 5 units, fill up to multiples of 4.
        4 * (6 * 12 * 12 + 4 * 6 * 8),
    );
    let Counters { dispatches, submits, bytes_uploaded, bytes_read, .. } = session.counters();
    assert_eq!((dispatches, submits, bytes_uploaded, bytes_read), expected);
    let Counters { buffers_created, bind_groups_created, pipelines_created, .. } =
        session.counters();
    assert_eq!((buffers_created, bind_groups_created, pipelines_created), (0, 0, 0));
}

/// Arrays that come back are written into again, whole; those of other shapes are not.
#[test]
fn recycled_arrays_hold_the_next_outputs() {
    let Some(device) = open() else { return };
    let mut session = device.compile(&model()).unwrap();
    let address = |outputs: &birnn::Outputs| outputs.output().as_ptr();
    let (x, y, other) = (input(6, 12), input(6, 12).mapv(|x| 0.5 - x), input(5, 12));
    let of_y = session.run(y.view()).unwrap();
    let of_x = session.run(x.view()).unwrap();
    assert_ne!(of_x, of_y);
    let place = address(&of_x);
    session.recycle(of_x);
    let of_other = session.run(other.view()).unwrap();
    assert_ne!(address(&of_other), place, "another batch");
    let again = session.run(y.view()).unwrap();
    assert_eq!((address(&again), again), (place, of_y));
}

/// Outputs so large that several threads copy them: of whole vectors of four, and filled up to
/// them.
#[test]
fn large_outputs_come_home_whole() {
    let Some(device) = open() else { return };
    for units in [4, 5] {
        let layer = Bidirectional::new(SimpleRnn::new(units).return_sequences(true));
        let model = Model::sequential(3, [layer]).and_then(|m| m.initialize(9)).unwrap();
        let x = input(257, 640);
        let found = device.compile(&model).unwrap().run(x.view()).unwrap();
        let expected = Device::cpu().compile(&model).unwrap().run(x.view()).unwrap();
        let difference = (found.output() - expected.output())
            .mapv(f32::abs)
            .fold(0.0f32, |most, &d| most.max(d));
        assert!(difference < 1e-6, "{units} units: off by {difference}");
    }
}

/// What a call costs apart from time, for each family of kernels: dispatches, submits, and bytes,
/// whatever the machine.
#[test]
fn each_family_takes_its_number_of_dispatches() {
    let Some(device) = open() else { return };
    let gru_v1 = |units: usize| {
        Bidirectional::new(Gru::new(units).reset_after(false).return_sequences(true))
    };
    let sum = |layer: Bidirectional| layer.merge_mode(MergeMode::Sum);
    let families: [(Bidirectional, u64, &str); 7] = [
        (Bidirectional::new(Lstm::new(40).return_sequences(true)), 1 + 1, "one sequence"),
        (Bidirectional::new(Gru::new(40)), 1 + 1, "one sequence, the last output"),
        (gru_v1(40), 1 + 1, "one sequence of two phases"),
        (sum(gru_v1(40)), 1 + 1 + 2, "one sequence, the directions added up"),
        (
            Bidirectional::new(Lstm::new(260).return_sequences(true)),
            1 + 7 + 1,
            "one dispatch a step",
        ),
        (
            Bidirectional::new(SimpleRnn::new(400)),
            1 + 7 + 1,
            "one dispatch a step, the last output",
        ),
        (gru_v1(260), 1 + 2 * 7 + 1, "two dispatches a step"),
    ];
    for (layer, dispatches, what) in families {
        let model = Model::sequential(3, [layer]).and_then(|m| m.initialize(9)).unwrap();
        let mut session = device.compile(&model).unwrap();
        for batch in [1, 4, 6, 17] {
            let x = input(batch, 7);
            session.run(x.view()).unwrap();
            // Those that larger batches take are built with the first call that needs them.
            let built = session.counters().pipelines_created;
            assert!(batch > 1 || built == 0, "{what}: compile() builds the kernels of a row");
            // Where the machine was so slow that a submit took long, it is cut, until short ones
            // let it grow again.
            let mut calls = (0..20).map(|_| {
                session.run(x.view()).unwrap();
                session.counters()
            });
            let few = |counters: &Counters| (1..=dispatches / 2).contains(&counters.submits);
            let counters =
                calls.find(few).unwrap_or_else(|| panic!("{what}, batch {batch}: many submits"));
            assert_eq!(counters.dispatches, dispatches, "{what}, batch {batch}");
            assert_eq!(counters.bytes_uploaded, 4 * 4 * 7 * batch as u64, "{what}, batch {batch}");
            let created = (
                counters.buffers_created,
                counters.bind_groups_created,
                counters.pipelines_created,
            );
            assert_eq!(created, (0, 0, 0), "{what}, batch {batch}");
        }
    }
}

#[test]
fn smaller_shapes_use_the_buffers_of_larger_ones() {
    let Some(device) = open() else { return };
    let mut session = device.compile(&model()).unwrap();
    session.run(input(6, 12).view()).unwrap();
    session.run(input(2, 5).view()).unwrap();
    assert_eq!(session.counters().buffers_created, 1, "the parameters of the new shape");
}

/// A sequence fed in pieces: only the pieces go up and only their outputs come down, and nothing is
/// made anew.
#[test]
fn streaming_keeps_the_states_on_the_gpu() {
    let Some(device) = open() else { return };
    let layers = [Lstm::new(7).return_sequences(true).stateful(true), Lstm::new(4).stateful(true)];
    let model = Model::sequential(3, layers).and_then(|m| m.initialize(9)).unwrap();
    let x = input(2, 40);
    let whole = device.compile(&model).unwrap().run(x.view()).unwrap();
    let mut session = device.compile(&model).unwrap();
    for piece in 0..10 {
        let outputs = session.run(x.slice(ndarray::s![.., 4 * piece..4 * piece + 4, ..])).unwrap();
        let Counters {
            submits,
            bytes_uploaded,
            bytes_read,
            buffers_created,
            pipelines_created,
            ..
        } = session.counters();
        // The first piece of two rows builds kernels, and the first that goes on from states.
        assert!(submits == 1 && (piece < 2 || pipelines_created == 0), "piece {piece}");
        assert_eq!(bytes_read, 4 * 2 * 4, "the output alone, [2, 4]");
        if piece > 1 {
            assert_eq!(
                (bytes_uploaded, buffers_created),
                (4 * 2 * 4 * 4, 0),
                "the piece alone, 3 features in 4"
            );
        }
        if piece == 9 {
            assert_eq!(outputs, whole);
        }
    }
}

#[test]
fn a_long_sequence_is_split_into_submits() {
    let Some(device) = open() else { return };
    // Too many units for a sequence kernel, so that every step is a dispatch.
    let layer = Bidirectional::new(Lstm::new(260).return_sequences(true));
    let model = Model::sequential(3, [layer]).and_then(|m| m.initialize(9)).unwrap();
    let mut session = device.compile(&model).unwrap();
    session.run(input(1, 1_500).view()).unwrap();
    let counters = session.counters();
    assert!(counters.dispatches >= 1_500);
    // The head start and the rest; more where the adapter is slow.
    assert!((2..100).contains(&counters.submits), "{counters:?}");
}

#[test]
fn waiting_without_blocking_gives_the_same() {
    let Some(device) = open() else { return };
    let mut session = device.compile(&model()).unwrap();
    let x = input(4, 9);
    let blocking = session.run(x.view()).unwrap();
    assert_eq!(pollster::block_on(session.run_async(x.view())).unwrap(), blocking);
}

#[test]
fn a_dropped_future_leaves_the_session_usable() {
    let Some(device) = open() else { return };
    let mut session = device.compile(&model()).unwrap();
    let x = input(4, 9);
    let expected = session.run(x.view()).unwrap();
    for _ in 0..5 {
        let mut future = pin!(session.run_async(x.view()));
        // Dropped while the GPU works, or just after.
        let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
    assert_eq!(session.run(x.view()).unwrap(), expected);
}

#[test]
fn a_lost_device_is_an_error_and_a_new_one_works() {
    let Some(device) = open() else { return };
    let x = input(4, 9);
    let mut session = device.compile(&model()).unwrap();
    let expected = session.run(x.view()).unwrap();
    device.destroy();
    for _ in 0..2 {
        let lost = session.run(x.view());
        assert!(matches!(lost, Err(Error::DeviceLost { .. })), "{lost:?}");
    }
    assert!(matches!(device.compile(&model()), Err(Error::DeviceLost { .. })));
    let again = open().unwrap().compile(&model()).unwrap().run(x.view()).unwrap();
    assert_eq!(again, expected);
}

#[test]
fn a_device_lost_in_the_middle_is_an_error() {
    let Some(device) = open() else { return };
    let mut session = device.compile(&model()).unwrap();
    let x = input(8, 2_000);
    let mut future = Box::pin(session.run_async(x.view()));
    let mut context = Context::from_waker(Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_pending());
    device.destroy();
    // What was computed before the loss may still arrive; anything else is the typed error.
    match pollster::block_on(future) {
        Ok(outputs) => {
            assert_eq!(outputs, open().unwrap().compile(&model()).unwrap().run(x.view()).unwrap())
        }
        Err(error) => assert!(matches!(error, Error::DeviceLost { .. }), "{error}"),
    }
    assert!(matches!(session.run(x.view()), Err(Error::DeviceLost { .. })));
}

#[test]
fn sessions_of_one_device_run_on_several_threads() {
    let Some(device) = open() else { return };
    let x = input(3, 20);
    let expected = device.compile(&model()).unwrap().run(x.view()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut session = device.compile(&model()).unwrap();
                for _ in 0..20 {
                    assert_eq!(session.run(x.view()).unwrap(), expected);
                }
            });
        }
    });
}

#[test]
fn inputs_that_are_not_finite_pass_through() {
    let Some(device) = open() else { return };
    let mut x = input(9, 6);
    x[[1, 2, 0]] = f32::NAN;
    x[[4, 0, 1]] = f32::INFINITY;
    x[[8, 5, 2]] = f32::NEG_INFINITY;
    let gru = Model::sequential(
        3,
        [Bidirectional::new(Gru::new(5).return_sequences(true).return_state(true))],
    );
    for model in [model(), gru.and_then(|m| m.initialize(1)).unwrap()] {
        let found = device.compile(&model).unwrap().run(x.view()).unwrap();
        let exact = reference::run(&model, x.mapv(f64::from).view()).unwrap();
        for (found, exact) in found.list().iter().zip(exact.list()) {
            for (&f, &e) in found.array.iter().zip(&exact.array) {
                assert!(
                    (f.is_nan() && e.is_nan()) || (f64::from(f) - e).abs() < 2e-6,
                    "{}: {f} and {e}",
                    found.role
                );
            }
            assert!(
                found.array.index_axis(ndarray::Axis(0), 0).iter().all(|v| v.is_finite()),
                "rows are independent"
            );
        }
    }
}

/// Embedding, convolution, recurrence, attention and a softmax: nothing is read back between the
/// layers.
#[test]
fn a_whole_model_is_one_submit_and_reads_back_its_outputs_only() {
    let Some(device) = open() else { return };
    let mut graph = Graph::new();
    let ids = graph.input("ids", &[None]).unwrap();
    let mut x = graph.add(Embedding::new(30, 8).mask_zero(true), ids).unwrap()[0];
    x = graph.add(Bidirectional::new(Lstm::new(6).return_sequences(true)), x).unwrap()[0];
    x = graph.add(MultiHeadAttention::new(2, 4), [x, x]).unwrap()[0];
    x = graph.add(Conv1d::new(7, 3).padding(Padding::Same), x).unwrap()[0];
    x = graph.add(LayerNormalization::new(), x).unwrap()[0];
    x = graph.add(Dense::new(5).activation(Activation::Softmax), x).unwrap()[0];
    let model = graph.build([x]).and_then(|model| model.initialize(1)).unwrap();
    let mut session = device.compile(&model).unwrap();
    let x = ndarray::Array2::from_shape_fn((4, 9), |(i, j)| ((i * 5 + j * 3) % 30) as f32);
    for call in 0..2 {
        let outputs = session.run(Inputs::new(x.view())).unwrap();
        assert_eq!(outputs.output().shape(), [4, 9, 5]);
        let counters = session.counters();
        assert_eq!(counters.submits, 1);
        assert_eq!(
            counters.bytes_read,
            4 * 4 * 9 * 8,
            "the output alone, its 5 features filled up to 8"
        );
        if call > 0 {
            assert_eq!(
                (
                    counters.buffers_created,
                    counters.bind_groups_created,
                    counters.pipelines_created
                ),
                (0, 0, 0)
            );
            assert_eq!(
                counters.bytes_uploaded,
                4 * 4 * 12,
                "the ids alone, 9 timesteps filled up to 12"
            );
        }
    }
}

/// Each activation alone: a SimpleRNN of one unit that starts from zero gives activation(x · 1 +
/// 0).
#[test]
fn activations_are_exact_over_their_range() {
    let Some(device) = open() else { return };
    let special = [
        0.0, -0.0, 1e-30, -1e-30, 1e-6, -1e-6, 0.624_999, 0.625, -0.625, 3.0, -3.0, 6.0, 88.0,
        -88.0, 200.0, -200.0,
    ];
    let not_finite = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
    let range = (-4000..4000).map(|i| i as f32 * 0.005);
    let values: Vec<f32> = special.into_iter().chain(not_finite).chain(range).collect();
    let x = Array3::from_shape_vec((values.len(), 1, 1), values).unwrap();
    let mut report = Vec::new();
    for activation in Activation::ALL.into_iter().filter(|a| a.is_elementwise()) {
        let layer = SimpleRnn::new(1).activation(activation).kernel_initializer(Initializer::Ones);
        let model = Model::sequential(1, [layer]).and_then(|m| m.initialize(0)).unwrap();
        let found = device.compile(&model).unwrap().run(x.view()).unwrap();
        let exact = reference::run(&model, x.mapv(f64::from).view()).unwrap();
        let mut worst = 0.0f64;
        for ((&x, &f), &e) in x.iter().zip(found.output()).zip(exact.output()) {
            let rounded = e as f32;
            if rounded.is_nan() || rounded.is_infinite() || f == rounded {
                assert!(
                    f == rounded || (f.is_nan() && rounded.is_nan()),
                    "{activation:?}({x}) = {f}, not {rounded}"
                );
                continue;
            }
            // In units of the last place, where the value is not so close to zero that f32's
            // rounding of its parts shows.
            let ulp = f64::from(rounded.abs()).max(0.125) * f64::from(f32::EPSILON);
            worst = worst.max((f64::from(f) - e).abs() / ulp);
        }
        report.push(format!("{activation:?}: {worst:.1}"));
        // exp is off by at most 2 ulp, and WGSL allows a division 2.5: the worst case of those that
        // combine them. The gelus add 1 to a number near -1, which shows the rounding of that
        // number, as it does in Keras.
        let allowed = if matches!(activation, Activation::Gelu | Activation::GeluApproximate) {
            10.0
        } else {
            5.0
        };
        assert!(worst <= allowed, "{activation:?} is off by {worst} ulp");
    }
    println!("worst error in ulp: {}", report.join(", "));
}

/// Weights as 16-bit floats: the results differ by what rounding a weight to 11 bits does, and no
/// more.
#[test]
fn half_weights_are_off_by_their_rounding() {
    let Some(device) = device::open(device::options().half_weights(true)) else { return };
    let mut worst = 0.0f64;
    for units in [5, 64, 300] {
        for batch in [1, 9] {
            let layer =
                Bidirectional::new(Lstm::new(units).return_sequences(true).return_state(true));
            let model =
                Model::sequential(20, [layer]).and_then(|m| m.initialize(units as u64)).unwrap();
            let x = Array3::from_shape_fn((batch, 12, 20), |(b, t, f)| {
                ((b * 31 + t * 7 + f) as f32).sin()
            });
            let found = device.compile(&model).unwrap().run(x.view()).unwrap();
            let exact = reference::run(&model, x.mapv(f64::from).view()).unwrap();
            for (found, exact) in found.list().iter().zip(exact.list()) {
                let error =
                    found.array.iter().zip(&exact.array).map(|(&f, &e)| (f64::from(f) - e).abs());
                worst = error.fold(worst, f64::max);
            }
        }
    }
    println!("half weights: largest error {worst:.1e}");
    assert!(worst < 1e-3 && worst > 1e-6, "{worst:e}: neither f32 nor halves");
}

/// A weight that 16 bits would make infinite is named, and the session isn't made.
#[test]
fn weights_that_16_bits_cant_hold_are_refused() {
    let Some(device) = device::open(device::options().half_weights(true)) else { return };
    for (value, fits) in [(65519.0, true), (65520.0, false), (-1e6, false)] {
        let layer = Bidirectional::new(Lstm::new(3)).named("both");
        let mut model = Model::sequential(2, [layer]).and_then(|m| m.initialize(1)).unwrap();
        let mut weights = model.weights("both").unwrap();
        weights[4][[1, 2]] = value; // backward's recurrent kernel
        model.set_weights("both", weights).unwrap();
        match device.compile(&model) {
            Ok(_) => assert!(fits, "{value}"),
            Err(birnn::Error::Argument { layer, argument, reason }) => {
                assert!(!fits && layer == "both" && argument == "half_weights", "{value}");
                assert!(reason.contains(&value.to_string()), "{reason}");
            }
            Err(error) => panic!("{value}: {error}"),
        }
    }
}
