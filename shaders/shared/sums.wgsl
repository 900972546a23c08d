// Sums of products, for one gate: four k of one row, or of four rows (a column a k), times the
// weights of the gate.

fn one_row_added(sum: f32, row: vec4<f32>, weights: vec4<f32>) -> f32 {
    let low = fma(row.y, weights.y, fma(row.x, weights.x, sum));
    return fma(row.w, weights.w, fma(row.z, weights.z, low));
}

fn four_rows_added(sum: vec4<f32>, rows: mat4x4<f32>, weights: vec4<f32>) -> vec4<f32> {
    let low = fma(rows[1], vec4(weights.y), fma(rows[0], vec4(weights.x), sum));
    return fma(rows[3], vec4(weights.w), fma(rows[2], vec4(weights.z), low));
}
