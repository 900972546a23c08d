// What pairs of floats need of several gates one at a time. gate_alone.wgsl is the same of one
// gate.

// Of one gate its weights, and its sum of all rows.
fn gate_weights(weights: Weights, gate: u32) -> vec4<f32> {
    var all = weights;
    return all[gate];
}

fn gate_of(sums: Sums, gate: u32) -> Rows {
    var all = sums;
    return all[gate];
}
