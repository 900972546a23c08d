// One timestep of a SimpleRNN, all directions at once: h' = activation(x·kernel + bias +
// h·recurrent_kernel).

@group(0) @binding(2) var<storage, read> projection: array<StoredSums>;

fn finish(p: Place, tile: u32, sums: Sums) {
    let group = p.group + tile;
    if group >= recurrence.groups { return; }
    let steps = p.direction * recurrence.steps + step.index;
    let unit = group * recurrence.units + p.unit;
    let projected = all_sums(projection[steps * recurrence.groups * recurrence.units + unit]);
    let stepped = activated(ACTIVATION, ACTIVATION_PARAMETER, projected + sums);
    let old = old_state(slot_start(p.direction, step.index) + unit);
    let next = slot_start(p.direction, step.index + 1u) + unit;
    states[next] = stored_rows(masked(p.direction, step.index, group, old, stepped));
}

@compute @workgroup_size(WORKGROUP)
fn simple_rnn_step(invocation: Invocation) {
    let p = place(invocation);
    multiply(p, slot_start(p.direction, step.index), from_zeros(), invocation);
    finish_tiles(p);
}
