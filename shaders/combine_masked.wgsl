// Joins an array with another whose timesteps are masked: Multiply, Maximum and Minimum of masked
// arrays.

#import shared/flat
#import shared/nan

struct CombineMasked {
    values: u32,
    features: u32,
    features_padded: u32,
    source_features: u32,
    source_padded: u32,
    timesteps: u32,
    timesteps_padded: u32,
    // 0 store, 1 multiply, 2 maximum, 3 minimum, 4 zero where masked.
    operation: u32,
    has_source_mask: u32,
    has_destination_mask: u32,
}

@group(0) @binding(0) var<uniform> p: CombineMasked;
// [vector][source_padded]: a single feature is repeated.
@group(0) @binding(1) var<storage, read> source: array<f32>;
// [vectors of timesteps][timesteps_padded]: 1 where the value counts.
@group(0) @binding(2) var<storage, read> source_mask: array<f32>;
// The same.
@group(0) @binding(3) var<storage, read> destination_mask: array<f32>;
// [vector][features_padded]
@group(0) @binding(4) var<storage, read_write> destination: array<f32>;


@compute @workgroup_size(WORKGROUP)
fn combine_masked(invocation: Invocation) {
    let index = flat(invocation);
    if index >= p.values { return; }
    let vector = index / p.features;
    let feature = index % p.features;
    let to = vector * p.features_padded + feature;
    let mask_place = vector / p.timesteps * p.timesteps_padded + vector % p.timesteps;
    var source_counts = true;
    var destination_counts = true;
    if p.has_source_mask == 1u { source_counts = source_mask[mask_place] > 0.5; }
    if p.has_destination_mask == 1u { destination_counts = destination_mask[mask_place] > 0.5; }
    var old = destination[to];
    if p.operation == 4u {
        destination[to] = select(0.0, old, destination_counts);
        return;
    }
    let value = source[vector * p.source_padded + min(feature, p.source_features - 1u)];
    if p.operation == 0u {
        destination[to] = select(1.0, value, source_counts);
    } else if p.operation == 1u {
        destination[to] = old * select(1.0, value, source_counts);
    } else {
        let other = select(old, value, source_counts);
        old = select(other, old, destination_counts);
        let better = select((other < old), (other > old), p.operation == 2u);
        destination[to] = select(old, other, !is_nan(old) && (better || is_nan(other)));
    }
}
