//! `Session::run_into` beside `Session::run`, on every device: the same values, states and errors.
//! `tests/allocations.rs` counts what it allocates.

#[cfg(feature = "gpu")]
use crate::device;
use birnn::layer::{Conv1d, LayerNormalization, Merge, Padding};
use birnn::program::{Binary, Kind, Length, Operation, Program};
use birnn::{
    Activation, Bidirectional, Call, Dense, Device, Direction, Embedding, Error, Graph, Gru,
    Inputs, Layer, Lstm, MergeMode, Model, OutputsMut, Role, Session, SimpleRnn,
};
use ndarray::{Array2, Array3, ArrayD, Axis, Slice};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

fn devices() -> Vec<Device> {
    #[allow(unused_mut)]
    let mut devices = vec![Device::cpu()];
    #[cfg(feature = "reference")]
    devices.push(Device::reference());
    #[cfg(feature = "gpu")]
    devices.extend(device::open(device::options()));
    devices
}

fn model(layers: impl IntoIterator<Item = Layer>) -> Model {
    Model::sequential(3, layers).unwrap().initialize(11).unwrap()
}

fn input(batch: usize, timesteps: usize) -> Array3<f32> {
    let mut rng = ChaCha12Rng::seed_from_u64((batch * 100 + timesteps) as u64);
    Array3::from_shape_simple_fn((batch, timesteps, 3), || rng.random_range(-1.5f32..1.5))
}

/// Models that are recurrences and products alone, and others whose layers run as in any call.
fn models() -> Vec<Model> {
    let sequence = || Lstm::new(6).return_sequences(true);
    let lists: Vec<Vec<Layer>> = vec![
        vec![sequence().return_state(true).into()],
        vec![Lstm::new(20).return_state(true).into(), Dense::new(4).into()],
        vec![
            Gru::new(33).return_sequences(true).return_state(true).into(),
            Dense::new(7).activation(Activation::Softmax).into(),
        ],
        vec![Gru::new(5).reset_after(false).go_backwards(true).return_sequences(true).into()],
        vec![
            SimpleRnn::new(9).return_sequences(true).into(),
            LayerNormalization::new().into(),
            Lstm::new(70).go_backwards(true).into(),
            Dense::new(3).activation(Activation::Gelu).into(),
        ],
        vec![Bidirectional::new(sequence()).merge_mode(MergeMode::Sum).into()],
        vec![Bidirectional::new(Gru::new(4).return_state(true)).merge_mode(MergeMode::None).into()],
        vec![Conv1d::new(5, 3).padding(Padding::Same).into(), sequence().into()],
    ];
    lists.into_iter().map(model).collect()
}

/// All outputs, by `run_into`.
fn into_all(
    session: &mut Session,
    inputs: Inputs<'_, f32>,
    like: &[ArrayD<f32>],
) -> Vec<ArrayD<f32>> {
    let mut arrays: Vec<_> = like.iter().map(|array| array.mapv(|_| f32::NAN)).collect();
    let mut rest = arrays.iter_mut();
    let mut outputs = OutputsMut::new(rest.next().unwrap());
    for array in rest {
        outputs = outputs.output(array);
    }
    session.run_into(inputs, outputs).unwrap();
    arrays
}

fn all(session: &mut Session, inputs: Inputs<'_, f32>) -> Vec<ArrayD<f32>> {
    let outputs = session.run(inputs).unwrap().into_list();
    outputs.into_iter().map(|output| output.array).collect()
}

#[test]
fn it_writes_what_run_returns() {
    for device in devices() {
        for model in models() {
            let mut session = device.compile(&model).unwrap();
            // A shape that is known, another one, and the first again.
            for (batch, timesteps) in [(1, 1), (2, 13), (1, 1), (150, 2), (2, 13)] {
                let x = input(batch, timesteps);
                let expected = all(&mut session, x.view().into());
                let found = into_all(&mut session, x.view().into(), &expected);
                assert_eq!(found, expected, "{:?} on {device:?}", model.layer_names());
            }
        }
    }
}

#[test]
fn masks_and_lengths_are_those_of_run() {
    let lengths = [3, 5, 1];
    let mask = Array2::from_shape_fn((3, 5), |(row, t)| (row + t) % 3 != 1);
    for device in devices() {
        for model in models() {
            let mut session = device.compile(&model).unwrap();
            let x = input(3, 5);
            let plain = all(&mut session, x.view().into());
            for inputs in [
                Inputs::new(x.view()).lengths(&lengths),
                Inputs::new(x.view()),
                Inputs::new(x.view()).mask(mask.view()),
            ] {
                let expected = all(&mut session, inputs.clone());
                assert_eq!(into_all(&mut session, inputs, &plain), expected);
            }
        }
    }
}

#[test]
fn states_go_from_call_to_call_and_between_both_ways() {
    let layer = Lstm::new(5).return_sequences(true).stateful(true);
    let model = model([layer.into(), Dense::new(2).into()]);
    for device in devices() {
        let mut session = device.compile(&model).unwrap();
        let x = input(2, 12);
        let whole = session.run(x.view()).unwrap().output().clone();
        for into in [[true; 6], [false, true, false, true, true, false]] {
            session.reset_states();
            let mut start = 0;
            for (timesteps, into) in [1, 4, 1, 1, 4, 1].into_iter().zip(into) {
                let piece = Slice::from(start..start + timesteps);
                let x = x.slice_axis(Axis(1), piece);
                let mut y = Array3::zeros((2, timesteps, 2));
                match into {
                    true => session.run_into(x, &mut y).unwrap(),
                    false => y.assign(session.run(x).unwrap().output()),
                }
                let expected = whole.slice_axis(Axis(1), piece);
                let far = (&y.into_dyn() - &expected).iter().fold(0f32, |far, d| far.max(d.abs()));
                assert!(far < 1e-6, "{far} off at {start} on {device:?}");
                start += timesteps;
            }
        }
        // The states are of two rows.
        let mut y = Array3::zeros((1, 1, 2));
        let error = session.run_into(input(1, 1).view(), &mut y).unwrap_err();
        assert!(matches!(error, Error::StatefulBatch { found: 1, expected: 2 }), "{error}");
        session.reset_states();
        session.run_into(input(1, 1).view(), &mut y).unwrap();
    }
}

#[test]
fn outputs_and_inputs_are_named_as_run_names_them() {
    let mut graph = Graph::new();
    let left = graph.sequence_input("left", None, 2).unwrap();
    let right = graph.sequence_input("right", None, 2).unwrap();
    let sum = graph.add(Merge::subtract(), Call::on([left, right])).unwrap();
    let layer = Lstm::new(4).return_state(true).named("memory");
    let returned = graph.add(layer, sum[0]).unwrap();
    let score = graph.add(Dense::new(3).named("score"), returned[0]).unwrap();
    let outputs = [returned[0], returned[1], returned[2], score[0]];
    let model = graph.build(outputs).unwrap().initialize(2).unwrap();
    let (one, two) = (Array3::from_elem((2, 3, 2), 0.5f32), Array3::from_elem((2, 3, 2), -1.0));
    let states = [Array2::from_elem((2, 4), 0.25f32), Array2::from_elem((2, 4), -0.5)];
    for device in devices() {
        let mut session = device.compile(&model).unwrap();
        let inputs = || {
            let inputs = Inputs::named("right", two.view()).input_named("left", one.view());
            inputs.initial_state_of("memory", states.iter().map(|state| state.view()))
        };
        let expected = session.run(inputs()).unwrap();
        for _ in 0..2 {
            let zeros = |columns: usize| Array2::<f32>::zeros((2, columns));
            let (mut y, mut h, mut c, mut scores) = (zeros(4), zeros(4), zeros(4), zeros(3));
            let to = OutputsMut::named("score", scores.view_mut())
                .hidden_state(Direction::Forward, &mut h)
                .of_layer("memory", Role::CellState(Direction::Forward), &mut c)
                .output(&mut y);
            session.run_into(inputs(), to).unwrap();
            assert_eq!(y.into_dyn(), expected.output());
            assert_eq!(scores.into_dyn(), expected.named("score").unwrap());
            assert_eq!(h.view(), expected.forward().hidden().unwrap());
            assert_eq!(c.view(), expected.forward().cell().unwrap());
        }
        // Of a state that is given twice the last counts.
        let hidden = Array2::from_elem((2, 4), 0.125f32);
        let twice = || inputs().hidden_state(Direction::Forward, hidden.view());
        let of_twice = session.run(twice()).unwrap();
        assert_ne!(of_twice.output(), expected.output());
        for _ in 0..2 {
            let mut y = Array2::<f32>::zeros((2, 4));
            session.run_into(twice(), &mut y).unwrap();
            assert_eq!(y.into_dyn(), of_twice.output());
        }
        // Each array goes to its input by name, whichever is first.
        let turned = Inputs::named("left", one.view()).input_named("right", two.view());
        let turned = turned.initial_state_of("memory", states.iter().map(|state| state.view()));
        let mut y = Array2::<f32>::zeros((2, 4));
        session.run_into(turned, &mut y).unwrap();
        assert_eq!(y.into_dyn(), expected.output());
    }
}

#[test]
fn arrays_that_do_not_fit_are_named() {
    let layer = Lstm::new(4).return_state(true).stateful(true).named("memory");
    let model = model([layer.into()]);
    for device in devices() {
        let mut session = device.compile(&model).unwrap();
        let x = input(1, 1);
        let zeros = |shape: (usize, usize)| Array2::<f32>::zeros(shape);
        let expected = session.run(x.view()).unwrap().output().clone();
        session.reset_states();
        // Before a workspace is there, and in one.
        for _ in 0..2 {
            let mut y = zeros((1, 5));
            let error = session.run_into(x.view(), &mut y).unwrap_err();
            assert!(
                matches!(&error, Error::OutputShape { output, found, expected }
                    if output == "output of memory" && found == &[1, 5] && expected == &[1, 4]),
                "{error}"
            );
            let (mut y, mut h) = (zeros((1, 4)), zeros((2, 4)));
            let to = OutputsMut::new(&mut y).hidden_state(Direction::Forward, &mut h);
            let error = session.run_into(x.view(), to).unwrap_err();
            assert!(error.to_string().contains("forward hidden state of memory"), "{error}");
            let to = OutputsMut::new(&mut y).cell_state(Direction::Backward, &mut h);
            let error = session.run_into(x.view(), to).unwrap_err();
            assert!(error.to_string().contains("no backward cell state"), "{error}");
            let error = session.run_into(x.view(), OutputsMut::named("other", &mut y)).unwrap_err();
            assert!(matches!(error, Error::NoSuchOutput { .. }), "{error}");
            let mut again = zeros((1, 4));
            let to = OutputsMut::new(&mut y).output_named("memory", &mut again);
            let error = session.run_into(x.view(), to).unwrap_err();
            assert!(error.to_string().contains("no second output of memory"), "{error}");
            let mut more: Vec<_> = (0..4).map(|_| zeros((1, 4))).collect();
            let (first, rest) = more.split_at_mut(1);
            let mut to = OutputsMut::new(&mut first[0]);
            for array in rest {
                to = to.output(array);
            }
            let error = session.run_into(x.view(), to).unwrap_err();
            assert!(error.to_string().contains("output number 3"), "{error}");
            let error = session.run_into(input(1, 0).view(), &mut y).unwrap_err();
            assert!(matches!(error, Error::EmptyAxis { .. }), "{error}");
            // None of these was a call: the states are those of the beginning.
            session.run_into(x.view(), &mut y).unwrap();
            assert_eq!(y.into_dyn(), expected);
            session.reset_states();
        }
    }
}

#[test]
fn values_are_compared_in_every_call() {
    let mut graph = Graph::new();
    let ids = graph.input("ids", &[None]).unwrap();
    let rows = graph.add(Embedding::new(4, 3), ids).unwrap();
    let y = graph.add(Gru::new(2), rows[0]).unwrap();
    let model = graph.build(y).unwrap().initialize(1).unwrap();
    for device in devices() {
        let mut session = device.compile(&model).unwrap();
        let mut y = Array2::zeros((1, 2));
        let mut call = |ids: [f32; 2]| {
            let ids = Array2::from_shape_vec((1, 2), ids.to_vec()).unwrap();
            session.run_into(Inputs::new(ids.view()), &mut y)
        };
        call([1.0, 3.0]).unwrap();
        let error = call([1.0, 4.0]).unwrap_err();
        assert!(matches!(error, Error::IdRange { value: 4.0, ids: 4, .. }), "{error}");
        call([0.0, 2.0]).unwrap();
    }
}

/// What a program hands on from call to call: two values that change places, of which one grows.
#[test]
fn tied_values_go_from_call_to_call() {
    let mut program = Program::new();
    let x = program.input("x", [Length::Fixed(2)], Kind::Float).unwrap();
    let a = program.input("a", [Length::Fixed(2)], Kind::Float).unwrap();
    let b = program.input("b", [Length::Fixed(2)], Kind::Float).unwrap();
    let sum = program.add("sum", Operation::Binary(Binary::Add), [b, x]).unwrap()[0];
    program.output("y", sum);
    program.output("a_next", sum);
    program.output("b_next", a);
    program.tie("a", "a_next");
    program.tie("b", "b_next");
    let model = program.build().unwrap();
    for device in devices() {
        let mut session = device.compile(&model).unwrap();
        for _ in 0..2 {
            let mut found = Vec::new();
            for value in [1.0, 10.0, 100.0, 1000.0] {
                let x = ArrayD::from_elem(vec![2], value);
                let mut y = ArrayD::zeros(vec![2]);
                session.run_into(x.view(), &mut y).unwrap();
                found.push(y[[0]]);
            }
            assert_eq!(found, [1.0, 10.0, 101.0, 1010.0]);
            session.reset_states();
        }
    }
}

/// More shapes than there are workspaces.
#[test]
fn any_number_of_shapes_can_be_called() {
    let model = model([Gru::new(4).into()]);
    let mut session = Device::cpu().compile(&model).unwrap();
    for _ in 0..2 {
        for timesteps in 1..40 {
            let x = input(1, timesteps);
            let mut y = Array2::zeros((1, 4));
            session.run_into(x.view(), &mut y).unwrap();
            assert_eq!(y.into_dyn(), session.run(x.view()).unwrap().output());
        }
    }
}
