// What the mask of a layer's input means for each step of a chunk, for all directions: as step
// kernels and merge read it.
//
// An invocation follows a row of one direction through the steps. Rows: the batch, filled up to
// whole groups.

#import shared/invocation

struct StepMask {
    batch: u32,
    rows: u32,
    mask_padded: u32,
    // Steps before this chunk, and in it.
    first_step: u32,
    steps: u32,
    timesteps: u32,
    // Bit d: direction d reads time from the end.
    reversed: u32,
    // 1: masked outputs are zero; 0: they repeat the one before, and only those before any are
    // zero.
    zero_output: u32,
    mask_start: u32,
    // Where the first direction stands among those of seen and states.
    first_direction: u32,
}

@group(0) @binding(0) var<uniform> p: StepMask;
// [batch][timesteps, filled up to a multiple of 4]: 1 where the timestep counts.
@group(0) @binding(1) var<storage, read> mask: array<f32>;
// [direction][row]: whether a timestep before this chunk counted.
@group(0) @binding(2) var<storage, read_write> seen: array<f32>;
// As recurrence.wgsl has them: from mask_start on [direction][step][row]: 2 where the timestep
// counts; 1 where it doesn't, and the output repeats the last one; 0 where it doesn't, and the
// output is zero.
@group(0) @binding(3) var<storage, read_write> states: array<f32>;

override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn step_mask(invocation: Invocation) {
    let row = invocation.workgroup.x * WORKGROUP + invocation.lane;
    if row >= p.rows { return; }
    let from_end = ((p.reversed >> invocation.workgroup.y) & 1u) == 1u;
    let direction = p.first_direction + invocation.workgroup.y;
    let state = direction * p.rows + row;
    let mask_start = min(row, p.batch - 1u) * p.mask_padded;
    var before = 0.0;
    if p.first_step > 0u { before = seen[state]; }
    for (var s = 0u; s < p.steps; s++) {
        let t = select(p.first_step + s, p.timesteps - 1u - p.first_step - s, from_end);
        let now = mask[mask_start + t];
        before = max(before, now);
        let masked_code = select(before, 0.0, p.zero_output == 1u);
        let place = p.mask_start + (direction * p.steps + s) * p.rows + row;
        states[place] = select(masked_code, 2.0, now > 0.5);
    }
    seen[state] = before;
}
