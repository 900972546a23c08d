// The matmul of a cell with four gates, for one unit. gates_3.wgsl, gates_2.wgsl and gates_1.wgsl are the same for fewer.

const GATES: u32 = 4u;

// A column a gate, of four k.
alias Weights = mat4x4<f32>;
// The gates of one row; of four rows, a column a gate.
alias RowSums = vec4<f32>;
alias QuadSums = mat4x4<f32>;

// `first`: where the first gate of the unit stands in the kernel; `gate`: from one gate to the next.
fn weights_at(first: u32, gate: u32) -> Weights {
    return Weights(kernel_at(first), kernel_at(first + gate), kernel_at(first + 2u * gate), kernel_at(first + 3u * gate));
}

// Four k of one row, or of four rows (a column a k), times the weights.
fn row_product(row: vec4<f32>, weights: Weights) -> RowSums {
    return row * weights;
}

fn quad_product(rows: mat4x4<f32>, weights: Weights) -> QuadSums {
    return rows * weights;
}

fn interleaved(a: RowSums, b: RowSums, c: RowSums, d: RowSums) -> QuadSums {
    return transpose(mat4x4<f32>(a, b, c, d));
}
