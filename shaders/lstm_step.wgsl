// One timestep of an LSTM, all directions at once: the recurrent matmul of the four gates, and the
// new states.

@group(0) @binding(2) var<storage, read> projection: array<StoredSums>;

fn finish(p: Place, tile: u32, sums: Sums) {
    let group = p.group + tile;
    if group >= recurrence.groups { return; }
    let steps = p.direction * recurrence.steps + step.index;
    let unit = group * recurrence.units + p.unit;
    let projected = all_sums(projection[steps * recurrence.groups * recurrence.units + unit]);
    let state = cell_start(p.direction, 0u) + unit;
    let old_cell = old_state(state);
    let stepped = lstm(projected + sums, old_cell);
    states[state] = stored_rows(masked(p.direction, step.index, group, old_cell, stepped.cell));
    let old = old_state(slot_start(p.direction, step.index) + unit);
    let next = slot_start(p.direction, step.index + 1u) + unit;
    states[next] = stored_rows(masked(p.direction, step.index, group, old, stepped.hidden));
}

@compute @workgroup_size(WORKGROUP)
fn lstm_step(invocation: Invocation) {
    let p = place(invocation);
    multiply(p, slot_start(p.direction, step.index), from_zeros(), invocation);
    finish_tiles(p);
}
