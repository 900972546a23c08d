// All steps of a chunk of a SimpleRNN, all directions at once.

@group(0) @binding(2) var<storage, read> projection: array<StoredSums>;

const FIRST_OUTPUT: u32 = 4u;

var<private> sums: Sums;

fn accumulate(rows: Quad, weights: Weights, phase: u32) {
    sums = added(sums, rows, weights);
}

@compute @workgroup_size(WORKGROUP)
fn simple_rnn_sequence(invocation: Invocation) {
    let p = place(invocation);
    var h = initial(slot_start(p.direction, 0u) + p.state);
    start(p, invocation, h);
    for (var t = 0u; t < recurrence.steps; t++) {
        let side = (t & 1u) * SIDE;
        let projected = all_sums(projection[projected_at(p, t)]);
        sums = Sums();
        multiply(side, 0u, p.direction, p.unit, invocation);
        let all = gathered(sums, invocation);
        if p.finishes {
            h = masked(p.direction, t, p.group, h, simple_rnn(projected + all));
            shared_states[SIDE - side + invocation.lane] = h;
            keep_hidden(p, t, h);
        }
        workgroupBarrier();
    }
    if p.finishes { finish_hidden(p, h); }
}
