// The largest value or the mean of each window of timesteps.

#import shared/flat

struct Pool {
    // Output vectors in all, and of a row.
    vectors: u32,
    outputs: u32,
    timesteps: u32,
    features4: u32,
    pool_size: u32,
    strides: u32,
    // Timesteps missing before the first.
    before: u32,
    // 0 maximum, 1 mean.
    mean: u32,
    masked: u32,
    mask_padded: u32,
}

@group(0) @binding(0) var<uniform> p: Pool;
// [row][timestep][features4]
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
// [row][timesteps, filled up to a multiple of 4]: 1 where the timestep counts for the mean.
@group(0) @binding(2) var<storage, read> mask: array<f32>;
// [row][output timestep][features4]
@group(0) @binding(3) var<storage, read_write> output: array<vec4<f32>>;

fn larger(old: vec4<f32>, value: vec4<f32>) -> vec4<f32> {
    let is_nan = (bitcast<vec4<u32>>(value) & vec4(0x7fffffffu)) > vec4(0x7f800000u);
    return select(old, value, is_nan | (value > old));
}

@compute @workgroup_size(WORKGROUP)
fn pool(invocation: Invocation) {
    let index = flat(invocation);
    if index >= p.vectors * p.features4 { return; }
    let feature4 = index % p.features4;
    let vector = index / p.features4;
    let row = vector / p.outputs;
    let first = vector % p.outputs * p.strides;
    // The window without what lies outside the sequence.
    let start = max(first, p.before) - p.before;
    let end = min(first + p.pool_size - p.before, p.timesteps);
    var largest = x[(row * p.timesteps + start) * p.features4 + feature4];
    var sum = vec4(0.0);
    var count = 0.0;
    for (var t = start; t < end; t++) {
        let value = x[(row * p.timesteps + t) * p.features4 + feature4];
        largest = larger(largest, value);
        if p.masked == 0u || mask[row * p.mask_padded + t] > 0.5 {
            sum += value;
            count += 1.0;
        }
    }
    output[index] = select(largest, sum / count, p.mean == 1u);
}
