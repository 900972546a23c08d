// Normalizes each vector of an array in place: the softmaxes, sparsemax, LayerNormalization,
// RMSNormalization, UnitNormalization.
//
//   values       [vector][features_padded]
//   gamma, beta  [features]
//
// An invocation takes a vector. The normalizations by moments compute in pairs of floats: stands
// after pairs.wgsl.

struct Normalize {
    vectors: u32,
    features: u32,
    features_padded: u32,
    // 0 softmax, 1 log_softmax, 2 LayerNormalization, 3 RMSNormalization, 4 UnitNormalization, 5
    // sparsemax.
    mode: u32,
    epsilon: f32,
    has_gamma: u32,
    has_beta: u32,
    // Zero, which no compiler knows.
    nothing: u32,
}

@group(0) @binding(0) var<uniform> p: Normalize;
@group(0) @binding(1) var<storage, read> gamma: array<f32>;
@group(0) @binding(2) var<storage, read> beta: array<f32>;
@group(0) @binding(3) var<storage, read_write> values: array<f32>;

fn softmax(start: u32) {
    var largest = values[start];
    for (var i = 1u; i < p.features; i++) { largest = max(largest, values[start + i]); }
    // In blocks: one long sum would be off by its length.
    var sum = 0.0;
    for (var block = 0u; block < p.features; block += 16u) {
        var part = 0.0;
        for (var i = block; i < min(block + 16u, p.features); i++) {
            part += exp_exact(vec4(values[start + i] - largest)).x;
        }
        sum += part;
    }
    let log_sum = log(sum);
    for (var i = 0u; i < p.features; i++) {
        let shifted = values[start + i] - largest;
        if p.mode == 1u {
            values[start + i] = shifted - log_sum;
        } else {
            values[start + i] = exp_exact(vec4(shifted)).x / sum;
        }
    }
}

// The values are taken from the largest on, as long as they are kept: each turn finds the next one
// in the order of (value, place), so that equal values each have their turn.
fn sparsemax(start: u32) {
    var cumulative = 0.0;
    var total = 0.0;
    var kept = 0.0;
    var last = 0.0;
    var last_at = 0u;
    for (var turn = 0u; turn < p.features; turn++) {
        var best = 0.0;
        var best_at = p.features;
        for (var i = 0u; i < p.features; i++) {
            let value = values[start + i];
            let open = turn == 0u || value < last || (value == last && i > last_at);
            if open && (best_at == p.features || value > best) {
                best = value;
                best_at = i;
            }
        }
        cumulative += best;
        if !(best - (cumulative - 1.0) / (kept + 1.0) > 0.0) { break; }
        total += cumulative;
        kept += 1.0;
        last = best;
        last_at = best_at;
    }
    let threshold = (total - 1.0) / kept;
    for (var i = 0u; i < p.features; i++) {
        let value = values[start + i] - threshold;
        values[start + i] = select(value, 0.0, value < 0.0);
    }
}

alias Rows = f32;
alias Bits = u32;

fn nothing() -> u32 {
    return p.nothing;
}

fn mean_of(start: u32) -> Pair {
    var sum = pair(0.0);
    for (var i = 0u; i < p.features; i++) { sum = pair_sum(sum, pair(values[start + i])); }
    return pair_quotient(sum, pair(f32(p.features)));
}

fn centred(value: f32, mean: Pair) -> Pair {
    return pair_sum(pair(value), Pair(-mean.high, -mean.low));
}

// 1 / √x: a float, and a step of Newton's method for what it misses.
fn inverse_root(x: Pair) -> Pair {
    let root = 1.0 / sqrt(x.high);
    let rest = one_minus(pair_product(x, pair_product(pair(root), pair(root))));
    return Pair(root, 0.5 * root * (rest.high + rest.low));
}

fn moments(start: u32) {
    var mean = pair(0.0);
    if p.mode == 2u { mean = mean_of(start); }
    var squares = pair(0.0);
    for (var i = 0u; i < p.features; i++) {
        let value = centred(values[start + i], mean);
        squares = pair_sum(squares, pair_product(value, value));
    }
    var square = pair_sum(pair_quotient(squares, pair(f32(p.features))), pair(p.epsilon));
    if p.mode == 4u {
        square = squares;
        if square.high < p.epsilon { square = pair(p.epsilon); }
    }
    let factor = inverse_root(square);
    for (var i = 0u; i < p.features; i++) {
        var value = pair_product(centred(values[start + i], mean), factor);
        if p.has_gamma == 1u { value = pair_product(value, pair(gamma[i])); }
        if p.has_beta == 1u { value = pair_sum(value, pair(beta[i])); }
        values[start + i] = rounded(value);
    }
}

@compute @workgroup_size(WORKGROUP)
fn normalize_vectors(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let vector = flat(workgroup, lane);
    if vector >= p.vectors { return; }
    let start = vector * p.features_padded;
    if p.mode < 2u {
        softmax(start);
    } else if p.mode == 5u {
        sparsemax(start);
    } else {
        moments(start);
    }
}
