//! Persistent kernels beside the reference and the step kernels, and what happens where a workgroup
//! waits in vain.
//!
//! A software adapter runs a workgroup on each of its threads, of which it has as many as cores. So
//! the tests of kernels that need more workgroups are `ignored`, and run by one that isn't, in a
//! process of their own in which the driver has 32 threads.

use super::residency::Residency;
use super::{GpuDevice, GpuSession};
#[cfg(feature = "autotune")]
use super::{calls::plain_call, plan::plan};
use crate::device::{DeviceOptions, GpuOptions, WantedAdapter};
use crate::host;
use crate::layer::{
    Bidirectional, Cell, CellOptions, Gru, Layer, Lstm, MergeMode, RecurrentBuilder,
};
use crate::model::{Inputs, Model, Outputs};
use crate::runner::{Counters, Runner, Started, Wait};
use crate::{Initializer, PlanAdapter};
use ndarray::{Array2, Array3, ArrayD};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng as Rng;
use std::sync::Arc;

fn gpu_required() -> bool {
    std::env::var_os("BIRNN_REQUIRE_GPU").is_some()
}

/// Not eprintln!: the test harness would swallow it.
fn not_run(reason: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "NOT RUN: persistent kernels: {reason}");
}

/// A device with these options; `None` where there is no GPU.
fn open(options: GpuOptions) -> Option<GpuDevice> {
    let options = DeviceOptions::from(options).allow_software(true);
    match host::block_on(super::open(&options, &WantedAdapter::Best)) {
        Ok(device) => Some(device),
        Err(error) if !gpu_required() => {
            not_run(&error.to_string());
            None
        }
        Err(error) => panic!("BIRNN_REQUIRE_GPU is set: {error}"),
    }
}

/// A device on which so many workgroups are taken to run side by side, known by a name of its own.
fn open_as(
    name: &str,
    options: GpuOptions,
    workgroups: usize,
    looks: u32,
) -> Option<Arc<GpuDevice>> {
    let mut device = open(options.persistent(false))?;
    device.residency = Some(Residency::for_test(name, workgroups, looks));
    Some(device.into())
}

fn compile(device: &Arc<GpuDevice>, model: &Model) -> GpuSession {
    host::block_on(GpuSession::new(model, device.clone())).unwrap()
}

fn start(session: &mut GpuSession, model: &Model, inputs: Inputs<'_, f32>) -> Started {
    let inputs = model.bind(inputs).unwrap();
    host::block_on(session.submit(model, &inputs, Wait::Blocking)).unwrap()
}

fn outputs(started: Started, wait: Wait) -> Outputs {
    match started {
        Started::InFlight(flight) => host::block_on(flight.outputs(wait)).unwrap(),
        Started::Done(outputs) => outputs,
    }
}

fn run(session: &mut GpuSession, model: &Model, inputs: Inputs<'_, f32>) -> (Outputs, Counters) {
    let started = start(session, model, inputs);
    let outputs = outputs(started, Wait::Blocking);
    (outputs, session.counters())
}

fn random(shape: [usize; 3], seed: u64) -> Array3<f32> {
    let mut rng = Rng::seed_from_u64(seed);
    Array3::from_shape_simple_fn(shape, || rng.random_range(-1.5f32..1.5))
}

/// The largest difference, relative to max(1, |exact|).
fn error(found: &ArrayD<f32>, exact: &ArrayD<f64>) -> f64 {
    assert_eq!(found.shape(), exact.shape());
    let pairs = found.iter().zip(exact);
    let differences = pairs.map(|(&f, &e)| (f64::from(f) - e).abs() / e.abs().max(1.0));
    differences.fold(0.0, |a, b| if b > a || b.is_nan() { b } else { a })
}

fn layer(cell: Cell, units: usize, sequences: bool) -> RecurrentBuilder<Cell> {
    RecurrentBuilder::of(cell, units)
        .return_sequences(sequences)
        .return_state(true)
        .bias_initializer(Initializer::RandomUniform { min: -0.5, max: 0.5 })
}

fn both(cell: Cell, units: usize) -> Layer {
    Bidirectional::new(layer(cell, units, true)).into()
}

fn model(features: usize, layers: impl IntoIterator<Item = Layer>) -> Model {
    Model::sequential(features, layers.into_iter().collect::<Vec<_>>())
        .and_then(|model| model.initialize(7))
        .unwrap()
}

/// 16 workgroups, which look so seldom that they always wait in vain.
fn without_patience(name: &str, options: GpuOptions) -> Option<Arc<GpuDevice>> {
    open_as(name, options.plan_for(PlanAdapter::Gpu), 16, 0)
}

fn plain(options: GpuOptions) -> Option<Arc<GpuDevice>> {
    Some(open(options.plan_for(PlanAdapter::Gpu).persistent(false))?.into())
}

#[test]
fn a_wait_in_vain_gives_the_results_of_the_other_kernels_and_ends_persistent_kernels() {
    let name = "in vain";
    let (Some(gpu), Some(without)) =
        (without_patience(name, GpuOptions::new()), plain(GpuOptions::new()))
    else {
        return;
    };
    for (index, &cell) in Cell::ALL.iter().enumerate() {
        gpu.residency.as_ref().unwrap().note(16);
        let model = model(5, [both(cell, 130)]);
        let x = random([5, 7, 5], index as u64);
        let expected = run(&mut compile(&without, &model), &model, x.view().into()).0;
        let mut session = compile(&gpu, &model);
        let (found, counters) = run(&mut session, &model, x.view().into());
        assert_eq!(found, expected, "{cell:?}: bit for bit");
        assert_eq!((counters.persistent_dispatches, counters.runs_again), (1, 1), "{cell:?}");
        assert_eq!(gpu.plan_limits().persistent, None);
        // The session goes on without them, and so does every other one.
        for session in [&mut session, &mut compile(&gpu, &model)] {
            let (found, counters) = run(session, &model, x.view().into());
            assert_eq!(found, expected, "{cell:?}: the call after it");
            assert_eq!(counters.persistent_dispatches, 0, "{cell:?}");
        }
    }
}

#[test]
fn calls_in_flight_and_parts_of_a_batch_run_again_each_with_its_inputs() {
    // 64 KiB between layers: a few rows at a time.
    let options = GpuOptions::new().memory_budget(64 << 10);
    let (Some(gpu), Some(without)) =
        (without_patience("in flight", options.clone()), plain(options))
    else {
        return;
    };
    let model = model(5, [both(Cell::ALL[0], 66), both(Cell::ALL[1], 66)]);
    let calls: Vec<_> = (0..4).map(|seed| random([1 + 9 * seed, 6, 5], seed as u64)).collect();
    let mut plain = compile(&without, &model);
    let expected: Vec<_> =
        calls.iter().map(|x| run(&mut plain, &model, x.view().into()).0).collect();
    for wait in [Wait::Blocking, Wait::Async] {
        gpu.residency.as_ref().unwrap().note(16);
        let mut session = compile(&gpu, &model);
        let started: Vec<_> =
            calls.iter().map(|x| start(&mut session, &model, x.view().into())).collect();
        for (started, expected) in started.into_iter().zip(&expected) {
            assert_eq!(&outputs(started, wait), expected, "{wait:?}");
        }
        assert!(session.counters().runs_again >= 2, "{:?}", session.counters());
    }
}

/// Far more workgroups than an adapter's threads: some have to wait for others to end, if this is a
/// software adapter. Nothing hangs, and the results are right on any.
#[test]
fn more_workgroups_than_run_side_by_side_end_and_give_the_right_results() {
    let options = GpuOptions::new().plan_for(PlanAdapter::Gpu);
    let (Some(gpu), Some(without)) =
        (open_as("too many", options.clone(), 256, 1 << 14), plain(options))
    else {
        return;
    };
    let model = model(9, [both(Cell::ALL[0], 512)]);
    let x = random([4, 9, 9], 1);
    let expected = run(&mut compile(&without, &model), &model, x.view().into()).0;
    let mut session = compile(&gpu, &model);
    for _ in 0..2 {
        let (found, counters) = run(&mut session, &model, x.view().into());
        for (found, expected) in found.list().iter().zip(expected.list()) {
            let error = error(&found.array, &expected.array.mapv(f64::from));
            assert!(error < 2e-6, "{}: {error:e}, {counters:?}", found.role);
        }
    }
}

#[test]
fn a_stateful_layer_runs_without_persistent_kernels() {
    let Some(gpu) = without_patience("stateful", GpuOptions::new()) else { return };
    let layers: [Layer; 1] = [Lstm::new(130).stateful(true).into()];
    let model = model(5, layers);
    let mut session = compile(&gpu, &model);
    for _ in 0..2 {
        let (_, counters) = run(&mut session, &model, random([2, 4, 5], 1).view().into());
        assert_eq!((counters.persistent_dispatches, counters.runs_again), (0, 0));
    }
}

/// They couldn't go up again.
#[test]
fn inputs_that_go_up_one_by_one_run_without_persistent_kernels() {
    let options = GpuOptions::new().max_buffer_bytes(32 << 10);
    let (Some(gpu), Some(without)) =
        (without_patience("one by one", options.clone()), plain(options))
    else {
        return;
    };
    let model = model(256, [both(Cell::ALL[0], 66)]);
    for (timesteps, persistent) in [(64, 0), (16, 1)] {
        gpu.residency.as_ref().unwrap().note(16);
        let x = random([1, timesteps, 256], 1); // 64 KiB, and 16
        let expected = run(&mut compile(&without, &model), &model, x.view().into()).0;
        let (found, counters) = run(&mut compile(&gpu, &model), &model, x.view().into());
        assert_eq!(counters.persistent_dispatches.min(1), persistent, "{timesteps} timesteps");
        assert_eq!(counters.runs_again, persistent, "{timesteps} timesteps");
        assert_eq!(found, expected);
    }
}

/// What it waited for says nothing of the kernels that computed the outputs.
#[test]
fn a_call_that_ran_again_has_no_profile() {
    let Some(gpu) = without_patience("profiled", GpuOptions::new()) else { return };
    let model = model(5, [both(Cell::ALL[0], 130)]);
    let x = random([1, 7, 5], 1);
    let mut session = compile(&gpu, &model);
    let mut profile = || {
        let mut recorder = crate::profile::Recorder::new("a GPU".into()).unwrap();
        let inputs = model.bind(x.view().into()).unwrap();
        host::block_on(session.profile(&model, &inputs, Wait::Blocking, &mut recorder))
    };
    let error = profile().unwrap_err().to_string();
    assert!(error.contains("waited in vain"), "{error}");
    assert!(profile().is_ok(), "by the other kernels");
}

/// What is `ignored` here, in a process whose driver has 32 threads. They take turns on a few
/// cores, half as long as all other unit tests: left out of a quick `cargo test --lib`.
#[test]
fn on_many_threads() {
    if !gpu_required() {
        return not_run("those on many threads of the driver run with BIRNN_REQUIRE_GPU=1");
    }
    open(GpuOptions::new()).expect("a GPU is required");
    let mut tests = std::process::Command::new(std::env::current_exe().unwrap());
    tests.args(["--ignored", "--test-threads=1", "gpu::persistent_tests::"]);
    let output = tests.env("LP_NUM_THREADS", "32").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    let count = if cfg!(feature = "autotune") { 5 } else { 4 };
    let all = format!("test result: ok. {count} passed");
    assert!(said.contains(&all), "{said}\n{errors}");
    assert!(!errors.contains("NOT RUN"), "{errors}");
}

/// A device of so many workgroups that look far more often than a user's would: a thread of the
/// driver may wait for a core for as long as other programs like.
fn patient(options: GpuOptions) -> Option<Arc<GpuDevice>> {
    open_as("patient", options, 20, 1 << 28)
}

/// Of 32 threads, at least as many as the other tests take.
#[test]
#[ignore = "on_many_threads runs it"]
fn workgroups_meet_when_a_device_is_opened() {
    let Some(gpu) = open(GpuOptions::new().persistent(true)) else { return };
    let allowed = gpu.plan_limits().persistent.expect("workgroups run side by side");
    assert!(allowed.workgroups >= 20, "{allowed:?}");
}

/// A layer in calls of random shapes, of one row or of more, which other kernels take, beside the
/// reference in f64. Returns the persistent dispatches.
fn check(
    gpu: &Arc<GpuDevice>,
    model: &Model,
    one_row: bool,
    states: &[usize],
    rng: &mut Rng,
) -> u64 {
    let mut session = compile(gpu, model);
    let mut dispatches = 0;
    for _ in 0..2 {
        let batch = if one_row { 1 } else { *[2, 4, 5, 9, 18].choose(rng).unwrap() };
        let timesteps = *[1, 2, 3, 5, 8].choose(rng).unwrap();
        let x = random([batch, timesteps, 6], rng.random());
        let mut state = |&units: &usize| -> Array2<f32> {
            Array2::from_shape_simple_fn((batch, units), || rng.random_range(-1.5f32..1.5))
        };
        let states: Vec<_> = states.iter().map(&mut state).collect();
        let mask = Array2::from_shape_simple_fn((batch, timesteps), || rng.random_bool(0.7));
        let (x64, states64): (_, Vec<_>) =
            (x.mapv(f64::from), states.iter().map(|state| state.mapv(f64::from)).collect());
        let (mut inputs, mut exact_inputs) = (Inputs::new(x.view()), Inputs::new(x64.view()));
        if rng.random_bool(0.5) {
            inputs = inputs.initial_state(states.iter().map(|state| state.view()));
            exact_inputs = exact_inputs.initial_state(states64.iter().map(|state| state.view()));
        }
        if rng.random_bool(0.5) {
            (inputs, exact_inputs) = (inputs.mask(mask.view()), exact_inputs.mask(mask.view()));
        }
        let exact = crate::reference::run(model, exact_inputs).unwrap();
        let (found, counters) = run(&mut session, model, inputs);
        assert_eq!(counters.runs_again, 0);
        dispatches += counters.persistent_dispatches;
        for (found, exact) in found.list().iter().zip(exact.list()) {
            let error = error(&found.array, &exact.array);
            let shape = (batch, timesteps);
            assert!(error < 2e-6, "{shape:?}, {} of {}: {error:e}", found.role, found.layer);
        }
    }
    dispatches
}

#[test]
#[ignore = "on_many_threads runs it"]
fn random_layers_match_the_reference() {
    let mut rng = Rng::seed_from_u64(3);
    // As a software adapter has its weights, in panels, and as GPUs do.
    let options = GpuOptions::new();
    let devices = [patient(options.clone()), patient(options.plan_for(PlanAdapter::Gpu))];
    let [Some(software), Some(gpu)] = devices else { return };
    for (index, &cell) in Cell::ALL.iter().enumerate() {
        // By turns: to build the kernels takes far longer than to run them.
        let one_row = index % 2 == 0;
        for (gpu, units, one_row) in [
            (&software, [128, 97, 72][index % 3], one_row),
            (&gpu, [131, 65, 200][index % 3], !one_row),
        ] {
            let lstm = cell.has_cell_state();
            let options = CellOptions {
                clip: rng.random_bool(0.3).then_some(0.6f32.into()),
                peepholes: lstm && rng.random_bool(0.5),
                coupled: lstm && rng.random_bool(0.3),
                ..CellOptions::default()
            };
            let merges = [MergeMode::Concat, MergeMode::Sum, MergeMode::None];
            let merge = *merges.choose(&mut rng).unwrap();
            let one = layer(cell.with(options), units, rng.random());
            let (layer, directions): (Layer, usize) = match rng.random_bool(0.7) {
                true => (Bidirectional::new(one).merge_mode(merge).into(), 2),
                false => (one.go_backwards(rng.random()).into(), 1),
            };
            let model = model(6, [layer]);
            let states = vec![units; directions * cell.states()];
            let dispatches = check(gpu, &model, one_row, &states, &mut rng);
            assert!(dispatches > 0, "{cell:?}, {units} units");
        }
    }
}

#[test]
#[ignore = "on_many_threads runs it"]
fn chunks_layers_and_groups_of_rows_go_on_where_those_before_ended() {
    // 128 KiB a buffer: a few steps a chunk.
    let options = GpuOptions::new().max_buffer_bytes(128 << 10).plan_for(PlanAdapter::Gpu);
    let Some(gpu) = patient(options) else { return };
    for &cell in Cell::ALL {
        let layers: [Layer; 2] =
            [layer(cell, 70, true).return_state(false).into(), layer(cell, 70, false).into()];
        let model = model(6, layers);
        let x = random([30, 23, 6], 3);
        let exact = crate::reference::run(&model, x.mapv(f64::from).view()).unwrap();
        let (found, counters) = run(&mut compile(&gpu, &model), &model, x.view().into());
        assert!(counters.persistent_dispatches >= 4, "{cell:?}: {counters:?}");
        assert_eq!(counters.runs_again, 0);
        for (found, exact) in found.list().iter().zip(exact.list()) {
            let error = error(&found.array, &exact.array);
            assert!(error < 2e-6, "{cell:?}: {} {error:e}", found.role);
        }
    }
}

/// A device whose step kernels split their sums as the persistent ones do adds in the same order.
#[cfg(feature = "autotune")]
#[test]
#[ignore = "on_many_threads runs it"]
fn sums_in_the_same_order_give_the_same_bits() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = GpuOptions::new().plan_for(PlanAdapter::Gpu);
    let (Some(gpu), Some(steps)) = (
        patient(options.clone()),
        open(options.autotune(true).autotune_file(folder.path().join("a.json"))),
    ) else {
        return;
    };
    let steps = Arc::new(steps);
    for (&cell, batch) in Cell::ALL.iter().zip([1, 6].into_iter().cycle()) {
        let model = model(6, [both(cell, 123)]);
        let graph = model.lower(&plain_call(&model, batch, 9).unwrap()).unwrap();
        let chosen = plan(&graph, &steps.limits, &steps.tuned()).unwrap().choices.remove(0);
        let split = |name: &&String| name.contains("a step") && name.ends_with("split 4");
        let name = chosen.candidates.iter().find(split).expect("a way that splits so");
        steps.autotune().unwrap().remember(chosen.class, name.clone());
        let x = random([batch, 9, 6], 3);
        let (found, counters) = run(&mut compile(&gpu, &model), &model, x.view().into());
        assert_eq!((counters.persistent_dispatches, counters.runs_again), (1, 0), "{cell:?}");
        let (expected, counters) = run(&mut compile(&steps, &model), &model, x.view().into());
        assert_eq!(counters.persistent_dispatches, 0, "{cell:?}");
        assert_eq!(found, expected, "{cell:?}, {batch} rows");
    }
}

/// NaNs and infinities go from workgroup to workgroup as other values do, that NaN among them whose
/// word would say that nothing is there.
#[test]
#[ignore = "on_many_threads runs it"]
fn numbers_that_are_none_are_handed_on() {
    let options = GpuOptions::new().plan_for(PlanAdapter::Gpu);
    let (Some(gpu), Some(without)) = (patient(options.clone()), plain(options)) else { return };
    let layers: [Layer; 1] = [Gru::new(130).return_sequences(true).into()];
    let model = model(6, layers);
    let mut x = random([6, 7, 6], 3);
    (x[[0, 2, 1]], x[[1, 3, 0]], x[[4, 0, 5]]) = (f32::NAN, f32::INFINITY, f32::NEG_INFINITY);
    let mut state = Array2::zeros((6, 130));
    (state[[2, 77]], state[[3, 129]]) = (f32::from_bits(u32::MAX), f32::NAN);
    // The timesteps of row 2 are masked: its states are handed on as they are.
    let mask = Array2::from_shape_fn((6, 7), |(row, _)| row != 2);
    let inputs = || Inputs::new(x.view()).initial_state([state.view()]).mask(mask.view());
    let (found, counters) = run(&mut compile(&gpu, &model), &model, inputs());
    assert_eq!((counters.persistent_dispatches, counters.runs_again), (1, 0));
    let (expected, _) = run(&mut compile(&without, &model), &model, inputs());
    let mut kinds = [0, 0];
    for (found, expected) in found.list().iter().zip(expected.list()) {
        for (&found, &expected) in found.array.iter().zip(&expected.array) {
            kinds[usize::from(expected.is_nan())] += 1;
            let same = (found - expected).abs() < 2e-6 || (found.is_nan() && expected.is_nan());
            assert!(same, "{found} for {expected}");
        }
    }
    assert!(kinds.iter().all(|&count| count > 100), "numbers, and NaNs: {kinds:?}");
}
