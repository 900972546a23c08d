// What a mask does to a step. Stands before every recurrent kernel that writes a state.

// 1: the layer's input has a mask. 0: nothing is read of one.
override MASKED: u32 = 0u;

// The state after a step of the chunk: the old one where the timestep is masked.
fn masked(direction: u32, step: u32, group: u32, old: Rows, stepped: Rows) -> Rows {
    if MASKED == 0u { return stepped; }
    let code = rows(states[recurrence.mask_start + (direction * recurrence.steps + step) * recurrence.groups + group]);
    // 2 where the timestep counts.
    return select(old, stepped, code > Rows(1.5));
}
