// What the kernels of all cells have: the arrays that they read and write, and what their formulas
// are written in.

#import shared/gates_#{GATES}
#import shared/recurrence

@group(0) @binding(0) var<uniform> recurrence: Recurrence;
// [direction][k4][gate][unit]: vectors of four k of the recurrent kernel; see weights.wgsl.
@group(0) @binding(1) var<storage, read> kernel: array<StoredWeights>;
// [direction][step of the chunk][group][unit]: the gates of x·kernel + bias.
@group(0) @binding(2) var<storage, read> projection: array<Projected>;
// Hidden states [direction][slot][group][unit], then what else the cell keeps; see recurrence.wgsl.
@group(0) @binding(3) var<storage, read_write> states: array<Rows>;
#if UNIT_WEIGHTS
// [direction][weight][unit]: what each unit has one value of, as a recurrent bias or a peephole.
@group(0) @binding(4) var<storage, read> unit_weights: array<f32>;
#endif

// The gates of the cell, of which the kernel has weights, and the first one that is computed here.
const KERNEL_GATES: u32 = #{KERNEL_GATES}u;
const FIRST_GATE: u32 = #{FIRST_GATE}u;
// Sums are limited to what is between -CLIP and CLIP before their activations; 0: they are not.
override CLIP: f32 = 0.0;

// Whose weights a formula asks for.
struct Unit {
    direction: u32,
    unit: u32,
}

// A gate from its sum.
fn gate(sum: Rows) -> Rows {
    return activated(RECURRENT_ACTIVATION, RECURRENT_ALPHA, RECURRENT_BETA, clipped(sum));
}

// A candidate from its sum.
fn candidate(sum: Rows) -> Rows {
    return activated(ACTIVATION, ACTIVATION_ALPHA, ACTIVATION_BETA, clipped(sum));
}

// NaN stays NaN.
fn clipped(sum: Rows) -> Rows {
    if CLIP == 0.0 { return sum; }
    let below = select(sum, Rows(CLIP), sum > Rows(CLIP));
    return select(below, Rows(-CLIP), below < Rows(-CLIP));
}

#if UNIT_WEIGHTS
// A unit's value of a weight.
fn unit_weight(unit: Unit, weight: u32) -> f32 {
    let weights = weights_direction(unit.direction) * #{UNIT_WEIGHTS}u + weight;
    return unit_weights[weights * recurrence.units + unit.unit];
}
#endif

// A gate's sum, to which its peephole on the cell state is added where there are peepholes.
// `row`: of the peepholes.
fn with_peephole(sum: Rows, unit: Unit, row: u32, cell: Rows) -> Rows {
#if PEEPHOLES
    return sum + unit_weight(unit, row) * cell;
#else
    return sum;
#endif
}
