// The timesteps of a GRU with reset_after false, all directions at once: one in two dispatches, or
// all of a chunk in one (…_sequence, …_persistent). Source of the formula: crates/cell/src/gru.rs.

#import shared/two_products

#if FIRST_PRODUCT
// What the first product gives: z, and r ⊙ h, which the second one multiplies. `projected`: the
// gates z r h of x·kernel + bias; `recurrent`: z and r of h·recurrent_kernel.
fn after_first(projected: Projected, recurrent: Sums, h: Rows) -> Between {
    let z = gate(projected[0] + recurrent[0]);
    let r = gate(projected[1] + recurrent[1]);
    return Between(z, r * h);
}
#endif

// The state after a timestep. `recurrent`: the candidate of (r ⊙ h)·recurrent_kernel.
fn after_second(projected: Projected, recurrent: Rows, z: Rows, h: Rows) -> Rows {
    return z * h + (1.0 - z) * candidate(projected[2] + recurrent);
}

#if SEQUENCE
@compute @workgroup_size(WORKGROUP)
fn gru_reset_before_sequence(invocation: Invocation) {
    all_timesteps(invocation);
}
#endif
#if PERSISTENT
@compute @workgroup_size(WORKGROUP)
fn gru_reset_before_persistent(invocation: Invocation) {
    all_timesteps(invocation);
}
#endif
#if STEP
#if SECOND_PRODUCT
@compute @workgroup_size(WORKGROUP)
fn gru_reset_before_second_step(invocation: Invocation) {
    second_product(invocation);
}
#else
@compute @workgroup_size(WORKGROUP)
fn gru_reset_before_step(invocation: Invocation) {
    first_product(invocation);
}
#endif
#endif
