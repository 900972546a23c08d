// Hidden states by workgroup memory: the workgroup loads a block of k together, and every invocation reads it there.

struct Invocation {
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
}

// A multiple of 4; where SPLIT is above 1, of 8 · SPLIT.
override BLOCK: u32 = 64u;
override BLOCK_ROWS: u32 = BLOCK * TILES;

var<workgroup> block_rows: array<Rows, BLOCK_ROWS>;

// Where an invocation's part of a block starts.
fn part_start(invocation: Invocation) -> u32 {
    return invocation.lane / LANES * 4u;
}

fn load_block(p: Place, start: u32, k: u32, invocation: Invocation) {
    workgroupBarrier();
    for (var i = invocation.lane; i < BLOCK_ROWS; i += WORKGROUP) {
        block_rows[i] = state_at(start, p.group + i / BLOCK, k + i % BLOCK);
    }
    workgroupBarrier();
}

// Four k of the block, from the j-th on.
fn quad(tile: u32, j: u32) -> Quad {
    let first = tile * BLOCK + j;
    return Quad(block_rows[first], block_rows[first + 1u], block_rows[first + 2u], block_rows[first + 3u]);
}
