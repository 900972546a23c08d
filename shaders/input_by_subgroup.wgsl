// Rows of x by the subgroup, as rows_by_subgroup.wgsl has it: every invocation loads one vector of each row.

struct Invocation {
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_invocation_id) subgroup_lane: u32,
}

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

fn load_quad(tile: u32, k: u32) {
    block_rows[4u * tile] = x[starts[4u * tile] + k];
    block_rows[4u * tile + 1u] = x[starts[4u * tile + 1u] + k];
    block_rows[4u * tile + 2u] = x[starts[4u * tile + 2u] + k];
    block_rows[4u * tile + 3u] = x[starts[4u * tile + 3u] + k];
}

fn load_block(quad: u32, direction: u32, k: u32, invocation: Invocation) {
    let mine = min(k + invocation.subgroup_lane, p.features4 - 1u);
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
