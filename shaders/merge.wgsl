// Writes what one direction computed in a chunk of steps into its place in an output, merged with what the other
// direction wrote there before. With one step it writes a final state or the last output.
//
//   states  [slot][unit][batch4] from states_start on: the hidden ring, or the cell state as a ring of one slot
//   step_mask  [step][batch4] from mask_start on: 0 where the output is zero
//   output  [batch][timesteps of the segment][features_padded]

struct Merge {
    batch: u32,
    batch4: u32,
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
    // Where step_mask has this direction's first step; NO_MASK: the layer's input has no mask.
    mask_start: u32,
}

const NO_MASK: u32 = 0xffffffffu;

@group(0) @binding(0) var<uniform> p: Merge;
@group(0) @binding(1) var<storage, read> states: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> step_mask: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

override WORKGROUP: u32 = 64u;

fn write(row: u32, index: u32, value: f32, merged: bool) {
    if row >= p.batch { return; }
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
    let row4 = workgroup.z;
    let slot = (p.first_slot + workgroup.y) % p.slots;
    var value = states[p.states_start + (slot * p.units + unit) * p.batch4 + row4];
    if p.mask_start != NO_MASK {
        let code = step_mask[p.mask_start + workgroup.y * p.batch4 + row4];
        value = select(vec4(0.0), value, code > vec4(0.5));
    }

    let from_end = p.timesteps - 1u - step;
    let t = select(step, from_end, p.reversed == 1u) - p.segment_start;
    // The other direction writes this timestep at its step `from_end`.
    let merged = p.mode != 0u && from_end < p.written_below;
    let row = row4 * 4u;
    let stride = p.segment_timesteps * p.features_padded;
    let index = row * stride + t * p.features_padded + p.first_feature + unit;
    write(row, index, value.x, merged);
    write(row + 1u, index + stride, value.y, merged);
    write(row + 2u, index + 2u * stride, value.z, merged);
    write(row + 3u, index + 3u * stride, value.w, merged);
}
