// Activations in pairs of floats. Stands after pairs.wgsl.

// e^x for x in [-104, 89]: 2^n e^r, |r| <= ln 2 / 2. The polynomial is that of activations.wgsl.
fn exp_pair(x: Pair) -> Pair {
    let n = round(x.high * 1.44269504);
    // ln 2 in two parts, of which the first times n is exact.
    let r = pair_sum(Pair(fma(n, Rows(-0.693359375), x.high), x.low), pair_product(pair(n), pair(Rows(2.12194440e-4))));
    var p = Rows(1.9875691500e-4);
    p = fma(p, r.high, Rows(1.3981999507e-3));
    p = fma(p, r.high, Rows(8.3334519073e-3));
    p = fma(p, r.high, Rows(4.1665795894e-2));
    p = fma(p, r.high, Rows(1.6666665459e-1));
    p = fma(p, r.high, Rows(5.0000001201e-1));
    let e = normalized(pair_sum(pair(Rows(1.0)), Pair(r.high, fma(p, r.high * r.high, r.low))));
    // In two factors, as 2^-150 is no normal number.
    let half = floor(n * 0.5);
    let scale = power_of_two(half);
    let rest = power_of_two(n - half);
    return Pair(e.high * scale * rest, e.low * scale * rest);
}

// -|x|, and nothing below -most.
fn negative_pair(x: Pair, most: f32) -> Pair {
    let low = select(x.low, -x.low, x.high > Rows(0.0));
    let inside = abs(x.high) < Rows(most);
    return Pair(-min(abs(x.high), Rows(most)), select(Rows(0.0), low, inside));
}

fn sigmoid_pair(x: Pair) -> Pair {
    let e = exp_pair(negative_pair(x, 104.0));
    let positive = x.high > Rows(0.0);
    let top = Pair(select(e.high, Rows(1.0), positive), select(e.low, Rows(), positive));
    return pair_quotient(top, pair_sum(pair(Rows(1.0)), e));
}

fn tanh_pair(x: Pair) -> Pair {
    let z = x.high * x.high;
    var p = Rows(-5.70498872745e-3);
    p = fma(p, z, Rows(2.06390887954e-2));
    p = fma(p, z, Rows(-5.37397155531e-2));
    p = fma(p, z, Rows(1.33314422036e-1));
    p = fma(p, z, Rows(-3.33332819422e-1));
    let cubic = p * z * x.high;
    let slope = 1.0 - (x.high + cubic) * (x.high + cubic);
    let small = normalized(Pair(x.high, fma(x.low, slope, cubic)));
    // (1 - e^-2|x|) / (1 + e^-2|x|)
    let negative = x.high < Rows(0.0);
    let twice = negative_pair(x, 20.0);
    let e = exp_pair(Pair(2.0 * twice.high, 2.0 * twice.low));
    let large = pair_quotient(one_minus(e), pair_sum(pair(Rows(1.0)), e));
    let is_small = abs(x.high) < Rows(0.625);
    let high = select(large.high, -large.high, negative);
    let low = select(large.low, -large.low, negative);
    return Pair(select(high, small.high, is_small), select(low, small.low, is_small));
}

// x / (1 + |x|)
fn softsign_pair(x: Pair) -> Pair {
    let size = select(x.low, -x.low, x.high < Rows(0.0));
    return pair_quotient(x, pair_sum(pair(Rows(1.0)), Pair(abs(x.high), size)));
}

// max(x, 0) + ln(1 + e^-|x|): the logarithm in floats, and a step of Newton's method unless it is
// next to nothing.
fn softplus_pair(x: Pair) -> Pair {
    let positive = x.high > Rows(0.0);
    let e = exp_pair(negative_pair(x, 104.0));
    let logarithm = activated(7u, 0.0, -abs(x.high)); // the same of -|x|
    let one = pair_product(pair_sum(pair(Rows(1.0)), e), exp_pair(pair(-logarithm)));
    let step = select(Rows(0.0), (one.high - 1.0) + one.low, e.high > Rows(1e-3));
    return pair_sum(Pair(select(Rows(0.0), x.high, positive), select(Rows(0.0), x.low, positive)), Pair(logarithm, step));
}

// clip(x + 0.5, 0, 1)
fn unit_clip_pair(x: Pair) -> Pair {
    let line = pair_sum(x, pair(Rows(0.5)));
    let inside = (line.high > Rows(0.0)) & (line.high < Rows(1.0));
    return Pair(select(saturate(line.high), line.high, inside), select(Rows(0.0), line.low, inside));
}

// Beyond, e^x is zero or infinite.
fn clamped_pair(x: Pair) -> Pair {
    let high = clamp(x.high, Rows(-104.0), Rows(89.0));
    return Pair(high, select(Rows(0.0), x.low, high == x.high));
}

// tanh, sigmoid, the hard sigmoids, softsign, softplus, exponential and linear keep what floats
// miss; of other activations it is the float's value.
fn activated_pair(activation: u32, parameter: f32, sum: Pair) -> Pair {
    let x = Pair(sum.high, finite_or_zero(sum.low));
    var value: Pair;
    switch activation {
        case 0u: { return x; }
        case 1u: { value = tanh_pair(x); }
        case 2u: { value = sigmoid_pair(x); }
        case 4u: { value = unit_clip_pair(pair_quotient(x, pair(Rows(6.0)))); }
        // 0.2 as a float and what that misses.
        case 5u: { value = unit_clip_pair(pair_product(x, Pair(Rows(0.2), Rows(-2.98023224e-9)))); }
        case 6u: { value = softsign_pair(x); }
        case 7u: { value = softplus_pair(x); }
        case 10u: { value = exp_pair(clamped_pair(x)); }
        case 18u: {
            let negated = softplus_pair(Pair(-x.high, -x.low));
            value = Pair(-negated.high, -negated.low);
        }
        default: { return pair(activated(activation, parameter, x.high + x.low)); }
    }
    return Pair(nan_of(x.high, value.high), value.low);
}
