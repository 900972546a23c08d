// All steps of a chunk of a GRU with reset_after false, all directions at once. Each step has two
// phases: the gates z and r from h, then the candidate from r ⊙ h, which stands on the other side
// of the workgroup's memory in between.

@group(0) @binding(2) var<storage, read> projection: array<StoredSums>;

const FIRST_OUTPUT: u32 = 4u;

var<private> sums: Sums;

fn accumulate(rows: Quad, weights: Weights, phase: u32) {
    if phase == 0u {
        sums[0] = gate_added(sums[0], rows, weights[0]);
        sums[1] = gate_added(sums[1], rows, weights[1]);
    } else {
        sums[2] = gate_added(sums[2], rows, weights[2]);
    }
}

@compute @workgroup_size(WORKGROUP)
fn gru_reset_sequence(invocation: Invocation) {
    let p = place(invocation);
    var h = initial(slot_start(p.direction, 0u) + p.state);
    start(p, invocation, h);
    for (var t = 0u; t < recurrence.steps; t++) {
        let projected = all_sums(projection[projected_at(p, t)]);
        sums = Sums();
        multiply(0u, 0u, p.direction, p.unit, invocation);
        var all = gathered(sums, invocation);
        let z = all[0];
        if p.finishes { shared_states[SIDE + invocation.lane] = reset_hidden(projected[1] + all[1], h); }
        workgroupBarrier();
        sums = Sums();
        multiply(SIDE, 1u, p.direction, p.unit, invocation);
        all = gathered(sums, invocation);
        if p.finishes {
            let stepped = gru_reset(projected[0] + z, projected[2] + all[2], h);
            h = masked(p.direction, t, p.group, h, stepped);
            shared_states[invocation.lane] = h;
            keep_hidden(p, t, h);
        }
        workgroupBarrier();
    }
    if p.finishes { finish_hidden(p, h); }
}
