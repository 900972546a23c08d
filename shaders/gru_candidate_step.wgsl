// The second half of a timestep of a GRU with reset_after false, all directions at once: the candidate from
// (r ⊙ h)·recurrent_kernel, and the new hidden state. The first half is gru_reset_step.wgsl.
//
//   recurrent_kernel  [direction][k][gate z r h][unit]
//   update_gate, reset_hidden  [direction][unit][batch4]

const GATES: u32 = 3u;

@group(0) @binding(1) var<storage, read> recurrent_kernel: array<f32>;
@group(0) @binding(2) var<storage, read> projection: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> update_gate: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> reset_hidden: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> hidden: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> step_mask: array<vec4<f32>>;

fn finish(p: Place, row: u32, h: vec4<f32>) {
    let candidate = activate(ACTIVATION, ACTIVATION_PARAMETER, projection[p.projection + gate_offset(2u) + row] + h);
    let z = update_gate[(p.direction * recurrence.units + p.unit) * recurrence.batch4 + row];
    let unit = p.unit * recurrence.batch4 + row;
    let old = hidden[p.previous + unit];
    hidden[p.next + unit] = masked(p, row, old, z * old + (1.0 - z) * candidate);
}

@compute @workgroup_size(WORKGROUP)
fn gru_candidate_step(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let p = place(workgroup, lane);
    var c0 = vec4(0.0);
    var c1 = vec4(0.0);
    var weight = (p.direction * recurrence.units * GATES + 2u) * recurrence.units + p.unit;
    var h = p.direction * recurrence.units * recurrence.batch4;
    for (var k = 0u; k < recurrence.units; k++) {
        let w = recurrent_kernel[weight];
        c0 += w * reset_hidden[h + p.row];
        if TILES > 1u {
            c1 += w * reset_hidden[h + p.second_row];
        }
        weight += GATES * recurrence.units;
        h += recurrence.batch4;
    }
    if workgroup.x * WORKGROUP + lane >= recurrence.units { return; }
    finish(p, p.row, c0);
    if TILES > 1u && p.row + 1u < recurrence.batch4 { finish(p, p.second_row, c1); }
}
