// As gates_4.wgsl, for two gates.

const GATES: u32 = 2u;

alias Weights = mat2x4<f32>;
alias RowSums = vec2<f32>;
alias QuadSums = mat2x4<f32>;

fn weights_at(first: u32, gate: u32) -> Weights {
    return Weights(kernel_at(first), kernel_at(first + gate));
}

fn row_product(row: vec4<f32>, weights: Weights) -> RowSums {
    return row * weights;
}

fn quad_product(rows: mat4x4<f32>, weights: Weights) -> QuadSums {
    return rows * weights;
}
