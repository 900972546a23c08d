// The first half of a timestep of a GRU with reset_after false, all directions at once: the gates z
// and r, and r ⊙ h. The candidate needs r ⊙ h of every unit, so it is a dispatch of its own:
// gru_candidate_step.wgsl.

#import shared/gates_2
#import shared/step

@group(0) @binding(0) var<uniform> recurrence: Recurrence;
// [direction][k4][gate][unit]: vectors of four k of the recurrent kernel; see weights.wgsl.
@group(0) @binding(1) var<storage, read> kernel: array<StoredWeights>;
// [direction][step of the chunk][group][unit]: the three gates of x·kernel + bias.
@group(0) @binding(2) var<storage, read> projection: array<StoredThreeGates>;
// Hidden states [direction][slot][group][unit], then z, then r ⊙ h; see recurrence.wgsl.
@group(0) @binding(3) var<storage, read_write> states: array<Rows>;
@group(1) @binding(0) var<uniform> step: Step;

// The gates that the kernel has of a unit, and the first one that is computed.
const KERNEL_GATES: u32 = 3u;
const FIRST_GATE: u32 = 0u;

// The new states of a group, from its sums.
fn finish(p: Place, tile: u32, sums: Sums) {
    let group = p.group + tile;
    if group >= recurrence.groups { return; }
    let unit = group * recurrence.units + p.unit;
    let projected = three_gates(projection[projected_at(p.direction, unit)]);
    let z = activated(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, projected[0] + sums[0]);
    let r = activated(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, projected[1] + sums[1]);
    states[cell_start(p.direction, 0u) + unit] = z;
    let old = old_state(slot_start(p.direction, step.index) + unit);
    states[cell_start(p.direction, 1u) + unit] = r * old;
}

@compute @workgroup_size(WORKGROUP)
fn gru_reset_step(invocation: Invocation) {
    let p = place(invocation);
    multiply(p, slot_start(p.direction, step.index), from_zeros(), invocation);
    finish_tiles(p);
}
