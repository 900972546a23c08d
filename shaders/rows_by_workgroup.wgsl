// Hidden states by workgroup memory: the workgroup loads a block of k together, and every
// invocation reads it there.

struct Invocation {
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
}

// A multiple of 4; where SPLIT is above 1, of 8 · SPLIT.
override BLOCK: u32 = 64u;
override BLOCK_ROWS: u32 = BLOCK * TILES;

var<workgroup> block_rows: array<Rows, BLOCK_ROWS>;

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

// Adds a block to the sums. Past the last k it has zeros, which any weights do for.
fn multiply_block(weights_first: u32, k: u32, k_end: u32, invocation: Invocation) {
    if SPLIT > 1u {
        multiply_part(weights_first, k, k_end, invocation);
        return;
    }
    for (var j = 0u; j < min(BLOCK, k_end - k); j += 4u) {
        multiply_tiles(j, weights_of_k(weights_first, k + j));
    }
}

// An invocation's part of the sums: two vectors of four k at a time, so that it waits for the loads
// of both at once.
fn multiply_part(weights_first: u32, k: u32, k_end: u32, invocation: Invocation) {
    let end = min(BLOCK, k_end - k);
    for (var j = invocation.lane / LANES * 4u; j < end; j += 8u * SPLIT) {
        let next = j + 4u * SPLIT;
        let weights = weights_of_k(weights_first, k + j);
        let next_weights = weights_of_k(weights_first, min(k + next, k_end - 4u));
        sums[0] = added(sums[0], quad(0u, j), weights);
        sums[0] = added(sums[0], quad(0u, next), next_weights);
    }
}
