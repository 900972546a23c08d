// As gates_apart.wgsl, of one gate: weights and sums are its own.

fn gate_weights(weights: Weights, gate: u32) -> vec4<f32> {
    return weights;
}

fn gate_of(sums: Sums, gate: u32) -> Rows {
    return sums;
}
