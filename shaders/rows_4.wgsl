// The rows of the batch that an invocation has in one register: four. rows_1.wgsl is the same for a
// batch of one.

const ROWS: u32 = 4u;
// What an array between the kernels has of a unit: a value for each row.
alias Rows = vec4<f32>;
// The rows of four k.
alias Quad = mat4x4<f32>;
// The gates of a unit, each of all rows.
alias Sums = QuadSums;
// The same of a GRU, whatever the number of gates that a kernel computes.
alias ThreeGates = mat3x4<f32>;

// The three as they stand in memory.
alias StoredRows = vec4<f32>;
alias StoredSums = StoredQuadSums;
alias StoredThreeGates = array<vec4<f32>, 3>;

fn rows(stored: StoredRows) -> Rows {
    return stored;
}

fn stored_rows(value: Rows) -> StoredRows {
    return value;
}

// The values of the rows, of which there are ROWS.
fn row_values(value: Rows) -> vec4<f32> {
    return value;
}

fn all_sums(stored: StoredSums) -> Sums {
    return quad_sums(stored);
}

fn three_gates(stored: StoredThreeGates) -> ThreeGates {
    return ThreeGates(stored[0], stored[1], stored[2]);
}

// Adds four k times the weights.
fn added(sums: Sums, rows: Quad, weights: Weights) -> Sums {
    return quad_added(sums, rows, weights);
}

// The same of one gate.
fn gate_added(sum: Rows, rows: Quad, weights: vec4<f32>) -> Rows {
    return four_rows_added(sum, rows, weights);
}

fn activated(activation: u32, parameter: f32, x: Rows) -> Rows {
    return activate(activation, parameter, x);
}
