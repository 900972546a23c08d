// The activation functions of crates/cell/src/activation.rs, under its numbers.
//
// exp, tanh and sigmoid are built from exactly rounded operations instead of WGSL's built-ins,
// whose error depends on the driver. Source of the polynomials: Cephes (expf, tanhf); error at most
// 2 ulp.

#import shared/nan

// Of x = n ln 2 + r, |r| <= ln 2 / 2.
struct Exponent {
    n: vec4<f32>,
    // e^r - 1
    less_one: vec4<f32>,
}

// A whole number below 2^22 as an integer, by the last bits of 1.5 * 2^23 + n. llvmpipe converts
// value by value.
fn integer(n: vec4<f32>) -> vec4<i32> {
    return bitcast<vec4<i32>>(n + 12582912.0) - 0x4b400000;
}

// Beyond the clamp e^x is 0 or infinity anyway.
fn exponent(x: vec4<f32>) -> Exponent {
    let clamped = clamp(x, vec4(-104.0), vec4(89.0));
    let n = round(clamped * 1.44269504);
    // The two parts of ln 2 are multiplied by two values: by one, a compiler may add them up first,
    // and the rounding of their sum times n is up to 14 ulp of e^x.
    let same_n = vec4<f32>(integer(n));
    let r = fma(same_n, vec4(2.12194440e-4), fma(n, vec4(-0.693359375), clamped));
    var p = vec4(1.9875691500e-4);
    p = fma(p, r, vec4(1.3981999507e-3));
    p = fma(p, r, vec4(8.3334519073e-3));
    p = fma(p, r, vec4(4.1665795894e-2));
    p = fma(p, r, vec4(1.6666665459e-1));
    p = fma(p, r, vec4(5.0000001201e-1));
    return Exponent(n, fma(p, r * r, r));
}

fn exp_exact(x: vec4<f32>) -> vec4<f32> {
    let e = exponent(x);
    // 2^n in two factors, since 2^128 and 2^-150 are no normal numbers.
    let half = integer(e.n) >> vec4(1u);
    let rest = integer(e.n) - half;
    let scale = bitcast<vec4<f32>>((half + 127) << vec4(23u));
    return (e.less_one + 1.0) * scale * bitcast<vec4<f32>>((rest + 127) << vec4(23u));
}

fn sigmoid_exact(x: vec4<f32>) -> vec4<f32> {
    return 1.0 / (1.0 + exp_exact(-x));
}

fn tanh_exact(x: vec4<f32>) -> vec4<f32> {
    let z = x * x;
    var p = vec4(-5.70498872745e-3);
    p = fma(p, z, vec4(2.06390887954e-2));
    p = fma(p, z, vec4(-5.37397155531e-2));
    p = fma(p, z, vec4(1.33314422036e-1));
    p = fma(p, z, vec4(-3.33332819422e-1));
    let small = fma(p * z, x, x);
    let large = sign(x) * (1.0 - 2.0 / (exp_exact(2.0 * abs(x)) + 1.0));
    return select(large, small, abs(x) < vec4(0.625));
}

// e^x - 1 for x <= 0, without cancellation near zero: 2^n (e^r - 1) + (2^n - 1), whose last term is
// exact.
fn expm1_exact(x: vec4<f32>) -> vec4<f32> {
    let e = exponent(max(x, vec4(-30.0)));
    let scale = bitcast<vec4<f32>>((integer(e.n) + 127) << vec4(23u));
    return fma(scale, e.less_one, scale - 1.0);
}

// ln(1 + y) for y in [0, 1]: 2 artanh(y / (2 + y)) as a series.
fn log1p_unit(y: vec4<f32>) -> vec4<f32> {
    let s = y / (2.0 + y);
    let z = s * s;
    var p = vec4(1.0 / 15.0);
    p = p * z + 1.0 / 13.0;
    p = p * z + 1.0 / 11.0;
    p = p * z + 1.0 / 9.0;
    p = p * z + 1.0 / 7.0;
    p = p * z + 0.2;
    p = p * z + 1.0 / 3.0;
    return 2.0 * (s * z * p + s);
}

// ln(1 + e^x)
fn softplus_exact(x: vec4<f32>) -> vec4<f32> {
    return max(x, vec4(0.0)) + log1p_unit(exp_exact(-abs(x)));
}

// erf(x) = 2/√π ∫₀ˣ exp(-t²) dt. Below 1 its Taylor series; above, 1 - erfc by the continued
// fraction's rational fit. Source of the fit: W. J. Cody, "Rational Chebyshev approximations for
// the error function", Math. Comp. 23 (1969).
fn erf_exact(x: vec4<f32>) -> vec4<f32> {
    let a = abs(x);
    let z = x * x;
    // |x| <= 0.46875
    var p = vec4(1.85777706184603153e-1);
    p = p * z + 3.16112374387056560;
    p = p * z + 1.13864154151050156e2;
    p = p * z + 3.77485237685302021e2;
    p = p * z + 3.20937758913846947e3;
    var q = z + 2.36012909523441209e1;
    q = q * z + 2.44024637934444173e2;
    q = q * z + 1.28261652607737228e3;
    q = q * z + 2.84423683343917062e3;
    let small = x * (p / q);
    // 0.46875 < |x| <= 4; beyond, erfc is below half a unit in the last place of 1.
    let y = min(a, vec4(4.0));
    var r = vec4(2.15311535474403846e-8);
    r = r * y + 5.64188496988670089e-1;
    r = r * y + 8.88314979438837594;
    r = r * y + 6.61191906371416295e1;
    r = r * y + 2.98635138197400131e2;
    r = r * y + 8.81952221241769090e2;
    r = r * y + 1.71204761263407058e3;
    r = r * y + 2.05107837782607147e3;
    r = r * y + 1.23033935479799725e3;
    var s = y + 1.57449261107098347e1;
    s = s * y + 1.17693950891312499e2;
    s = s * y + 5.37181101862009858e2;
    s = s * y + 1.62138957456669019e3;
    s = s * y + 3.29079923573345963e3;
    s = s * y + 4.36261909014324716e3;
    s = s * y + 3.43936767414372164e3;
    s = s * y + 1.23033935480374942e3;
    let large = sign(x) * (1.0 - exp_exact(-y * y) * (r / s));
    return select(large, small, a <= vec4(0.46875));
}

// (x + √(x² + 4)) / 2, below zero without cancellation.
fn squareplus_exact(x: vec4<f32>) -> vec4<f32> {
    let root = sqrt(x * x + 4.0);
    return select(0.5 * (x + root), 2.0 / (root - x), (x < vec4(0.0)) & (x > vec4(-1e18)));
}

// `activation`: its number; `alpha` and `beta`: its parameters, such as the slope of leaky_relu.
fn activation_value(activation: u32, alpha: f32, beta: f32, x: vec4<f32>) -> vec4<f32> {
    switch activation {
        case 1u: { return tanh_exact(x); }
        case 2u: { return sigmoid_exact(x); }
        case 3u: { return max(x, vec4(0.0)); }
        case 4u: { return saturate(fma(x, vec4(0.16666667), vec4(0.5))); }
        case 5u: { return saturate(fma(x, vec4(0.2), vec4(0.5))); }
        case 6u: { return x / (1.0 + abs(x)); }
        case 7u: { return softplus_exact(x); }
        case 8u: { return select(alpha * expm1_exact(min(x, vec4(0.0))), x, x > vec4(0.0)); }
        case 9u: {
            let below = 1.67326324 * expm1_exact(min(x, vec4(0.0)));
            return 1.05070098 * select(below, x, x > vec4(0.0));
        }
        case 10u: { return exp_exact(x); }
        case 11u: { return x * sigmoid_exact(x); }
        case 12u: { return x * saturate(fma(x, vec4(0.16666667), vec4(0.5))); }
        case 13u: { return clamp(x, vec4(0.0), vec4(6.0)); }
        case 14u: { return select(alpha * x, x, x > vec4(0.0)); }
        case 15u: { return clamp(x, vec4(-1.0), vec4(1.0)); }
        case 16u: { return select(x, vec4(0.0), abs(x) <= vec4(0.5)); }
        case 17u: { return sign(x) * max(abs(x) - 0.5, vec4(0.0)); }
        case 18u: { return -softplus_exact(-x); }
        case 19u: { return x * tanh_exact(softplus_exact(x)); }
        case 20u: { return squareplus_exact(x); }
        case 21u: {
            let at_least = select(x, 0.25 * (x + 1.0) * (x + 1.0), x < vec4(1.0));
            return select(at_least, vec4(0.0), x <= vec4(-1.0));
        }
        case 22u: { return saturate(0.5 * (x + 1.0)); }
        case 23u: { return x - tanh_exact(x); }
        case 24u: { return 0.5 * x * (1.0 + erf_exact(x * 0.70710678)); }
        case 25u: { return 0.5 * x * (1.0 + tanh_exact(0.79788456 * (x + 0.044715 * x * x * x))); }
        case 26u: { return fma(x, vec4(alpha), vec4(beta)); }
        case 27u: { return saturate(fma(x, vec4(alpha), vec4(beta))); }
        case 28u: { return alpha * tanh_exact(beta * x); }
        case 29u: { return select(vec4(0.0), x, x > vec4(alpha)); }
        default: { return x; }
    }
}

// NaN stays NaN, as in Keras: clamps may drop it.
fn activate(activation: u32, alpha: f32, beta: f32, x: vec4<f32>) -> vec4<f32> {
    return select(activation_value(activation, alpha, beta, x), x, are_nan(x));
}
