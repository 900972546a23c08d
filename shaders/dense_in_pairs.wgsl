// As dense_in_floats.wgsl, in pairs of floats.

alias Rows = vec4<f32>;
alias Bits = vec4<u32>;
alias Sum = Pair;

fn nothing() -> u32 {
    return p.nothing;
}

fn activated(activation: u32, parameter: f32, x: Rows) -> Rows {
    return activate(activation, parameter, x);
}

fn started(bias: vec4<f32>) -> Sum {
    return pair(bias);
}

fn added(sum: Sum, x: vec4<f32>, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>) -> Sum {
    let first = pair_sum(sum, pair_product(pair(vec4(x.x)), pair(a)));
    let second = pair_sum(first, pair_product(pair(vec4(x.y)), pair(b)));
    let third = pair_sum(second, pair_product(pair(vec4(x.z)), pair(c)));
    return pair_sum(third, pair_product(pair(vec4(x.w)), pair(d)));
}

fn finished(sum: Sum) -> vec4<f32> {
    return rounded(activated_pair(ACTIVATION, ACTIVATION_PARAMETER, sum));
}
