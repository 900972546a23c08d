// Brings what directions computed in a chunk of steps to its place in an output: for merge.wgsl and
// merge_last.wgsl.

#import shared/invocation

struct Direction {
    // Where this direction starts in states.
    start: u32,
    // Where the mask has its first step; NO_MASK: the layer's input has no mask.
    mask_start: u32,
    // Its first feature in the output.
    first_feature: u32,
    // 1: step s is timestep timesteps - 1 - s, otherwise s.
    reversed: u32,
}

struct Merge {
    batch: u32,
    groups: u32,
    units: u32,
    // The slots of the ring, and the slot of the chunk's first step.
    slots: u32,
    first_slot: u32,
    // Steps before this chunk, and timesteps of the whole sequence.
    first_step: u32,
    timesteps: u32,
    segment_start: u32,
    segment_timesteps: u32,
    features_padded: u32,
    // 0 store, 1 sum, 2 mul, 3 ave.
    mode: u32,
    // The other direction has already written its steps below this one.
    written_below: u32,
    // Rows of the batch in a group: 1 or 4.
    group_rows: u32,
    // Of workgroups z below groups, and of those from there on.
    first_start: u32,
    first_mask_start: u32,
    first_feature: u32,
    first_reversed: u32,
    second_start: u32,
    second_mask_start: u32,
    second_first_feature: u32,
    second_reversed: u32,
    // Of merge_last: the chunk's steps, units filled up to a multiple of 4, and where each final
    // state starts in states.
    steps: u32,
    units_padded: u32,
    start_0: u32,
    start_1: u32,
    start_2: u32,
    start_3: u32,
}

const NO_MASK: u32 = 0xffffffffu;

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

fn direction(second: bool) -> Direction {
    if second {
        return Direction(
            p.second_start,
            p.second_mask_start,
            p.second_first_feature,
            p.second_reversed,
        );
    }
    return Direction(p.first_start, p.first_mask_start, p.first_feature, p.first_reversed);
}

// One unit of a step of the chunk; the groups of the second direction follow those of the first.
fn merge_unit(unit: u32, chunk_step: u32, direction_group: u32) {
    let step = p.first_step + chunk_step;
    let second = direction_group >= p.groups;
    let group = direction_group - select(0u, p.groups, second);
    let part = direction(second);
    let slot = (p.first_slot + chunk_step) % p.slots;
    let state = part.start + ((slot * p.groups + group) * p.units + unit) * p.group_rows;
    let code = part.mask_start + (chunk_step * p.groups + group) * p.group_rows;

    let from_end = p.timesteps - 1u - step;
    let t = select(step, from_end, part.reversed == 1u) - p.segment_start;
    // The other direction writes this timestep at its step `from_end`.
    let merged = p.mode != 0u && from_end < p.written_below;
    let rows = min(p.group_rows, p.batch - group * p.group_rows);
    for (var i = 0u; i < rows; i++) {
        var value = states[state + i];
        if part.mask_start != NO_MASK && states[code + i] < 0.5 { value = 0.0; }
        let row = group * p.group_rows + i;
        let vector = row * p.segment_timesteps + t;
        write(vector * p.features_padded + part.first_feature + unit, value, merged);
    }
}
