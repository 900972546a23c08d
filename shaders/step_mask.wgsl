// What the mask of a layer's input means for each step of a chunk, for all directions: as step kernels and merge read it.
//
//   mask        [batch][timesteps, filled up to a multiple of 4]: 1 where the timestep counts
//   seen        [direction][batch4]: whether a timestep before this chunk counted
//   codes       [direction][step][batch4]: 2 the timestep counts; 1 it doesn't, and the output repeats the last one;
//               0 it doesn't, and the output is zero
//
// An invocation follows four batch rows of one direction through the steps.

struct StepMask {
    batch: u32,
    batch4: u32,
    mask_padded: u32,
    // Steps before this chunk, and in it.
    first_step: u32,
    steps: u32,
    timesteps: u32,
    // Bit d: direction d reads time from the end.
    reversed: u32,
    // 1: masked outputs are zero; 0: they repeat the one before, and only those before any are zero.
    zero_output: u32,
}

@group(0) @binding(0) var<uniform> p: StepMask;
@group(0) @binding(1) var<storage, read> mask: array<f32>;
@group(0) @binding(2) var<storage, read_write> seen: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> codes: array<vec4<f32>>;

override WORKGROUP: u32 = 64u;

fn counts(row: u32, t: u32) -> f32 {
    return mask[min(row, p.batch - 1u) * p.mask_padded + t];
}

@compute @workgroup_size(WORKGROUP)
fn step_mask(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row4 = workgroup.x * WORKGROUP + lane;
    if row4 >= p.batch4 { return; }
    let direction = workgroup.y;
    let from_end = ((p.reversed >> direction) & 1u) == 1u;
    let state = direction * p.batch4 + row4;
    var before = vec4(0.0);
    if p.first_step > 0u { before = seen[state]; }
    let row = row4 * 4u;
    for (var s = 0u; s < p.steps; s++) {
        let t = select(p.first_step + s, p.timesteps - 1u - p.first_step - s, from_end);
        let now = vec4(counts(row, t), counts(row + 1u, t), counts(row + 2u, t), counts(row + 3u, t));
        before = max(before, now);
        let masked_code = select(before, vec4(0.0), p.zero_output == 1u);
        codes[(direction * p.steps + s) * p.batch4 + row4] = select(masked_code, vec4(2.0), now > vec4(0.5));
    }
    seen[state] = before;
}
