use super::*;
use crate::error::Error;
use crate::gpu::calls::plain_call;
use crate::gpu::kernel::{Merge, Projection, Recurrence};
use crate::gpu::limits::{Limits, Persistent};
use crate::layer::{Activation, Bidirectional, Conv1d, Dense, Gru, Layer, Lstm, SimpleRnn};
use crate::model::{CallShape, Graph, Model};
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// WebGPU's default limits.
const DEFAULT: Limits = Limits {
    weight: 128 << 20,
    binding: 128 << 20,
    workgroups: 65_535,
    budget: 1 << 30,
    storage_buffers: 8,
    invocations: 256,
    workgroup_bytes: 16_384,
    software: false,
    cores: 2,
    subgroup: None,
    half_weights: false,
    persistent: None,
};
const DOWNLEVEL: Limits = Limits { storage_buffers: 4, workgroup_bytes: 16_352, ..DEFAULT };
const SOFTWARE: Limits = Limits { software: true, subgroup: Some(8), ..DEFAULT };

fn model(cell: u8, features: usize, units: usize, sequences: bool) -> Model {
    let layer = match cell {
        0 => Bidirectional::new(Lstm::new(units).return_sequences(sequences).return_state(true)),
        1 => Bidirectional::new(Gru::new(units).return_sequences(sequences).return_state(true)),
        2 => Bidirectional::new(
            Gru::new(units).reset_after(false).return_sequences(sequences).return_state(true),
        ),
        _ => {
            Bidirectional::new(SimpleRnn::new(units).return_sequences(sequences).return_state(true))
        }
    };
    Model::sequential(features, [layer]).expect("the layer fits")
}

/// The layer of a model between others that go along time, too.
fn between_others(model: &Model, features: usize) -> Model {
    let layer = model.layers().next().expect("a layer").clone();
    let mut graph = Graph::new();
    let x = graph.sequence_input("x", None, features).expect("an input");
    let before = graph.add(Dense::new(features), x).expect("it fits")[0];
    let outputs = graph.add(layer, before).expect("it fits");
    let after = graph.add(Dense::new(7).activation(Activation::Softmax), outputs[0]);
    graph.build(after.expect("it fits")).expect("a model")
}

/// No length of segments helps where a convolution needs all of an array: it isn't tried, down to
/// millions of launches.
#[test]
fn an_array_that_has_to_be_whole_is_refused_at_once() {
    let dense = |units| -> Layer { Dense::new(units).into() };
    let layers = [dense(8), dense(8), dense(64), Conv1d::new(3, 2).into()];
    let model = Model::sequential(8, layers).expect("a model");
    let call = plain_call(&model, 1, 1_000_000).expect("the shape fits");
    let graph = model.lower(&call).expect("a graph");
    let planned = plan(&graph, &DEFAULT, &Tuned::new());
    assert!(matches!(planned, Err(Error::Limit { needed: 256_000_000, .. })), "{planned:?}");
}

/// The plans of all parts of a batch.
fn plans(model: &Model, batch: usize, timesteps: usize, limits: &Limits) -> Vec<Plan> {
    let one = plain_call(model, 1, timesteps).expect("the shape fits");
    let of_a_row = model.lower_a_row(&one).expect("a graph");
    let rows = rows_at_once(of_a_row.as_ref(), batch, limits).expect("the weights fit");
    let parts: HashSet<usize> =
        (0..batch).step_by(rows).map(|first| rows.min(batch - first)).collect();
    parts.into_iter().map(|rows| planned(model, rows, timesteps, false, limits)).collect()
}

/// The plan of one part; `masked`: the call gives the mask of the input.
fn planned(model: &Model, rows: usize, timesteps: usize, masked: bool, limits: &Limits) -> Plan {
    let call = plain_call(model, rows, timesteps).expect("the shape fits");
    let graph = model.lower(&CallShape { masks: vec![masked], ..call }).expect("a graph");
    plan(&graph, limits, &Tuned::new()).expect("it fits")
}

/// The steps that a launch runs: each its own dispatch, or all of a sequence.
fn steps(launch: &Launch) -> usize {
    let stage = &launch.stages[0];
    let sequence = stage.uniform.read::<Recurrence>();
    let whole = stage.kernel.is_sequence() || stage.kernel.is_persistent();
    let sequence = sequence.filter(|_| whole);
    launch.steps.or(sequence.map(|uniform| uniform.steps as usize)).unwrap_or(0)
}

fn check(plan: &Plan, timesteps: usize, limits: &Limits) {
    for (id, bytes) in &plan.buffers {
        assert!(*bytes <= limits.binding, "{id:?} has {bytes} bytes");
    }
    let mut run = 0;
    for launch in &plan.launches {
        run += steps(launch);
        assert!(launch.steps.unwrap_or(1) <= STEP_TABLE);
        for stage in &launch.stages {
            assert!(
                stage.workgroups.iter().all(|&n| n >= 1 && n as usize <= limits.workgroups),
                "{stage:?}"
            );
            let known =
                |id: &BufferId| matches!(id, BufferId::Weight(_)) || plan.buffers.contains_key(id);
            assert!(stage.buffers.iter().all(known), "{stage:?}");
        }
    }
    assert_eq!(run, timesteps, "every step runs once");
}

proptest! {
    #[test]
    fn plans_keep_to_the_limits(
        cell in 0u8..4, features in 1usize..200, units in 1usize..200, sequences: bool,
        batch in 1usize..3_000, timesteps in 1usize..20_000, shift in 0u32..12, others: bool,
    ) {
        let model = model(cell, features, units, sequences);
        let model = if others { between_others(&model, features) } else { model };
        // From WebGPU's default down to 32 KiB.
        for kind in [DEFAULT, SOFTWARE] {
            let [binding, budget] = [DEFAULT.binding, DEFAULT.budget].map(|bytes| bytes >> shift);
            let limits = Limits { binding, budget, ..kind };
            for plan in plans(&model, batch, timesteps, &limits) {
                check(&plan, timesteps, &limits);
            }
        }
    }
}

proptest! {
    #[test]
    fn persistent_plans_have_no_more_workgroups_than_run_side_by_side(
        cell in 0u8..4, features in 1usize..100, units in 1usize..2_200, sequences: bool,
        batch in 1usize..300, timesteps in 1usize..500, shift in 0u32..8, workgroups in 1usize..300,
    ) {
        for kind in [DEFAULT, DOWNLEVEL, SOFTWARE] {
            let persistent = Some(Persistent { workgroups, looks: 1 });
            let limits = Limits { binding: DEFAULT.binding >> shift, persistent, ..kind };
            let weight = 4 * 2 * units.max(features).next_multiple_of(4) * 4 * units;
            let limits = Limits { weight: limits.weight.max(weight as u64), ..limits };
            for plan in plans(&model(cell, features, units, sequences), batch, timesteps, &limits) {
                check(&plan, timesteps, &limits);
                let stages = plan.launches.iter().flat_map(|launch| &launch.stages);
                for stage in stages.filter(|stage| stage.kernel.is_persistent()) {
                    let [x, y, z] = stage.workgroups;
                    prop_assert!((x * y * z) as usize <= workgroups, "{stage:?}");
                    // All units, and all groups of rows in whole rounds.
                    let p = stage.uniform.read::<Recurrence>().expect("its uniform");
                    let tiling = stage.constants.tiling;
                    prop_assert!(x * (tiling.workgroup / tiling.split) >= p.units);
                    prop_assert_eq!(y, p.groups_at_once);
                    prop_assert!(tiling.held() <= 8 && 4 * tiling.held() * tiling.split >= p.units);
                }
            }
        }
    }
}

#[test]
fn a_report_says_which_layers_are_persistent_and_why_others_are_not() {
    let said = |units: usize, batch: usize, adapter, workgroups: usize| {
        let report = PlanReport::persistent(
            &model(0, 64, units, true),
            batch,
            100,
            adapter,
            false,
            workgroups,
        );
        report.expect("a plan").choices.remove(0)
    };
    let gpu = PlanAdapter::Gpu;
    for (units, batch) in [(128, 1), (512, 1), (512, 64), (1_000, 1)] {
        assert!(said(units, batch, gpu, 256).contains("persistent: a dispatch a chunk"));
    }
    let why = |units, workgroups| {
        let said = said(units, 1, gpu, workgroups);
        said.split_once("; not persistent: ").expect("why not").1.to_string()
    };
    assert_eq!(why(512, 63), "it needs more workgroups than were seen to run side by side");
    assert_eq!(why(2_100, 10_000), "its workgroups couldn't hold the weights and the states");
    assert_eq!(why(32, 256), "a workgroup has all units anyway");
    let downlevel = said(512, 1, PlanAdapter::DownlevelGpu, 256);
    assert!(downlevel.contains("persistent: a dispatch a chunk"), "{downlevel}");
    let gru = PlanReport::persistent(
        &model(1, 64, 512, true),
        1,
        100,
        PlanAdapter::DownlevelGpu,
        false,
        256,
    );
    let gru = gru.expect("a plan").choices.remove(0);
    assert!(
        gru.ends_with("not persistent: it would bind more storage buffers than a kernel can"),
        "{gru}"
    );
}

/// Layers in one direction, with a layer between them that changes nothing.
fn stack(cell: u8, features: usize, units: usize, layers: usize) -> Model {
    let layer = |place: usize| -> [crate::layer::Layer; 2] {
        let sequences = place + 1 < layers;
        let layer = match cell {
            0 => Lstm::new(units).return_sequences(sequences).into(),
            1 => Gru::new(units).return_sequences(sequences).into(),
            2 => Gru::new(units).reset_after(false).return_sequences(sequences).into(),
            _ => SimpleRnn::new(units).return_sequences(sequences).into(),
        };
        [layer, crate::layer::Identity::dropout().into()]
    };
    let all = (0..layers).flat_map(layer).take(2 * layers - 1);
    Model::sequential(features, all.collect::<Vec<_>>()).expect("the layers fit")
}

fn range(first: u32, length: u32) -> Range<usize> {
    first as usize..(first + length) as usize
}

/// An array and the steps of the segment that a launch binds of it: those that it reads or writes
/// have to be among them.
fn array_at(buffer: BufferId, steps: Range<usize>, segment: Range<usize>) -> usize {
    let BufferId::Array { array, .. } = buffer else { panic!("{buffer:?}") };
    assert!(
        segment.start <= steps.start && steps.end <= segment.end,
        "{buffer:?} has {segment:?}, not {steps:?}"
    );
    array.0
}

/// Every layer runs each of its steps once and in order, and reads what the layer below has
/// written.
fn check_order(plan: &Plan, timesteps: usize, layers: usize) {
    let BufferId::Array { array: input, .. } = plan.inputs[0].1.buffers[0] else {
        panic!("{:?}", plan.inputs)
    };
    // Steps by array, over all its segments.
    let mut written: HashMap<usize, usize> = HashMap::new();
    let mut projected: HashMap<usize, usize> = HashMap::new();
    let mut steps_run = 0;
    for launch in &plan.launches {
        let stage = &launch.stages[0];
        if let Some(p) = stage.uniform.read::<Projection>() {
            let segment = range(p.segment_start, p.segment_timesteps);
            let from = array_at(stage.buffers[2], range(p.first_step, p.steps), segment);
            let next = projected.entry(from).or_default();
            assert_eq!(*next, p.first_step as usize, "array {from}");
            *next += p.steps as usize;
            assert!(from == input.0 || written[&from] >= *next, "array {from} to {next}");
        } else if let Some(p) =
            stage.uniform.read::<Merge>().filter(|p| p.timesteps as usize == timesteps)
        {
            let segment = range(p.segment_start, p.segment_timesteps);
            let to = array_at(stage.buffers[1], range(p.first_step, p.steps), segment);
            let next = written.entry(to).or_default();
            assert_eq!(*next, p.first_step as usize, "array {to}");
            *next += p.steps as usize;
        } else {
            steps_run += steps(launch) * stage.directions() as usize;
        }
    }
    assert_eq!(projected.len(), layers);
    assert!(projected.values().all(|&steps| steps == timesteps), "{projected:?}");
    assert_eq!(steps_run, layers * timesteps);
}

/// Plans a stack of layers, checks its order, and says into how many segments the longest of its
/// arrays is cut.
fn check_stack(
    model: &Model,
    layers: usize,
    rows: usize,
    timesteps: usize,
    masked: bool,
    limits: &Limits,
) -> usize {
    let plan = planned(model, rows, timesteps, masked, limits);
    for (id, bytes) in &plan.buffers {
        assert!(*bytes <= limits.binding, "{id:?} has {bytes} bytes");
    }
    check_order(&plan, timesteps, layers);
    let segments = plan.buffers.keys().map(|id| match id {
        BufferId::Array { segment, .. } => segment + 1,
        _ => 0,
    });
    segments.max().unwrap_or(0)
}

proptest! {
    #[test]
    fn layers_of_a_stack_run_after_those_below(
        cell in 0u8..4, features in 1usize..50, units in 1usize..200, layers in 2usize..6,
        rows in 1usize..100, timesteps in 2usize..2_000, masked: bool, kind in 0usize..3,
        shift in 0u32..8,
    ) {
        let kind = [DEFAULT, DOWNLEVEL, SOFTWARE][kind];
        // From WebGPU's default down to 1 MiB, of which arrays need many.
        let limits = Limits { binding: DEFAULT.binding >> shift, ..kind };
        let stack = stack(cell, features, units, layers);
        check_stack(&stack, layers, rows, timesteps, masked, &limits);
    }
}

#[test]
fn layers_of_a_stack_run_after_those_below_in_each_segment() {
    for cell in 0..4 {
        let segments = check_stack(&stack(cell, 8, 199, 3), 3, 99, 1_999, true, &DEFAULT);
        assert_eq!(segments, 2);
        let limits = Limits { binding: 4 << 20, ..SOFTWARE };
        let segments = check_stack(&stack(cell, 8, 199, 3), 3, 99, 1_999, false, &limits);
        assert!(segments > 30, "{segments}");
    }
}

#[test]
fn layers_of_a_stack_share_dispatches_where_it_pays() {
    let stages = |units: usize, layers: usize, rows: usize, timesteps: usize, limits: &Limits| {
        let model = stack(0, 16, units, layers);
        let plan = planned(&model, rows, timesteps, false, limits);
        let recurrence = |launch: &Launch| launch.stages[0].kernel.is_recurrent();
        let recurrences = plan.launches.iter().filter(|launch| recurrence(launch));
        (!plan.waves.is_empty(), recurrences.map(|launch| launch.steps.unwrap_or(1)).sum::<usize>())
    };
    // One after the other it would be a dispatch a step: 400.
    let (waves, dispatches) = stages(512, 4, 1, 100, &DEFAULT);
    assert!(waves && dispatches <= 160, "{dispatches}");
    // A GPU that one layer fills, a sequence too short, a layer alone.
    assert_eq!(stages(512, 4, 500, 100, &DEFAULT), (false, 400));
    assert_eq!(stages(512, 4, 1, 2, &DEFAULT), (false, 8));
    assert_eq!(stages(512, 1, 1, 100, &DEFAULT), (false, 100));
    // Two cores: half the layers at a time, but not where they have work for both anyway.
    assert!(stages(64, 4, 1, 1_000, &SOFTWARE).0);
    assert_eq!(stages(64, 4, 8, 1_000, &SOFTWARE), (false, 4));
}

#[test]
fn a_normal_call_is_one_launch_a_step_and_a_few_around_them() {
    let plans = plans(&model(0, 128, 128, true), 32, 100, &DEFAULT);
    assert_eq!(plans.len(), 1);
    let stages: usize = plans[0]
        .launches
        .iter()
        .map(|launch| launch.stages.len() * launch.steps.unwrap_or(1))
        .sum();
    // One for both halves of a chunk's output, to which the last adds the final states; the first
    // step makes its zeros.
    let flops: u64 = plans[0]
        .launches
        .iter()
        .flat_map(|l| l.stages.iter().map(|s| s.flops * l.steps.unwrap_or(1) as u64))
        .sum();
    assert_eq!(flops, 4 * 32 * 100 * 4 * 128 * (128 + 128));
    let chunks = plans[0].launches.iter().filter(|launch| launch.steps.is_some()).count();
    assert_eq!(stages, chunks + 100 + chunks);
    assert!(chunks <= 2, "{chunks}");
}

#[test]
fn the_largest_shapes_have_plans() {
    for (batch, timesteps) in [(1, 100_000), (5_000, 100), (5_000, 100_000)] {
        for plan in plans(&model(0, 512, 256, true), batch, timesteps, &DEFAULT) {
            check(&plan, timesteps, &DEFAULT);
        }
    }
}

/// (batch, timesteps, features, units) of `benches/shapes.rs`.
const SHAPES: [[usize; 4]; 8] = [
    [1, 8, 2, 3],
    [1, 256, 128, 128],
    [32, 100, 128, 128],
    [8, 400, 80, 512],
    [64, 50, 512, 512],
    [1, 1000, 256, 256],
    [16, 50, 512, 512],
    [4, 50, 1536, 1536],
];
const ADAPTERS: [PlanAdapter; 3] =
    [PlanAdapter::Software, PlanAdapter::Gpu, PlanAdapter::DownlevelGpu];

fn report(
    cell: u8,
    [batch, timesteps, features, units]: [usize; 4],
    adapter: PlanAdapter,
) -> PlanReport {
    PlanReport::new(&model(cell, features, units, true), batch, timesteps, adapter, false)
        .expect("a plan")
}

/// The tables of `docs/generated/plans.md`.
fn document() -> String {
    let mut text = "# Plans

What the planner makes of the shapes of `benches/shapes.rs`: one bidirectional layer,
`return_sequences=True` and `return_state=True`. Written by `BIRNN_WRITE_DOCS=1 cargo test --lib
plan`, which without that variable compares. `birnn plan` prints such plans, a dispatch a line, of
any shape. A GPU that allows more than WebGPU's default limits, as most do, may run other kernels:
larger workgroups let more layers run a sequence in one dispatch.

\"flops a byte\" is the arithmetic intensity: the matmuls' floating-point operations for each byte
that the dispatches have to move at least, each of their arrays once. \"at least\" is what the
dispatches could take at best on a GPU of 5 TFLOP/s, 250 GB/s and 3 µs a dispatch, and on a software
adapter of 100 GFLOP/s, 20 GB/s and 20 µs, all of it at work: a batch of one row has work for few of
a GPU's multiprocessors, and takes longer.
"
    .to_string();
    for adapter in ADAPTERS {
        for (cell, name) in [(0, "LSTM"), (1, "GRU")] {
            text += &format!("\n## {name} on a {adapter}\n\n");
            text += "| (batch, timesteps, features, units) | recurrence | dispatches | flops a \
                     byte | projection's | recurrence's | at least |\n\
                     |---|---|---|---|---|---|---|\n";
            for shape in SHAPES {
                let report = report(cell, shape, adapter);
                let of =
                    |kernel: &str| report.dispatches.iter().find(|d| d.kernel.contains(kernel));
                let Some(recurrence) = of("_sequence").or(of("_step")) else { continue };
                let [b, t, d, u] = shape;
                text += &format!(
                    "| ({b}, {t}, {d}, {u}) | {}: {}, {} | {} | {:.2} | {:.2} | {:.2} | {:.3} ms, \
                     {} |\n",
                    recurrence.kernel,
                    recurrence.cut,
                    match recurrence.workgroups {
                        [x, y, z] =>
                            format!("{x} x {y} x {z} workgroups of {}", recurrence.invocations),
                    },
                    report.dispatch_count(),
                    report.intensity(),
                    of("input_projection").map_or(0.0, PlannedDispatch::intensity),
                    recurrence.intensity(),
                    report.bound_seconds() * 1e3,
                    recurrence.bound,
                );
            }
        }
    }
    text
}

#[test]
fn the_documented_plans_are_those_made() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/generated/plans.md");
    let made = document();
    if std::env::var_os("BIRNN_WRITE_DOCS").is_some() {
        std::fs::write(path, &made).expect("docs/generated/plans.md is writable");
        return;
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let differing = made.lines().zip(committed.lines()).find(|(made, committed)| made != committed);
    let hint = "BIRNN_WRITE_DOCS=1 cargo test --lib plan writes docs/generated/plans.md";
    assert!(
        made == committed,
        "docs/generated/plans.md differs from the plans made: {differing:?}; {hint}"
    );
}

#[test]
fn every_recurrent_plan_keeps_to_four_storage_buffers_and_the_workgroup() {
    for adapter in ADAPTERS {
        for cell in 0..4 {
            for (batch, units) in [
                (1, 1),
                (1, 64),
                (1, 2_800),
                (3, 100),
                (64, 128),
                (64, 256),
                (7, 257),
                (500, 2_000),
            ] {
                let made = report(cell, [batch, 3, 5, units], adapter);
                for d in &made.dispatches {
                    assert!(
                        d.invocations <= 256 && d.workgroups.iter().all(|&n| n <= 65_535),
                        "{d:?}"
                    );
                }
            }
        }
    }
    for limits in [DOWNLEVEL, SOFTWARE] {
        let limits = Limits { storage_buffers: 4, ..limits };
        for cell in 0..4 {
            for (batch, units) in [(1, 40), (9, 40), (9, 600)] {
                for plan in plans(&model(cell, 30, units, true), batch, 20, &limits) {
                    check(&plan, 20, &limits);
                }
            }
        }
    }
}

#[test]
fn a_sequence_of_few_units_is_one_dispatch_and_of_many_one_a_step() {
    let dispatches = |shape, adapter| report(0, shape, adapter).dispatch_count();
    for adapter in ADAPTERS {
        // Four states go with the output's two halves, or three at a time where a kernel binds four
        // buffers.
        let four_buffers = adapter == PlanAdapter::DownlevelGpu;
        let states = if four_buffers { 2 } else { 0 };
        // The projection, and the sequence, which writes the outputs where it binds eight buffers.
        let written = if four_buffers { 1 + states } else { 0 };
        assert_eq!(dispatches([8, 100, 16, 32], adapter), 1 + 1 + written, "{adapter}");
        // The projection, a dispatch a step, the output's two halves at once.
        assert_eq!(dispatches([8, 100, 16, 512], adapter), 1 + 100 + 1 + states, "{adapter}");
    }
}

#[test]
fn a_report_refuses_no_rows_or_timesteps_and_absurd_numbers() {
    let model = model(0, 3, 4, true);
    let report =
        |batch, timesteps| PlanReport::new(&model, batch, timesteps, PlanAdapter::Gpu, false);
    for (batch, timesteps) in
        [(0, 5), (5, 0), (10_000_001, 5), (1, 10_000_001), (usize::MAX, 1), (1, usize::MAX)]
    {
        let error = report(batch, timesteps).expect_err("no such call").to_string();
        assert!(error.contains(&format!("[{batch}, {timesteps}, ")), "{error}");
        assert!(error.contains("1 to 10000000"), "{error}");
    }
    let most = report(10_000_000, 10_000_000).expect("a plan");
    assert!(most.flops() > 1 << 50, "{}", most.flops());
}

#[test]
fn half_weights_halve_the_weights() {
    let model = model(0, 512, 512, true);
    let of = |half| PlanReport::new(&model, 1, 10, PlanAdapter::Gpu, half).expect("a plan");
    let biases = 4 * 2 * 4 * 512; // bytes, directions, gates, units
    assert_eq!(2 * (of(true).weight_bytes - biases), of(false).weight_bytes - biases);
    assert!(of(true).intensity() > 1.5 * of(false).intensity());
}
