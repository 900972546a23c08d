// The sums of a projection in pairs of floats: what floats miss of them stands in a second array,
// after the first. Stands before digits.wgsl and pairs.wgsl.

alias Rows = RowSums;
alias Bits = RowBits;

var<private> missed: array<RowSums, 16>;

fn nothing() -> u32 {
    return p.nothing;
}

fn add_row(row: u32, j: u32, weights: Weights) {
    var x = row_at(row, j);
    var sum = Pair(sums[row], missed[row]);
    for (var k = 0u; k < 4u; k++) {
        sum = pair_sum(sum, pair_product(pair(RowSums(x[k])), pair(weights_of(weights, k))));
    }
    sums[row] = sum.high;
    missed[row] = sum.low;
}

fn store_missed(quad: u32, first: u32, direction: u32, unit: u32) {
    let start = p.missed_start;
    store(start, quad, direction, unit, missed[first], missed[first + 1u], missed[first + 2u], missed[first + 3u]);
}
