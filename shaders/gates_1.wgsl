// As gates_4.wgsl, for one gate: sums are plain numbers.

const GATES: u32 = 1u;

alias Weights = vec4<f32>;
alias RowSums = f32;
alias QuadSums = vec4<f32>;

fn weights_at(first: u32, gate: u32) -> Weights {
    return kernel_at(first);
}

fn row_product(row: vec4<f32>, weights: Weights) -> RowSums {
    return dot(row, weights);
}

fn quad_product(rows: mat4x4<f32>, weights: Weights) -> QuadSums {
    return rows * weights;
}

fn interleaved(a: RowSums, b: RowSums, c: RowSums, d: RowSums) -> QuadSums {
    return vec4(a, b, c, d);
}
