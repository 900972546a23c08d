// Sums and products in about twice a float's precision, for layers of few units or weights: over
// many values roundings even out, over a few the largest is a matter of luck. Stands after
// digits.wgsl.
//
// A number is high + low. `high` is what floats alone would give, `low` what they miss: of no
// meaning where `high` isn't finite. WGSL lets compilers reorder sums, which would do away with
// `low`: hence `opaque`; and it lets an fma round twice: hence products by halves. Sources: D. E.
// Knuth, The Art of Computer Programming 2, 4.2.2; T. Ogita, S. M. Rump, S. Oishi, "Accurate sum
// and dot product", SIAM J. Sci. Comput. 26 (2005).

struct Pair {
    high: Rows,
    low: Rows,
}

fn pair(value: Rows) -> Pair {
    return Pair(value, Rows());
}

fn rounded(a: Pair) -> Rows {
    return a.high + finite_or_zero(a.low);
}

// Of a finite number whose low part isn't small: the same with a small one.
fn normalized(a: Pair) -> Pair {
    let high = opaque(a.high + a.low);
    return Pair(high, a.low - (high - a.high));
}

fn pair_sum(a: Pair, b: Pair) -> Pair {
    let high = opaque(a.high + b.high);
    let of_b = opaque(high - a.high);
    let missed = (a.high - (high - of_b)) + (b.high - of_b);
    return Pair(high, missed + (a.low + b.low));
}

// What the float `product` misses of a · b: the products of halves of their digits are exact.
fn missed_of_product(a: Rows, b: Rows, product: Rows) -> Rows {
    let upper_a = upper_half(a);
    let upper_b = upper_half(b);
    let lower_a = a - upper_a;
    let lower_b = b - upper_b;
    return ((upper_a * upper_b - product) + upper_a * lower_b + lower_a * upper_b) + lower_a * lower_b;
}

fn pair_product(a: Pair, b: Pair) -> Pair {
    let high = opaque(a.high * b.high);
    return Pair(high, missed_of_product(a.high, b.high, high) + (a.high * b.low + a.low * b.high));
}

fn pair_quotient(a: Pair, b: Pair) -> Pair {
    let high = opaque(a.high / b.high);
    let product = opaque(high * b.high);
    let rest = (a.high - product) - missed_of_product(high, b.high, product) + (a.low - high * b.low);
    return Pair(high, rest / b.high);
}

fn one_minus(a: Pair) -> Pair {
    return pair_sum(pair(Rows(1.0)), Pair(-a.high, -a.low));
}
