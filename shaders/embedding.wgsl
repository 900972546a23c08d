// output = the row of the table for each id.

#import shared/flat

struct Embedding {
    places: u32,
    // The last axis of the ids, and what it is filled up to.
    ids: u32,
    ids_padded: u32,
    features4: u32,
    input_dim: u32,
}

@group(0) @binding(0) var<uniform> p: Embedding;
// [vector of ids][ids_padded]
@group(0) @binding(1) var<storage, read> ids: array<f32>;
// [id][features4]
@group(0) @binding(2) var<storage, read> table: array<vec4<f32>>;
// [place of the id][features4]
@group(0) @binding(3) var<storage, read_write> output: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP)
fn embedding(invocation: Invocation) {
    let index = flat(invocation);
    if index >= p.places * p.features4 { return; }
    let place = index / p.features4;
    let id = ids[place / p.ids * p.ids_padded + place % p.ids];
    let row = u32(clamp(id, 0.0, f32(p.input_dim - 1u)));
    output[index] = table[row * p.features4 + index % p.features4];
}
