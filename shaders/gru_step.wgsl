// One timestep of a GRU with reset_after true, all directions at once.
//
//   recurrent_kernel  [direction][k][gate z r h][unit]
//   recurrent_bias    [direction][unit]: of the candidate; those of z and r are added to the projection's bias
//
// Source of the formulas: `Gru` in src/layer/recurrent.rs.

const GATES: u32 = 3u;

@group(0) @binding(1) var<storage, read> recurrent_kernel: array<f32>;
@group(0) @binding(2) var<storage, read> recurrent_bias: array<f32>;
@group(0) @binding(3) var<storage, read> projection: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> hidden: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> step_mask: array<vec4<f32>>;

fn finish(p: Place, row: u32, z: vec4<f32>, r: vec4<f32>, h: vec4<f32>) {
    let projected = p.projection + row;
    let update_gate = activate(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, projection[projected] + z);
    let reset_gate = activate(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, projection[projected + gate_offset(1u)] + r);
    let from_hidden = h + recurrent_bias[p.direction * recurrence.units + p.unit];
    let candidate = activate(ACTIVATION, ACTIVATION_PARAMETER, projection[projected + gate_offset(2u)] + reset_gate * from_hidden);
    let unit = p.unit * recurrence.batch4 + row;
    let old = hidden[p.previous + unit];
    hidden[p.next + unit] = masked(p, row, old, update_gate * old + (1.0 - update_gate) * candidate);
}

@compute @workgroup_size(WORKGROUP)
fn gru_step(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let p = place(workgroup, lane);
    var z0 = vec4(0.0); var r0 = vec4(0.0); var c0 = vec4(0.0);
    var z1 = vec4(0.0); var r1 = vec4(0.0); var c1 = vec4(0.0);
    var weight = p.direction * recurrence.units * GATES * recurrence.units + p.unit;
    var h = p.previous;
    for (var k = 0u; k < recurrence.units; k++) {
        let wz = recurrent_kernel[weight];
        let wr = recurrent_kernel[weight + recurrence.units];
        let wc = recurrent_kernel[weight + 2u * recurrence.units];
        let h0 = hidden[h + p.row];
        z0 += wz * h0; r0 += wr * h0; c0 += wc * h0;
        if TILES > 1u {
            let h1 = hidden[h + p.second_row];
            z1 += wz * h1; r1 += wr * h1; c1 += wc * h1;
        }
        weight += GATES * recurrence.units;
        h += recurrence.batch4;
    }
    if workgroup.x * WORKGROUP + lane >= recurrence.units { return; }
    finish(p, p.row, z0, r0, c0);
    if TILES > 1u && p.row + 1u < recurrence.batch4 { finish(p, p.second_row, z1, r1, c1); }
}
