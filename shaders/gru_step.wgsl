// One timestep of a GRU with reset_after true, all directions at once: the recurrent matmul of the
// three gates, and the new hidden state.

#import shared/gates_3
#import shared/step
#import shared/gru_cell

@group(0) @binding(0) var<uniform> recurrence: Recurrence;
// [direction][k4][gate][unit]: vectors of four k of the recurrent kernel; see weights.wgsl.
@group(0) @binding(1) var<storage, read> kernel: array<StoredWeights>;
// [direction][step of the chunk][group][unit]: the gates of x·kernel + bias.
@group(0) @binding(2) var<storage, read> projection: array<StoredSums>;
// Hidden states [direction][slot][group][unit]; see recurrence.wgsl.
@group(0) @binding(3) var<storage, read_write> states: array<Rows>;
// [direction][unit]: the recurrent bias of the candidate.
@group(0) @binding(4) var<storage, read> recurrent_bias: array<f32>;
@group(1) @binding(0) var<uniform> step: Step;

// The gates that the kernel has of a unit, and the first one that is computed.
const KERNEL_GATES: u32 = 3u;
const FIRST_GATE: u32 = 0u;

// The new states of a group, from its sums.
fn finish(p: Place, tile: u32, sums: Sums) {
    let group = p.group + tile;
    if group >= recurrence.groups { return; }
    let unit = group * recurrence.units + p.unit;
    let projected = all_sums(projection[projected_at(p.direction, unit)]);
    let old = old_state(slot_start(p.direction, step.index) + unit);
    let bias = recurrent_bias[weights_direction(p.direction) * recurrence.units + p.unit];
    let stepped = gru(projected, sums, bias, old);
    let next = slot_start(p.direction, step.index + 1u) + unit;
    states[next] = masked(p.direction, step.index, group, old, stepped);
}

@compute @workgroup_size(WORKGROUP)
fn gru_step(invocation: Invocation) {
    let p = place(invocation);
    multiply(p, slot_start(p.direction, step.index), from_zeros(), invocation);
    finish_tiles(p);
}
