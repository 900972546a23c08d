// The largest value or the mean of each feature over windows of timesteps or of pixels.

#import shared/flat
#import shared/nan
#import shared/windows

struct Pool {
    // Output vectors in all.
    vectors: u32,
    features4: u32,
    // 0 maximum, 1 mean.
    mean: u32,
    masked: u32,
    // Windows over lines, such as the rows of an image, and along each line; of a sequence there is
    // one line. Nothing is spread.
    down: Windows,
    across: Windows,
}

@group(0) @binding(0) var<uniform> p: Pool;
// [row][line][place in it][features4]
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
// [row][line][places in it, filled up to a multiple of 4]: 1 where it counts for the mean.
@group(0) @binding(2) var<storage, read> mask: array<f32>;
// [row][output line][output place in it][features4]
@group(0) @binding(3) var<storage, read_write> output: array<vec4<f32>>;

// The largest value of a window that holds nothing.
const LOWEST: f32 = -3.4028234e38;

fn larger(old: vec4<f32>, value: vec4<f32>) -> vec4<f32> {
    return select(old, value, are_nan(value) | (value > old));
}

@compute @workgroup_size(WORKGROUP)
fn pool(invocation: Invocation) {
    let index = flat(invocation);
    if index >= p.vectors * p.features4 { return; }
    let feature4 = index % p.features4;
    let vector = index / p.features4;
    let line = vector / p.across.outputs;
    let row = line / p.down.outputs;
    let mask_stride = (p.across.length + 3u) & 0xfffffffcu;
    var largest = vec4(LOWEST);
    var sum = vec4(0.0);
    var count = 0.0;
    var found = false;
    for (var i = 0u; i < p.down.size; i++) {
        let y = held(p.down, line % p.down.outputs, i);
        if y == p.down.length { continue; }
        let in_line = row * p.down.length + y;
        for (var j = 0u; j < p.across.size; j++) {
            let place = held(p.across, vector % p.across.outputs, j);
            if place == p.across.length { continue; }
            let value = x[(in_line * p.across.length + place) * p.features4 + feature4];
            largest = select(value, larger(largest, value), found);
            found = true;
            if p.masked == 0u || mask[in_line * mask_stride + place] > 0.5 {
                sum += value;
                count += 1.0;
            }
        }
    }
    output[index] = select(largest, sum / count, p.mean == 1u);
}
