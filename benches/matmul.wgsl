// c = a·b, all row-major: the tiled matmul of every textbook, with which birnn's kernels are
// compared. A workgroup of 16 x 16 has a tile of c of 16·TM rows and 16·TN columns, an invocation
// TM x TN of it; DEPTH of k at a time go through workgroup memory.

struct Shape {
    m: u32,
    n: u32,
    k: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

// TM and TN, 1 or 4 each, stand before this.
const DEPTH: u32 = 16u;
const ROWS: u32 = 16u * TM;
const COLUMNS: u32 = 16u * TN;

var<workgroup> tile_a: array<f32, ROWS * DEPTH>;
var<workgroup> tile_b: array<f32, DEPTH * COLUMNS>;

@compute @workgroup_size(16, 16)
fn matmul(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row0 = workgroup.y * ROWS;
    let column0 = workgroup.x * COLUMNS;
    let matrix = workgroup.z;
    var sums: array<array<f32, TN>, TM>;
    for (var k0 = 0u; k0 < shape.k; k0 += DEPTH) {
        for (var i = lane; i < ROWS * DEPTH; i += 256u) {
            let row = row0 + i / DEPTH;
            let k = k0 + i % DEPTH;
            let at = (matrix * shape.m + min(row, shape.m - 1u)) * shape.k + min(k, shape.k - 1u);
            tile_a[i] = select(0.0, a[at], row < shape.m && k < shape.k);
        }
        for (var i = lane; i < DEPTH * COLUMNS; i += 256u) {
            let k = k0 + i / COLUMNS;
            let column = column0 + i % COLUMNS;
            let row_of_b = matrix * shape.k + min(k, shape.k - 1u);
            let at = row_of_b * shape.n + min(column, shape.n - 1u);
            tile_b[i] = select(0.0, b[at], k < shape.k && column < shape.n);
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k++) {
            var column: array<f32, TN>;
            for (var j = 0u; j < TN; j++) { column[j] = tile_b[k * COLUMNS + local.x + 16u * j]; }
            for (var i = 0u; i < TM; i++) {
                let value = tile_a[(local.y + 16u * i) * DEPTH + k];
                for (var j = 0u; j < TN; j++) { sums[i][j] = fma(value, column[j], sums[i][j]); }
            }
        }
        workgroupBarrier();
    }
    for (var i = 0u; i < TM; i++) {
        for (var j = 0u; j < TN; j++) {
            let row = row0 + local.y + 16u * i;
            let column = column0 + local.x + 16u * j;
            if row < shape.m && column < shape.n {
                c[(matrix * shape.m + row) * shape.n + column] = sums[i][j];
            }
        }
    }
}
