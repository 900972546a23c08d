// The cell states of a sequence kernel that writes what the layer returns. Stands after
// to_outputs.wgsl.
//
//   cell_0 and cell_1  [batch][units_padded]   the final cell states of both directions

@group(0) @binding(FIRST_OUTPUT + 3u) var<storage, read_write> cell_0: array<f32>;
@group(0) @binding(FIRST_OUTPUT + 4u) var<storage, read_write> cell_1: array<f32>;

fn write_cell(p: Place, row: u32, value: f32) {
    if row >= recurrence.batch { return; }
    let to = row * recurrence.units_padded + p.unit;
    if p.direction == 0u { cell_0[to] = value; } else { cell_1[to] = value; }
}

fn finish_cell(p: Place, cell: Rows) {
    states[cell_start(p.direction, 0u) + p.state] = stored_rows(cell);
    if !is_final(p, 1u) { return; }
    let row = p.group * ROWS;
    let values = row_values(cell);
    write_cell(p, row, values.x);
    if ROWS > 1u {
        write_cell(p, row + 1u, values.y);
        write_cell(p, row + 2u, values.z);
        write_cell(p, row + 3u, values.w);
    }
}
