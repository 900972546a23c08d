// The digits of floats. Stands before pairs.wgsl, after what says how many numbers are computed
// side by side (Rows, and Bits, as many u32) and has nothing(): zero, which no compiler knows.

fn finite_or_zero(x: Rows) -> Rows {
    return select(x, Rows(), (bitcast<Bits>(x) & Bits(0x7f800000u)) == Bits(0x7f800000u));
}

// The same value, of which compilers don't know where it comes from.
fn opaque(x: Rows) -> Rows {
    return bitcast<Rows>(bitcast<Bits>(x) ^ Bits(nothing()));
}

// The upper half of its digits.
fn upper_half(x: Rows) -> Rows {
    return bitcast<Rows>(bitcast<Bits>(x) & Bits(0xfffff000u));
}

// `otherwise`, but NaN where x is.
fn nan_of(x: Rows, otherwise: Rows) -> Rows {
    return select(otherwise, x, (bitcast<Bits>(x) & Bits(0x7fffffffu)) > Bits(0x7f800000u));
}

// 2^n for whole n in [-126, 127].
fn power_of_two(n: Rows) -> Rows {
    return bitcast<Rows>(Bits(n + 127.0) << Bits(23u));
}
