// As rows_4.wgsl, for a batch of one row.

alias Rows = f32;
alias Quad = vec4<f32>;
alias Sums = RowSums;
alias ThreeGates = vec3<f32>;

fn product(rows: Quad, weights: Weights) -> Sums {
    return row_product(rows, weights);
}

fn gate_product(rows: Quad, weights: vec4<f32>) -> Rows {
    return dot(rows, weights);
}

// Four equal computations, of which compilers do one.
fn activated(activation: u32, parameter: f32, x: Rows) -> Rows {
    return activate(activation, parameter, vec4(x)).x;
}
