// One timestep of an LSTM, all directions at once: the recurrent matmul of the four gates, and the new states.
//
//   recurrent_kernel  [direction][k][unit]: the gates i f c o of the unit in one vector
//
// Source of the formulas: `Lstm` in src/layer/recurrent.rs.

const GATES: u32 = 4u;

@group(0) @binding(1) var<storage, read> recurrent_kernel: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> projection: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> hidden: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> cell: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> step_mask: array<vec4<f32>>;

fn finish(p: Place, row: u32, i: vec4<f32>, f: vec4<f32>, c: vec4<f32>, o: vec4<f32>) {
    let projected = p.projection + row;
    let state = (p.direction * recurrence.units + p.unit) * recurrence.batch4 + row;
    let input_gate = activate(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, projection[projected] + i);
    let forget_gate = activate(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, projection[projected + gate_offset(1u)] + f);
    let candidate = activate(ACTIVATION, ACTIVATION_PARAMETER, projection[projected + gate_offset(2u)] + c);
    let output_gate = activate(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, projection[projected + gate_offset(3u)] + o);
    let old_cell = cell[state];
    let new_cell = forget_gate * old_cell + input_gate * candidate;
    cell[state] = masked(p, row, old_cell, new_cell);
    let unit = p.unit * recurrence.batch4 + row;
    let new_hidden = output_gate * activate(ACTIVATION, ACTIVATION_PARAMETER, new_cell);
    hidden[p.next + unit] = masked(p, row, hidden[p.previous + unit], new_hidden);
}

@compute @workgroup_size(WORKGROUP)
fn lstm_step(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let p = place(workgroup, lane);
    var i0 = vec4(0.0); var f0 = vec4(0.0); var c0 = vec4(0.0); var o0 = vec4(0.0);
    var i1 = vec4(0.0); var f1 = vec4(0.0); var c1 = vec4(0.0); var o1 = vec4(0.0);
    var weight = p.direction * recurrence.units * recurrence.units + p.unit;
    var h = p.previous;
    for (var k = 0u; k < recurrence.units; k++) {
        let w = recurrent_kernel[weight];
        let h0 = hidden[h + p.row];
        i0 += w.x * h0; f0 += w.y * h0; c0 += w.z * h0; o0 += w.w * h0;
        if TILES > 1u {
            let h1 = hidden[h + p.second_row];
            i1 += w.x * h1; f1 += w.y * h1; c1 += w.z * h1; o1 += w.w * h1;
        }
        weight += recurrence.units;
        h += recurrence.batch4;
    }
    if workgroup.x * WORKGROUP + lane >= recurrence.units { return; }
    finish(p, p.row, i0, f0, c0, o0);
    if TILES > 1u && p.row + 1u < recurrence.batch4 { finish(p, p.second_row, i1, f1, c1, o1); }
}
