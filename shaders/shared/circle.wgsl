// Sine and cosine. WGSL's own may be off by 2^-11. Source of the polynomials and of the reduction:
// Cephes (sinf, cosf); beyond 8192, where π/4 in three parts isn't enough, they are WGSL's own.

// An angle as a number of eighths of the circle, even, and a rest of at most π/4.
struct Eighths {
    count: u32,
    rest: f32,
}

fn eighths(angle: f32) -> Eighths {
    var count = u32(angle * 1.27323954473516);
    count += count & 1u;
    let n = f32(count);
    let high = fma(n, -0.78515625, angle);
    let middle = fma(n, -2.4187564849853515625e-4, high);
    return Eighths(count & 7u, fma(n, -3.77489497744594108e-8, middle));
}

fn sine_near_zero(x: f32) -> f32 {
    let z = x * x;
    let p = fma(fma(-1.9515295891e-4, z, 8.3321608736e-3), z, -1.6666654611e-1);
    return fma(p * z, x, x);
}

fn cosine_near_zero(x: f32) -> f32 {
    let z = x * x;
    let p = fma(fma(2.443315711809948e-5, z, -1.388731625493765e-3), z, 4.166664568298827e-2);
    return fma(p, z * z, fma(z, -0.5, 1.0));
}

fn sine(x: f32) -> f32 {
    if !(abs(x) <= 8192.0) { return sin(x); }
    let e = eighths(abs(x));
    let turned = (e.count & 2u) != 0u;
    let value = select(sine_near_zero(e.rest), cosine_near_zero(e.rest), turned);
    return select(value, -value, (e.count >= 4u) != (x < 0.0));
}

fn cosine(x: f32) -> f32 {
    if !(abs(x) <= 8192.0) { return cos(x); }
    let e = eighths(abs(x));
    let turned = (e.count & 2u) != 0u;
    let value = select(cosine_near_zero(e.rest), sine_near_zero(e.rest), turned);
    return select(value, -value, e.count == 2u || e.count == 4u);
}
