// A sequence's weights from the caches, every step anew; hidden states from workgroup memory.
// weights_held.wgsl is the same for software adapters.

struct Invocation {
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
}

fn hold_weights(direction: u32, unit: u32) {}

// Hands the hidden states and the weights to the kernel's `accumulate`, four k at a time.
fn multiply(side: u32, phase: u32, direction: u32, unit: u32, invocation: Invocation) {
    let panel = panel_units(recurrence.units);
    let first = weights_start(direction, unit);
    for (var i = invocation.lane / LANES; i < (recurrence.units + 3u) / 4u; i += SPLIT) {
        let k = side + 4u * i;
        let rows = Quad(shared_states[k], shared_states[k + 1u], shared_states[k + 2u], shared_states[k + 3u]);
        accumulate(rows, weights_at(first + i * KERNEL_GATES * panel, panel), phase);
    }
}
