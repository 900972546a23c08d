// The rows of the batch that an invocation computes side by side: four in a vector, or the one row
// of a batch of one (ONE_ROW). Goes with one of gates_1.wgsl to gates_4.wgsl.

#if ONE_ROW
const ROWS: u32 = 1u;
// What an array between the kernels has of a unit: a value for each row.
alias Rows = f32;
// The rows of four k.
alias Quad = vec4<f32>;
// The gates of a unit, each of all rows.
alias Sums = RowSums;
// The same as they stand in memory.
alias StoredSums = RowSums;
#else
const ROWS: u32 = 4u;
alias Rows = vec4<f32>;
alias Quad = mat4x4<f32>;
alias Sums = QuadSums;
alias StoredSums = StoredQuadSums;
#endif

// The values of the rows, of which there are ROWS.
fn row_values(value: Rows) -> vec4<f32> {
    return vec4(value);
}

// The inverse: what of four values is of the rows.
fn rows_from(values: vec4<f32>) -> Rows {
#if ONE_ROW
    return values.x;
#else
    return values;
#endif
}

fn all_sums(stored: StoredSums) -> Sums {
#if ONE_ROW
    return stored;
#else
    return quad_sums(stored);
#endif
}

// Adds four k times the weights.
fn added(sums: Sums, rows: Quad, weights: Weights) -> Sums {
#if ONE_ROW
    return row_added(sums, rows, weights);
#else
    return quad_added(sums, rows, weights);
#endif
}

// The same of one gate.
fn gate_added(sum: Rows, rows: Quad, weights: vec4<f32>) -> Rows {
#if ONE_ROW
    return one_row_added(sum, rows, weights);
#else
    return four_rows_added(sum, rows, weights);
#endif
}

fn activated(activation: u32, alpha: f32, beta: f32, x: Rows) -> Rows {
#if ONE_ROW
    // Four equal computations, of which compilers do one.
    return activate(activation, alpha, beta, vec4(x)).x;
#else
    return activate(activation, alpha, beta, x);
#endif
}
