// output = activation(Σ windows x·kernel + bias), where each part of the features reaches its part
// of the columns alone. An invocation computes four columns of a vector.

#import shared/flat
#import shared/activations
#import shared/windows

struct GroupedConvolution {
    // Output vectors in all.
    vectors: u32,
    columns: u32,
    // Of a group.
    features: u32,
    columns_of_group: u32,
    // What the last axis of x is filled up to.
    features_padded: u32,
    columns4: u32,
    // The struct below starts at a multiple of 16 bytes.
    unused0: u32,
    unused1: u32,
    // Windows over lines, such as the rows of an image, and along each line; of a sequence there is
    // one line.
    down: Windows,
    across: Windows,
}

@group(0) @binding(0) var<uniform> p: GroupedConvolution;
// [row][line][place in it][features_padded]
@group(0) @binding(1) var<storage, read> x: array<f32>;
// [tap][feature of the group][columns4]
@group(0) @binding(2) var<storage, read> kernel: array<vec4<f32>>;
// [columns4]
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
// [row][output line][output place in it][columns4]
@group(0) @binding(4) var<storage, read_write> output: array<vec4<f32>>;

// The number of the activation in activations.wgsl, and its parameters.
override ACTIVATION: u32 = 1u;
override ACTIVATION_ALPHA: f32 = 0.0;
override ACTIVATION_BETA: f32 = 0.0;

@compute @workgroup_size(WORKGROUP)
fn grouped_convolution(invocation: Invocation) {
    let index = flat(invocation);
    if index >= p.vectors * p.columns4 { return; }
    let column4 = index % p.columns4;
    let vector = index / p.columns4;
    let window = vector % p.across.outputs;
    let line = vector / p.across.outputs;
    let row = line / p.down.outputs;
    let columns = vec4(column4 * 4u) + vec4(0u, 1u, 2u, 3u);
    // Columns past the last read what the last one does, and come out as zero.
    let groups = min(columns, vec4(p.columns - 1u)) / p.columns_of_group;
    let first = groups * p.features;
    let same = groups.x == groups.w;
    var sum = bias[column4];
    for (var tap_y = 0u; tap_y < p.down.size; tap_y++) {
        let y = held(p.down, line % p.down.outputs, tap_y);
        if y == p.down.length { continue; }
        for (var tap_x = 0u; tap_x < p.across.size; tap_x++) {
            let x_place = held(p.across, window, tap_x);
            if x_place == p.across.length { continue; }
            let place = (row * p.down.length + y) * p.across.length + x_place;
            let start = first + place * p.features_padded;
            let weights = (tap_y * p.across.size + tap_x) * p.features * p.columns4 + column4;
            for (var i = 0u; i < p.features; i++) {
                var values = vec4(x[start.x + i]);
                if !same {
                    values = vec4(values.x, x[start.y + i], x[start.z + i], x[start.w + i]);
                }
                sum = fma(values, kernel[weights + i * p.columns4], sum);
            }
        }
    }
    let value = activate(ACTIVATION, ACTIVATION_ALPHA, ACTIVATION_BETA, sum);
    output[vector * p.columns4 + column4] = select(vec4(0.0), value, columns < vec4(p.columns));
}
