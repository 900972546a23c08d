// As lstm_cell.wgsl, in pairs; the states are rounded.

struct LstmStates {
    hidden: Rows,
    cell: Rows,
}

fn lstm(sums: Accumulator, old_cell: Rows) -> LstmStates {
    let input_gate = activated_pair(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, sums[0]);
    let forget_gate = activated_pair(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, sums[1]);
    let candidate = activated_pair(ACTIVATION, ACTIVATION_PARAMETER, sums[2]);
    let output_gate = activated_pair(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, sums[3]);
    let cell = pair_sum(pair_product(forget_gate, pair(old_cell)), pair_product(input_gate, candidate));
    let hidden = pair_product(output_gate, activated_pair(ACTIVATION, ACTIVATION_PARAMETER, cell));
    return LstmStates(rounded(hidden), rounded(cell));
}
