// The rows of the batch that an invocation has in one register: four. rows_1.wgsl is the same for a batch of one.

// What an array between the kernels has of a unit: a value for each row.
alias Rows = vec4<f32>;
// The rows of four k.
alias Quad = mat4x4<f32>;
// The gates of a unit, each of all rows.
alias Sums = QuadSums;
// The same of a GRU, whatever the number of gates that a kernel computes.
alias ThreeGates = mat3x4<f32>;

fn product(rows: Quad, weights: Weights) -> Sums {
    return quad_product(rows, weights);
}

// Four k times the weights of one gate.
fn gate_product(rows: Quad, weights: vec4<f32>) -> Rows {
    return rows * weights;
}

fn activated(activation: u32, parameter: f32, x: Rows) -> Rows {
    return activate(activation, parameter, x);
}
