// As gates_4.wgsl, for three gates.

const GATES: u32 = 3u;

alias Weights = mat3x4<f32>;
alias RowSums = vec3<f32>;
alias QuadSums = mat3x4<f32>;

fn weights_at(first: u32, gate: u32) -> Weights {
    return Weights(kernel_at(first), kernel_at(first + gate), kernel_at(first + 2u * gate));
}

fn row_product(row: vec4<f32>, weights: Weights) -> RowSums {
    return row * weights;
}

fn quad_product(rows: mat4x4<f32>, weights: Weights) -> QuadSums {
    return rows * weights;
}

fn interleaved(a: RowSums, b: RowSums, c: RowSums, d: RowSums) -> QuadSums {
    return transpose(mat4x3<f32>(a, b, c, d));
}
