// All steps of a chunk of a SimpleRNN in one dispatch, all directions at once.

#import shared/gates_1
#import shared/sequence

@group(0) @binding(0) var<uniform> recurrence: Recurrence;
// [direction][k4][gate][unit]: vectors of four k of the recurrent kernel; see weights.wgsl.
@group(0) @binding(1) var<storage, read> kernel: array<StoredWeights>;
// [direction][step of the chunk][group][unit]: the one gate of x·kernel + bias.
@group(0) @binding(2) var<storage, read> projection: array<StoredSums>;
// Hidden states [direction][slot][group][unit]; see recurrence.wgsl.
@group(0) @binding(3) var<storage, read_write> states: array<Rows>;
#if WRITES_OUTPUTS
// [batch][timesteps of the segment][features_padded]
@group(0) @binding(4) var<storage, read_write> output: array<f32>;
// [batch][units_padded]: the final hidden states of both directions.
@group(0) @binding(5) var<storage, read_write> hidden_0: array<f32>;
@group(0) @binding(6) var<storage, read_write> hidden_1: array<f32>;
#endif

// The gates that the kernel has of a unit, and the first one that is computed.
const KERNEL_GATES: u32 = 1u;
const FIRST_GATE: u32 = 0u;

// Of the step, of this invocation's part.
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
            let stepped = activated(ACTIVATION, ACTIVATION_PARAMETER, projected + all);
            h = masked(p.direction, t, p.group, h, stepped);
            shared_states[SIDE - side + invocation.lane] = h;
            keep_hidden(p, t, h);
        }
        workgroupBarrier();
    }
    if p.finishes { finish_hidden(p, h); }
}
