// One timestep of a SimpleRNN, all directions at once: h' = activation(x·kernel + bias + h·recurrent_kernel).
//
//   recurrent_kernel  [direction][k][unit]

const GATES: u32 = 1u;

@group(0) @binding(1) var<storage, read> recurrent_kernel: array<f32>;
@group(0) @binding(2) var<storage, read> projection: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> hidden: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> step_mask: array<vec4<f32>>;

fn finish(p: Place, row: u32, h: vec4<f32>) {
    let unit = p.unit * recurrence.batch4 + row;
    let stepped = activate(ACTIVATION, ACTIVATION_PARAMETER, projection[p.projection + row] + h);
    hidden[p.next + unit] = masked(p, row, hidden[p.previous + unit], stepped);
}

@compute @workgroup_size(WORKGROUP)
fn simple_rnn_step(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let p = place(workgroup, lane);
    var sum0 = vec4(0.0);
    var sum1 = vec4(0.0);
    var weight = p.direction * recurrence.units * recurrence.units + p.unit;
    var h = p.previous;
    for (var k = 0u; k < recurrence.units; k++) {
        let w = recurrent_kernel[weight];
        sum0 += w * hidden[h + p.row];
        if TILES > 1u {
            sum1 += w * hidden[h + p.second_row];
        }
        weight += recurrence.units;
        h += recurrence.batch4;
    }
    if workgroup.x * WORKGROUP + lane >= recurrence.units { return; }
    finish(p, p.row, sum0);
    if TILES > 1u && p.row + 1u < recurrence.batch4 { finish(p, p.second_row, sum1); }
}
