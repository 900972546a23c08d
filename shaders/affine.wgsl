// output = x · scale + shift (BatchNormalization), or x above zero and x · scale below (PReLU),
// with weights that go along some axes.

#import shared/flat

struct Affine {
    values: u32,
    features: u32,
    features_padded: u32,
    axis1: u32,
    axis2: u32,
    stride0: u32,
    stride1: u32,
    stride2: u32,
    stride3: u32,
    // 1: PReLU, without shift.
    prelu: u32,
}

@group(0) @binding(0) var<uniform> p: Affine;
// [axis 0][axis 1][axis 2][axis 3], the last axis filled up to a multiple of 4.
@group(0) @binding(1) var<storage, read> x: array<f32>;
// The weight of a value stands at the sum of its indices times the strides.
@group(0) @binding(2) var<storage, read> scale: array<f32>;
// The same.
@group(0) @binding(3) var<storage, read> shift: array<f32>;
// As x.
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn affine(invocation: Invocation) {
    let index = flat(invocation);
    if index >= p.values { return; }
    let feature = index % p.features;
    let vector = index / p.features;
    let i2 = vector % p.axis2;
    let i1 = (vector / p.axis2) % p.axis1;
    let i0 = vector / (p.axis2 * p.axis1);
    let weight = i0 * p.stride0 + i1 * p.stride1 + i2 * p.stride2 + feature * p.stride3;
    let place = vector * p.features_padded + feature;
    let value = x[place];
    if p.prelu == 1u {
        output[place] = select(value, value * scale[weight], value < 0.0);
    } else {
        output[place] = value * scale[weight] + shift[weight];
    }
}
