// As gates_4.wgsl, for one gate: sums are plain numbers.

#import shared/sums

const GATES: u32 = 1u;

alias Weights = vec4<f32>;
alias RowSums = f32;
alias QuadSums = vec4<f32>;

alias StoredQuadSums = vec4<f32>;

fn quad_sums(stored: StoredQuadSums) -> QuadSums {
    return stored;
}

fn stored_quad_sums(sums: QuadSums) -> StoredQuadSums {
    return sums;
}

fn weights_at(first: u32, gate: u32) -> Weights {
    return kernel_at(first);
}

fn row_added(sums: RowSums, row: vec4<f32>, weights: Weights) -> RowSums {
    return one_row_added(sums, row, weights);
}

fn quad_added(sums: QuadSums, rows: mat4x4<f32>, weights: Weights) -> QuadSums {
    return four_rows_added(sums, rows, weights);
}

fn interleaved(a: RowSums, b: RowSums, c: RowSums, d: RowSums) -> QuadSums {
    return vec4(a, b, c, d);
}
