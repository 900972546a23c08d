// Writes the initial state of a direction, or zeros of all directions, to where the step kernels read it.
//
//   source  [batch][features4]: the state, its units filled up to a multiple of 4
//   target  [direction][direction_stride / units / batch4][unit][batch4]

struct LoadState {
    batch: u32,
    batch4: u32,
    units: u32,
    // Units filled up to a multiple of 4.
    units_padded: u32,
    // The direction that workgroup z = 0 writes.
    first_direction: u32,
    // From one direction to the next in target.
    direction_stride: u32,
    // 1: write zeros, don't read source.
    zeros: u32,
}

@group(0) @binding(0) var<uniform> p: LoadState;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read_write> target_state: array<vec4<f32>>;

override WORKGROUP: u32 = 64u;

fn value(row: u32, unit: u32) -> f32 {
    if p.zeros == 1u || row >= p.batch { return 0.0; }
    return source[row * p.units_padded + unit];
}

@compute @workgroup_size(WORKGROUP)
fn load_state(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let unit = workgroup.x * WORKGROUP + lane;
    let row4 = workgroup.y;
    if unit >= p.units { return; }
    let row = row4 * 4u;
    let state = vec4(value(row, unit), value(row + 1u, unit), value(row + 2u, unit), value(row + 3u, unit));
    let direction = p.first_direction + workgroup.z;
    target_state[direction * p.direction_stride + unit * p.batch4 + row4] = state;
}
