// output = the sum, the mean, the product, the largest or smallest value of all along some axes, or
// the index of such a value.

#import shared/flat
#import shared/nan
#import shared/padded

struct Reduce {
    outputs: u32,
    // The lengths of the axes that stay, but for the first, and the strides of all three.
    kept1: u32,
    kept2: u32,
    kept_stride0: u32,
    kept_stride1: u32,
    kept_stride2: u32,
    // The lengths and strides of the axes that go.
    length0: u32,
    length1: u32,
    length2: u32,
    stride0: u32,
    stride1: u32,
    stride2: u32,
    // The last axes of x and of the output.
    x_features: u32,
    features: u32,
    // The number of the function in ReduceFunction (src/operator/reduce.rs).
    function: u32,
}

@group(0) @binding(0) var<uniform> p: Reduce;
// Any shape, the last axis filled up to a multiple of 4.
@group(0) @binding(1) var<storage, read> x: array<f32>;
// The same.
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

fn value_at(start: u32, i: u32) -> f32 {
    return x[padded(start + i * p.stride2, p.x_features)];
}

// What a sum is of.
fn term(value: f32) -> f32 {
    switch p.function {
        case 5u: { return value * value; }
        case 6u: { return abs(value); }
        default: { return value; }
    }
}

// In blocks: one long sum would be off by its length.
fn sum_of(start: u32) -> f32 {
    var sum = 0.0;
    for (var block = 0u; block < p.length2; block += 16u) {
        var part = 0.0;
        for (var i = block; i < min(block + 16u, p.length2); i++) {
            part += term(value_at(start, i));
        }
        sum += part;
    }
    return sum;
}

fn product_of(start: u32) -> f32 {
    var product = 1.0;
    for (var i = 0u; i < p.length2; i++) { product *= value_at(start, i); }
    return product;
}

// The first NaN is better than all.
fn is_better(value: f32, best: f32) -> bool {
    if is_nan(best) { return false; }
    if is_nan(value) { return true; }
    return select((value < best), (value > best), p.function == 3u || p.function == 7u);
}

struct Best {
    value: f32,
    // Its index along the last axis that goes.
    index: u32,
}

fn best_of(start: u32, before: Best) -> Best {
    var best = before;
    for (var i = 0u; i < p.length2; i++) {
        let value = value_at(start, i);
        if is_better(value, best.value) { best = Best(value, i); }
    }
    return best;
}

@compute @workgroup_size(WORKGROUP)
fn reduce(invocation: Invocation) {
    let index = flat(invocation);
    if index >= p.outputs { return; }
    let i2 = index % p.kept2;
    let i1 = index / p.kept2 % p.kept1;
    let i0 = index / (p.kept2 * p.kept1);
    let first = i0 * p.kept_stride0 + i1 * p.kept_stride1 + i2 * p.kept_stride2;
    var sum = 0.0;
    var product = 1.0;
    var best: Best;
    best.value = x[padded(first, p.x_features)];
    for (var r0 = 0u; r0 < p.length0; r0++) {
        for (var r1 = 0u; r1 < p.length1; r1++) {
            let start = first + r0 * p.stride0 + r1 * p.stride1;
            switch p.function {
                case 2u: { product *= product_of(start); }
                case 3u, 4u, 7u, 8u: { best = best_of(start, best); }
                default: { sum += sum_of(start); }
            }
        }
    }
    var value = sum;
    switch p.function {
        case 1u: { value = sum / f32(p.length0 * p.length1 * p.length2); }
        case 2u: { value = product; }
        case 3u, 4u: { value = best.value; }
        case 7u, 8u: { value = f32(best.index); }
        default: {}
    }
    output[padded(index, p.features)] = value;
}
