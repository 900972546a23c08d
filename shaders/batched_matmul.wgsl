// output = a·b, products of matrices that are both computed. An invocation computes four columns of
// four rows.

#import shared/flat

struct BatchedMatmul {
    matrices: u32,
    rows: u32,
    k: u32,
    columns: u32,
    // From a row to the next, in numbers of a and in vectors of b and of the output.
    a_stride: u32,
    columns4: u32,
    // The lengths of the axes before the last two, but for the first.
    axis1: u32,
    axis2: u32,
    axis3: u32,
    // From matrix to matrix along each of them, in matrices: 0 where one is repeated.
    a_stride0: u32,
    a_stride1: u32,
    a_stride2: u32,
    a_stride3: u32,
    b_stride0: u32,
    b_stride1: u32,
    b_stride2: u32,
    b_stride3: u32,
}

@group(0) @binding(0) var<uniform> p: BatchedMatmul;
// [matrix][row][k, filled up to a multiple of 4]
@group(0) @binding(1) var<storage, read> a: array<f32>;
// [matrix][k][columns4]
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
// [matrix][row][columns4]
@group(0) @binding(3) var<storage, read_write> output: array<vec4<f32>>;

fn store(matrix: u32, row: u32, column4: u32, sum: vec4<f32>) {
    if row >= p.rows { return; }
    // What fills the columns up stays zero.
    let column = vec4(column4 * 4u) + vec4(0u, 1u, 2u, 3u);
    let value = select(vec4(0.0), sum, column < vec4(p.columns));
    output[(matrix * p.rows + row) * p.columns4 + column4] = value;
}

@compute @workgroup_size(WORKGROUP)
fn batched_matmul(invocation: Invocation) {
    let index = flat(invocation);
    let rows4 = (p.rows + 3u) / 4u;
    if index >= p.matrices * rows4 * p.columns4 { return; }
    let column4 = index % p.columns4;
    let row = index / p.columns4 % rows4 * 4u;
    let matrix = index / (p.columns4 * rows4);
    let i3 = matrix % p.axis3;
    let i2 = matrix / p.axis3 % p.axis2;
    let i1 = matrix / (p.axis3 * p.axis2) % p.axis1;
    let i0 = matrix / (p.axis3 * p.axis2 * p.axis1);
    let of_a = i0 * p.a_stride0 + i1 * p.a_stride1 + i2 * p.a_stride2 + i3 * p.a_stride3;
    let of_b = i0 * p.b_stride0 + i1 * p.b_stride1 + i2 * p.b_stride2 + i3 * p.b_stride3;
    // Rows past the last are computed as the last, and not stored.
    let rows = min(vec4(row) + vec4(0u, 1u, 2u, 3u), vec4(p.rows - 1u));
    let a_rows = (vec4(of_a * p.rows) + rows) * p.a_stride;
    var s0 = vec4(0.0);
    var s1 = vec4(0.0);
    var s2 = vec4(0.0);
    var s3 = vec4(0.0);
    for (var k = 0u; k < p.k; k++) {
        let b_row = b[(of_b * p.k + k) * p.columns4 + column4];
        s0 = fma(vec4(a[a_rows.x + k]), b_row, s0);
        s1 = fma(vec4(a[a_rows.y + k]), b_row, s1);
        s2 = fma(vec4(a[a_rows.z + k]), b_row, s2);
        s3 = fma(vec4(a[a_rows.w + k]), b_row, s3);
    }
    store(matrix, row, column4, s0);
    store(matrix, row + 1u, column4, s1);
    store(matrix, row + 2u, column4, s2);
    store(matrix, row + 3u, column4, s3);
}
