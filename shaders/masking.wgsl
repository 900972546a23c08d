// output = x, and zero where all features of a vector have the mask's value.

#import shared/flat
#import shared/differs

struct Masking {
    vectors: u32,
    features: u32,
    features_padded: u32,
    mask_value: f32,
}

@group(0) @binding(0) var<uniform> p: Masking;
// [vector][features_padded]
@group(0) @binding(1) var<storage, read> x: array<f32>;
// The same.
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn masking(invocation: Invocation) {
    let vector = flat(invocation);
    if vector >= p.vectors { return; }
    let start = vector * p.features_padded;
    var counts = false;
    for (var i = 0u; i < p.features; i++) {
        counts = counts || differs(x[start + i], p.mask_value);
    }
    for (var i = 0u; i < p.features; i++) { output[start + i] = select(0.0, x[start + i], counts); }
}
