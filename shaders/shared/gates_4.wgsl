// The matmul of a cell with four gates, for one unit. gates_3.wgsl, gates_2.wgsl and gates_1.wgsl
// are the same for fewer.

#import shared/sums

const GATES: u32 = 4u;

// A column a gate, of four k.
alias Weights = mat4x4<f32>;
// The gates of one row; of four rows, a column a gate.
alias RowSums = vec4<f32>;
alias QuadSums = mat4x4<f32>;

// Both as they stand in a projection.
alias StoredQuadSums = array<vec4<f32>, 4>;

fn quad_sums(stored: StoredQuadSums) -> QuadSums {
    return QuadSums(stored[0], stored[1], stored[2], stored[3]);
}

fn stored_quad_sums(sums: QuadSums) -> StoredQuadSums {
    return StoredQuadSums(sums[0], sums[1], sums[2], sums[3]);
}

// `first`: where the first gate of the unit stands in the kernel; `gate`: from one gate to the
// next.
fn weights_at(first: u32, gate: u32) -> Weights {
    return Weights(
        kernel_at(first),
        kernel_at(first + gate),
        kernel_at(first + 2u * gate),
        kernel_at(first + 3u * gate),
    );
}

// Adds four k of one row, or of four rows (a column a k), times the weights.
fn row_added(sums: RowSums, row: vec4<f32>, weights: Weights) -> RowSums {
    let k = transpose(weights);
    let low = fma(vec4(row.y), k[1], fma(vec4(row.x), k[0], sums));
    return fma(vec4(row.w), k[3], fma(vec4(row.z), k[2], low));
}

fn quad_added(sums: QuadSums, rows: mat4x4<f32>, weights: Weights) -> QuadSums {
    let row = transpose(rows);
    let of_row = transpose(sums);
    return transpose(mat4x4<f32>(
        row_added(of_row[0], row[0], weights),
        row_added(of_row[1], row[1], weights),
        row_added(of_row[2], row[2], weights),
        row_added(of_row[3], row[3], weights),
    ));
}

fn interleaved(a: RowSums, b: RowSums, c: RowSums, d: RowSums) -> QuadSums {
    return transpose(mat4x4<f32>(a, b, c, d));
}
