// The first half of a timestep of a GRU with reset_after false, all directions at once: the gates z
// and r, and r ⊙ h. The candidate needs r ⊙ h of every unit, so it is a dispatch of its own:
// gru_candidate_step.wgsl.
//
// What the cell keeps: z, and r ⊙ h.

@group(0) @binding(2) var<storage, read> projection: array<StoredThreeGates>;

fn finish(p: Place, tile: u32, sums: Sums) {
    let group = p.group + tile;
    if group >= recurrence.groups { return; }
    let steps = p.direction * recurrence.steps + step.index;
    let unit = group * recurrence.units + p.unit;
    let projected = three_gates(projection[steps * recurrence.groups * recurrence.units + unit]);
    states[cell_start(p.direction, 0u) + unit] = stored_rows(activated(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, projected[0] + sums[0]));
    let reset_gate = activated(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, projected[1] + sums[1]);
    states[cell_start(p.direction, 1u) + unit] = stored_rows(reset_gate * old_state(slot_start(p.direction, step.index) + unit));
}

@compute @workgroup_size(WORKGROUP)
fn gru_reset_step(invocation: Invocation) {
    let p = place(invocation);
    multiply(p, slot_start(p.direction, step.index), from_zeros(), invocation);
    finish_tiles(p);
}
