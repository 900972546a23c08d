// All steps of a chunk of an LSTM in one dispatch, all directions at once.

#import shared/gates_4
#import shared/sequence
#import shared/lstm_cell

@group(0) @binding(0) var<uniform> recurrence: Recurrence;
// [direction][k4][gate][unit]: vectors of four k of the recurrent kernel; see weights.wgsl.
@group(0) @binding(1) var<storage, read> kernel: array<StoredWeights>;
// [direction][step of the chunk][group][unit]: the gates of x·kernel + bias.
@group(0) @binding(2) var<storage, read> projection: array<StoredSums>;
// Hidden states [direction][slot][group][unit], then cell states; see recurrence.wgsl.
@group(0) @binding(3) var<storage, read_write> states: array<Rows>;
#if WRITES_OUTPUTS
// [batch][timesteps of the segment][features_padded]
@group(0) @binding(4) var<storage, read_write> output: array<f32>;
// [batch][units_padded]: the final hidden states of both directions.
@group(0) @binding(5) var<storage, read_write> hidden_0: array<f32>;
@group(0) @binding(6) var<storage, read_write> hidden_1: array<f32>;
// [batch][units_padded]: the final cell states of both directions.
@group(0) @binding(7) var<storage, read_write> cell_0: array<f32>;
@group(0) @binding(8) var<storage, read_write> cell_1: array<f32>;
#endif

// The gates that the kernel has of a unit, and the first one that is computed.
const KERNEL_GATES: u32 = 4u;
const FIRST_GATE: u32 = 0u;

// Of the step, of this invocation's part.
var<private> sums: Sums;

fn accumulate(rows: Quad, weights: Weights, phase: u32) {
    sums = added(sums, rows, weights);
}

#if WRITES_OUTPUTS
fn write_cell(p: Place, row: u32, value: f32) {
    if row >= recurrence.batch { return; }
    let to = row * recurrence.units_padded + p.unit;
    if p.direction == 0u { cell_0[to] = value; } else { cell_1[to] = value; }
}
#endif

// The cell state after the last step; outputs.wgsl has the same of the hidden state.
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

@compute @workgroup_size(WORKGROUP)
fn lstm_sequence(invocation: Invocation) {
    let p = place(invocation);
    var h = initial(slot_start(p.direction, 0u) + p.state);
    var c = initial(cell_start(p.direction, 0u) + p.state);
    start(p, invocation, h);
    for (var t = 0u; t < recurrence.steps; t++) {
        let side = (t & 1u) * SIDE;
        let projected = all_sums(projection[projected_at(p, t)]);
        sums = Sums();
        multiply(side, 0u, p.direction, p.unit, invocation);
        let all = gathered(sums, invocation);
        if p.finishes {
            let stepped = lstm(projected + all, c);
            c = masked(p.direction, t, p.group, c, stepped.cell);
            h = masked(p.direction, t, p.group, h, stepped.hidden);
            shared_states[SIDE - side + invocation.lane] = h;
            keep_hidden(p, t, h);
        }
        workgroupBarrier();
    }
    if p.finishes {
        finish_hidden(p, h);
        finish_cell(p, c);
    }
}
