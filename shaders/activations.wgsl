// The activation functions of src/layer/activation.rs, with its numbers. Stands before every step kernel.
//
// exp, tanh and sigmoid are built from exactly rounded operations instead of WGSL's built-ins, whose error
// depends on the driver. Source of the polynomials: Cephes (expf, tanhf); error at most 2 ulp.

override ACTIVATION: u32 = 1u;
override RECURRENT_ACTIVATION: u32 = 2u;

fn exp_exact(x: vec4<f32>) -> vec4<f32> {
    // e^x = 2^n e^r, |r| <= ln 2 / 2. Beyond the clamp the result is 0 or infinity anyway.
    let clamped = clamp(x, vec4(-104.0), vec4(89.0));
    let n = round(clamped * 1.44269504);
    let r = (clamped - n * 0.693359375) + n * 2.12194440e-4;
    var p = vec4(1.9875691500e-4);
    p = p * r + 1.3981999507e-3;
    p = p * r + 8.3334519073e-3;
    p = p * r + 4.1665795894e-2;
    p = p * r + 1.6666665459e-1;
    p = p * r + 5.0000001201e-1;
    let e = p * (r * r) + r + 1.0;
    // 2^n in two factors, since 2^128 and 2^-150 are no normal numbers.
    let half = vec4<i32>(n) >> vec4(1u);
    let rest = vec4<i32>(n) - half;
    return e * bitcast<vec4<f32>>((half + 127) << vec4(23u)) * bitcast<vec4<f32>>((rest + 127) << vec4(23u));
}

fn sigmoid_exact(x: vec4<f32>) -> vec4<f32> {
    return 1.0 / (1.0 + exp_exact(-x));
}

fn tanh_exact(x: vec4<f32>) -> vec4<f32> {
    let z = x * x;
    var p = vec4(-5.70498872745e-3);
    p = p * z + 2.06390887954e-2;
    p = p * z - 5.37397155531e-2;
    p = p * z + 1.33314422036e-1;
    p = p * z - 3.33332819422e-1;
    let small = p * z * x + x;
    let large = sign(x) * (1.0 - 2.0 / (exp_exact(2.0 * abs(x)) + 1.0));
    return select(large, small, abs(x) < vec4(0.625));
}

// e^x - 1 without cancellation near zero.
fn expm1_exact(x: vec4<f32>) -> vec4<f32> {
    return tanh_exact(0.5 * x) * (exp_exact(x) + 1.0);
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

fn activation_value(activation: u32, x: vec4<f32>) -> vec4<f32> {
    switch activation {
        case 1u: { return tanh_exact(x); }
        case 2u: { return sigmoid_exact(x); }
        case 3u: { return max(x, vec4(0.0)); }
        case 4u: { return saturate(x / 6.0 + 0.5); }
        case 5u: { return saturate(0.2 * x + 0.5); }
        case 6u: { return x / (1.0 + abs(x)); }
        case 7u: { return max(x, vec4(0.0)) + log1p_unit(exp_exact(-abs(x))); }
        case 8u: { return select(expm1_exact(min(x, vec4(0.0))), x, x > vec4(0.0)); }
        case 9u: { return 1.05070098 * select(1.67326324 * expm1_exact(min(x, vec4(0.0))), x, x > vec4(0.0)); }
        case 10u: { return exp_exact(x); }
        case 11u: { return x * sigmoid_exact(x); }
        case 12u: { return x * saturate(x / 6.0 + 0.5); }
        case 13u: { return clamp(x, vec4(0.0), vec4(6.0)); }
        case 14u: { return select(0.2 * x, x, x > vec4(0.0)); }
        default: { return x; }
    }
}

// NaN stays NaN, as in Keras. Clamps may drop it, and compilers may assume it away in comparisons: so the bits decide.
fn activate(activation: u32, x: vec4<f32>) -> vec4<f32> {
    let is_nan = (bitcast<vec4<u32>>(x) & vec4(0x7fffffffu)) > vec4(0x7f800000u);
    return select(activation_value(activation, x), x, is_nan);
}
