// merge.wgsl of a sequence's last chunk, and what final_states.wgsl does of up to four states, in
// one dispatch: for devices that bind six storage buffers.

#import shared/merge_unit

@group(0) @binding(0) var<uniform> p: Merge;
// As recurrence.wgsl has them: the ring of hidden states, [slot][group][unit][row of the group]
// from a direction's start on; [step][group][row of the group] from its mask_start on, 0 where the
// output is zero.
@group(0) @binding(1) var<storage, read> states: array<f32>;
// [batch][timesteps of the segment][features_padded]
@group(0) @binding(2) var<storage, read_write> output: array<f32>;
// [batch][units_padded], of workgroups y from the chunk's steps on.
@group(0) @binding(3) var<storage, read_write> state_0: array<f32>;
@group(0) @binding(4) var<storage, read_write> state_1: array<f32>;
@group(0) @binding(5) var<storage, read_write> state_2: array<f32>;
@group(0) @binding(6) var<storage, read_write> state_3: array<f32>;

fn final_state(index: u32, unit: u32, group: u32) {
    let starts = vec4(p.start_0, p.start_1, p.start_2, p.start_3);
    let start = starts[index] + (group * p.units + unit) * p.group_rows;
    let rows = min(p.group_rows, p.batch - group * p.group_rows);
    for (var i = 0u; i < rows; i++) {
        let to = (group * p.group_rows + i) * p.units_padded + unit;
        let value = states[start + i];
        switch index {
            case 0u: { state_0[to] = value; }
            case 1u: { state_1[to] = value; }
            case 2u: { state_2[to] = value; }
            default: { state_3[to] = value; }
        }
    }
}

@compute @workgroup_size(WORKGROUP)
fn merge_last(invocation: Invocation) {
    let unit = invocation.workgroup.x * WORKGROUP + invocation.lane;
    if unit >= p.units { return; }
    if invocation.workgroup.y < p.steps {
        merge_unit(unit, invocation.workgroup.y, invocation.workgroup.z);
    } else if invocation.workgroup.z < p.groups {
        final_state(invocation.workgroup.y - p.steps, unit, invocation.workgroup.z);
    }
}
