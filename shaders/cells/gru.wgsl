// The timesteps of a GRU with reset_after true, all directions at once: one a dispatch, or all of a
// chunk (…_sequence, …_persistent). Source of the formula: crates/cell/src/gru.rs.

#import shared/one_product

// The state after a timestep. `projected` and `recurrent`: the gates z r h of x·kernel + bias, and
// of h·recurrent_kernel. Of the recurrent bias those of z and r stand in the projection's bias.
fn after(projected: Sums, recurrent: Sums, old: CellStates, unit: Unit) -> CellStates {
    let z = gate(projected[0] + recurrent[0]);
    let r = gate(projected[1] + recurrent[1]);
    let h = candidate(projected[2] + r * (recurrent[2] + unit_weight(unit, 0u)));
    return CellStates(z * old.hidden + (1.0 - z) * h);
}

#if SEQUENCE
@compute @workgroup_size(WORKGROUP)
fn gru_sequence(invocation: Invocation) {
    all_timesteps(invocation);
}
#endif
#if PERSISTENT
@compute @workgroup_size(WORKGROUP)
fn gru_persistent(invocation: Invocation) {
    all_timesteps(invocation);
}
#endif
#if STEP
@compute @workgroup_size(WORKGROUP)
fn gru_step(invocation: Invocation) {
    one_timestep(invocation);
}
#endif
