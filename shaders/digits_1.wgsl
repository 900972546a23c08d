// As digits_4.wgsl, of one row.

fn finite_or_zero(x: Rows) -> Rows {
    return select(x, 0.0, (bitcast<u32>(x) & 0x7f800000u) == 0x7f800000u);
}

fn opaque(x: Rows) -> Rows {
    return bitcast<f32>(bitcast<u32>(x) ^ nothing());
}

fn upper_half(x: Rows) -> Rows {
    return bitcast<f32>(bitcast<u32>(x) & 0xfffff000u);
}

fn nan_of(x: Rows, otherwise: Rows) -> Rows {
    return select(otherwise, x, (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u);
}

fn power_of_two(n: Rows) -> Rows {
    return bitcast<f32>((i32(n) + 127) << 23u);
}

fn softplus_of(e: Rows) -> Rows {
    return log1p_unit(vec4(e)).x;
}
