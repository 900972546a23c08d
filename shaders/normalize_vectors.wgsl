// Normalizes each vector of an array in place: the softmaxes, sparsemax, LayerNormalization,
// RMSNormalization, UnitNormalization. An invocation takes a vector.

#import shared/flat
#import shared/activations

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
}

@group(0) @binding(0) var<uniform> p: Normalize;
// [features]
@group(0) @binding(1) var<storage, read> gamma: array<f32>;
// [features]
@group(0) @binding(2) var<storage, read> beta: array<f32>;
// [vector][features_padded]
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

// The sum of a vector's values, in blocks as in softmax.
fn sum_of(start: u32) -> f32 {
    var sum = 0.0;
    for (var block = 0u; block < p.features; block += 16u) {
        var part = 0.0;
        for (var i = block; i < min(block + 16u, p.features); i++) { part += values[start + i]; }
        sum += part;
    }
    return sum;
}

// The sum of the squares of the values' differences from `mean`.
fn sum_of_squares(start: u32, mean: f32) -> f32 {
    var sum = 0.0;
    for (var block = 0u; block < p.features; block += 16u) {
        var part = 0.0;
        for (var i = block; i < min(block + 16u, p.features); i++) {
            let value = values[start + i] - mean;
            part = fma(value, value, part);
        }
        sum += part;
    }
    return sum;
}

fn moments(start: u32) {
    let count = f32(p.features);
    var mean = 0.0;
    if p.mode == 2u { mean = sum_of(start) / count; }
    let squares = sum_of_squares(start, mean);
    var square = squares / count + p.epsilon;
    if p.mode == 4u { square = select(squares, p.epsilon, squares < p.epsilon); }
    let root = sqrt(square);
    for (var i = 0u; i < p.features; i++) {
        var value = (values[start + i] - mean) / root;
        if p.has_gamma == 1u { value *= gamma[i]; }
        if p.has_beta == 1u { value += beta[i]; }
        values[start + i] = value;
    }
}

@compute @workgroup_size(WORKGROUP)
fn normalize_vectors(invocation: Invocation) {
    let vector = flat(invocation);
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
