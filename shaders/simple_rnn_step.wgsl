// One timestep of a SimpleRNN, all directions at once: h' = activation(x·kernel + bias +
// h·recurrent_kernel).

#import shared/gates_1
#import shared/step

@group(0) @binding(0) var<uniform> recurrence: Recurrence;
// [direction][k4][gate][unit]: vectors of four k of the recurrent kernel; see weights.wgsl.
@group(0) @binding(1) var<storage, read> kernel: array<StoredWeights>;
// [direction][step of the chunk][group][unit]: the one gate of x·kernel + bias.
@group(0) @binding(2) var<storage, read> projection: array<StoredSums>;
// Hidden states [direction][slot][group][unit]; see recurrence.wgsl.
@group(0) @binding(3) var<storage, read_write> states: array<Rows>;
@group(1) @binding(0) var<uniform> step: Step;

// The gates that the kernel has of a unit, and the first one that is computed.
const KERNEL_GATES: u32 = 1u;
const FIRST_GATE: u32 = 0u;

// The new states of a group, from its sums.
fn finish(p: Place, tile: u32, sums: Sums) {
    let group = p.group + tile;
    if group >= recurrence.groups { return; }
    let unit = group * recurrence.units + p.unit;
    let projected = all_sums(projection[projected_at(p.direction, unit)]);
    let stepped = activated(ACTIVATION, ACTIVATION_PARAMETER, projected + sums);
    let old = old_state(slot_start(p.direction, step.index) + unit);
    let next = slot_start(p.direction, step.index + 1u) + unit;
    states[next] = masked(p.direction, step.index, group, old, stepped);
}

@compute @workgroup_size(WORKGROUP)
fn simple_rnn_step(invocation: Invocation) {
    let p = place(invocation);
    multiply(p, slot_start(p.direction, step.index), from_zeros(), invocation);
    finish_tiles(p);
}
