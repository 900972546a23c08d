// output = a·b, products of matrices that are both computed. An invocation computes four columns of
// four rows.

#import shared/flat
#import shared/quads

struct BatchedMatmul {
    matrices: u32,
    rows: u32,
    k: u32,
    columns: u32,
    // From a row to the next, in vectors.
    k4: u32,
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
// [matrix][row][k4]
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
// [matrix][k][columns4]
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
// [matrix][row][columns4]
@group(0) @binding(3) var<storage, read_write> output: array<vec4<f32>>;

// Adds four numbers of a row of a times their rows of b.
fn added(sum: vec4<f32>, of_a: vec4<f32>, b_rows: mat4x4<f32>) -> vec4<f32> {
    let low = fma(vec4(of_a.y), b_rows[1], fma(vec4(of_a.x), b_rows[0], sum));
    return fma(vec4(of_a.w), b_rows[3], fma(vec4(of_a.z), b_rows[2], low));
}

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
    let a_rows = (vec4(of_a * p.rows) + rows) * p.k4;
    var s0 = vec4(0.0);
    var s1 = vec4(0.0);
    var s2 = vec4(0.0);
    var s3 = vec4(0.0);
    for (var k4 = 0u; k4 < p.k4; k4++) {
        // Past the last k both are the last of b and zeros of a.
        let left = p.k - k4 * 4u;
        let of_k = vec4(of_b * p.k) + min(vec4(k4 * 4u) + vec4(0u, 1u, 2u, 3u), vec4(p.k - 1u));
        let places = of_k * p.columns4 + column4;
        let b_rows = mat4x4<f32>(b[places.x], b[places.y], b[places.z], b[places.w]);
        s0 = added(s0, first_of(a[a_rows.x + k4], left), b_rows);
        s1 = added(s1, first_of(a[a_rows.y + k4], left), b_rows);
        s2 = added(s2, first_of(a[a_rows.z + k4], left), b_rows);
        s3 = added(s3, first_of(a[a_rows.w + k4], left), b_rows);
    }
    store(matrix, row, column4, s0);
    store(matrix, row + 1u, column4, s1);
    store(matrix, row + 2u, column4, s2);
    store(matrix, row + 3u, column4, s3);
}
