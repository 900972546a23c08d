// projection = x·kernel + bias, for a chunk of timesteps, in one dispatch for the directions that
// read the same segment of x.
//
//   x           [batch][timesteps of the segment][features4]   vectors of four features
//   bias        [direction][unit]                              the gates of a unit
//   projection  [direction][step][group][unit]                 as recurrence.wgsl has it
//
// An invocation computes all gates of a unit for TILES quads of rows.

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
@group(0) @binding(2) var<storage, read> bias: array<RowSums>;
@group(0) @binding(3) var<storage, read> x: array<vec4<f32>>;

override WORKGROUP: u32 = 64u;
// 1, 2 or 4.
override TILES: u32 = 1u;

var<private> sums: array<RowSums, 16>;

// Where a row of a quad starts in x.
fn row_start(quad: u32, row: u32, direction: u32) -> u32 {
    let place = row_place(quad, row);
    let step = p.first_step + place.x;
    let from_end = ((p.reversed >> direction) & 1u) == 1u;
    let t = select(step, p.timesteps - 1u - step, from_end);
    return (place.y * p.segment_timesteps + t - p.segment_start) * p.features4;
}

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
    let first = 4u * tile;
    let place = p.first_projected + direction;
    store(quad + tile, place, unit, sums[first], sums[first + 1u], sums[first + 2u], sums[first + 3u]);
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
