// The states of an LSTM after a step. Source of the formulas: `Lstm` in src/layer/recurrent.rs.

struct LstmStates {
    hidden: Rows,
    cell: Rows,
}

// `sums`: the gates i f c o before their activations.
fn lstm(sums: Sums, old_cell: Rows) -> LstmStates {
    let input_gate = activated(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, sums[0]);
    let forget_gate = activated(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, sums[1]);
    let candidate = activated(ACTIVATION, ACTIVATION_PARAMETER, sums[2]);
    let output_gate = activated(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, sums[3]);
    let cell = forget_gate * old_cell + input_gate * candidate;
    return LstmStates(output_gate * activated(ACTIVATION, ACTIVATION_PARAMETER, cell), cell);
}
