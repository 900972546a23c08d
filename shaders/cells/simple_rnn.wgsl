// The timesteps of a SimpleRNN, all directions at once: one a dispatch, or all of a chunk
// (…_sequence, …_persistent). Source of the formula: crates/cell/src/simple_rnn.rs.

#import shared/one_product

// The state after a timestep. `projected` and `recurrent`: x·kernel + bias, and
// h·recurrent_kernel.
fn after(projected: Sums, recurrent: Sums, old: CellStates, unit: Unit) -> CellStates {
    return CellStates(candidate(projected + recurrent));
}

#if SEQUENCE
@compute @workgroup_size(WORKGROUP)
fn simple_rnn_sequence(invocation: Invocation) {
    all_timesteps(invocation);
}
#endif
#if PERSISTENT
@compute @workgroup_size(WORKGROUP)
fn simple_rnn_persistent(invocation: Invocation) {
    all_timesteps(invocation);
}
#endif
#if STEP
@compute @workgroup_size(WORKGROUP)
fn simple_rnn_step(invocation: Invocation) {
    one_timestep(invocation);
}
#endif
