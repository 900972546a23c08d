// output = activation(x), or the ReLU layer, value by value.

#import shared/flat
#import shared/activations

struct Elementwise {
    vectors: u32,
    features: u32,
    features4: u32,
    // 1: the ReLU layer with the numbers below; 0: ACTIVATION.
    relu: u32,
    negative_slope: f32,
    max_value: f32,
    threshold: f32,
    // What lies above the threshold is at least this.
    lowest: f32,
}

@group(0) @binding(0) var<uniform> p: Elementwise;
// [vector][features4]
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
// The same.
@group(0) @binding(2) var<storage, read_write> output: array<vec4<f32>>;

// The number of the activation in activations.wgsl, and its parameters.
override ACTIVATION: u32 = 1u;
override ACTIVATION_ALPHA: f32 = 0.0;
override ACTIVATION_BETA: f32 = 0.0;

fn relu(v: vec4<f32>) -> vec4<f32> {
    let at_least = select(v, vec4(p.lowest), v < vec4(p.lowest));
    let above = select(at_least, vec4(p.max_value), at_least > vec4(p.max_value));
    var below = vec4(0.0);
    if p.negative_slope != 0.0 { below = p.negative_slope * (v - p.threshold); }
    return select(above, below, v <= vec4(p.threshold));
}

@compute @workgroup_size(WORKGROUP)
fn elementwise(invocation: Invocation) {
    let index = flat(invocation);
    if index >= p.vectors * p.features4 { return; }
    var value: vec4<f32>;
    if p.relu == 1u {
        value = relu(x[index]);
    } else {
        value = activate(ACTIVATION, ACTIVATION_ALPHA, ACTIVATION_BETA, x[index]);
    }
    // What fills the features up stays zero.
    let feature = vec4(index % p.features4 * 4u) + vec4(0u, 1u, 2u, 3u);
    output[index] = select(vec4(0.0), value, feature < vec4(p.features));
}
