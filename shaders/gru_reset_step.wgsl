// The first half of a timestep of a GRU with reset_after false, all directions at once: the gates, and r ⊙ h.
// The candidate needs r ⊙ h of every unit, so it is a dispatch of its own: gru_candidate_step.wgsl.
//
//   recurrent_kernel  [direction][k][gate z r h][unit]
//   update_gate, reset_hidden  [direction][unit][batch4]

const GATES: u32 = 3u;

@group(0) @binding(1) var<storage, read> recurrent_kernel: array<f32>;
@group(0) @binding(2) var<storage, read> projection: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> hidden: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> update_gate: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> reset_hidden: array<vec4<f32>>;

fn finish(p: Place, row: u32, z: vec4<f32>, r: vec4<f32>) {
    let projected = p.projection + row;
    let state = (p.direction * recurrence.units + p.unit) * recurrence.batch4 + row;
    update_gate[state] = activate(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, projection[projected] + z);
    let reset_gate = activate(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, projection[projected + gate_offset(1u)] + r);
    reset_hidden[state] = reset_gate * hidden[p.previous + p.unit * recurrence.batch4 + row];
}

@compute @workgroup_size(WORKGROUP)
fn gru_reset_step(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let p = place(workgroup, lane);
    var z0 = vec4(0.0); var r0 = vec4(0.0);
    var z1 = vec4(0.0); var r1 = vec4(0.0);
    var weight = p.direction * recurrence.units * GATES * recurrence.units + p.unit;
    var h = p.previous;
    for (var k = 0u; k < recurrence.units; k++) {
        let wz = recurrent_kernel[weight];
        let wr = recurrent_kernel[weight + recurrence.units];
        let h0 = hidden[h + p.row];
        z0 += wz * h0; r0 += wr * h0;
        if TILES > 1u {
            let h1 = hidden[h + p.second_row];
            z1 += wz * h1; r1 += wr * h1;
        }
        weight += GATES * recurrence.units;
        h += recurrence.batch4;
    }
    if workgroup.x * WORKGROUP + lane >= recurrence.units { return; }
    finish(p, p.row, z0, r0);
    if TILES > 1u && p.row + 1u < recurrence.batch4 { finish(p, p.second_row, z1, r1); }
}
