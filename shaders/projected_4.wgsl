// Rows of the projection in quads: four rows of the batch of one step. projected_1.wgsl is the same
// for a batch of one.

@group(0) @binding(4) var<storage, read_write> projection: array<StoredQuadSums>;

fn quads() -> u32 {
    return p.steps * p.groups;
}

// The step and the batch row of a row of a quad; past the last they repeat it.
fn row_place(quad: u32, row: u32) -> vec2<u32> {
    let clamped = min(quad, quads() - 1u);
    return vec2(clamped / p.groups, min(clamped % p.groups * 4u + row, p.batch - 1u));
}

fn store(quad: u32, direction: u32, unit: u32, a: RowSums, b: RowSums, c: RowSums, d: RowSums) {
    if quad < quads() {
        projection[(direction * quads() + quad) * p.units + unit] = stored_quad_sums(interleaved(a, b, c, d));
    }
}
