// Writes what one direction computed in a chunk of steps into its place in an output, merged with what the other
// direction wrote there before. With one step it writes a final state or the last output.
//
//   states  as recurrence.wgsl has them: [slot][group][unit][row of the group] from states_start on, the hidden ring, or
//           the cell state as a ring of one slot; [step][group][row of the group] from mask_start on, 0 where the output
//           is zero
//   output  [batch][timesteps of the segment][features_padded]

struct Merge {
    batch: u32,
    groups: u32,
    units: u32,
    // Where this direction starts in states, its slots, and the slot of the chunk's first step.
    states_start: u32,
    slots: u32,
    first_slot: u32,
    // Steps before this chunk, and timesteps of the whole sequence.
    first_step: u32,
    timesteps: u32,
    // 1: step s is timestep timesteps - 1 - s, otherwise s.
    reversed: u32,
    segment_start: u32,
    segment_timesteps: u32,
    features_padded: u32,
    // The direction's first feature in the output.
    first_feature: u32,
    // 0 store, 1 sum, 2 mul, 3 ave.
    mode: u32,
    // The other direction has already written its steps below this one.
    written_below: u32,
    // Where the mask has this direction's first step; NO_MASK: the layer's input has no mask.
    mask_start: u32,
    // Rows of the batch in a group: 1 or 4.
    group_rows: u32,
}

const NO_MASK: u32 = 0xffffffffu;

@group(0) @binding(0) var<uniform> p: Merge;
@group(0) @binding(1) var<storage, read> states: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

override WORKGROUP: u32 = 64u;

fn write(index: u32, value: f32, merged: bool) {
    if !merged {
        output[index] = value;
    } else if p.mode == 1u {
        output[index] = output[index] + value;
    } else if p.mode == 2u {
        output[index] = output[index] * value;
    } else {
        output[index] = (output[index] + value) * 0.5;
    }
}

@compute @workgroup_size(WORKGROUP)
fn merge(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let unit = workgroup.x * WORKGROUP + lane;
    if unit >= p.units { return; }
    let step = p.first_step + workgroup.y;
    let group = workgroup.z;
    let slot = (p.first_slot + workgroup.y) % p.slots;
    let state = p.states_start + ((slot * p.groups + group) * p.units + unit) * p.group_rows;
    let code = p.mask_start + (workgroup.y * p.groups + group) * p.group_rows;

    let from_end = p.timesteps - 1u - step;
    let t = select(step, from_end, p.reversed == 1u) - p.segment_start;
    // The other direction writes this timestep at its step `from_end`.
    let merged = p.mode != 0u && from_end < p.written_below;
    let rows = min(p.group_rows, p.batch - group * p.group_rows);
    for (var i = 0u; i < rows; i++) {
        var value = states[state + i];
        if p.mask_start != NO_MASK && states[code + i] < 0.5 { value = 0.0; }
        let row = group * p.group_rows + i;
        write((row * p.segment_timesteps + t) * p.features_padded + p.first_feature + unit, value, merged);
    }
}
