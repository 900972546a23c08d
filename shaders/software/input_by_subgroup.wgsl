// How a subgroup of the input projection shares rows of x, for software adapters, where every load
// is costly and a shuffle is one instruction: every invocation loads one vector of each row, and
// hands it to the others.

var<private> starts: array<u32, 16>;
var<private> block_rows: array<vec4<f32>, 16>;

// The size of every subgroup, a constant as in rows_by_subgroup.wgsl.
override BLOCK: u32 = 8u;

fn start_quad(quad: u32, tile: u32, direction: u32) {
    starts[4u * tile] = row_start(quad + tile, 0u, direction);
    starts[4u * tile + 1u] = row_start(quad + tile, 1u, direction);
    starts[4u * tile + 2u] = row_start(quad + tile, 2u, direction);
    starts[4u * tile + 3u] = row_start(quad + tile, 3u, direction);
}

fn start_rows(quad: u32, direction: u32) {
    start_quad(quad, 0u, direction);
    if TILES > 1u { start_quad(quad, 1u, direction); }
    if TILES > 2u {
        start_quad(quad, 2u, direction);
        start_quad(quad, 3u, direction);
    }
}

// A vector of a row: zeros past the last.
fn vector_at(start: u32, k: u32) -> vec4<f32> {
    let last = p.features4 - 1u;
    return select(vec4(0.0), x[start + min(k, last)], k <= last);
}

fn load_quad(tile: u32, k: u32) {
    block_rows[4u * tile] = vector_at(starts[4u * tile], k);
    block_rows[4u * tile + 1u] = vector_at(starts[4u * tile + 1u], k);
    block_rows[4u * tile + 2u] = vector_at(starts[4u * tile + 2u], k);
    block_rows[4u * tile + 3u] = vector_at(starts[4u * tile + 3u], k);
}

fn load_block(quad: u32, direction: u32, k: u32, invocation: Invocation) {
    let mine = k + invocation.subgroup_lane;
    load_quad(0u, mine);
    if TILES > 1u { load_quad(1u, mine); }
    if TILES > 2u {
        load_quad(2u, mine);
        load_quad(3u, mine);
    }
}

// The j-th vector of the block, of a row.
fn row_at(row: u32, j: u32) -> vec4<f32> {
    return subgroupShuffle(block_rows[row], j);
}

// Adds a block to the sums, two vectors at a time: llvmpipe loads, masks and stores all sums every
// time. Past the last k the block has zeros, which any weights do for.
fn multiply_block(weights_first: u32, k: u32) {
    let last = p.features4 - 1u;
    for (var j = 0u; j < min(BLOCK, p.features4 - k); j += 2u) {
        multiply_tiles(j, weights_of_k(weights_first, k + j));
        multiply_tiles(j + 1u, weights_of_k(weights_first, min(k + j + 1u, last)));
    }
}
