// As gates_4.wgsl, for three gates.

const GATES: u32 = 3u;

alias Weights = mat3x4<f32>;
alias RowSums = vec3<f32>;
alias QuadSums = mat3x4<f32>;
alias RowBits = vec3<u32>;

fn weights_at(first: u32, gate: u32) -> Weights {
    return Weights(kernel_at(first), kernel_at(first + gate), kernel_at(first + 2u * gate));
}

fn row_added(sums: RowSums, row: vec4<f32>, weights: Weights) -> RowSums {
    let k = transpose(weights);
    return fma(vec3(row.w), k[3], fma(vec3(row.z), k[2], fma(vec3(row.y), k[1], fma(vec3(row.x), k[0], sums))));
}

fn quad_added(sums: QuadSums, rows: mat4x4<f32>, weights: Weights) -> QuadSums {
    return QuadSums(
        four_rows_added(sums[0], rows, weights[0]),
        four_rows_added(sums[1], rows, weights[1]),
        four_rows_added(sums[2], rows, weights[2]),
    );
}

fn interleaved(a: RowSums, b: RowSums, c: RowSums, d: RowSums) -> QuadSums {
    return transpose(mat4x3<f32>(a, b, c, d));
}

fn weights_of(weights: Weights, k: u32) -> RowSums {
    var all = transpose(weights);
    return all[k];
}
