// Overwrites some rows of an array.

#import shared/flat
#import shared/padded

struct Scatter {
    // How many there are to write.
    values: u32,
    // Of a row.
    of_a_row: u32,
    // The rows of the output.
    rows: u32,
    // The last axes of the new values and of the output.
    source_features: u32,
    features: u32,
}

@group(0) @binding(0) var<uniform> p: Scatter;
// [new row]: its number.
@group(0) @binding(1) var<storage, read> rows: array<f32>;
// [new row][value], the last axis filled up to a multiple of 4.
@group(0) @binding(2) var<storage, read> source: array<f32>;
// [row][value], the same.
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn scatter(invocation: Invocation) {
    let index = flat(invocation);
    if index >= p.values { return; }
    let row = rows[index / p.of_a_row];
    if !(row >= 0.0 && row < f32(p.rows)) { return; }
    let to = u32(row) * p.of_a_row + index % p.of_a_row;
    output[padded(to, p.features)] = source[padded(index, p.source_features)];
}
