// As rows_4.wgsl, for a batch of one row.

const ROWS: u32 = 1u;
alias Rows = f32;
alias Quad = vec4<f32>;
alias Sums = RowSums;
alias ThreeGates = vec3<f32>;

alias StoredRows = f32;
alias StoredSums = StoredRowSums;
alias StoredThreeGates = vec3<f32>;

fn rows(stored: StoredRows) -> Rows {
    return stored;
}

fn stored_rows(value: Rows) -> StoredRows {
    return value;
}

fn row_values(value: Rows) -> vec4<f32> {
    return vec4(value);
}

fn all_sums(stored: StoredSums) -> Sums {
    return row_sums(stored);
}

fn three_gates(stored: StoredThreeGates) -> ThreeGates {
    return stored;
}

fn added(sums: Sums, rows: Quad, weights: Weights) -> Sums {
    return row_added(sums, rows, weights);
}

fn gate_added(sum: Rows, rows: Quad, weights: vec4<f32>) -> Rows {
    return one_row_added(sum, rows, weights);
}

// Four equal computations, of which compilers do one.
fn activated(activation: u32, parameter: f32, x: Rows) -> Rows {
    return activate(activation, parameter, vec4(x)).x;
}
