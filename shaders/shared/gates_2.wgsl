// As gates_4.wgsl, for two gates.

#import shared/sums

const GATES: u32 = 2u;

alias Weights = mat2x4<f32>;
alias RowSums = vec2<f32>;
alias QuadSums = mat2x4<f32>;

alias StoredQuadSums = array<vec4<f32>, 2>;

fn quad_sums(stored: StoredQuadSums) -> QuadSums {
    return QuadSums(stored[0], stored[1]);
}

fn stored_quad_sums(sums: QuadSums) -> StoredQuadSums {
    return StoredQuadSums(sums[0], sums[1]);
}

fn weights_at(first: u32, gate: u32) -> Weights {
    return Weights(kernel_at(first), kernel_at(first + gate));
}

fn row_added(sums: RowSums, row: vec4<f32>, weights: Weights) -> RowSums {
    let k = transpose(weights);
    let low = fma(vec2(row.y), k[1], fma(vec2(row.x), k[0], sums));
    return fma(vec2(row.w), k[3], fma(vec2(row.z), k[2], low));
}

fn quad_added(sums: QuadSums, rows: mat4x4<f32>, weights: Weights) -> QuadSums {
    let row = transpose(rows);
    let of_row = transpose(sums);
    return transpose(mat4x2<f32>(
        row_added(of_row[0], row[0], weights),
        row_added(of_row[1], row[1], weights),
        row_added(of_row[2], row[2], weights),
        row_added(of_row[3], row[3], weights),
    ));
}

fn interleaved(a: RowSums, b: RowSums, c: RowSums, d: RowSums) -> QuadSums {
    return transpose(mat4x2<f32>(a, b, c, d));
}
