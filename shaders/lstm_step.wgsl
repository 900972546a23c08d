// One timestep of an LSTM, all directions at once: the recurrent matmul of the four gates, and the
// new states.

#import shared/gates_4
#import shared/step
#import shared/lstm_cell

@group(0) @binding(0) var<uniform> recurrence: Recurrence;
// [direction][k4][gate][unit]: vectors of four k of the recurrent kernel; see weights.wgsl.
@group(0) @binding(1) var<storage, read> kernel: array<StoredWeights>;
// [direction][step of the chunk][group][unit]: the gates of x·kernel + bias.
@group(0) @binding(2) var<storage, read> projection: array<StoredSums>;
// Hidden states [direction][slot][group][unit], then cell states; see recurrence.wgsl.
@group(0) @binding(3) var<storage, read_write> states: array<Rows>;
@group(1) @binding(0) var<uniform> step: Step;

// The gates that the kernel has of a unit, and the first one that is computed.
const KERNEL_GATES: u32 = 4u;
const FIRST_GATE: u32 = 0u;

// The new states of a group, from its sums.
fn finish(p: Place, tile: u32, sums: Sums) {
    let group = p.group + tile;
    if group >= recurrence.groups { return; }
    let unit = group * recurrence.units + p.unit;
    let projected = all_sums(projection[projected_at(p.direction, unit)]);
    let state = cell_start(p.direction, 0u) + unit;
    let old_cell = old_state(state);
    let stepped = lstm(projected + sums, old_cell);
    states[state] = masked(p.direction, step.index, group, old_cell, stepped.cell);
    let old = old_state(slot_start(p.direction, step.index) + unit);
    let next = slot_start(p.direction, step.index + 1u) + unit;
    states[next] = masked(p.direction, step.index, group, old, stepped.hidden);
}

@compute @workgroup_size(WORKGROUP)
fn lstm_step(invocation: Invocation) {
    let p = place(invocation);
    multiply(p, slot_start(p.direction, step.index), from_zeros(), invocation);
    finish_tiles(p);
}
