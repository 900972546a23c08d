// As gates_4.wgsl, for two gates.

const GATES: u32 = 2u;

alias Weights = mat2x4<f32>;
alias RowSums = vec2<f32>;
alias QuadSums = mat2x4<f32>;

fn weights_at(first: u32, gate: u32) -> Weights {
    return Weights(kernel_at(first), kernel_at(first + gate));
}

fn row_added(sums: RowSums, row: vec4<f32>, weights: Weights) -> RowSums {
    let k = transpose(weights);
    return fma(vec2(row.w), k[3], fma(vec2(row.z), k[2], fma(vec2(row.y), k[1], fma(vec2(row.x), k[0], sums))));
}

fn quad_added(sums: QuadSums, rows: mat4x4<f32>, weights: Weights) -> QuadSums {
    return QuadSums(
        four_rows_added(sums[0], rows, weights[0]),
        four_rows_added(sums[1], rows, weights[1]),
    );
}
