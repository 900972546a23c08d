// One timestep of a GRU with reset_after true, all directions at once.
//
//   recurrent_bias  [direction][unit]: of the candidate

@group(0) @binding(2) var<storage, read> projection: array<StoredSums>;
@group(0) @binding(4) var<storage, read> recurrent_bias: array<f32>;

fn finish(p: Place, tile: u32, sums: Sums) {
    let group = p.group + tile;
    if group >= recurrence.groups { return; }
    let steps = p.direction * recurrence.steps + step.index;
    let unit = group * recurrence.units + p.unit;
    let projected = all_sums(projection[steps * recurrence.groups * recurrence.units + unit]);
    let old = old_state(slot_start(p.direction, step.index) + unit);
    let bias = recurrent_bias[weights_direction(p.direction) * recurrence.units + p.unit];
    let stepped = gru(projected, sums, bias, old);
    let next = slot_start(p.direction, step.index + 1u) + unit;
    states[next] = stored_rows(masked(p.direction, step.index, group, old, stepped));
}

@compute @workgroup_size(WORKGROUP)
fn gru_step(invocation: Invocation) {
    let p = place(invocation);
    multiply(p, slot_start(p.direction, step.index), from_zeros(), invocation);
    finish_tiles(p);
}
