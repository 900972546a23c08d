// merge.wgsl of a sequence's last chunk, and what final_states.wgsl does of up to four states, in
// one dispatch: for devices that bind six storage buffers. Stands after merge_unit.wgsl.
//
//   state_0 to state_3  [batch][units_padded], of workgroups y from the chunk's steps on

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
fn merge_last(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let unit = workgroup.x * WORKGROUP + lane;
    if unit >= p.units { return; }
    if workgroup.y < p.steps {
        merge_unit(unit, workgroup.y, workgroup.z);
    } else if workgroup.z < p.groups {
        final_state(workgroup.y - p.steps, unit, workgroup.z);
    }
}
