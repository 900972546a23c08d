//! `Session::run_into` allocates nothing from the second call of a shape on. A program of its own,
//! because its allocator counts.

use allocation_counter::measure;
use birnn::{
    Activation, CpuOptions, Dense, Device, DeviceOptions, Direction, Gru, Inputs, Layer, Lstm,
    Model, OutputsMut, Session, SimpleRnn,
};
use ndarray::{Array2, Array3, ArrayView3, Axis, s};

const UNITS: [usize; 7] = [8, 16, 17, 40, 64, 128, 256];
const FEATURES: usize = 3;
const LAYERS: [&str; 3] = ["lstm", "gru", "simple_rnn"];

/// A layer that returns every timestep, stateful or with its final states.
fn layer(name: &str, units: usize, stateful: bool) -> Layer {
    macro_rules! built {
        ($layer:expr) => {
            $layer.return_sequences(true).stateful(stateful).return_state(!stateful).into()
        };
    }
    match name {
        "lstm" => built!(Lstm::new(units)),
        "gru" => built!(Gru::new(units)),
        _ => built!(SimpleRnn::new(units)),
    }
}

fn input(timesteps: usize) -> Array3<f32> {
    Array3::from_shape_fn((1, timesteps, FEATURES), |(_, t, feature)| {
        ((t * FEATURES + feature) as f32 * 0.7).sin()
    })
}

fn session(model: &Model, device: &Device) -> Session {
    device.compile(model).unwrap()
}

fn devices() -> [Device; 2] {
    [1, 2].map(|threads| DeviceOptions::from(CpuOptions::new().threads(threads)).open().unwrap())
}

/// How many allocations the calls make.
fn allocations(calls: impl FnOnce()) -> u64 {
    measure(calls).count_total
}

#[test]
fn the_counter_counts() {
    let mut kept = Vec::new();
    assert_eq!(allocations(|| kept = vec![1; 100]), 1);
    assert_eq!(allocations(|| kept.fill(2)), 0);
    let model = Model::sequential(FEATURES, [layer("lstm", 8, true)]).unwrap();
    let mut session = session(&model.initialize(1).unwrap(), &Device::cpu());
    let x = input(1);
    session.run(x.view()).unwrap();
    assert!(allocations(|| drop(session.run(x.view()).unwrap())) > 0, "run allocates its outputs");
}

/// A stateful layer with a Dense on top, in calls of one timestep and of 64 by turns.
#[test]
fn streaming_allocates_nothing() {
    let (all, timesteps) = (input(195), [1, 64, 1, 1, 64, 64]);
    for device in devices() {
        for name in LAYERS {
            for units in UNITS {
                for activation in [Activation::Linear, Activation::Tanh, Activation::Softmax] {
                    let dense = Dense::new(5).activation(activation).into();
                    let layers = [layer(name, units, true), dense];
                    let model = Model::sequential(FEATURES, layers).unwrap();
                    let model = model.initialize(units as u64).unwrap();
                    let mut session = session(&model, &device);
                    let whole = session.run(all.view()).unwrap().output().clone();
                    let mut y = Array3::zeros((1, 195, 5));
                    for round in 0..3 {
                        let count = allocations(|| {
                            session.reset_states();
                            let mut rest: ArrayView3<f32> = all.view();
                            let mut to = y.view_mut();
                            for length in timesteps {
                                let (x, after) = rest.split_at(Axis(1), length);
                                let (piece, right) = to.split_at(Axis(1), length);
                                session.run_into(x, piece).unwrap();
                                (rest, to) = (after, right);
                            }
                        });
                        let what = format!("{name}, {units} units, {activation:?}");
                        assert!(round == 0 || count == 0, "{what}: {count} allocations");
                        assert_eq!(y.view().into_dyn(), whole, "{what}");
                    }
                }
            }
        }
    }
}

/// Initial states that the call gives, and final ones that it takes, in two sets by turns.
#[test]
fn states_that_are_given_and_taken_allocate_nothing() {
    for device in devices() {
        for name in LAYERS {
            for units in UNITS {
                let model = Model::sequential(FEATURES, [layer(name, units, false)]).unwrap();
                let mut session = session(&model.initialize(3).unwrap(), &device);
                let x = input(70);
                let whole = session.run(x.view()).unwrap();
                let states = if name == "lstm" { 2 } else { 1 };
                let zeros = || vec![Array2::<f32>::zeros((1, units)); states];
                let (mut before, mut after) = (zeros(), zeros());
                let mut y = Array3::<f32>::zeros((1, 1, units));
                for t in 0..70 {
                    let count = allocations(|| {
                        let given = before.iter().map(|state| state.view());
                        let inputs =
                            Inputs::new(x.slice(s![.., t..t + 1, ..])).initial_state(given);
                        let (hidden, cell) = after.split_at_mut(1);
                        let mut outputs = OutputsMut::new(&mut y)
                            .hidden_state(Direction::Forward, &mut hidden[0]);
                        for cell in cell {
                            outputs = outputs.cell_state(Direction::Forward, cell);
                        }
                        session.run_into(inputs, outputs).unwrap();
                    });
                    assert!(t == 0 || count == 0, "{name}, {units} units: {count} allocations");
                    let expected = whole.output().slice_axis(Axis(1), (t..t + 1).into());
                    assert_eq!(
                        y.view().into_dyn(),
                        expected,
                        "{name}, {units} units, timestep {t}"
                    );
                    std::mem::swap(&mut before, &mut after);
                }
                assert_eq!(before[0].view(), whole.forward().hidden().unwrap());
                if states == 2 {
                    assert_eq!(before[1].view(), whole.forward().cell().unwrap());
                }
            }
        }
    }
}

/// Arrays in another memory order than C's are copied, in memory that is there.
#[test]
fn other_memory_orders_allocate_nothing() {
    let layers = [layer("gru", 12, true), Dense::new(4).into()];
    let model = Model::sequential(FEATURES, layers).unwrap().initialize(5).unwrap();
    let mut session = session(&model, &Device::cpu());
    let x = input(6);
    let expected = session.run(x.view()).unwrap().output().clone();
    // As [features, timesteps, batch], and [timesteps, features, batch].
    let turned = x.view().permuted_axes([2, 1, 0]).as_standard_layout().into_owned();
    let mut y = Array3::<f32>::zeros((6, 4, 1));
    for round in 0..3 {
        let count = allocations(|| {
            session.reset_states();
            let x = turned.view().permuted_axes([2, 1, 0]);
            session.run_into(x, y.view_mut().permuted_axes([2, 0, 1])).unwrap();
        });
        assert!(round == 0 || count == 0, "{count} allocations");
        assert_eq!(y.view().permuted_axes([2, 0, 1]).into_dyn(), expected);
    }
}
