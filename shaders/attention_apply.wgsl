// output = the values weighted by the softmax of the scores. An invocation computes four features
// of four queries.

#import shared/flat
#import shared/quads

struct AttentionApply {
    rows: u32,
    heads: u32,
    queries: u32,
    keys: u32,
    // Features of a head.
    size: u32,
    // From a query to the next, in vectors; so the next ones, from timestep to timestep.
    keys4: u32,
    value4: u32,
    output4: u32,
    masked: u32,
    mask_padded: u32,
}

@group(0) @binding(0) var<uniform> p: AttentionApply;
// [row][head][query timestep][keys4]
@group(0) @binding(1) var<storage, read> weights: array<vec4<f32>>;
// [row][key timestep][value4]: head h has the features from h · size on.
@group(0) @binding(2) var<storage, read> value: array<vec4<f32>>;
// [row][timesteps, filled up to a multiple of 4]: the output is zero where it is 0.
@group(0) @binding(3) var<storage, read> query_mask: array<f32>;
// [row][query timestep][output4]: heads side by side.
@group(0) @binding(4) var<storage, read_write> output: array<vec4<f32>>;

// Adds four keys' weights times their values: values[i] are those of the i-th.
fn added(sum: vec4<f32>, weights: vec4<f32>, values: mat4x4<f32>) -> vec4<f32> {
    let low = fma(vec4(weights.y), values[1], fma(vec4(weights.x), values[0], sum));
    return fma(vec4(weights.w), values[3], fma(vec4(weights.z), values[2], low));
}

struct Sums {
    s0: vec4<f32>,
    s1: vec4<f32>,
    s2: vec4<f32>,
    s3: vec4<f32>,
}

// The sums of four features of a head, of four queries.
fn sums_of(row: u32, head: u32, q: u32, feature4: u32) -> Sums {
    // Queries and keys past the last are computed as the last; the latter don't count.
    let four = vec4(0u, 1u, 2u, 3u);
    let of_queries = min(vec4(q) + four, vec4(p.queries - 1u));
    let first = (vec4((row * p.heads + head) * p.queries) + of_queries) * p.keys4;
    var sums = Sums(vec4(0.0), vec4(0.0), vec4(0.0), vec4(0.0));
    for (var k4 = 0u; k4 < p.keys4; k4++) {
        let left = p.keys - k4 * 4u;
        let of_keys = vec4(row * p.keys) + min(vec4(k4 * 4u) + four, vec4(p.keys - 1u));
        let places = of_keys * p.value4 + feature4;
        let values = mat4x4<f32>(
            value[places.x],
            select(vec4(0.0), value[places.y], left > 1u),
            select(vec4(0.0), value[places.z], left > 2u),
            select(vec4(0.0), value[places.w], left > 3u),
        );
        sums.s0 = added(sums.s0, first_of(weights[first.x + k4], left), values);
        sums.s1 = added(sums.s1, first_of(weights[first.y + k4], left), values);
        sums.s2 = added(sums.s2, first_of(weights[first.z + k4], left), values);
        sums.s3 = added(sums.s3, first_of(weights[first.w + k4], left), values);
    }
    return sums;
}

fn store(sum: vec4<f32>, row: u32, q: u32, feature4: u32) {
    if q >= p.queries { return; }
    let hidden = p.masked == 1u && query_mask[row * p.mask_padded + q] < 0.5;
    // What fills the features up is zero.
    let values = first_of(sum, p.heads * p.size - feature4 * 4u);
    output[(row * p.queries + q) * p.output4 + feature4] = select(values, vec4(0.0), hidden);
}

@compute @workgroup_size(WORKGROUP)
fn attention_apply(invocation: Invocation) {
    let index = flat(invocation);
    let queries4 = (p.queries + 3u) / 4u;
    if index >= p.rows * queries4 * p.output4 { return; }
    let feature4 = index % p.output4;
    let q = index / p.output4 % queries4 * 4u;
    let row = index / (p.output4 * queries4);
    // The heads of the first of the features and of the last; of heads of fewer than four features
    // there may be others between them.
    let last = min(feature4 * 4u + 3u, p.heads * p.size - 1u) / p.size;
    var sums = Sums(vec4(0.0), vec4(0.0), vec4(0.0), vec4(0.0));
    for (var head = feature4 * 4u / p.size; head <= last; head++) {
        let own = sums_of(row, head, q, feature4);
        let of_features = (vec4(feature4 * 4u) + vec4(0u, 1u, 2u, 3u)) / p.size;
        let is_own = of_features == vec4(head);
        sums.s0 = select(sums.s0, own.s0, is_own);
        sums.s1 = select(sums.s1, own.s1, is_own);
        sums.s2 = select(sums.s2, own.s2, is_own);
        sums.s3 = select(sums.s3, own.s3, is_own);
    }
    store(sums.s0, row, q, feature4);
    store(sums.s1, row, q + 1u, feature4);
    store(sums.s2, row, q + 2u, feature4);
    store(sums.s3, row, q + 3u, feature4);
}
