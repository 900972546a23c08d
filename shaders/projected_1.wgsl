// As projected_4.wgsl for a batch of one row: a quad is four steps.

@group(0) @binding(4) var<storage, read_write> projection: array<StoredRowSums>;

fn quads() -> u32 {
    return (p.steps + 3u) / 4u;
}

fn row_place(quad: u32, row: u32) -> vec2<u32> {
    return vec2(min(quad * 4u + row, p.steps - 1u), 0u);
}

fn store_step(step: u32, direction: u32, unit: u32, sums: RowSums) {
    if step >= p.steps { return; }
    projection[(direction * p.steps + step) * p.units + unit] = stored_row_sums(sums);
}

fn store(quad: u32, direction: u32, unit: u32, a: RowSums, b: RowSums, c: RowSums, d: RowSums) {
    store_step(quad * 4u, direction, unit, a);
    store_step(quad * 4u + 1u, direction, unit, b);
    store_step(quad * 4u + 2u, direction, unit, c);
    store_step(quad * 4u + 3u, direction, unit, d);
}
