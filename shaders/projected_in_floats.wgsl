// The sums of a projection in plain floats. projected_in_pairs.wgsl is the same in twice the
// precision.

fn add_row(row: u32, j: u32, weights: Weights) {
    sums[row] = row_added(sums[row], row_at(row, j), weights);
}

fn store_missed(quad: u32, first: u32, direction: u32, unit: u32) {}
