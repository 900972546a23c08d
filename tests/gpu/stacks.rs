//! Stacks of layers in one direction on the GPU, whose layers are at work at the same time: against
//! the f64 reference, and against the same stack in pieces too short for that.

use crate::device;
use birnn::layer::{Identity, Recurrent};
use birnn::{
    Device, GpuOptions, Graph, Gru, Initializer, Inputs, Layer, Lstm, Model, PlanAdapter,
    PlanReport, SimpleRnn,
};
use ndarray::{Array2, Array3, ArrayD, s};
use proptest::prelude::*;
use proptest::test_runner::Config;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// As in `random.rs`, for four layers.
const TOLERANCE: f64 = 4e-6;

#[derive(Clone, Debug)]
struct Case {
    cell: u8,
    units: usize,
    layers: usize,
    features: usize,
    batch: usize,
    timesteps: usize,
    go_backwards: bool,
    dropout: bool,
    return_sequences: bool,
    stateful: bool,
    given_states: bool,
    zero_output_for_mask: bool,
    masked: bool,
    seed: u64,
}

/// Sizes around what streams its weights, sums that are split and tiles of rows; sequences that are
/// one chunk or many.
fn cases() -> impl Strategy<Value = Case> {
    let units = prop::sample::select(vec![1, 3, 8, 9, 31, 32, 33, 64, 65, 90, 91, 105, 129]);
    let batch = prop::sample::select(vec![1, 2, 4, 5, 9]);
    let timesteps = prop_oneof![1usize..40, 40usize..150];
    let shape = (0u8..4, units, 2usize..5, 1usize..20, batch, timesteps);
    (shape, any::<[bool; 7]>(), any::<u64>()).prop_map(
        |((cell, units, layers, features, batch, timesteps), flags, seed)| {
            let [
                go_backwards,
                dropout,
                return_sequences,
                stateful,
                given_states,
                zero_output_for_mask,
                masked,
            ] = flags;
            Case {
                cell,
                units,
                layers,
                features,
                batch,
                timesteps,
                go_backwards,
                dropout,
                return_sequences,
                stateful,
                given_states,
                zero_output_for_mask,
                masked,
                seed,
            }
        },
    )
}

impl Case {
    fn recurrent(&self, place: usize) -> Recurrent {
        macro_rules! arguments {
            ($layer:expr) => {
                $layer
                    .named(layer_name(place))
                    .return_sequences(place + 1 < self.layers || self.return_sequences)
                    .return_state(true)
                    .go_backwards(place == 0 && self.go_backwards)
                    .zero_output_for_mask(self.zero_output_for_mask)
                    .stateful(self.stateful)
                    .bias_initializer(Initializer::RandomUniform { min: -0.5, max: 0.5 })
                    .into()
            };
        }
        match self.cell {
            0 => arguments!(Lstm::new(self.units)),
            1 => arguments!(Gru::new(self.units)),
            2 => arguments!(Gru::new(self.units).reset_after(false)),
            _ => arguments!(SimpleRnn::new(self.units)),
        }
    }

    /// All layers return their states.
    fn model(&self) -> birnn::Result<Model> {
        let mut graph = Graph::new();
        let mut below = graph.sequence_input("x", None, self.features)?;
        let mut outputs = Vec::new();
        for place in 0..self.layers {
            if place > 0 && self.dropout {
                below = graph.add(Identity::dropout(), below)?[0];
            }
            let results = graph.add(self.recurrent(place), below)?;
            below = results[0];
            outputs.extend(&results[1..]);
        }
        outputs.push(below);
        graph.build(outputs)?.initialize(self.seed)
    }
}

fn layer_name(place: usize) -> String {
    format!("layer_{place}")
}

fn random(shape: &[usize], rng: &mut ChaCha12Rng) -> ArrayD<f32> {
    ArrayD::from_shape_simple_fn(shape, || rng.random_range(-1.5f32..1.5))
}

fn check(device: &Device, case: &Case) -> Result<(), TestCaseError> {
    let fail = |e: birnn::Error| TestCaseError::fail(e.to_string());
    let model = case.model().map_err(fail)?;
    let mut rng = ChaCha12Rng::seed_from_u64(case.seed);
    let x = random(&[case.batch, case.timesteps, case.features], &mut rng);
    let each = if case.cell == 0 { 2 } else { 1 };
    let states: Vec<Array2<f32>> = (0..case.layers * each)
        .map(|_| {
            random(&[case.batch, case.units], &mut rng).into_dimensionality().expect("two axes")
        })
        .collect();
    let mask = Array2::from_shape_simple_fn((case.batch, case.timesteps), || rng.random_bool(0.7));
    let (x64, states64) =
        (x.mapv(f64::from), states.iter().map(|s| s.mapv(f64::from)).collect::<Vec<_>>());
    let names: Vec<String> = (0..case.layers).map(layer_name).collect();
    let mut inputs = Inputs::new(x.view());
    let mut exact_inputs = Inputs::new(x64.view());
    if case.given_states {
        let each_layer = states.chunks(each).zip(states64.chunks(each));
        for (name, (given, exact)) in names.iter().zip(each_layer) {
            inputs = inputs.initial_state_of(name, given.iter().map(|s| s.view()));
            exact_inputs = exact_inputs.initial_state_of(name, exact.iter().map(|s| s.view()));
        }
    }
    if case.masked {
        (inputs, exact_inputs) = (inputs.mask(mask.view()), exact_inputs.mask(mask.view()));
    }
    let exact = birnn::reference::run(&model, exact_inputs).map_err(fail)?;
    let mut session = device.compile(&model).map_err(fail)?;
    for _ in 0..2 {
        session.reset_states();
        let found = session.run(inputs.clone()).map_err(fail)?;
        prop_assert_eq!(found.list().len(), exact.list().len());
        for (found, exact) in found.list().iter().zip(exact.list()) {
            prop_assert_eq!(
                (&found.layer, found.role, found.array.shape()),
                (&exact.layer, exact.role, exact.array.shape())
            );
            for (&f, &e) in found.array.iter().zip(&exact.array) {
                let error = (f64::from(f) - e).abs();
                prop_assert!(
                    error <= TOLERANCE,
                    "{} of {}: {f} is not {e}",
                    found.role,
                    found.layer
                );
            }
        }
    }
    Ok(())
}

fn random_stacks(options: GpuOptions, whole_batch: bool) {
    let Some(gpu) = device::open(device::options().with_gpu(options)) else { return };
    let mut runner =
        device::runner(Config { cases: 14, failure_persistence: None, ..Config::default() });
    // A stateful layer needs the whole batch at a time.
    let cases = cases().prop_map(|case| Case { stateful: case.stateful && whole_batch, ..case });
    runner.run(&cases, |case| check(&gpu, &case)).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn random_stacks_match_the_reference() {
    random_stacks(GpuOptions::new(), true);
}

#[test]
fn random_stacks_on_the_kernels_of_gpus_match_the_reference() {
    random_stacks(GpuOptions::new().plan_for(PlanAdapter::Gpu), true);
}

#[test]
fn random_stacks_on_the_kernels_of_small_gpus_match_the_reference() {
    random_stacks(GpuOptions::new().plan_for(PlanAdapter::DownlevelGpu), true);
}

/// Arrays cut along time and batch.
#[test]
fn random_stacks_in_small_pieces_match_the_reference() {
    random_stacks(GpuOptions::new().max_buffer_bytes(20_000), false);
}

fn stack(layers: [Layer; 3]) -> Model {
    Model::sequential(5, layers).and_then(|model| model.initialize(3)).unwrap()
}

/// Stateful, to be run in pieces; of units that stream their weights, and of units with a dispatch
/// a step.
fn stacks() -> Vec<Model> {
    let mut models = Vec::new();
    for units in [24, 140] {
        models.push(stack(
            [(); 3].map(|()| Lstm::new(units).return_sequences(true).stateful(true).into()),
        ));
        models.push(stack(
            [(); 3].map(|()| Gru::new(units).return_sequences(true).stateful(true).into()),
        ));
        models.push(stack([(); 3].map(|()| {
            Gru::new(units).reset_after(false).return_sequences(true).stateful(true).into()
        })));
        models.push(stack(
            [(); 3].map(|()| SimpleRnn::new(units).return_sequences(true).stateful(true).into()),
        ));
    }
    models
}

/// The layers are at work at the same time, and it changes no bit.
#[test]
fn layers_at_the_same_time_give_what_they_give_one_after_the_other() {
    // Those limits that the report is for.
    let options = GpuOptions::new().default_limits(true).plan_for(PlanAdapter::Gpu);
    let Some(gpu) = device::open(device::options().with_gpu(options)) else { return };
    for model in stacks() {
        let x: Array3<f32> = random(&[3, 150, 5], &mut ChaCha12Rng::seed_from_u64(5))
            .into_dimensionality()
            .expect("three axes");
        let mut session = gpu.compile(&model).unwrap();
        let whole = session.run(x.view()).unwrap();
        let planned = PlanReport::new(&model, 3, 150, PlanAdapter::Gpu, false).unwrap();
        assert!(planned.choices[0].contains("3 layers at once"), "{planned}");
        assert_eq!(session.counters().dispatches, planned.dispatch_count() as u64, "{planned}");
        session.reset_states();
        let pieces = (0..150).step_by(2).map(|first| {
            let piece = session.run(x.slice(s![.., first..first + 2, ..])).unwrap();
            piece.output().clone()
        });
        for (index, piece) in pieces.enumerate() {
            let expected = whole.output().slice(s![.., 2 * index..2 * index + 2, ..]);
            assert_eq!(
                piece,
                expected.into_dyn(),
                "{}, timestep {}",
                planned.choices[0],
                2 * index
            );
        }
    }
}
