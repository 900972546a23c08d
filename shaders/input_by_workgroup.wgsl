// Rows of x by workgroup memory, as rows_by_workgroup.wgsl has it.

struct Invocation {
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
}

override BLOCK: u32 = 16u;
override BLOCK_ROWS: u32 = 4u * TILES * BLOCK;

var<workgroup> block_rows: array<vec4<f32>, BLOCK_ROWS>;

fn start_rows(quad: u32, direction: u32) {}

fn load_block(quad: u32, direction: u32, k: u32, invocation: Invocation) {
    workgroupBarrier();
    for (var i = invocation.lane; i < BLOCK_ROWS; i += WORKGROUP) {
        let row = i / BLOCK;
        let start = row_start(quad + row / 4u, row % 4u, direction);
        block_rows[i] = x[start + min(k + i % BLOCK, p.features4 - 1u)];
    }
    workgroupBarrier();
}

// The j-th vector of the block, of a row.
fn row_at(row: u32, j: u32) -> vec4<f32> {
    return block_rows[row * BLOCK + j];
}

// Adds a block to the sums.
fn multiply_block(weights_first: u32, k: u32) {
    for (var j = 0u; j < min(BLOCK, p.features4 - k); j++) {
        multiply_tiles(j, weights_of_k(weights_first, k + j));
    }
}
