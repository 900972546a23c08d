//! The GPU against the f64 reference, on random layers, options, shapes and states.

use crate::device;
use birnn::layer::{Cell, CellOptions, Recurrent, RecurrentBuilder};
use birnn::{
    Activation, Bidirectional, Device, GpuOptions, Gru, Initializer, Inputs, Layer, Lstm,
    MergeMode, Model, PlanAdapter, Session, SimpleRnn,
};
use ndarray::{Array2, Array3, ArrayD, s};
use proptest::prelude::*;
use proptest::test_runner::Config;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// What f32 costs over f64: each of the k products of a gate's sum is rounded, relative to values
/// up to about 1, and the gates' slopes (at most 1) pass it on from step to step. 2e-6 holds up to
/// 130 units and 33 steps; saturating cells don't let it grow with the steps. A GRU with a gate of
/// tanh and an unbounded activation does (1 - z is up to 2): where the f32 reference itself is
/// further from the f64 one, the GPU may be [`FACTOR`] times as far.
const TOLERANCE: f64 = 2e-6;
const FACTOR: f64 = 8.0;

/// A device for one test: a software driver builds the kernels of a device one after another.
fn gpu() -> Option<Device> {
    device::open(device::options())
}

#[derive(Clone, Debug)]
struct Case {
    cell: Cell,
    units: usize,
    backward_units: Option<usize>,
    features: usize,
    activation: Activation,
    recurrent_activation: Activation,
    merge_mode: Option<MergeMode>,
    flags: [bool; 5],
    mask: Mask,
    stateful: bool,
    /// One after another in a session: to build the kernels of a layer takes a driver longer than
    /// to run them.
    calls: Vec<Call>,
    seed: u64,
}

#[derive(Clone, Debug)]
struct Call {
    batch: usize,
    timesteps: usize,
    given_states: bool,
}

/// The mask given with the call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mask {
    None,
    Random,
    Lengths,
}

/// Sizes on both sides of the kernels' tiles: 4 rows, 8 rows, 64 and 128 lanes.
fn size(limit: usize) -> impl Strategy<Value = usize> {
    let edges: Vec<usize> = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 63, 64, 65, 127, 128, 129, 130]
        .into_iter()
        .filter(|&n| n <= limit)
        .collect();
    prop_oneof![prop::sample::select(edges), 1..=limit]
}

fn activations() -> impl Strategy<Value = (Activation, Activation)> {
    use Activation::*;
    let bounded = vec![Tanh, Sigmoid, HardSigmoid, HardSigmoidKeras2, Softsign];
    // hard_shrink and thresholded_relu jump, so that rounding shows in full; exp runs away.
    let jumps = |a: &Activation| matches!(a, HardShrink | ThresholdedRelu(_));
    let runs = |a: &Activation| a.is_elementwise() && *a != Exponential && !jumps(a);
    let any = Activation::ALL.into_iter().filter(runs).collect::<Vec<_>>();
    (prop::sample::select(any), prop::sample::select(bounded))
}

/// Every cell, half of them with options that it can have.
fn cells() -> impl Strategy<Value = Cell> {
    let clip = prop_oneof![Just(None), Just(Some(0.6f32.into()))];
    let of_state = [None, Some(Activation::Softsign), Some(Activation::LEAKY_RELU)];
    let of_state = prop::sample::select(of_state.to_vec());
    (prop::sample::select(Cell::ALL), any::<bool>(), clip, any::<[bool; 2]>(), of_state).prop_map(
        |(cell, plain, clip, [peepholes, coupled], of_state)| {
            let lstm = cell.has_cell_state();
            let options = CellOptions {
                clip,
                peepholes: peepholes && lstm,
                coupled: coupled && lstm,
                state_activation: of_state.filter(|_| lstm),
            };
            if plain { cell } else { cell.with(options) }
        },
    )
}

/// The calls of each layer.
const CALLS: usize = 3;

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let call = (size(20), size(33), any::<bool>())
        .prop_map(|(batch, timesteps, given_states)| Call { batch, timesteps, given_states });
    prop::collection::vec(call, CALLS)
}

fn cases(units: impl Strategy<Value = usize> + 'static) -> impl Strategy<Value = Case> {
    let merge = prop::option::weighted(
        0.7,
        prop::sample::select(vec![
            MergeMode::Concat,
            MergeMode::Sum,
            MergeMode::Mul,
            MergeMode::Ave,
            MergeMode::None,
        ]),
    );
    (
        cells(),
        (units, size(40)),
        prop::option::weighted(0.2, size(40)),
        activations(),
        merge,
        any::<[bool; 5]>(),
        any::<bool>(),
        prop::sample::select(vec![Mask::None, Mask::Random, Mask::Lengths]),
        (calls(), any::<u64>()),
    )
        .prop_map(
            |(
                cell,
                (units, features),
                backward_units,
                (activation, recurrent_activation),
                merge_mode,
                flags,
                stateful,
                mask,
                (calls, seed),
            )| Case {
                cell,
                units,
                backward_units,
                features,
                activation,
                recurrent_activation,
                merge_mode,
                flags,
                mask,
                stateful,
                calls,
                seed,
            },
        )
}

impl Case {
    fn recurrent(&self, cell: Cell, units: usize, go_backwards: bool) -> Recurrent {
        RecurrentBuilder::of(cell, units)
            .activation(self.activation)
            .recurrent_activation(self.recurrent_activation)
            .use_bias(self.flags[0])
            .return_sequences(self.flags[1])
            .return_state(self.flags[2])
            .go_backwards(go_backwards)
            .zero_output_for_mask(self.flags[4])
            .stateful(self.stateful)
            .bias_initializer(Initializer::RandomUniform { min: -0.5, max: 0.5 })
            // Small enough that unbounded activations don't run away within the steps tested.
            .recurrent_initializer(Initializer::RandomNormal {
                mean: 0.0,
                stddev: 0.3 / (units as f32).sqrt(),
            })
            .into()
    }

    fn layer(&self) -> Layer {
        let forward = self.recurrent(self.cell, self.units, self.flags[3]);
        let Some(mode) = self.merge_mode else { return forward.into() };
        let mut both = Bidirectional::new(forward).merge_mode(mode);
        let sized = matches!(mode, MergeMode::Concat | MergeMode::None);
        match self.backward_units {
            Some(units) if sized => {
                both = both.backward_layer(self.recurrent(self.cell, units, !self.flags[3]))
            }
            // Another cell: the directions can't share launches.
            Some(_) => {
                let place = Cell::ALL.iter().position(|cell| cell.name() == self.cell.name());
                let other = Cell::ALL[(place.unwrap() + 1) % Cell::ALL.len()];
                both = both.backward_layer(self.recurrent(other, self.units, !self.flags[3]))
            }
            None => {}
        }
        both.into()
    }
}

fn random(shape: &[usize], rng: &mut ChaCha12Rng) -> ArrayD<f32> {
    ArrayD::from_shape_simple_fn(shape, || rng.random_range(-1.5f32..1.5))
}

/// The largest difference between f32 results and exact ones, relative to max(1, |exact|).
fn error(found: &ArrayD<f32>, exact: &ArrayD<f64>) -> f64 {
    assert_eq!(found.shape(), exact.shape());
    found
        .iter()
        .zip(exact)
        .map(|(&f, &e)| (f64::from(f) - e).abs() / e.abs().max(1.0))
        .fold(0.0, |a, b| if b > a || b.is_nan() { b } else { a })
}

fn check(device: &Device, case: &Case) -> Result<(), TestCaseError> {
    let layer = case.layer();
    let states: Vec<usize> =
        layer.directions().iter().flat_map(|(_, l)| vec![l.units(); l.cell().states()]).collect();
    let model = Model::sequential(case.features, [layer])
        .and_then(|m| m.initialize(case.seed))
        .map_err(|e| TestCaseError::fail(e.to_string()))?;
    let mut session = device.compile(&model).map_err(|e| TestCaseError::fail(e.to_string()))?;
    let mut rng = ChaCha12Rng::seed_from_u64(case.seed);
    for call in &case.calls {
        check_call(&mut session, &model, case, call, &states, &mut rng)?;
    }
    Ok(())
}

/// A call, and the same once more. `states` has the units of each initial state.
fn check_call(
    session: &mut Session,
    model: &Model,
    case: &Case,
    call: &Call,
    states: &[usize],
    rng: &mut ChaCha12Rng,
) -> Result<(), TestCaseError> {
    let &Call { batch, timesteps, given_states } = call;
    let x = random(&[batch, timesteps, case.features], rng);
    let states: Vec<Array2<f32>> = states
        .iter()
        .map(|&units| random(&[batch, units], rng).into_dimensionality().unwrap())
        .collect();
    let x64 = x.mapv(f64::from);
    let states64: Vec<Array2<f64>> = states.iter().map(|s| s.mapv(f64::from)).collect();

    let mut inputs = Inputs::new(x.view());
    let mut exact_inputs = Inputs::new(x64.view());
    if given_states {
        inputs = inputs.initial_state(states.iter().map(|s| s.view()));
        exact_inputs = exact_inputs.initial_state(states64.iter().map(|s| s.view()));
    }
    let mask = Array2::from_shape_simple_fn((batch, timesteps), || rng.random_bool(0.7));
    let lengths: Vec<usize> = (0..batch).map(|_| rng.random_range(0..=timesteps)).collect();
    match case.mask {
        Mask::None => {}
        Mask::Random => {
            (inputs, exact_inputs) = (inputs.mask(mask.view()), exact_inputs.mask(mask.view()))
        }
        Mask::Lengths => {
            (inputs, exact_inputs) = (inputs.lengths(&lengths), exact_inputs.lengths(&lengths))
        }
    }
    let exact = birnn::reference::run(model, exact_inputs)
        .map_err(|e| TestCaseError::fail(e.to_string()))?;
    let rounded = birnn::reference::run(model, inputs.clone())
        .map_err(|e| TestCaseError::fail(e.to_string()))?;
    for _ in 0..2 {
        session.reset_states();
        let found = session.run(inputs.clone()).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(found.list().len(), exact.list().len());
        for ((found, exact), rounded) in found.list().iter().zip(exact.list()).zip(rounded.list()) {
            prop_assert_eq!((&found.layer, found.role), (&exact.layer, exact.role));
            let allowed = TOLERANCE.max(FACTOR * error(&rounded.array, &exact.array));
            let error = error(&found.array, &exact.array);
            prop_assert!(
                error <= allowed,
                "{call:?}: {} of {}: error {error:e}",
                found.role,
                found.layer
            );
        }
    }
    Ok(())
}

/// So many layers, each in several calls.
fn run(device: &Device, layers: u32, whole_batch: bool) {
    run_with(device, size(130), layers, whole_batch);
}

fn run_with(
    device: &Device,
    units: impl Strategy<Value = usize> + 'static,
    layers: u32,
    whole_batch: bool,
) {
    let mut runner =
        device::runner(Config { cases: layers, failure_persistence: None, ..Config::default() });
    // A stateful layer needs the whole batch at a time.
    let case = move |case: Case| Case { stateful: case.stateful && whole_batch, ..case };
    runner
        .run(&cases(units).prop_map(case), |case| check(device, &case))
        .unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn random_layers_match_the_reference() {
    if let Some(gpu) = gpu() {
        run(&gpu, 40, true);
    }
}

#[test]
fn a_sequence_in_pieces_is_the_whole() {
    let Some(gpu) = gpu() else { return };
    let layers: [Layer; 3] = [
        Lstm::new(9).return_sequences(true).stateful(true).into(),
        Gru::new(7).return_sequences(true).stateful(true).reset_after(false).into(),
        SimpleRnn::new(5).return_sequences(true).stateful(true).into(),
    ];
    let model = Model::sequential(3, layers).and_then(|m| m.initialize(3)).unwrap();
    let mut rng = ChaCha12Rng::seed_from_u64(5);
    let x: Array3<f32> = random(&[6, 40, 3], &mut rng).into_dimensionality().unwrap();
    let whole = gpu.compile(&model).unwrap().run(x.view()).unwrap();
    let mut session = gpu.compile(&model).unwrap();
    for start in [0, 0] {
        session.reset_states();
        let mut first = start;
        for steps in [1, 17, 2, 20] {
            let piece = session.run(x.slice(s![.., first..first + steps, ..])).unwrap();
            assert_eq!(
                piece.output(),
                &whole.output().slice(s![.., first..first + steps, ..]).into_dyn()
            );
            first += steps;
        }
    }
    assert!(session.run(x.slice(s![..2, .., ..])).is_err(), "another batch than the states have");
    session.reset_states();
    assert_eq!(session.run(x.slice(s![..2, .., ..])).unwrap().output().shape(), [2, 40, 5]);
}

/// Units for which a software adapter runs a dispatch a step: above what a sequence kernel holds,
/// on both sides of its workgroups of 64 and its subgroups of 8; and rows on both sides of tiles of
/// 4, 8 and 16.
#[test]
fn random_layers_of_many_units_match_the_reference() {
    let Some(gpu) = gpu() else { return };
    run_with(&gpu, prop::sample::select(vec![257, 258, 263, 264, 265, 319, 320, 321]), 8, true);
}

fn planned_for(adapter: PlanAdapter) -> Option<Device> {
    device::open(device::options().with_gpu(GpuOptions::new().plan_for(adapter)))
}

/// The kernels of software adapters: with few units, with weights held, with a dispatch a step.
#[test]
fn random_layers_on_the_kernels_of_any_software_adapter_match_the_reference() {
    let Some(gpu) = planned_for(PlanAdapter::Software) else { return };
    run_with(&gpu, prop::sample::select(vec![1, 5, 13, 31, 32, 65, 130, 257, 260, 263]), 10, true);
}

/// The kernels that GPUs run, on this adapter: sequences that stream their weights, sums that are
/// split, tiles of rows.
#[test]
fn random_layers_on_the_kernels_of_gpus_match_the_reference() {
    for adapter in [PlanAdapter::Gpu, PlanAdapter::DownlevelGpu] {
        let Some(gpu) = planned_for(adapter) else { return };
        // An LSTM of 90 units is the largest that streams its weights, a GRU of 104, a SimpleRNN of
        // 181.
        let edges = prop::sample::select(vec![
            1, 3, 4, 5, 31, 32, 33, 63, 64, 65, 89, 90, 91, 92, 104, 105, 128, 180, 182,
        ]);
        run_with(&gpu, edges, 14, true);
    }
}

/// Batches above every tile, and units whose sums aren't split any more.
#[test]
fn large_batches_on_the_kernels_of_gpus_match_the_reference() {
    let Some(gpu) = planned_for(PlanAdapter::Gpu) else { return };
    for (batch, units) in [(1, 300), (33, 129), (70, 200), (131, 257)] {
        let layers: [Layer; 3] = [
            Bidirectional::new(Lstm::new(units).return_sequences(true)).into(),
            Bidirectional::new(Gru::new(units).return_sequences(true).reset_after(false)).into(),
            Bidirectional::new(Gru::new(units).return_state(true)).into(),
        ];
        let model = Model::sequential(7, layers).and_then(|m| m.initialize(3)).unwrap();
        let x: Array3<f32> = random(&[batch, 3, 7], &mut ChaCha12Rng::seed_from_u64(8))
            .into_dimensionality()
            .unwrap();
        let found = gpu.compile(&model).unwrap().run(x.view()).unwrap();
        let exact = birnn::reference::run(&model, x.mapv(f64::from).view()).unwrap();
        for (found, exact) in found.list().iter().zip(exact.list()) {
            let error = error(&found.array, &exact.array);
            assert!(error <= TOLERANCE, "{batch} rows, {units} units: {error:e}");
        }
    }
}

/// The same with buffers so small that time and batch are cut into many pieces.
#[test]
fn random_layers_in_small_pieces_match_the_reference() {
    for (bytes, budget) in [(200_000, 1 << 30), (20_000, 30_000)] {
        let options = GpuOptions::new().max_buffer_bytes(bytes).memory_budget(budget);
        if let Some(small) = device::open(device::options().with_gpu(options)) {
            run(&small, 16, false);
        }
    }
}

#[test]
fn a_session_runs_many_shapes_in_turn() {
    let Some(gpu) = gpu() else { return };
    let layers: [Layer; 2] = [
        Bidirectional::new(Lstm::new(9).return_sequences(true)).into(),
        Gru::new(5).return_state(true).into(),
    ];
    let model = Model::sequential(3, layers).and_then(|m| m.initialize(3)).unwrap();
    let mut session = gpu.compile(&model).unwrap();
    let mut rng = ChaCha12Rng::seed_from_u64(5);
    for (batch, timesteps) in [(1, 1), (17, 33), (2, 50), (1, 1), (40, 2), (3, 7), (17, 33)] {
        let x: Array3<f32> =
            random(&[batch, timesteps, 3], &mut rng).into_dimensionality().unwrap();
        let found = session.run(x.view()).unwrap();
        let exact = birnn::reference::run(&model, x.mapv(f64::from).view()).unwrap();
        for (found, exact) in found.list().iter().zip(exact.list()) {
            let error = error(&found.array, &exact.array);
            assert!(error <= TOLERANCE, "{batch}, {timesteps}: {error:e}");
        }
    }
}
