// All steps of a chunk of a GRU with reset_after true, all directions at once.
//
//   recurrent_bias  [direction][unit]: of the candidate

@group(0) @binding(2) var<storage, read> projection: array<StoredSums>;
@group(0) @binding(4) var<storage, read> recurrent_bias: array<f32>;

const FIRST_OUTPUT: u32 = 5u;

var<private> sums: Sums;

fn accumulate(rows: Quad, weights: Weights, phase: u32) {
    sums = added(sums, rows, weights);
}

@compute @workgroup_size(WORKGROUP)
fn gru_sequence(invocation: Invocation) {
    let p = place(invocation);
    let bias = recurrent_bias[weights_direction(p.direction) * recurrence.units + p.unit];
    var h = initial(slot_start(p.direction, 0u) + p.state);
    start(p, invocation, h);
    for (var t = 0u; t < recurrence.steps; t++) {
        let side = (t & 1u) * SIDE;
        let projected = all_sums(projection[projected_at(p, t)]);
        sums = Sums();
        multiply(side, 0u, p.direction, p.unit, invocation);
        let all = gathered(sums, invocation);
        if p.finishes {
            h = masked(p.direction, t, p.group, h, gru(projected, all, bias, h));
            shared_states[SIDE - side + invocation.lane] = h;
            keep_hidden(p, t, h);
        }
        workgroupBarrier();
    }
    if p.finishes { finish_hidden(p, h); }
}
