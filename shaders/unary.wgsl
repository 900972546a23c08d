// output = a function of x, value by value, that is no activation.

#import shared/flat
#import shared/activations
#import shared/circle
#import shared/differs
#import shared/logarithm
#import shared/nan

struct Unary {
    vectors: u32,
    features: u32,
    features4: u32,
    // The number of the function in UnaryFunction (src/operator/unary.rs).
    function: u32,
    // What the first of them divides by.
    divisor: f32,
}

@group(0) @binding(0) var<uniform> p: Unary;
// [vector][features4]
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
// The same.
@group(0) @binding(2) var<storage, read_write> output: array<vec4<f32>>;

fn function_of(x: f32) -> f32 {
    switch p.function {
        case 0u: { return x / p.divisor; }
        case 1u: { return -x; }
        case 2u: { return abs(x); }
        case 3u: { return 1.0 / x; }
        case 4u: { return sqrt(x); }
        case 5u: { return log_exact(x); }
        case 6u: { return erf_exact(vec4(x)).x; }
        case 7u: { return sine(x); }
        case 8u: { return cosine(x); }
        case 9u: { return floor(x); }
        case 10u: { return ceil(x); }
        case 11u: { return round(x); }
        case 12u: { return trunc(x); }
        case 13u: { return sign(x); }
        case 14u: { return select(1.0, 0.0, differs(x, 0.0)); }
        default: { return select(0.0, 1.0, is_nan(x)); }
    }
}

// NaN stays NaN, but for the last two functions, which answer.
fn checked(x: f32) -> f32 {
    return select(function_of(x), x, is_nan(x) && p.function < 14u);
}

@compute @workgroup_size(WORKGROUP)
fn unary(invocation: Invocation) {
    let index = flat(invocation);
    if index >= p.vectors * p.features4 { return; }
    let v = x[index];
    let value = vec4(checked(v.x), checked(v.y), checked(v.z), checked(v.w));
    // What fills the features up stays zero.
    let feature = vec4(index % p.features4 * 4u) + vec4(0u, 1u, 2u, 3u);
    output[index] = select(vec4(0.0), value, feature < vec4(p.features));
}
