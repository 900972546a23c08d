// Where the hidden states of a sequence kernel go. With WRITES_OUTPUTS to the layer's output and
// its final states, and to `states` only what the next chunk starts from. Otherwise all to
// `states`, from where merge.wgsl, merge_last.wgsl and final_states.wgsl bring them to their
// places.

#import shared/mask

#if WRITES_OUTPUTS
const FIRST_OUTPUT: u32 = #{FIRST_OUTPUT}u;
// [batch][timesteps of the segment][features_padded]
@group(0) @binding(FIRST_OUTPUT) var<storage, read_write> output: array<f32>;
// [batch][units_padded]: the final hidden states of both directions.
@group(0) @binding(FIRST_OUTPUT + 1u) var<storage, read_write> hidden_0: array<f32>;
@group(0) @binding(FIRST_OUTPUT + 2u) var<storage, read_write> hidden_1: array<f32>;
#if CELL_STATE
// The same of the cell states.
@group(0) @binding(FIRST_OUTPUT + 3u) var<storage, read_write> cell_0: array<f32>;
@group(0) @binding(FIRST_OUTPUT + 4u) var<storage, read_write> cell_1: array<f32>;
#endif

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
    if row >= recurrence.batch { return; }
    output[row * recurrence.timesteps * recurrence.features_padded + start] = value;
}

fn write_hidden(p: Place, row: u32, value: f32) {
    if row >= recurrence.batch { return; }
    let to = row * recurrence.units_padded + p.unit;
    if p.direction == 0u { hidden_0[to] = value; } else { hidden_1[to] = value; }
}

// Whether a state, 0 the hidden state and 1 the cell state, is final after the chunk.
fn is_final(p: Place, state: u32) -> bool {
    return ((recurrence.final_states >> (2u * state + p.direction)) & 1u) == 1u;
}
#endif

// The hidden state after a step of the chunk.
fn keep_hidden(p: Place, step: u32, hidden: Rows) {
#if WRITES_OUTPUTS
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
#else
    states[slot_start(p.direction, step + 1u) + p.state] = hidden;
#endif
}

// The same after the last step.
fn finish_hidden(p: Place, hidden: Rows) {
#if WRITES_OUTPUTS
    states[slot_start(p.direction, recurrence.steps) + p.state] = hidden;
    if !is_final(p, 0u) { return; }
    let row = p.group * ROWS;
    let values = row_values(hidden);
    write_hidden(p, row, values.x);
    if ROWS > 1u {
        write_hidden(p, row + 1u, values.y);
        write_hidden(p, row + 2u, values.z);
        write_hidden(p, row + 3u, values.w);
    }
#endif
}

#if CELL_STATE
// The cell state after the last step.
fn finish_cell(p: Place, cell: Rows) {
    states[cell_start(p.direction, 0u) + p.state] = cell;
#if WRITES_OUTPUTS
    if !is_final(p, 1u) { return; }
    let row = p.group * ROWS;
    let values = row_values(cell);
    write_cell(p, row, values.x);
    if ROWS > 1u {
        write_cell(p, row + 1u, values.y);
        write_cell(p, row + 2u, values.z);
        write_cell(p, row + 3u, values.w);
    }
#endif
}

#if WRITES_OUTPUTS
fn write_cell(p: Place, row: u32, value: f32) {
    if row >= recurrence.batch { return; }
    let to = row * recurrence.units_padded + p.unit;
    if p.direction == 0u { cell_0[to] = value; } else { cell_1[to] = value; }
}
#endif
#endif
