// The timesteps of an MGU, all directions at once: one in two dispatches, or all of a chunk in one
// (…_sequence, …_persistent). Source of the formula: crates/cell/src/mgu.rs.

#import shared/two_products

#if FIRST_PRODUCT
// What the first product gives: f, and f ⊙ h, which the second one multiplies. `projected`: the
// gates f h of x·kernel + bias; `recurrent`: f of h·recurrent_kernel.
fn after_first(projected: Projected, recurrent: Sums, h: Rows) -> Between {
    let f = gate(projected[0] + first_sum(recurrent));
    return Between(f, f * h);
}
#endif

// The state after a timestep. `recurrent`: the candidate of (f ⊙ h)·recurrent_kernel.
fn after_second(projected: Projected, recurrent: Rows, f: Rows, h: Rows) -> Rows {
    return (1.0 - f) * h + f * candidate(projected[1] + recurrent);
}

#if SEQUENCE
@compute @workgroup_size(WORKGROUP)
fn mgu_sequence(invocation: Invocation) {
    all_timesteps(invocation);
}
#endif
#if PERSISTENT
@compute @workgroup_size(WORKGROUP)
fn mgu_persistent(invocation: Invocation) {
    all_timesteps(invocation);
}
#endif
#if STEP
#if SECOND_PRODUCT
@compute @workgroup_size(WORKGROUP)
fn mgu_second_step(invocation: Invocation) {
    second_product(invocation);
}
#else
@compute @workgroup_size(WORKGROUP)
fn mgu_step(invocation: Invocation) {
    first_product(invocation);
}
#endif
#endif
