// The second half of a timestep of a GRU with reset_after false, all directions at once: the
// candidate from (r ⊙ h)·recurrent_kernel, and the new hidden state. The first half is
// gru_reset_step.wgsl.
//
// What the cell keeps: z, and r ⊙ h.

@group(0) @binding(2) var<storage, read> projection: array<StoredThreeGates>;

fn finish(p: Place, tile: u32, sums: Sums) {
    let group = p.group + tile;
    if group >= recurrence.groups { return; }
    let steps = p.direction * recurrence.steps + step.index;
    let unit = group * recurrence.units + p.unit;
    let projected = three_gates(projection[steps * recurrence.groups * recurrence.units + unit]);
    let candidate = activated(ACTIVATION, ACTIVATION_PARAMETER, projected[2] + sums);
    let z = rows(states[cell_start(p.direction, 0u) + unit]);
    let old = old_state(slot_start(p.direction, step.index) + unit);
    let next = slot_start(p.direction, step.index + 1u) + unit;
    states[next] = stored_rows(masked(p.direction, step.index, group, old, z * old + (1.0 - z) * candidate));
}

@compute @workgroup_size(WORKGROUP)
fn gru_candidate_step(invocation: Invocation) {
    let p = place(invocation);
    multiply(p, cell_start(p.direction, 1u), false, invocation);
    finish_tiles(p);
}
