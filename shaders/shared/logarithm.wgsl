// The natural logarithm. WGSL's own may be off by 2^-21 near 1. Source of the polynomial: Cephes
// (logf).

fn log_exact(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    // What is no positive normal number: zero, infinity, NaN…
    if bits < 0x00800000u || bits >= 0x7f800000u { return log(x); }
    // x = m 2^e with m from √½ to √2, and m less 1.
    var e = f32(bits >> 23u) - 126.0;
    var m = bitcast<f32>((bits & 0x007fffffu) | 0x3f000000u);
    if m < 0.70710678 {
        e -= 1.0;
        m = m + m;
    }
    m -= 1.0;
    let z = m * m;
    var p = 7.0376836292e-2;
    p = fma(p, m, -1.1514610310e-1);
    p = fma(p, m, 1.1676998740e-1);
    p = fma(p, m, -1.2420140846e-1);
    p = fma(p, m, 1.4249322787e-1);
    p = fma(p, m, -1.6668057665e-1);
    p = fma(p, m, 2.0000714765e-1);
    p = fma(p, m, -2.4999993993e-1);
    p = fma(p, m, 3.3333331174e-1);
    // ln 2 in two parts, of which the first times e is exact.
    var low = fma(p, m * z, e * -2.12194440e-4);
    low = fma(z, -0.5, low);
    return fma(e, 0.693359375, m + low);
}
