// output = activation(Σ windows x·kernel + bias), where each part of the features reaches its part
// of the columns alone. An invocation computes a value.

#import shared/flat
#import shared/activations
#import shared/windows

struct GroupedConvolution {
    values: u32,
    columns: u32,
    // Of a group.
    features: u32,
    columns_of_group: u32,
    // What the last axes of x and of the output are filled up to.
    features_padded: u32,
    columns_padded: u32,
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
// [tap][feature of the group][column]
@group(0) @binding(2) var<storage, read> kernel: array<f32>;
// [column]
@group(0) @binding(3) var<storage, read> bias: array<f32>;
// [row][output line][output place in it][columns_padded]
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

// The number of the activation in activations.wgsl, and its parameters.
override ACTIVATION: u32 = 1u;
override ACTIVATION_ALPHA: f32 = 0.0;
override ACTIVATION_BETA: f32 = 0.0;

@compute @workgroup_size(WORKGROUP)
fn grouped_convolution(invocation: Invocation) {
    let index = flat(invocation);
    if index >= p.values { return; }
    let column = index % p.columns;
    let vector = index / p.columns;
    let window = vector % p.across.outputs;
    let line = vector / p.across.outputs;
    let row = line / p.down.outputs;
    let first_feature = column / p.columns_of_group * p.features;
    var sum = bias[column];
    for (var tap_y = 0u; tap_y < p.down.size; tap_y++) {
        let y = held(p.down, line % p.down.outputs, tap_y);
        if y == p.down.length { continue; }
        for (var tap_x = 0u; tap_x < p.across.size; tap_x++) {
            let x_place = held(p.across, window, tap_x);
            if x_place == p.across.length { continue; }
            let place = (row * p.down.length + y) * p.across.length + x_place;
            let start = place * p.features_padded + first_feature;
            let tap = tap_y * p.across.size + tap_x;
            for (var i = 0u; i < p.features; i++) {
                sum = fma(x[start + i], kernel[(tap * p.features + i) * p.columns + column], sum);
            }
        }
    }
    let value = activate(ACTIVATION, ACTIVATION_ALPHA, ACTIVATION_BETA, vec4(sum)).x;
    output[vector * p.columns_padded + column] = value;
}
