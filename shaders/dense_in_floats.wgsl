// The sums of a dense layer in plain floats. dense_in_pairs.wgsl is the same in twice the
// precision.

alias Sum = vec4<f32>;

fn started(bias: vec4<f32>) -> Sum {
    return bias;
}

// Adds four features times their columns.
fn added(sum: Sum, x: vec4<f32>, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>) -> Sum {
    return fma(vec4(x.w), d, fma(vec4(x.z), c, fma(vec4(x.y), b, fma(vec4(x.x), a, sum))));
}

fn finished(sum: Sum) -> vec4<f32> {
    return activate(ACTIVATION, ACTIVATION_PARAMETER, sum);
}
