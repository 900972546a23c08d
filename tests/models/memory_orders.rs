//! Arrays in every memory order: what a caller hands over (inputs, masks, lengths, initial states,
//! weights) and what layers hand to one another gives, on the CPU, on the GPU and in the reference,
//! the result of arrays in C order to the bit; and outputs are always in C order.

#[cfg(feature = "gpu")]
use crate::device;
use crate::orders;
use crate::random_layers;
use crate::random_layers::Random;
use birnn::layer::{Concatenate, Layer, Recurrent};
use birnn::{
    Bidirectional, Call, Device, Graph, Gru, Inputs, Lstm, Model, Outputs, Session, SimpleRnn,
    reference,
};
use ndarray::{Array3, ArrayD, ArrayView2, ArrayView3, Axis, Ix2, Ix3};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// The CPU path on one thread and on two, and the GPU where there is one.
fn devices() -> Vec<Device> {
    let threads =
        |n| birnn::DeviceOptions::from(birnn::CpuOptions::new().threads(n)).open().unwrap();
    #[cfg_attr(not(feature = "gpu"), allow(unused_mut))]
    let mut devices = vec![threads(1), threads(2)];
    #[cfg(feature = "gpu")]
    devices.extend(device::open(device::options()));
    devices
}

fn numbers(shape: &[usize], rng: &mut ChaCha12Rng) -> ArrayD<f32> {
    ArrayD::from_shape_simple_fn(shape, || rng.random_range(-1.0f32..1.0))
}

fn two<F: Copy>(array: &ArrayD<F>) -> ArrayView2<'_, F> {
    array.view().into_dimensionality::<Ix2>().unwrap()
}

fn three(array: &ArrayD<f32>) -> ArrayView3<'_, f32> {
    array.view().into_dimensionality::<Ix3>().unwrap()
}

/// A layer of each cell with as many units, alone and in Bidirectional. The tests have few numbers
/// of units, because a GPU's driver builds kernels for each.
fn layers(units: usize) -> Vec<Layer> {
    let cells: [Recurrent; 4] = [
        Lstm::new(units).return_state(true).return_sequences(true).into(),
        Gru::new(units).return_state(true).into(),
        Gru::new(units).reset_after(false).return_state(true).return_sequences(true).into(),
        SimpleRnn::new(units).return_state(true).into(),
    ];
    cells
        .into_iter()
        .flat_map(|cell| [cell.clone().into(), Bidirectional::new(cell).into()])
        .collect()
}

/// The arrays of a call.
struct Arrays {
    x: ArrayD<f32>,
    mask: ArrayD<bool>,
    states: Vec<ArrayD<f32>>,
}

impl Arrays {
    fn new(batch: usize, layer: &Layer, rng: &mut ChaCha12Rng) -> Arrays {
        let units = layer
            .directions()
            .into_iter()
            .flat_map(|(_, layer)| std::iter::repeat_n(layer.units(), layer.cell().states()));
        let units: Vec<usize> = units.collect();
        Arrays {
            x: numbers(&[batch, 5, 3], rng),
            mask: ArrayD::from_shape_simple_fn(vec![batch, 5], || rng.random_bool(0.7)),
            states: units.into_iter().map(|units| numbers(&[batch, units], rng)).collect(),
        }
    }

    fn inputs(&self, masked: bool) -> Inputs<'_> {
        let inputs = Inputs::new(self.x.view()).initial_state(self.states.iter().map(two));
        if masked { inputs.mask(two(&self.mask)) } else { inputs }
    }
}

fn assert_same(found: &Outputs, expected: &Outputs, what: &str) {
    assert_eq!(found.list().len(), expected.list().len(), "{what}");
    for (found, expected) in found.list().iter().zip(expected.list()) {
        let bits = |array: &ArrayD<f32>| array.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(found.array.shape(), expected.array.shape(), "{what}: {}", found.role);
        assert_eq!(bits(&found.array), bits(&expected.array), "{what}: {}", found.role);
        assert!(found.array.is_standard_layout(), "{what}: {} isn't in C order", found.role);
    }
}

/// What a session and the reference return for the same call in another order.
fn check(
    session: &mut Session,
    model: &Model,
    inputs: &Inputs,
    expected: &[Outputs; 2],
    what: &str,
) {
    session.reset_states();
    assert_same(&session.run(inputs.clone()).unwrap(), &expected[0], what);
    assert_same(&reference::run(model, inputs.clone()).unwrap(), &expected[1], what);
}

#[test]
fn inputs_masks_and_states_in_every_order() {
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    for device in devices() {
        for (units, batch) in [(9, 1), (9, 2), (9, 130), (40, 3)] {
            for layer in layers(units) {
                let model = Model::sequential(3, [layer.clone()]).unwrap().initialize(2).unwrap();
                let mut session = device.compile(&model).unwrap();
                let arrays = Arrays::new(batch, &layer, &mut rng);
                for masked in [false, true] {
                    let inputs = arrays.inputs(masked);
                    let expected = [
                        session.run(inputs.clone()).unwrap(),
                        reference::run(&model, inputs).unwrap(),
                    ];
                    for (name, reorder) in orders::all() {
                        let masks = orders::all().into_iter().find(|(other, _)| *other == name);
                        let other = Arrays {
                            x: reorder(&arrays.x),
                            mask: masks.unwrap().1(&arrays.mask),
                            states: arrays.states.iter().map(reorder).collect(),
                        };
                        let what = format!(
                            "{:?} of {units} units, batch {batch}, masked {masked}, {name}, on {}",
                            layer.class_name(),
                            device.info()
                        );
                        let inputs = other.inputs(masked);
                        check(&mut session, &model, &inputs, &expected, &what);
                    }
                }
            }
        }
    }
}

/// One row that stands for the whole batch.
#[test]
fn broadcast_arrays_are_those_that_they_stand_for() {
    let mut rng = ChaCha12Rng::seed_from_u64(3);
    for device in devices() {
        for layer in layers(9) {
            let model = Model::sequential(3, [layer.clone()]).unwrap().initialize(2).unwrap();
            let mut session = device.compile(&model).unwrap();
            let one = Arrays::new(1, &layer, &mut rng);
            let rows = |array: &ArrayD<f32>| {
                let mut shape = array.shape().to_vec();
                shape[0] = 4;
                array.broadcast(shape).unwrap().into_owned()
            };
            let (x, mask) = (three(&one.x), two(&one.mask));
            let (x, mask) = (x.broadcast((4, 5, 3)).unwrap(), mask.broadcast((4, 5)).unwrap());
            let states: Vec<_> = one.states.iter().map(two).collect();
            let states = states.iter().map(|state| state.broadcast((4, 9)).unwrap());
            let inputs = Inputs::new(x).mask(mask).initial_state(states);
            let owned: Vec<ArrayD<f32>> = one.states.iter().map(rows).collect();
            let (x, mask) = (rows(&one.x), mask.as_standard_layout().into_owned());
            let inputs_owned =
                Inputs::new(x.view()).mask(mask.view()).initial_state(owned.iter().map(two));
            let expected = [
                session.run(inputs_owned.clone()).unwrap(),
                reference::run(&model, inputs_owned).unwrap(),
            ];
            check(&mut session, &model, &inputs, &expected, layer.class_name());
        }
    }
}

#[test]
fn weights_in_every_order() {
    let mut rng = ChaCha12Rng::seed_from_u64(4);
    let mut random = Random(0xC0FF_EE00_1234_5678);
    let recurrent = layers(9).into_iter().map(|layer| Model::sequential(3, [layer]).unwrap());
    // And layers of every other kind, as far as they take [batch, timesteps, features].
    let others = std::iter::repeat_with(|| random_layers::model(&mut random)).flatten().take(60);
    let models: Vec<Model> =
        recurrent.map(|model| model.initialize(5).unwrap()).chain(others).collect();
    let devices = devices();
    let mut compared = 0;
    for mut model in models {
        let mut shape = vec![2];
        shape.extend(
            model.summary().rows[0].output_shapes[0][1..].iter().map(|axis| axis.unwrap_or(5)),
        );
        let x = numbers(&shape, &mut rng).mapv(|value| (value * 3.0).abs().floor().min(1.0));
        let Ok(exact) = reference::run(&model, x.view()) else { continue };
        let expected: Vec<Outputs> = devices
            .iter()
            .map(|device| device.compile(&model).unwrap().run(x.view()).unwrap())
            .collect();
        for (name, reorder) in orders::all() {
            for layer in model.layer_names() {
                let Ok(weights) = model.weights(&layer) else { continue };
                let weights: Vec<ArrayD<f32>> = weights.iter().map(reorder).collect();
                model.set_weights(&layer, weights).unwrap();
            }
            for (device, expected) in devices.iter().zip(&expected) {
                let what = format!("{name}, {:?} on {}", model.layer_names(), device.info());
                let mut session = device.compile(&model).unwrap();
                assert_same(&session.run(x.view()).unwrap(), expected, &what);
            }
            assert_same(&reference::run(&model, x.view()).unwrap(), &exact, name);
            compared += 1;
        }
    }
    assert!(compared > 150, "{compared}");
}

/// Layers that turn, cut and join arrays stand before others; inputs in every order.
#[test]
fn random_graphs_on_inputs_in_every_order() {
    let mut random = Random(0x1234_5678_9ABC_DEF1);
    let mut rng = ChaCha12Rng::seed_from_u64(6);
    let devices = devices();
    let mut compared = vec![0; devices.len()];
    for index in 0..1000 {
        let Ok(model) = random_layers::model(&mut random) else { continue };
        let mut shape = vec![3];
        shape.extend(
            model.summary().rows[0].output_shapes[0][1..].iter().map(|axis| axis.unwrap_or(4)),
        );
        let x = numbers(&shape, &mut rng).mapv(|value| (value * 3.0).abs().floor().min(1.0));
        let Ok(expected) = reference::run(&model, x.view()) else { continue };
        for (name, reorder) in orders::all() {
            let other = reorder(&x);
            let what = format!("{name}: {:?}", model.layer_names());
            assert_same(&reference::run(&model, other.view()).unwrap(), &expected, &what);
        }
        // Each device on some of the graphs; the GPU takes arrays of up to 4 axes.
        let turn = index % devices.len();
        let Ok(mut session) = devices[turn].compile(&model) else { continue };
        let expected = session.run(x.view()).unwrap();
        for (name, reorder) in orders::all() {
            let what = format!("{name}: {:?}", model.layer_names());
            assert_same(&session.run(reorder(&x).view()).unwrap(), &expected, &what);
        }
        compared[turn] += 1;
    }
    assert!(compared.iter().all(|&graphs| graphs > 60), "{compared:?}");
}

/// The usual encoder and decoder: the final states of both directions, joined, are the initial
/// states of another layer.
#[test]
fn states_that_are_joined_start_a_decoder() {
    let mut rng = ChaCha12Rng::seed_from_u64(8);
    for device in devices() {
        for (units, batch) in [(9, 2), (9, 140), (33, 3)] {
            for gru in [false, true] {
                let mut graph = Graph::new();
                let source = graph.sequence_input("source", None, 3).unwrap();
                let target = graph.sequence_input("target", None, 4).unwrap();
                let (encoder, decoder): (Layer, Layer) = match gru {
                    true => (
                        Bidirectional::new(Gru::new(units).return_state(true)).into(),
                        Gru::new(2 * units).return_state(true).return_sequences(true).into(),
                    ),
                    false => (
                        Bidirectional::new(Lstm::new(units).return_state(true)).into(),
                        Lstm::new(2 * units).return_state(true).return_sequences(true).into(),
                    ),
                };
                let encoded = graph.add(encoder, source).unwrap();
                let count = if gru { 1 } else { 2 };
                let mut states = Vec::new();
                for state in 0..count {
                    let both = [encoded[1 + state], encoded[1 + state + count]];
                    states.extend(graph.add(Concatenate::new(), both).unwrap());
                }
                let decoded = graph.add(decoder, Call::on(target).initial_state(&states)).unwrap();
                let model = graph.build(decoded).unwrap().initialize(9).unwrap();
                let (x, y) = (numbers(&[batch, 6, 3], &mut rng), numbers(&[batch, 5, 4], &mut rng));
                let found = device
                    .compile(&model)
                    .unwrap()
                    .run(Inputs::new(x.view()).input(y.view()))
                    .unwrap();
                let (x, y) = (x.mapv(f64::from), y.mapv(f64::from));
                let exact = reference::run(&model, Inputs::new(x.view()).input(y.view())).unwrap();
                for (found, exact) in found.list().iter().zip(exact.list()) {
                    let largest = (&found.array.mapv(f64::from) - &exact.array)
                        .iter()
                        .fold(0.0f64, |largest, d| largest.max(d.abs()));
                    let what = format!("{units} units, batch {batch}, gru {gru}, {}", found.role);
                    assert!(largest < 2e-6, "{what}: {largest:e} on {}", device.info());
                    assert!(found.array.is_standard_layout(), "{what}");
                }
            }
        }
    }
}

/// Pieces of a stateful layer's sequence in another order go on from the same states.
#[test]
fn stateful_layers_carry_the_same_states() {
    let mut rng = ChaCha12Rng::seed_from_u64(10);
    let x: Array3<f32> = numbers(&[3, 8, 2], &mut rng).into_dimensionality().unwrap();
    for device in devices() {
        let layer = Bidirectional::new(Lstm::new(9).stateful(true).return_state(true));
        let model = Model::sequential(2, [layer]).unwrap().initialize(1).unwrap();
        let mut session = device.compile(&model).unwrap();
        let pieces = || x.axis_chunks_iter(Axis(1), 3);
        let expected: Vec<Outputs> = pieces().map(|piece| session.run(piece).unwrap()).collect();
        for (name, reorder) in orders::all() {
            session.reset_states();
            for (piece, expected) in pieces().zip(&expected) {
                let piece = reorder(&piece.to_owned().into_dyn());
                assert_same(&session.run(piece.view()).unwrap(), expected, name);
            }
        }
    }
}

/// A model that returns an input, and one that returns an array twice.
#[test]
fn inputs_that_are_outputs_come_back_in_c_order() {
    let mut rng = ChaCha12Rng::seed_from_u64(12);
    let x = numbers(&[2, 4, 3], &mut rng);
    let mut graph = Graph::new();
    let input = graph.sequence_input("x", None, 3).unwrap();
    let hidden = graph.add(Gru::new(9), input).unwrap()[0];
    let model = graph.build([input, hidden, hidden]).unwrap().initialize(1).unwrap();
    for device in devices() {
        let mut session = device.compile(&model).unwrap();
        let expected = session.run(x.view()).unwrap();
        assert_eq!(expected.list()[0].array, x);
        for (name, reorder) in orders::all() {
            assert_same(&session.run(reorder(&x).view()).unwrap(), &expected, name);
        }
    }
}
