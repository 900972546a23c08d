// How much each query attends to each key, before the softmax.

#import shared/flat
#import shared/activations

struct AttentionScores {
    scores: u32,
    heads: u32,
    queries: u32,
    keys: u32,
    // Features of a head.
    size: u32,
    query_padded: u32,
    key_padded: u32,
    scores_padded: u32,
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
    // Multiplied to each query of mode 0 beforehand.
    query_factor: f32,
}

@group(0) @binding(0) var<uniform> p: AttentionScores;
// [row][query timestep][query_padded]: head h has the features from h · size on.
@group(0) @binding(1) var<storage, read> query: array<f32>;
// [row][key timestep][key_padded]: the same.
@group(0) @binding(2) var<storage, read> key: array<f32>;
// One number, two or one a feature, as the mode says.
@group(0) @binding(3) var<storage, read> scale: array<f32>;
// [row][timesteps, filled up to a multiple of 4]: 1 where it counts; so the next two.
@group(0) @binding(4) var<storage, read> query_mask: array<f32>;
@group(0) @binding(5) var<storage, read> value_mask: array<f32>;
@group(0) @binding(6) var<storage, read> key_mask: array<f32>;
// [row][head][query timestep][scores_padded]
@group(0) @binding(7) var<storage, read_write> scores: array<f32>;

fn score(q: u32, k: u32) -> f32 {
    var sum = 0.0;
    if p.mode == 0u {
        for (var i = 0u; i < p.size; i++) { sum += query[q + i] * p.query_factor * key[k + i]; }
        return sum * scale[0];
    }
    for (var i = 0u; i < p.size; i++) {
        let both = query[q + i] + key[k + i];
        if p.mode == 1u {
            sum += scale[i] * tanh_exact(vec4(both)).x;
        } else if p.mode == 3u {
            sum += tanh_exact(vec4(both)).x;
        } else {
            sum += tanh_exact(vec4(scale[0] * both)).x;
        }
    }
    if p.mode == 2u { return sum * scale[1]; }
    return sum;
}

fn counts(row: u32, q: u32, k: u32) -> bool {
    if p.causal == 1u && k > q { return false; }
    if (p.masks & 1u) != 0u && query_mask[row * p.query_mask_padded + q] < 0.5 { return false; }
    if (p.masks & 2u) != 0u && value_mask[row * p.key_mask_padded + k] < 0.5 { return false; }
    if (p.masks & 4u) != 0u && key_mask[row * p.key_mask_padded + k] < 0.5 { return false; }
    return true;
}

@compute @workgroup_size(WORKGROUP)
fn attention_scores(invocation: Invocation) {
    let index = flat(invocation);
    if index >= p.scores { return; }
    let k = index % p.keys;
    let q = index / p.keys % p.queries;
    let head = index / (p.keys * p.queries) % p.heads;
    let row = index / (p.keys * p.queries * p.heads);
    let query_start = (row * p.queries + q) * p.query_padded + head * p.size;
    let key_start = (row * p.keys + k) * p.key_padded + head * p.size;
    let place = ((row * p.heads + head) * p.queries + q) * p.scores_padded + k;
    if p.mode == 4u {
        if !counts(row, q, k) { scores[place] = 0.0; }
        return;
    }
    var value = score(query_start, key_start);
    if !counts(row, q, k) {
        switch p.replace {
            case 1u: { value = -2.3726710e38; }
            case 2u: { value = -1e9; }
            default: { value -= 1e9; }
        }
    }
    scores[place] = value;
}
