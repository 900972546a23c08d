// All steps of a chunk of a GRU with reset_after false in one dispatch, all directions at once. Each
// step has two phases: the gates z and r from h, then the candidate from r ⊙ h, which stands on the
// other side of the workgroup's memory in between.

#import shared/gates_3
#import shared/sequence

@group(0) @binding(0) var<uniform> recurrence: Recurrence;
// [direction][k4][gate][unit]: vectors of four k of the recurrent kernel; see weights.wgsl.
@group(0) @binding(1) var<storage, read> kernel: array<StoredWeights>;
// [direction][step of the chunk][group][unit]: the gates of x·kernel + bias.
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
const KERNEL_GATES: u32 = 3u;
const FIRST_GATE: u32 = 0u;

// Of the step, of this invocation's part.
var<private> sums: Sums;

// Phase 0: the gates z and r; phase 1: the candidate.
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
        var z: Rows;
        if p.finishes {
            z = activated(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, projected[0] + all[0]);
            let r = activated(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, projected[1] + all[1]);
            shared_states[SIDE + invocation.lane] = r * h;
        }
        workgroupBarrier();
        sums = Sums();
        multiply(SIDE, 1u, p.direction, p.unit, invocation);
        all = gathered(sums, invocation);
        if p.finishes {
            let candidate = activated(ACTIVATION, ACTIVATION_PARAMETER, projected[2] + all[2]);
            h = masked(p.direction, t, p.group, h, z * h + (1.0 - z) * candidate);
            shared_states[invocation.lane] = h;
            keep_hidden(p, t, h);
        }
        workgroupBarrier();
    }
    if p.finishes { finish_hidden(p, h); }
}
