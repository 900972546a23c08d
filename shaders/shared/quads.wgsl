// Four values that may stand across two vectors.

// From the `shift`-th value of `low` on, which `high` follows.
fn four_from(low: vec4<f32>, high: vec4<f32>, shift: u32) -> vec4<f32> {
    switch shift {
        case 1u: { return vec4(low.yzw, high.x); }
        case 2u: { return vec4(low.zw, high.xy); }
        case 3u: { return vec4(low.w, high.xyz); }
        default: { return low; }
    }
}

// The first so many of four values, and zeros.
fn first_of(values: vec4<f32>, count: u32) -> vec4<f32> {
    return select(vec4(0.0), values, vec4(0u, 1u, 2u, 3u) < vec4(count));
}
