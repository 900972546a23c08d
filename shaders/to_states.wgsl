// Where a sequence kernel's states go: to the states, from where merge.wgsl, merge_last.wgsl and
// final_states.wgsl bring them to their places. to_outputs.wgsl is the same for kernels that write
// to these places themselves. Stands before every sequence kernel.

// The hidden state after a step of the chunk.
fn keep_hidden(p: Place, step: u32, hidden: Rows) {
    states[slot_start(p.direction, step + 1u) + p.state] = stored_rows(hidden);
}

// The same after the last step.
fn finish_hidden(p: Place, hidden: Rows) {}

fn finish_cell(p: Place, cell: Rows) {
    states[cell_start(p.direction, 0u) + p.state] = stored_rows(cell);
}
