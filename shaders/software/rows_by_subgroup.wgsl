// How a subgroup of a step kernel shares hidden states, for software adapters, where every load is
// costly and a shuffle is one instruction: every invocation loads one k of each group, and hands it
// to the others.

var<private> block_rows: array<Rows, 4>;

// The size of every subgroup. A constant: a compiler has to see that all of a subgroup reach a
// shuffle together, and takes what a builtin says for something that differs among them.
override BLOCK: u32 = 8u;

fn load_block(p: Place, start: u32, k: u32, invocation: Invocation) {
    let mine = k + invocation.subgroup_lane;
    block_rows[0] = state_at(start, p.group, mine);
    if TILES > 1u { block_rows[1] = state_at(start, p.group + 1u, mine); }
    if TILES > 2u {
        block_rows[2] = state_at(start, p.group + 2u, mine);
        block_rows[3] = state_at(start, p.group + 3u, mine);
    }
}

// Four k of the block, from the j-th on.
fn quad(tile: u32, j: u32) -> Quad {
    let rows = block_rows[tile];
    return Quad(
        subgroupShuffle(rows, j),
        subgroupShuffle(rows, j + 1u),
        subgroupShuffle(rows, j + 2u),
        subgroupShuffle(rows, j + 3u),
    );
}

// Adds a block to the sums, which are never shared here. A block of 8 k has no loop, in which
// llvmpipe would load, mask and store all sums for each vector. Past the last k the block has
// zeros, which any weights do for.
fn multiply_block(weights_first: u32, k: u32, k_end: u32, invocation: Invocation) {
    multiply_tiles(0u, weights_of_k(weights_first, k));
    if BLOCK > 4u { multiply_tiles(4u, weights_of_k(weights_first, min(k + 4u, k_end - 4u))); }
    for (var j = 8u; j < BLOCK; j += 4u) {
        multiply_tiles(j, weights_of_k(weights_first, min(k + j, k_end - 4u)));
    }
}
