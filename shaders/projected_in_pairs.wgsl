// The sums of a projection in twice a float's precision, as pairs.wgsl has them: what floats miss of them stands in a
// second array, after the first.

var<private> missed: array<RowSums, 16>;

fn add_product(row: u32, a: RowSums, b: RowSums) {
    let product = opaque_row_sums(a * b, p.nothing);
    let upper_a = upper_half_of_row_sums(a);
    let upper_b = upper_half_of_row_sums(b);
    let lower_a = a - upper_a;
    let lower_b = b - upper_b;
    let missed_of_product =
        ((upper_a * upper_b - product) + upper_a * lower_b + lower_a * upper_b) + lower_a * lower_b;
    let sum = opaque_row_sums(sums[row] + product, p.nothing);
    let of_product = opaque_row_sums(sum - sums[row], p.nothing);
    missed[row] += missed_of_product + ((sums[row] - (sum - of_product)) + (product - of_product));
    sums[row] = sum;
}

fn add_row(row: u32, j: u32, weights: Weights) {
    var x = row_at(row, j);
    for (var k = 0u; k < 4u; k++) {
        add_product(row, RowSums(x[k]), weights_of(weights, k));
    }
}

fn store_missed(quad: u32, first: u32, direction: u32, unit: u32) {
    let start = p.missed_start;
    store(start, quad, direction, unit, missed[first], missed[first + 1u], missed[first + 2u], missed[first + 3u]);
}
