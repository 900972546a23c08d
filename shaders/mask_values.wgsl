// mask = 1 where a feature of the vector differs from the mask's value, otherwise 0.

#import shared/flat
#import shared/differs

struct MaskValues {
    vectors: u32,
    features: u32,
    features_padded: u32,
    timesteps: u32,
    mask_padded: u32,
    mask_value: f32,
}

@group(0) @binding(0) var<uniform> p: MaskValues;
// [row][timestep][features_padded]
@group(0) @binding(1) var<storage, read> x: array<f32>;
// [row][timesteps, filled up to a multiple of 4]
@group(0) @binding(2) var<storage, read_write> mask: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn mask_values(invocation: Invocation) {
    let vector = flat(invocation);
    if vector >= p.vectors { return; }
    var counts = false;
    for (var i = 0u; i < p.features; i++) {
        counts = counts || differs(x[vector * p.features_padded + i], p.mask_value);
    }
    mask[vector / p.timesteps * p.mask_padded + vector % p.timesteps] = select(0.0, 1.0, counts);
}
