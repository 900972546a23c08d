// All steps of a chunk of a GRU with reset_after false, all directions at once. Each step has two phases: the gates z and
// r from h, then the candidate from r ⊙ h, which stands on the other side of the workgroup's memory in between.

@group(0) @binding(2) var<storage, read> projection: array<ThreeGates>;

var<private> z: GateSum;
var<private> r: GateSum;
var<private> candidate: GateSum;

fn accumulate(rows: Quad, weights: Weights, phase: u32) {
    if phase == 0u {
        z = gate_accumulated(z, rows, weights[0]);
        r = gate_accumulated(r, rows, weights[1]);
    } else {
        candidate = gate_accumulated(candidate, rows, weights[2]);
    }
}

@compute @workgroup_size(WORKGROUP)
fn gru_reset_sequence(invocation: Invocation) {
    let p = place(invocation);
    var h = initial(slot_start(p.direction, 0u) + p.state);
    start(p, invocation, h);
    for (var t = 0u; t < recurrence.steps; t++) {
        let projected = read_projection(projected_at(p, t));
        z = GateSum();
        r = GateSum();
        candidate = GateSum();
        multiply(0u, 0u, p.direction, p.unit, invocation);
        if p.exists { shared_states[SIDE + invocation.lane] = reset_hidden(gate_total(projected[1], r), h); }
        workgroupBarrier();
        multiply(SIDE, 1u, p.direction, p.unit, invocation);
        let stepped = gru_reset(gate_total(projected[0], z), gate_total(projected[2], candidate), h);
        h = masked(p.direction, t, p.group, h, stepped);
        if p.exists {
            shared_states[invocation.lane] = h;
            states[slot_start(p.direction, t + 1u) + p.state] = h;
        }
        workgroupBarrier();
    }
}
