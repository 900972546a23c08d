// output = the values weighted by the softmax of the scores.

#import shared/flat

struct AttentionApply {
    values: u32,
    heads: u32,
    queries: u32,
    keys: u32,
    // Features of a head.
    size: u32,
    value_padded: u32,
    weights_padded: u32,
    output_padded: u32,
    masked: u32,
    mask_padded: u32,
}

@group(0) @binding(0) var<uniform> p: AttentionApply;
// [row][head][query timestep][weights_padded]
@group(0) @binding(1) var<storage, read> weights: array<f32>;
// [row][key timestep][value_padded]: head h has the features from h · size on.
@group(0) @binding(2) var<storage, read> value: array<f32>;
// [row][timesteps, filled up to a multiple of 4]: the output is zero where it is 0.
@group(0) @binding(3) var<storage, read> query_mask: array<f32>;
// [row][query timestep][output_padded]: heads side by side.
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn attention_apply(invocation: Invocation) {
    let index = flat(invocation);
    if index >= p.values { return; }
    let feature = index % (p.heads * p.size);
    let vector = index / (p.heads * p.size);
    let q = vector % p.queries;
    let row = vector / p.queries;
    let weight = ((row * p.heads + feature / p.size) * p.queries + q) * p.weights_padded;
    var sum = 0.0;
    for (var k = 0u; k < p.keys; k++) {
        sum += weights[weight + k] * value[(row * p.keys + k) * p.value_padded + feature];
    }
    if p.masked == 1u && query_mask[row * p.mask_padded + q] < 0.5 { sum = 0.0; }
    output[vector * p.output_padded + feature] = sum;
}
