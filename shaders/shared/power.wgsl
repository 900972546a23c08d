// a to the power of b. WGSL's own takes no negative a.

#import shared/activations
#import shared/logarithm
#import shared/nan

// The power of a whole number of at most 16 by multiplications, which are exact for few digits.
fn small_power(a: f32, b: u32) -> f32 {
    var product = 1.0;
    var square = a;
    for (var bits = b; bits > 0u; bits >>= 1u) {
        if (bits & 1u) == 1u { product *= square; }
        square *= square;
    }
    return product;
}

fn power(a: f32, b: f32) -> f32 {
    if b == 0.0 || a == 1.0 { return 1.0; }
    if is_nan(a) { return a; }
    if is_nan(b) { return b; }
    let is_whole = floor(b) == b;
    if is_whole && abs(b) <= 16.0 {
        let whole = small_power(a, u32(abs(b)));
        return select(whole, 1.0 / whole, b < 0.0);
    }
    if b == 0.5 { return sqrt(a); }
    if a < 0.0 && !is_whole { return log(a); } // NaN
    let of_magnitude = exp_exact(vec4(b * log_exact(abs(a)))).x;
    let is_odd = is_whole && floor(b * 0.5) * 2.0 != b;
    return select(of_magnitude, -of_magnitude, a < 0.0 && is_odd);
}
