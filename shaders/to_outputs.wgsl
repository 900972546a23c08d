// As to_states.wgsl, for a sequence kernel that writes what the layer returns, and to the states
// only what the next chunk starts from. cell_to_outputs.wgsl is the same for the cell state.
//
//   output                [batch][timesteps of the segment][features_padded]
//   hidden_0 and hidden_1 [batch][units_padded]   the final hidden states of both directions
//
// FIRST_OUTPUT, the binding of the output, is the kernel's own.

@group(0) @binding(FIRST_OUTPUT) var<storage, read_write> output: array<f32>;
@group(0) @binding(FIRST_OUTPUT + 1u) var<storage, read_write> hidden_0: array<f32>;
@group(0) @binding(FIRST_OUTPUT + 2u) var<storage, read_write> hidden_1: array<f32>;

// Where a unit of a step stands in the first row of the output.
fn output_start(p: Place, step: u32) -> u32 {
    let second = p.direction == 1u;
    let first = select(recurrence.first_timestep_0, recurrence.first_timestep_1, second);
    let steps = step - recurrence.first_written;
    let t = select(first + steps, first - steps, ((recurrence.reversed >> p.direction) & 1u) == 1u);
    let feature = select(recurrence.first_feature_0, recurrence.first_feature_1, second);
    return t * recurrence.features_padded + feature + p.unit;
}

fn write_output(start: u32, row: u32, value: f32) {
    if row < recurrence.batch { output[row * recurrence.timesteps * recurrence.features_padded + start] = value; }
}

fn keep_hidden(p: Place, step: u32, hidden: Rows) {
    if step < recurrence.first_written { return; }
    let start = output_start(p, step);
    let row = p.group * ROWS;
    let values = row_values(put_out(p.direction, step, p.group, hidden));
    write_output(start, row, values.x);
    if ROWS > 1u {
        write_output(start, row + 1u, values.y);
        write_output(start, row + 2u, values.z);
        write_output(start, row + 3u, values.w);
    }
}

fn is_final(p: Place, state: u32) -> bool {
    return ((recurrence.final_states >> (2u * state + p.direction)) & 1u) == 1u;
}

fn write_hidden(p: Place, row: u32, value: f32) {
    if row >= recurrence.batch { return; }
    let to = row * recurrence.units_padded + p.unit;
    if p.direction == 0u { hidden_0[to] = value; } else { hidden_1[to] = value; }
}

fn finish_hidden(p: Place, hidden: Rows) {
    states[slot_start(p.direction, recurrence.steps) + p.state] = stored_rows(hidden);
    if !is_final(p, 0u) { return; }
    let row = p.group * ROWS;
    let values = row_values(hidden);
    write_hidden(p, row, values.x);
    if ROWS > 1u {
        write_hidden(p, row + 1u, values.y);
        write_hidden(p, row + 2u, values.z);
        write_hidden(p, row + 3u, values.w);
    }
}
