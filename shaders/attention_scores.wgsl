// How much each query attends to each key, before the softmax. An invocation computes the scores of
// four queries with four keys of a head, of which each vector that it loads serves four.

#import shared/flat
#import shared/activations
#import shared/quads

struct AttentionScores {
    rows: u32,
    heads: u32,
    queries: u32,
    keys: u32,
    // Features of a head.
    size: u32,
    // From a timestep to the next, in numbers.
    query_padded: u32,
    key_padded: u32,
    // From a query to the next, in vectors.
    keys4: u32,
    // 0: scale · Σ query · key
    // 1: Σ scale · tanh(query + key)
    // 2: scale[1] · Σ tanh(scale[0] · (query + key))
    // 3: Σ tanh(query + key)
    // 4: the scores are weights already, and masked ones become zero
    mode: u32,
    causal: u32,
    // What masked scores become: 0: the score less 1e9; 1: a number below any other; 2: -1e9.
    replace: u32,
    // Bit 0: query_mask counts here; bit 1: value_mask; bit 2: key_mask.
    masks: u32,
    query_mask_padded: u32,
    key_mask_padded: u32,
    // Multiplied to each query of mode 0 beforehand, and to the sums of the modes 1 to 3.
    query_factor: f32,
    // Whether there is a bias; from row to row, from head to head, from query to query and from key
    // to key in its numbers: 0 where it is repeated.
    has_bias: u32,
    bias_row: u32,
    bias_head: u32,
    bias_query: u32,
    bias_key: u32,
}

@group(0) @binding(0) var<uniform> p: AttentionScores;
// [row][query timestep][query_padded]: head h has the features from h · size on.
@group(0) @binding(1) var<storage, read> query: array<vec4<f32>>;
// [row][key timestep][key_padded]: the same.
@group(0) @binding(2) var<storage, read> key: array<vec4<f32>>;
// One number, two or one a feature, as the mode says.
@group(0) @binding(3) var<storage, read> scale: array<f32>;
// [row][timesteps, filled up to a multiple of 4]: 1 where it counts; so the next two.
@group(0) @binding(4) var<storage, read> query_mask: array<f32>;
@group(0) @binding(5) var<storage, read> value_mask: array<f32>;
@group(0) @binding(6) var<storage, read> key_mask: array<f32>;
// Added to the scores.
@group(0) @binding(7) var<storage, read> bias: array<f32>;
// [row][head][query timestep][keys4]
@group(0) @binding(8) var<storage, read_write> scores: array<vec4<f32>>;

// Four features of a query from a number on, of which so many are of its head.
fn query_features(number: u32, left: u32) -> vec4<f32> {
    let quad = number / 4u;
    var values = query[quad];
    // Features of heads that aren't of a multiple of four may stand across two vectors.
    if number % 4u != 0u {
        let next = query[min(quad + 1u, arrayLength(&query) - 1u)];
        values = four_from(values, next, number % 4u);
    }
    return first_of(values, left);
}

// The same of a key.
fn key_features(number: u32, left: u32) -> vec4<f32> {
    let quad = number / 4u;
    var values = key[quad];
    // Features of heads that aren't of a multiple of four may stand across two vectors.
    if number % 4u != 0u {
        let next = key[min(quad + 1u, arrayLength(&key) - 1u)];
        values = four_from(values, next, number % 4u);
    }
    return first_of(values, left);
}

// What a feature adds to the scores of a query with four keys.
fn of_sums(query: f32, keys: vec4<f32>, feature: u32) -> vec4<f32> {
    let both = vec4(query) + keys;
    if p.mode == 1u { return scale[feature] * tanh_exact(both); }
    if p.mode == 3u { return tanh_exact(both); }
    return tanh_exact(scale[0] * both);
}

// Adds what four features of a query make with those of four keys: features[i] are the keys' i-th.
fn added(sum: vec4<f32>, query: vec4<f32>, features: mat4x4<f32>, first: u32) -> vec4<f32> {
    if p.mode == 0u {
        let scaled = query * p.query_factor;
        let low = fma(vec4(scaled.y), features[1], fma(vec4(scaled.x), features[0], sum));
        return fma(vec4(scaled.w), features[3], fma(vec4(scaled.z), features[2], low));
    }
    var all = sum;
    var of_keys = features;
    for (var i = 0u; i < min(4u, p.size - first); i++) {
        all += of_sums(query[i], of_keys[i], first + i);
    }
    return all;
}

fn counts(row: u32, q: u32, k: u32) -> bool {
    if p.causal == 1u && k > q { return false; }
    if (p.masks & 1u) != 0u && query_mask[row * p.query_mask_padded + q] < 0.5 { return false; }
    if (p.masks & 2u) != 0u && value_mask[row * p.key_mask_padded + k] < 0.5 { return false; }
    if (p.masks & 4u) != 0u && key_mask[row * p.key_mask_padded + k] < 0.5 { return false; }
    return true;
}

// What becomes of a score.
fn masked(score: f32, row: u32, head: u32, q: u32, k: u32) -> f32 {
    // What fills the keys up is zero.
    if k >= p.keys { return 0.0; }
    let seen = counts(row, q, k);
    if p.mode == 4u { return select(0.0, score, seen); }
    var value = score;
    if p.mode == 0u { value *= scale[0]; }
    if p.mode == 2u { value *= scale[1]; }
    if p.mode != 0u { value *= p.query_factor; }
    if p.has_bias == 1u {
        value += bias[row * p.bias_row + head * p.bias_head + q * p.bias_query + k * p.bias_key];
    }
    if seen { return value; }
    switch p.replace {
        case 1u: { return -2.3726710e38; }
        case 2u: { return -1e9; }
        default: { return value - 1e9; }
    }
}

fn store(sum: vec4<f32>, row: u32, head: u32, q: u32, k4: u32) {
    if q >= p.queries { return; }
    let place = ((row * p.heads + head) * p.queries + q) * p.keys4 + k4;
    var values = sum;
    if p.mode == 4u { values = scores[place]; }
    for (var i = 0u; i < 4u; i++) { values[i] = masked(values[i], row, head, q, k4 * 4u + i); }
    scores[place] = values;
}

@compute @workgroup_size(WORKGROUP)
fn attention_scores(invocation: Invocation) {
    let index = flat(invocation);
    let queries4 = (p.queries + 3u) / 4u;
    if index >= p.rows * p.heads * queries4 * p.keys4 { return; }
    let k4 = index % p.keys4;
    let q = index / p.keys4 % queries4 * 4u;
    let head = index / (p.keys4 * queries4) % p.heads;
    let row = index / (p.keys4 * queries4 * p.heads);
    var s0 = vec4(0.0);
    var s1 = vec4(0.0);
    var s2 = vec4(0.0);
    var s3 = vec4(0.0);
    if p.mode != 4u {
        // Queries and keys past the last are computed as the last, and not stored.
        let four = vec4(0u, 1u, 2u, 3u);
        let of_queries = vec4(row * p.queries) + min(vec4(q) + four, vec4(p.queries - 1u));
        let of_keys = vec4(row * p.keys) + min(vec4(k4 * 4u) + four, vec4(p.keys - 1u));
        let from_query = of_queries * p.query_padded + head * p.size;
        let from_key = of_keys * p.key_padded + head * p.size;
        for (var i = 0u; i < p.size; i += 4u) {
            let left = p.size - i;
            let features = transpose(mat4x4<f32>(
                key_features(from_key.x + i, left),
                key_features(from_key.y + i, left),
                key_features(from_key.z + i, left),
                key_features(from_key.w + i, left),
            ));
            s0 = added(s0, query_features(from_query.x + i, left), features, i);
            s1 = added(s1, query_features(from_query.y + i, left), features, i);
            s2 = added(s2, query_features(from_query.z + i, left), features, i);
            s3 = added(s3, query_features(from_query.w + i, left), features, i);
        }
    }
    store(s0, row, head, q, k4);
    store(s1, row, head, q + 1u, k4);
    store(s2, row, head, q + 2u, k4);
    store(s3, row, head, q + 3u, k4);
}
