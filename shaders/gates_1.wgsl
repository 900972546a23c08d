// As gates_4.wgsl, for one gate: sums are plain numbers.

const GATES: u32 = 1u;

alias Weights = vec4<f32>;
alias RowSums = f32;
alias QuadSums = vec4<f32>;

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

fn gate_weights(weights: Weights, gate: u32) -> vec4<f32> {
    return weights;
}

fn gate_of_row(sums: RowSums, gate: u32) -> f32 {
    return sums;
}

fn gate_of_quad(sums: QuadSums, gate: u32) -> vec4<f32> {
    return sums;
}

fn weights_of(weights: Weights, k: u32) -> RowSums {
    var all = weights;
    return all[k];
}

fn opaque_row_sums(x: RowSums, nothing: u32) -> RowSums {
    return bitcast<f32>(bitcast<u32>(x) ^ nothing);
}

fn upper_half_of_row_sums(x: RowSums) -> RowSums {
    return bitcast<f32>(bitcast<u32>(x) & 0xfffff000u);
}
