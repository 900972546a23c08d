//! The CPU path against the reference in f64, on every instruction set and number of threads.

use super::engine::Plan;
use super::*;
use crate::graph::{Source, Step};
use crate::layer::{Activation, Bidirectional, Cell, CellOptions, Gru, Layer, RecurrentBuilder};
use crate::model::Inputs;
use crate::operator::{self, MergeMode, Operator};
use crate::order::orders;
use crate::reference::{self, Computed, Ran, Reads, Sequences, State};
use birnn_simd::each_arch;
use ndarray::{Array2, Array3, ArrayD, Axis};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// A recurrent layer on a batch.
#[derive(Clone, Debug)]
struct Case {
    cell: Cell,
    directions: usize,
    merge_mode: MergeMode,
    batch: usize,
    timesteps: usize,
    features: usize,
    units: usize,
    return_sequences: bool,
    go_backwards: bool,
    zero_output_for_mask: bool,
    masked: bool,
    activation: Activation,
    recurrent_activation: Activation,
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

fn cases() -> impl Strategy<Value = Case> {
    let sizes = (
        prop_oneof![1usize..10, Just(17), Just(130)],
        1usize..9,
        prop_oneof![1usize..5, Just(33)],
        prop_oneof![1usize..20, Just(33), Just(64), Just(65)],
    );
    let modes =
        [MergeMode::Concat, MergeMode::Sum, MergeMode::Mul, MergeMode::Ave, MergeMode::None];
    let activations = [
        Activation::Tanh,
        Activation::Softsign,
        Activation::LEAKY_RELU,
        Activation::Elu(0.5.into()),
        Activation::ScaledTanh(1.5.into(), 0.75.into()),
        Activation::Affine(0.5.into(), 0.125.into()),
    ];
    let gates = [
        Activation::Sigmoid,
        Activation::HardSigmoid,
        Activation::HardSigmoidKeras2,
        Activation::SparseSigmoid,
        Activation::ClippedAffine(0.3.into(), 0.4.into()),
    ];
    let (activations, gates) =
        (prop::sample::select(activations.to_vec()), prop::sample::select(gates.to_vec()));
    let kinds = (cells(), 1usize..3, prop::sample::select(modes.to_vec()), activations, gates);
    (sizes, kinds, any::<[bool; 4]>()).prop_map(
        |(sizes, kinds, [sequences, backwards, zero, masked])| Case {
            cell: kinds.0,
            directions: kinds.1,
            merge_mode: kinds.2,
            batch: sizes.0,
            timesteps: sizes.1,
            features: sizes.2,
            units: sizes.3,
            return_sequences: sequences,
            go_backwards: backwards,
            zero_output_for_mask: zero,
            masked,
            activation: kinds.3,
            recurrent_activation: kinds.4,
        },
    )
}

impl Case {
    fn bidirectional_lstm() -> Case {
        Case {
            cell: Cell::LSTM,
            directions: 2,
            merge_mode: MergeMode::Concat,
            batch: 1,
            timesteps: 3,
            features: 7,
            units: 3,
            return_sequences: true,
            go_backwards: false,
            zero_output_for_mask: false,
            masked: false,
            activation: Activation::Tanh,
            recurrent_activation: Activation::Sigmoid,
        }
    }

    fn model(&self) -> Model {
        let layer = RecurrentBuilder::of(self.cell, self.units)
            .return_sequences(self.return_sequences)
            .return_state(true)
            .go_backwards(self.go_backwards)
            .zero_output_for_mask(self.zero_output_for_mask)
            .activation(self.activation)
            .recurrent_activation(self.recurrent_activation);
        let layer = match self.directions {
            2 => Bidirectional::new(layer).merge_mode(self.merge_mode).into(),
            _ => Layer::from(layer),
        };
        let mut model = Model::sequential(self.features, [layer]).unwrap();
        // As large as in an orthogonal matrix, which takes seconds to make for 800 units.
        let mut rng = ChaCha12Rng::seed_from_u64(5);
        let name = model.layer_names()[0].clone();
        let specs = model.weight_specs(&name).unwrap().into_iter();
        let weights = specs.map(|spec| {
            let limit: f32 = match spec.shape[..] {
                [_, columns] if spec.name.ends_with("kernel") => (3.0 / columns as f32).sqrt(),
                _ => 0.5,
            };
            ArrayD::from_shape_simple_fn(spec.shape, || rng.random_range(-limit..limit))
        });
        model.set_weights(&name, weights.collect::<Vec<_>>()).unwrap();
        model
    }

    fn input(&self) -> Array3<f32> {
        let mut rng = ChaCha12Rng::seed_from_u64(7);
        Array3::from_shape_simple_fn((self.batch, self.timesteps, self.features), || {
            rng.random_range(-1.0..1.0)
        })
    }

    fn states(&self) -> Vec<Array2<f32>> {
        let mut rng = ChaCha12Rng::seed_from_u64(9);
        let count = self.directions * self.cell.states();
        let mut state = || {
            Array2::from_shape_simple_fn((self.batch, self.units), || rng.random_range(-1.0..1.0))
        };
        (0..count).map(|_| state()).collect()
    }

    fn mask(&self) -> Array2<bool> {
        let mut rng = ChaCha12Rng::seed_from_u64(11);
        Array2::from_shape_simple_fn((self.batch, self.timesteps), || rng.random_bool(0.6))
    }

    fn run(&self, model: &Model, session: &mut CpuSession) -> Vec<ArrayD<f32>> {
        let (x, states) = (self.input(), self.states());
        let mut inputs =
            Inputs::new(x.view()).initial_state(states.iter().map(|state| state.view()));
        if self.masked {
            inputs = inputs.mask(self.mask().view());
        }
        let outputs = session.run(model, &model.bind(inputs).unwrap()).unwrap();
        outputs.list().iter().map(|output| output.array.clone()).collect()
    }

    fn exact(&self, model: &Model) -> Vec<ArrayD<f64>> {
        let (x, states) = (self.input().mapv(f64::from), self.states());
        let states: Vec<_> = states.iter().map(|state| state.mapv(f64::from)).collect();
        let mut inputs =
            Inputs::new(x.view()).initial_state(states.iter().map(|state| state.view()));
        if self.masked {
            inputs = inputs.mask(self.mask().view());
        }
        reference::run(model, inputs)
            .unwrap()
            .list()
            .iter()
            .map(|output| output.array.clone())
            .collect()
    }
}

fn session(model: &Model, arch: Arch, threads: usize) -> CpuSession {
    CpuSession::with_arch(model, Threads::new(threads).open().unwrap(), false, arch).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn every_layer_matches_the_reference(case in cases()) {
        let model = case.model();
        let exact = case.exact(&model);
        for arch in each_arch() {
            let found = case.run(&model, &mut session(&model, arch, 1));
            prop_assert_eq!(found.len(), exact.len());
            for (found, exact) in found.iter().zip(&exact) {
                prop_assert_eq!(found.shape(), exact.shape());
                for (&found, &exact) in found.iter().zip(exact) {
                    let far = (f64::from(found) - exact).abs() / exact.abs().max(1.0);
                    prop_assert!(far < 2e-6, "{:?}: {} is not {}", arch, found, exact);
                }
            }
        }
    }
}

/// Large enough that threads share the work in every way: directions, rows and units.
#[test]
fn threads_change_no_bit() {
    let case = Case { units: 520, masked: true, ..Case::bidirectional_lstm() };
    let cases = [
        (Cell::LSTM, 2, 1),
        (Cell::LSTM, 1, 1),
        (Cell::GRU, 1, 1),
        (Cell::GRU, 2, 9),
        (Cell::GRU_RESET_BEFORE, 1, 2),
        (Cell::GRU_RESET_BEFORE, 2, 40),
        (Cell::SIMPLE_RNN, 1, 1),
        (Cell::SIMPLE_RNN, 2, 40),
    ];
    let cases =
        cases.map(|(cell, directions, batch)| Case { cell, directions, batch, ..case.clone() });
    // So large that the directions run one after the other.
    let large = [(Cell::LSTM, 800), (Cell::GRU, 950)];
    let large =
        large.map(|(cell, units)| Case { cell, batch: 2, timesteps: 5, units, ..case.clone() });
    // So long that the projection goes on beside the steps.
    let long = [(Cell::LSTM, 21), (Cell::GRU, 16), (Cell::SIMPLE_RNN, 160)];
    let beside = long.map(|(cell, features)| Case {
        cell,
        features,
        timesteps: 75,
        units: 190,
        ..case.clone()
    });
    for case in cases.into_iter().chain(large).chain(beside) {
        let model = case.model();
        let alone = case.run(&model, &mut session(&model, Arch::new(), 1));
        for threads in [2, 3, 4, 7] {
            let mut session = session(&model, Arch::new(), threads);
            for _ in 0..2 {
                assert_eq!(case.run(&model, &mut session), alone, "{case:?} on {threads} threads");
            }
        }
    }
}

/// Directions run at the same time where there are caches and threads for them, otherwise one after
/// the other.
#[test]
fn directions_share_the_cache_or_take_it_in_turn() {
    let case = Case { units: 800, ..Case::bidirectional_lstm() };
    let plan = |units, directions, batch, threads| {
        let model = Case { units, directions, ..case.clone() }.model();
        let x = Array3::<f32>::zeros((batch, 3, 7));
        let bound = model.bind(x.view().into()).unwrap();
        let graph = model.lower(&bound.call_shape(batch, false)).unwrap();
        let Operator::Recurrent(operator) = &graph.steps[0].operator else { panic!("{graph:?}") };
        session(&model, Arch::new(), threads).engine.plan(operator, batch, 3, 7)
    };
    let of = |together| move |shares, rows| Plan { rows, together, shares };
    let (together, one_after_the_other) = (of(true), of(false));
    assert_eq!(plan(800, 2, 1, 2), one_after_the_other(2, 1));
    assert_eq!(plan(800, 2, 8, 5), one_after_the_other(5, 8));
    assert_eq!(plan(800, 2, 8, 1), one_after_the_other(1, 8), "one thread");
    assert_eq!(plan(800, 2, 9, 2), together(1, 9), "arithmetic for nine rows");
    assert_eq!(plan(700, 2, 1, 2), together(1, 1), "the cache has both");
    assert_eq!(plan(800, 1, 1, 2), together(2, 1), "one direction");
    assert_eq!(plan(800, 2, 1, 12), together(6, 1), "more threads than work for them");
    assert_eq!(plan(200, 2, 1, 2), together(1, 1), "no step that it would pay to cut");
}

/// A row's result is the same alone and in any batch.
#[test]
fn the_batch_changes_no_bit() {
    let case =
        Case { batch: 300, timesteps: 5, features: 6, units: 21, ..Case::bidirectional_lstm() };
    // So long and large that one row's projection goes on beside the steps.
    let long = Case { batch: 5, timesteps: 75, features: 40, units: 190, ..case.clone() };
    let cases =
        Cell::ALL.iter().flat_map(|&cell| [&case, &long].map(|case| Case { cell, ..case.clone() }));
    for case in cases {
        let model = case.model();
        let mut session = session(&model, Arch::new(), 2);
        let x = case.input();
        let all = session.run(&model, &model.bind(Inputs::new(x.view())).unwrap()).unwrap();
        for row in [0, case.batch / 2, case.batch - 1] {
            let one = x.slice(ndarray::s![row..row + 1, .., ..]);
            let alone = session.run(&model, &model.bind(Inputs::new(one)).unwrap()).unwrap();
            for (all, alone) in all.list().iter().zip(alone.list()) {
                assert_eq!(
                    all.array.index_axis(Axis(0), row),
                    alone.array.index_axis(Axis(0), 0),
                    "row {row}"
                );
            }
        }
    }
}

/// As if the recurrent kernel's weights were rounded to 11 bits: those of even and of odd units,
/// which words have in their upper and lower half, beside zeros, and both together but for the bits
/// that the upper one takes of the lower one.
#[test]
fn half_weights_are_rounded_to_eleven_bits() {
    let case = Case {
        batch: 3,
        timesteps: 6,
        features: 5,
        units: 131,
        masked: true,
        ..Case::bidirectional_lstm()
    };
    for (cell, units) in [
        (Cell::LSTM, 131),
        (Cell::GRU, 130),
        (Cell::GRU_RESET_BEFORE, 65),
        (Cell::SIMPLE_RNN, 1),
        (Cell::LSTM, 64),
    ] {
        let case = Case { cell, units, ..case.clone() };
        for (zeros, most) in [(Some(0), 3e-6), (Some(1), 3e-6), (None, 2e-4)] {
            let mut model = case.model();
            let name = model.layer_names()[0].clone();
            let mut weights = model.weights(&name).unwrap();
            for kernel in weights.iter_mut().skip(1).step_by(3) {
                let units = kernel.outer_iter_mut().enumerate();
                units
                    .filter(|(unit, _)| Some(unit % 2) == zeros)
                    .for_each(|(_, mut weights)| weights.fill(0.0));
            }
            model.set_weights(&name, weights.clone()).unwrap();
            let stored = model.clone();
            for kernel in weights.iter_mut().skip(1).step_by(3) {
                kernel.mapv_inplace(|weight| {
                    f32::from_bits((weight.to_bits() + (1 << 12)) >> 13 << 13)
                });
            }
            model.set_weights(&name, weights).unwrap();
            let rounded = case.exact(&model);
            for arch in each_arch() {
                let mut session =
                    CpuSession::with_arch(&stored, Threads::new(1).open().unwrap(), true, arch)
                        .unwrap();
                for (found, rounded) in case.run(&stored, &mut session).iter().zip(&rounded) {
                    for (&found, &rounded) in found.iter().zip(rounded) {
                        let far = (f64::from(found) - rounded).abs();
                        assert!(
                            far < most,
                            "{arch:?} {case:?}, zeros {zeros:?}: {found}, not {rounded}"
                        );
                    }
                }
            }
        }
    }
}

/// Threads, the batch and the way that directions run change no bit of 16-bit weights' results
/// either.
#[test]
fn half_weights_give_the_same_bits_on_threads_and_in_batches() {
    for (cell, units) in [(Cell::LSTM, 530), (Cell::GRU, 300), (Cell::GRU_RESET_BEFORE, 270)] {
        let case =
            Case { cell, units, batch: 9, timesteps: 3, features: 7, ..Case::bidirectional_lstm() };
        let model = case.model();
        let run = |threads: usize| {
            let threads = Threads::new(threads).open().unwrap();
            case.run(&model, &mut CpuSession::new(&model, threads, true).unwrap())
        };
        let alone = run(1);
        assert!([2, 4].into_iter().all(|threads| run(threads) == alone), "{case:?}");
    }
}

/// What is not finite, and numbers too small to be normal, come out as by the formulas.
#[test]
fn extreme_inputs_pass_as_in_the_formulas() {
    let case =
        Case { batch: 9, timesteps: 4, features: 3, units: 19, ..Case::bidirectional_lstm() };
    let extremes =
        [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-42, -1e-45, 1e30, -1e30, f32::MIN_POSITIVE];
    for (cell, activation) in [
        (Cell::LSTM, Activation::Tanh),
        (Cell::GRU, Activation::Tanh),
        (Cell::GRU_RESET_BEFORE, Activation::Relu),
        (Cell::SIMPLE_RNN, Activation::Relu),
    ] {
        let case = Case { cell, activation, ..case.clone() };
        let model = case.model();
        let mut x = case.input();
        for (row, value) in extremes.into_iter().enumerate() {
            x[[row, 1, row % 3]] = value;
        }
        let plain = reference::run(&model, x.view()).unwrap();
        for arch in each_arch() {
            let mut session = session(&model, arch, 1);
            let found = session.run(&model, &model.bind(Inputs::new(x.view())).unwrap()).unwrap();
            for (found, plain) in found.list().iter().zip(plain.list()) {
                for (&found, &plain) in found.array.iter().zip(&plain.array) {
                    let near = (found - plain).abs() <= 4e-6 * plain.abs().max(1.0);
                    let alike = near || found == plain || found.is_nan() && plain.is_nan();
                    assert!(alike, "{arch:?} {cell:?}: {found}, not {plain}");
                }
            }
        }
    }
}

/// An engine that is handed arrays in another memory order, and hands on its own in it.
struct Reordering<'a> {
    engine: &'a Engine,
    numbers: orders::Reorder<f32>,
    mask: orders::Reorder<bool>,
}

impl Reordering<'_> {
    fn state(&self, state: &Array2<f32>) -> Array2<f32> {
        (self.numbers)(&state.clone().into_dyn()).into_dimensionality().unwrap()
    }

    fn states(&self, states: Vec<State<f32>>) -> Vec<State<f32>> {
        let reordered = |state: State<f32>| State {
            hidden: self.state(&state.hidden),
            cell: state.cell.map(|cell| self.state(&cell)),
        };
        states.into_iter().map(reordered).collect()
    }
}

impl reference::Operators<f32> for Reordering<'_> {
    fn recur(
        &self,
        operator: &operator::Recurrent,
        sequences: Sequences<'_, f32>,
    ) -> Result<Ran<f32>> {
        let x = (self.numbers)(&sequences.x.into_owned().into_dyn());
        let mask = sequences.mask.map(|mask| (self.mask)(&mask.into_owned().into_dyn()));
        let sequences = Sequences {
            x: x.view().into_dimensionality().unwrap(),
            mask: mask.as_ref().map(|mask| mask.view().into_dimensionality().unwrap()),
            states: self.states(sequences.states),
            in_time: sequences.in_time,
        };
        let Ran { outputs, states } = self.engine.recur(operator, sequences)?;
        let outputs = outputs.iter().map(self.numbers).collect();
        Ok(Ran { outputs, states: self.states(states) })
    }
}

/// What layers hand to one another, in every memory order, on every instruction set.
#[test]
fn no_memory_order_changes_a_bit() {
    for (cell, units, batch) in [
        (Cell::LSTM, 5, 3),
        (Cell::LSTM, 20, 3),
        (Cell::GRU, 33, 2),
        (Cell::GRU_RESET_BEFORE, 17, 9),
        (Cell::SIMPLE_RNN, 40, 130),
    ] {
        let case = Case { cell, units, batch, masked: true, ..Case::bidirectional_lstm() };
        let above = Layer::from(Bidirectional::new(Gru::new(12).return_state(true)));
        let layers = case.model().layers().next().cloned().into_iter();
        let mut graph = crate::Graph::new();
        let mut x = graph.sequence_input("x", None, case.features).unwrap();
        let mut outputs = Vec::new();
        for layer in layers.chain([above.named("above")]) {
            let results = graph.add(layer, x).unwrap();
            x = results[0];
            outputs.extend(results);
        }
        let model = graph.build(outputs).unwrap().initialize(4).unwrap();
        let (x, mask, states) = (case.input(), case.mask(), case.states());
        let inputs = Inputs::new(x.view()).initial_state(states.iter().map(|state| state.view()));
        let bound = model.bind(inputs.mask(mask.view())).unwrap();
        for arch in each_arch() {
            let mut session = session(&model, arch, 2);
            let expected = session.run(&model, &bound).unwrap();
            for ((name, numbers), (_, mask)) in orders::all().into_iter().zip(orders::all()) {
                let reordering = Reordering { engine: &session.engine, numbers, mask };
                let graph = model.lower(&bound.call_shape(bound.batch, false)).unwrap();
                let constants = &session.constants;
                let shared = Shared { model: &model, constants, operators: &reordering };
                let found =
                    run_graph(shared, &graph, &bound, &mut Carried::default(), None).unwrap();
                assert_eq!(found, expected, "{name}, {arch:?}, {case:?}");
                let in_c_order = |output: &crate::Output| output.array.is_standard_layout();
                assert!(found.list().iter().all(in_c_order), "{name}");
            }
        }
    }
}

/// An engine that is handed a sequence in order of time, and says that nothing was moved.
struct InOrderOfTime<'a>(&'a Engine);

impl reference::Operators<f32> for InOrderOfTime<'_> {
    fn recur(
        &self,
        operator: &operator::Recurrent,
        sequences: Sequences<'_, f32>,
    ) -> Result<Ran<f32>> {
        let in_time = |strides: &[isize]| strides[1] > strides[0];
        assert!(in_time(sequences.x.strides()) && sequences.in_time);
        let ran = self.0.recur(operator, sequences)?;
        assert!(ran.outputs.iter().all(|output| in_time(output.strides())));
        Ok(ran)
    }

    fn compute(&self, step: &Step, _: &OperatorGraph, _: &Reads<f32>) -> Option<Computed<f32>> {
        panic!("{:?} is computed", step.operator)
    }
}

/// What PyTorch and ONNX do without `batch_first`: `[timesteps, batch, features]`, there and back.
#[test]
fn a_sequence_in_order_of_time_is_read_and_written_where_it_is() {
    for (batch, merge_mode) in [(3, MergeMode::Concat), (150, MergeMode::Sum)] {
        let case = Case { timesteps: 5, batch, merge_mode, ..Case::bidirectional_lstm() };
        let model = case.model();
        let x = case.input();
        let mut turned = x.view();
        turned.swap_axes(0, 1);
        let turned = turned.as_standard_layout();
        let bound = model.bind(Inputs::new(turned.view())).unwrap();
        let lowered = model.lower(&bound.call_shape(bound.batch, false)).unwrap();
        let [Step { operator, reads, .. }] = &lowered.steps[..] else { panic!("it is one step") };
        let mut reads = reads.clone();

        let mut graph = OperatorGraph::default();
        let turn = operator::Transpose { order: vec![1, 0, 2] };
        let input = graph.feed(Source::Input(0), turned.shape());
        reads[0] = Some(graph.step("before", turn.clone(), [Some(input)]).unwrap()[0]);
        let written = graph.step("lstm", operator.clone(), reads).unwrap();
        graph.outputs = graph.step("behind", turn, [Some(written[0])]).unwrap();
        for arch in each_arch() {
            let mut session = session(&model, arch, 2);
            let bound_alone = model.bind(Inputs::new(x.view())).unwrap();
            let expected = session.run(&model, &bound_alone).unwrap();
            let expected = expected.output().view().permuted_axes(vec![1, 0, 2]);
            let engine = InOrderOfTime(&session.engine);
            let constants = &session.constants;
            let shared = Shared { model: &model, constants, operators: &engine };
            let found = run_graph(shared, &graph, &bound, &mut Carried::default(), None).unwrap();
            assert_eq!(found.output(), expected, "{arch:?} {case:?}");
            assert!(found.output().is_standard_layout());
            // Where two steps turn it, one of them has to copy.
            let mut graph = graph.clone();
            let turn = operator::Transpose { order: vec![1, 0, 2] };
            let again = graph.step("again", turn, [Some(written[0])]).unwrap();
            graph.outputs.extend(again);
            let shared = Shared { model: &model, constants, operators: &session.engine };
            let found = run_graph(shared, &graph, &bound, &mut Carried::default(), None).unwrap();
            assert!(found.list().iter().all(|found| found.array == expected), "{arch:?} {case:?}");
        }
    }
}
