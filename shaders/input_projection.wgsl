// projection = x·kernel + bias, for a chunk of timesteps, in one dispatch for the directions that
// read the same segment of x.
//
// An invocation computes all gates of a unit for TILES quads of rows: four rows of the batch of one
// step, or with ONE_ROW four steps of the one row of the batch.

// The gates of the cell: 1 to 4.
#import shared/gates_#{GATES}
#import shared/weights
#import shared/invocation

struct Projection {
    batch: u32,
    groups: u32,
    // Steps before this chunk, and in it.
    first_step: u32,
    steps: u32,
    // Timesteps of the whole sequence.
    timesteps: u32,
    features4: u32,
    units: u32,
    // The direction that workgroup z = 0 computes.
    first_direction: u32,
    // Bit d: direction d reads time from the end.
    reversed: u32,
    segment_start: u32,
    segment_timesteps: u32,
    // Where direction 0 stands in the projection.
    first_projected: u32,
}

@group(0) @binding(0) var<uniform> p: Projection;
// [direction][k4][gate][unit]: vectors of four features of the layer's kernel; see weights.wgsl.
@group(0) @binding(1) var<storage, read> kernel: array<StoredWeights>;
// [direction][unit]: the gates of a unit.
@group(0) @binding(2) var<storage, read> bias: array<RowSums>;
// [batch][timesteps of the segment][features4]: vectors of four features.
@group(0) @binding(3) var<storage, read> x: array<vec4<f32>>;
// [direction][step][group][unit]: as recurrence.wgsl has it.
#if ONE_ROW
@group(0) @binding(4) var<storage, read_write> projection: array<RowSums>;
#else
@group(0) @binding(4) var<storage, read_write> projection: array<StoredQuadSums>;
#endif

override WORKGROUP: u32 = 64u;
// 1, 2 or 4.
override TILES: u32 = 1u;

// Of the rows of all tiles.
var<private> sums: array<RowSums, 16>;

#if ONE_ROW
// The step and the batch row of a row of a quad; past the last they repeat it.
fn row_place(quad: u32, row: u32) -> vec2<u32> {
    return vec2(min(quad * 4u + row, p.steps - 1u), 0u);
}

fn store_step(step: u32, direction: u32, unit: u32, sums: RowSums) {
    if step >= p.steps { return; }
    projection[(direction * p.steps + step) * p.units + unit] = sums;
}

fn store(quad: u32, direction: u32, unit: u32, a: RowSums, b: RowSums, c: RowSums, d: RowSums) {
    store_step(quad * 4u, direction, unit, a);
    store_step(quad * 4u + 1u, direction, unit, b);
    store_step(quad * 4u + 2u, direction, unit, c);
    store_step(quad * 4u + 3u, direction, unit, d);
}
#else
fn quads() -> u32 {
    return p.steps * p.groups;
}

// The step and the batch row of a row of a quad; past the last they repeat it.
fn row_place(quad: u32, row: u32) -> vec2<u32> {
    let clamped = min(quad, quads() - 1u);
    return vec2(clamped / p.groups, min(clamped % p.groups * 4u + row, p.batch - 1u));
}

fn store(quad: u32, direction: u32, unit: u32, a: RowSums, b: RowSums, c: RowSums, d: RowSums) {
    if quad >= quads() { return; }
    let place = (direction * quads() + quad) * p.units + unit;
    projection[place] = stored_quad_sums(interleaved(a, b, c, d));
}
#endif

// Where a row of a quad starts in x.
fn row_start(quad: u32, row: u32, direction: u32) -> u32 {
    let place = row_place(quad, row);
    let step = p.first_step + place.x;
    let from_end = ((p.reversed >> direction) & 1u) == 1u;
    let t = select(step, p.timesteps - 1u - step, from_end);
    return (place.y * p.segment_timesteps + t - p.segment_start) * p.features4;
}

#if SUBGROUPS
#import software/input_by_subgroup
#else
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
#endif

fn add_row(row: u32, j: u32, weights: Weights) {
    sums[row] = row_added(sums[row], row_at(row, j), weights);
}

fn multiply_quad(tile: u32, j: u32, weights: Weights) {
    add_row(4u * tile, j, weights);
    add_row(4u * tile + 1u, j, weights);
    add_row(4u * tile + 2u, j, weights);
    add_row(4u * tile + 3u, j, weights);
}

// Adds the j-th vector of a block to the sums of every tile.
fn multiply_tiles(j: u32, weights: Weights) {
    multiply_quad(0u, j, weights);
    if TILES > 1u { multiply_quad(1u, j, weights); }
    if TILES > 2u {
        multiply_quad(2u, j, weights);
        multiply_quad(3u, j, weights);
    }
}

// The weights of the k-th vector of features, of a unit whose weights start at `first`.
fn weights_of_k(first: u32, k: u32) -> Weights {
    let panel = panel_units(p.units);
    return weights_at(first + k * GATES * panel, panel);
}

// Sums start from the bias, which saves a rounding.
fn start_quad_sums(tile: u32, first: RowSums) {
    sums[4u * tile] = first;
    sums[4u * tile + 1u] = first;
    sums[4u * tile + 2u] = first;
    sums[4u * tile + 3u] = first;
}

fn start_sums(first: RowSums) {
    start_quad_sums(0u, first);
    if TILES > 1u { start_quad_sums(1u, first); }
    if TILES > 2u {
        start_quad_sums(2u, first);
        start_quad_sums(3u, first);
    }
}

fn store_quad(quad: u32, tile: u32, direction: u32, unit: u32) {
    let i = 4u * tile;
    let place = p.first_projected + direction;
    store(quad + tile, place, unit, sums[i], sums[i + 1u], sums[i + 2u], sums[i + 3u]);
}

@compute @workgroup_size(WORKGROUP)
fn input_projection(invocation: Invocation) {
    let direction = p.first_direction + invocation.workgroup.z;
    // Quads of rows are next to each other in time, so that caches keep the weights.
    let wanted = invocation.workgroup.y * WORKGROUP + invocation.lane;
    let unit = min(wanted, p.units - 1u);
    let quad = invocation.workgroup.x * TILES;
    let vectors = p.features4 * GATES;
    let weights_first = direction * vectors * p.units + unit_start(unit, vectors);
    start_rows(quad, direction);
    start_sums(bias[direction * p.units + unit]);
    for (var k = 0u; k < p.features4; k += BLOCK) {
        load_block(quad, direction, k, invocation);
        multiply_block(weights_first, k);
    }
    if wanted >= p.units { return; }
    store_quad(quad, 0u, direction, unit);
    if TILES > 1u { store_quad(quad, 1u, direction, unit); }
    if TILES > 2u {
        store_quad(quad, 2u, direction, unit);
        store_quad(quad, 3u, direction, unit);
    }
}
