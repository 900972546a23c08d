// The timesteps of an LSTM, all directions at once: one a dispatch, or all of a chunk (…_sequence,
// …_persistent). Source of the formula: crates/cell/src/lstm.rs.

#import shared/one_product

// The activation of the cell state, which may be another than the candidate's.
override STATE_ACTIVATION: u32 = 1u;
override STATE_ALPHA: f32 = 0.0;
override STATE_BETA: f32 = 0.0;

// The states after a timestep. `projected` and `recurrent`: the gates i f c o of x·kernel + bias,
// and of h·recurrent_kernel.
fn after(projected: Sums, recurrent: Sums, old: CellStates, unit: Unit) -> CellStates {
    let sums = projected + recurrent;
    let i = gate(with_peephole(sums[0], unit, 0u, old.cell));
#if COUPLED
    let f = Rows(1.0) - i;
#else
    let f = gate(with_peephole(sums[1], unit, 1u, old.cell));
#endif
    let cell = f * old.cell + i * candidate(sums[2]);
    let o = gate(with_peephole(sums[3], unit, 2u, cell));
    let h = o * activated(STATE_ACTIVATION, STATE_ALPHA, STATE_BETA, cell);
    return CellStates(h, cell);
}

#if SEQUENCE
@compute @workgroup_size(WORKGROUP)
fn lstm_sequence(invocation: Invocation) {
    all_timesteps(invocation);
}
#endif
#if PERSISTENT
@compute @workgroup_size(WORKGROUP)
fn lstm_persistent(invocation: Invocation) {
    all_timesteps(invocation);
}
#endif
#if STEP
@compute @workgroup_size(WORKGROUP)
fn lstm_step(invocation: Invocation) {
    one_timestep(invocation);
}
#endif
