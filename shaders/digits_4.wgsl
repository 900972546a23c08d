// The digits of floats, of four rows. digits_1.wgsl is the same of one row. Stands before pairs.wgsl; nothing(): zero, which
// no compiler knows.

fn finite_or_zero(x: Rows) -> Rows {
    return select(x, Rows(), (bitcast<vec4<u32>>(x) & vec4(0x7f800000u)) == vec4(0x7f800000u));
}

// The same value, of which compilers don't know where it comes from.
fn opaque(x: Rows) -> Rows {
    return bitcast<vec4<f32>>(bitcast<vec4<u32>>(x) ^ vec4(nothing()));
}

// The upper half of its digits.
fn upper_half(x: Rows) -> Rows {
    return bitcast<vec4<f32>>(bitcast<vec4<u32>>(x) & vec4(0xfffff000u));
}

// `otherwise`, but NaN where x is.
fn nan_of(x: Rows, otherwise: Rows) -> Rows {
    return select(otherwise, x, (bitcast<vec4<u32>>(x) & vec4(0x7fffffffu)) > vec4(0x7f800000u));
}

// 2^n for whole n in [-126, 127].
fn power_of_two(n: Rows) -> Rows {
    return bitcast<vec4<f32>>((vec4<i32>(n) + 127) << vec4(23u));
}

// ln(1 + e) for e in [0, 1].
fn softplus_of(e: Rows) -> Rows {
    return log1p_unit(e);
}
