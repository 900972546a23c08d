// Writes up to three final states of directions to where they are returned, and to where the next
// call finds them.

#import shared/invocation

struct FinalStates {
    batch: u32,
    // Rows of the batch in a group: 1 or 4.
    group_rows: u32,
    units: u32,
    // Units filled up to a multiple of 4.
    units_padded: u32,
    start_0: u32,
    start_1: u32,
    start_2: u32,
}

@group(0) @binding(0) var<uniform> p: FinalStates;
// As recurrence.wgsl has them: each state is [group][unit][row of the group] from its start on.
@group(0) @binding(1) var<storage, read> states: array<f32>;
// [batch][units_padded], of workgroups y = 0; the next two of y = 1 and 2.
@group(0) @binding(2) var<storage, read_write> target_0: array<f32>;
@group(0) @binding(3) var<storage, read_write> target_1: array<f32>;
@group(0) @binding(4) var<storage, read_write> target_2: array<f32>;

override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn final_states(invocation: Invocation) {
    let unit = invocation.workgroup.x * WORKGROUP + invocation.lane;
    if unit >= p.units { return; }
    let group = invocation.workgroup.z;
    let starts = vec3(p.start_0, p.start_1, p.start_2);
    let state = starts[invocation.workgroup.y] + (group * p.units + unit) * p.group_rows;
    let rows = min(p.group_rows, p.batch - group * p.group_rows);
    for (var i = 0u; i < rows; i++) {
        let index = (group * p.group_rows + i) * p.units_padded + unit;
        let value = states[state + i];
        switch invocation.workgroup.y {
            case 0u: { target_0[index] = value; }
            case 1u: { target_1[index] = value; }
            default: { target_2[index] = value; }
        }
    }
}
