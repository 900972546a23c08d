// All steps of a chunk of an LSTM, all directions at once.

@group(0) @binding(2) var<storage, read> projection: array<StoredSums>;

const FIRST_OUTPUT: u32 = 4u;

var<private> sums: Sums;

fn accumulate(rows: Quad, weights: Weights, phase: u32) {
    sums = added(sums, rows, weights);
}

@compute @workgroup_size(WORKGROUP)
fn lstm_sequence(invocation: Invocation) {
    let p = place(invocation);
    var h = initial(slot_start(p.direction, 0u) + p.state);
    var c = initial(cell_start(p.direction, 0u) + p.state);
    start(p, invocation, h);
    for (var t = 0u; t < recurrence.steps; t++) {
        let side = (t & 1u) * SIDE;
        let projected = all_sums(projection[projected_at(p, t)]);
        sums = Sums();
        multiply(side, 0u, p.direction, p.unit, invocation);
        let all = gathered(sums, invocation);
        if p.finishes {
            let stepped = lstm(projected + all, c);
            c = masked(p.direction, t, p.group, c, stepped.cell);
            h = masked(p.direction, t, p.group, h, stepped.hidden);
            shared_states[SIDE - side + invocation.lane] = h;
            keep_hidden(p, t, h);
        }
        workgroupBarrier();
    }
    if p.finishes {
        finish_hidden(p, h);
        finish_cell(p, c);
    }
}
