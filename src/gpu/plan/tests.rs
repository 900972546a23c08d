use super::super::network::lower;
use super::*;
use crate::layer::{Bidirectional, Gru, Lstm, SimpleRnn};
use proptest::prelude::*;
use std::collections::HashSet;

/// WebGPU's default limits.
const DEFAULT: Limits = Limits {
    weight: 128 << 20,
    binding: 128 << 20,
    workgroups: 65_535,
    budget: 1 << 30,
    invocations: 256,
    workgroup_bytes: 16_384,
    software: false,
    subgroup: None,
    half_weights: false,
};

fn model(cell: u8, features: usize, units: usize, sequences: bool) -> Model {
    let layer = match cell {
        0 => Bidirectional::new(Lstm::new(units).return_sequences(sequences).return_state(true)),
        1 => Bidirectional::new(Gru::new(units).return_sequences(sequences)),
        2 => Bidirectional::new(Gru::new(units).reset_after(false).return_sequences(sequences)),
        _ => Bidirectional::new(SimpleRnn::new(units).return_sequences(sequences)),
    };
    Model::sequential(features, [layer]).expect("the layer fits")
}

/// The plans of all parts of a batch.
fn plans(model: &Model, batch: usize, timesteps: usize, limits: &Limits) -> Vec<Plan> {
    let groups = lower(model, limits).expect("the weights fit");
    let features = model.tensors[0].shape[1].expect("fixed");
    let shapes = model.shapes(&[&[timesteps, features]]).expect("the shape fits");
    let rows = rows_at_once(model, &groups, batch, &shapes, limits);
    let states = model.layers[0].layer.directions().iter().map(|(_, l)| l.cell().states()).sum();
    let parts: HashSet<usize> = (0..batch).step_by(rows).map(|first| rows.min(batch - first)).collect();
    let call = |rows| CallShape {
        rows,
        shapes: shapes.clone(),
        given: vec![vec![false; states]],
        masks: vec![false],
        carried: false,
    };
    parts.into_iter().map(|rows| plan(model, &groups, &call(rows), limits).expect("it fits")).collect()
}

/// The steps that a launch runs: each its own dispatch, or all of a sequence.
fn steps(launch: &Launch) -> usize {
    let sequence = |stage: &Stage| stage.kernel.is_sequence().then_some(stage.parameters[4] as usize);
    launch.steps.or_else(|| sequence(&launch.stages[0])).unwrap_or(0)
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
            assert!(stage.workgroups.iter().all(|&n| n >= 1 && n as usize <= limits.workgroups), "{stage:?}");
            let known = |id: &BufferId| matches!(id, BufferId::Weight { .. }) || plan.buffers.contains_key(id);
            assert!(stage.buffers.iter().all(known), "{stage:?}");
        }
    }
    assert_eq!(run, timesteps, "every step runs once");
}

proptest! {
    #[test]
    fn plans_keep_to_the_limits(
        cell in 0u8..4, features in 1usize..200, units in 1usize..200, sequences: bool,
        batch in 1usize..3_000, timesteps in 1usize..20_000, shift in 0u32..12,
    ) {
        // From WebGPU's default down to 32 KiB.
        let limits = Limits { binding: DEFAULT.binding >> shift, budget: DEFAULT.budget >> shift, ..DEFAULT };
        for plan in plans(&model(cell, features, units, sequences), batch, timesteps, &limits) {
            check(&plan, timesteps, &limits);
        }
    }
}

#[test]
fn a_normal_call_is_one_launch_a_step_and_a_few_around_them() {
    let plans = plans(&model(0, 128, 128, true), 32, 100, &DEFAULT);
    assert_eq!(plans.len(), 1);
    let stages: usize = plans[0].launches.iter().map(|launch| launch.stages.len() * launch.steps.unwrap_or(1)).sum();
    // Two for the initial states, two halves of the output; states that nobody reads are not written.
    let flops: u64 =
        plans[0].launches.iter().flat_map(|l| l.stages.iter().map(|s| s.flops * l.steps.unwrap_or(1) as u64)).sum();
    assert_eq!(flops, 4 * 32 * 100 * 4 * 128 * (128 + 128));
    let chunks = plans[0].launches.iter().filter(|launch| launch.steps.is_some()).count();
    assert_eq!(stages, 2 + chunks + 100 + 2 * chunks + 4);
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
