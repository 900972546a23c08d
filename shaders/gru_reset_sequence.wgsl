// All steps of a chunk of a GRU with reset_after false, all directions at once. Each step has two phases: the gates z and
// r from h, then the candidate from r ⊙ h, which stands on the other side of the workgroup's memory in between.

@group(0) @binding(2) var<storage, read> projection: array<ThreeGates>;

var<private> z: Rows;
var<private> r: Rows;
var<private> candidate: Rows;

fn accumulate(rows: Quad, weights: Weights, phase: u32) {
    if phase == 0u {
        z = gate_added(z, rows, weights[0]);
        r = gate_added(r, rows, weights[1]);
    } else {
        candidate = gate_added(candidate, rows, weights[2]);
    }
}

@compute @workgroup_size(WORKGROUP)
fn gru_reset_sequence(invocation: Invocation) {
    let p = place(invocation);
    var h = initial(slot_start(p.direction, 0u) + p.state);
    start(p, invocation, h);
    for (var t = 0u; t < recurrence.steps; t++) {
        let projected = projection[projected_at(p, t)];
        z = projected[0];
        r = projected[1];
        candidate = projected[2];
        multiply(0u, 0u, p.direction, p.unit, invocation);
        let reset_gate = activated(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, r);
        if p.exists { shared_states[SIDE + invocation.lane] = reset_gate * h; }
        workgroupBarrier();
        multiply(SIDE, 1u, p.direction, p.unit, invocation);
        let update_gate = activated(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, z);
        let stepped = activated(ACTIVATION, ACTIVATION_PARAMETER, candidate);
        h = masked(p.direction, t, p.group, h, update_gate * h + (1.0 - update_gate) * stepped);
        if p.exists {
            shared_states[invocation.lane] = h;
            states[slot_start(p.direction, t + 1u) + p.state] = h;
        }
        workgroupBarrier();
    }
}
