// Writes the initial state of a direction, or zeros of all directions, to where the step kernels
// read it.

#import shared/invocation

struct LoadState {
    batch: u32,
    // Rows of the batch in a group: 1 or 4.
    group_rows: u32,
    units: u32,
    // Units filled up to a multiple of 4.
    units_padded: u32,
    // The direction that workgroup z = 0 writes.
    first_direction: u32,
    // From one direction to the next in states.
    direction_stride: u32,
    // 1: write zeros, don't read source.
    zeros: u32,
    target_start: u32,
}

@group(0) @binding(0) var<uniform> p: LoadState;
// [batch][units_padded]
@group(0) @binding(1) var<storage, read> source: array<f32>;
// As recurrence.wgsl has them: from target_start on [direction][group][unit][row of the group].
@group(0) @binding(2) var<storage, read_write> states: array<f32>;

override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn load_state(invocation: Invocation) {
    let unit = invocation.workgroup.x * WORKGROUP + invocation.lane;
    if unit >= p.units { return; }
    let direction = p.first_direction + invocation.workgroup.z;
    let first = p.target_start + direction * p.direction_stride;
    let index = first + (invocation.workgroup.y * p.units + unit) * p.group_rows;
    for (var i = 0u; i < p.group_rows; i++) {
        let row = invocation.workgroup.y * p.group_rows + i;
        var value = 0.0;
        if p.zeros == 0u && row < p.batch { value = source[row * p.units_padded + unit]; }
        states[index + i] = value;
    }
}
