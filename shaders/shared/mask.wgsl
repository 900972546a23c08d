// What a mask does to a step, and to what the layer puts out of it.

// 1: the layer's input has a mask. 0: nothing is read of one.
override MASKED: u32 = 0u;

// Of each row: 2 where the timestep counts, 1 where it is masked, 0 where its output is zero, too.
fn mask_code(direction: u32, step: u32, group: u32) -> Rows {
    let place = (direction * recurrence.steps + step) * recurrence.groups + group;
    return states[recurrence.mask_start + place];
}

// The state after a step of the chunk: the old one where the timestep is masked.
fn masked(direction: u32, step: u32, group: u32, old: Rows, stepped: Rows) -> Rows {
    if MASKED == 0u { return stepped; }
    return select(old, stepped, mask_code(direction, step, group) > Rows(1.5));
}

// What an output has of a hidden state.
fn put_out(direction: u32, step: u32, group: u32, hidden: Rows) -> Rows {
    if MASKED == 0u { return hidden; }
    return select(Rows(), hidden, mask_code(direction, step, group) > Rows(0.5));
}
