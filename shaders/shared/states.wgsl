// What a timestep finds of its unit in memory, for kernels that keep the states there from one
// timestep to the next. `t`: the timestep's number in the chunk.

// Whether the states of before the timestep are zeros that nothing has written.
fn from_zeros(t: u32) -> bool {
    return recurrence.zeros == 1u && t == 0u;
}

// A state of before the timestep.
fn old_state(t: u32, index: u32) -> Rows {
    if from_zeros(t) { return Rows(); }
    return states[index];
}

// Where the unit's gates stand in the projection. `state`: where it stands in the states of its
// direction.
fn projected_at(direction: u32, t: u32, state: u32) -> u32 {
    let steps = direction * recurrence.steps + t;
    return steps * recurrence.groups * recurrence.units + state;
}
