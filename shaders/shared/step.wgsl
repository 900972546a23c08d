// h·recurrent_kernel of one timestep, all directions at once: what every step kernel does before
// its `finish`.
//
// An invocation computes one unit of TILES groups of rows of one direction, with SPLIT > 1 a part
// of the sum, which SPLIT invocations then add up. All invocations of a workgroup multiply by the
// same hidden states, which they load together, a block of BLOCK k at a time.

#import shared/invocation
#import shared/recurrence
#import shared/mask
#import shared/states

struct Step {
    // The step within the chunk.
    index: u32,
}
@group(1) @binding(0) var<uniform> step: Step;

// Groups of rows that an invocation computes: 1, 2 or 4; 1 where SPLIT is above 1.
override TILES: u32 = 1u;
// Invocations that share a sum.
override SPLIT: u32 = 1u;
override LANES: u32 = WORKGROUP / SPLIT;
// The length of `partial`: WORKGROUP where SPLIT is above 1, otherwise 1.
override PARTIAL: u32 = 1u;

// Of the tiles.
var<private> sums: array<Sums, 4>;
var<workgroup> partial: array<Sums, PARTIAL>;

struct Place {
    direction: u32,
    unit: u32,
    // The first group of rows.
    group: u32,
    // Whether the unit exists, and this invocation is the one that finishes it.
    finishes: bool,
}

fn place(invocation: Invocation) -> Place {
    var p: Place;
    p.direction = recurrence.first_direction + invocation.workgroup.z;
    // Tiles of rows are next to each other in time, so that caches keep the weights.
    let unit = invocation.workgroup.y * LANES + invocation.lane % LANES;
    p.unit = min(unit, recurrence.units - 1u);
    p.group = invocation.workgroup.x * TILES;
    p.finishes = unit < recurrence.units && invocation.lane < LANES;
    return p;
}

// A hidden state of a group: zero past the last unit, where the kernel has zeros, too.
fn state_at(start: u32, group: u32, k: u32) -> Rows {
    let units = recurrence.units;
    let clamped = min(group, recurrence.groups - 1u) * units + min(k, units - 1u);
    return select(Rows(), states[start + clamped], k < units);
}

// The weights of four k, of a unit whose weights start at `first`.
fn weights_of_k(first: u32, k: u32) -> Weights {
    let panel = panel_units(recurrence.units);
    return weights_at(first + k / 4u * KERNEL_GATES * panel, panel);
}

#if SUBGROUPS
#import software/rows_by_subgroup
#else
// A multiple of 4; where SPLIT is above 1, of 8 · SPLIT.
override BLOCK: u32 = 64u;
override BLOCK_ROWS: u32 = BLOCK * TILES;

var<workgroup> block_rows: array<Rows, BLOCK_ROWS>;

// Loads a block of k of each tile to workgroup memory.
fn load_block(p: Place, start: u32, k: u32, invocation: Invocation) {
    workgroupBarrier();
    for (var i = invocation.lane; i < BLOCK_ROWS; i += WORKGROUP) {
        block_rows[i] = state_at(start, p.group + i / BLOCK, k + i % BLOCK);
    }
    workgroupBarrier();
}

// Four k of the block, from the j-th on.
fn quad(tile: u32, j: u32) -> Quad {
    let i = tile * BLOCK + j;
    return Quad(block_rows[i], block_rows[i + 1u], block_rows[i + 2u], block_rows[i + 3u]);
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
#endif

// Adds four k of a block, from the j-th on, to the sums of every tile.
fn multiply_tiles(j: u32, weights: Weights) {
    sums[0] = added(sums[0], quad(0u, j), weights);
    if TILES > 1u { sums[1] = added(sums[1], quad(1u, j), weights); }
    if TILES > 2u {
        sums[2] = added(sums[2], quad(2u, j), weights);
        sums[3] = added(sums[3], quad(3u, j), weights);
    }
}

// Leaves the sums of the place's groups in `sums`. `start`: where the direction's rows of what is
// multiplied start in `states`; `zeros`: they are not there, but zeros.
fn multiply(p: Place, start: u32, zeros: bool, invocation: Invocation) {
    let weights_first = weights_start(p.direction, p.unit);
    let k_end = select((recurrence.units + 3u) / 4u * 4u, 0u, zeros);
    for (var k = 0u; k < k_end; k += BLOCK) {
        load_block(p, start, k, invocation);
        multiply_block(weights_first, k, k_end, invocation);
    }
    if SPLIT > 1u {
        partial[invocation.lane] = sums[0];
        workgroupBarrier();
        for (var other = 1u; other < SPLIT; other++) {
            sums[0] += partial[other * LANES + invocation.lane % LANES];
        }
    }
}

// Hands the sums of each group to the kernel's `finish`.
fn finish_tiles(p: Place) {
    if !p.finishes { return; }
    finish(p, 0u, sums[0]);
    if TILES > 1u { finish(p, 1u, sums[1]); }
    if TILES > 2u {
        finish(p, 2u, sums[2]);
        finish(p, 3u, sums[3]);
    }
}
