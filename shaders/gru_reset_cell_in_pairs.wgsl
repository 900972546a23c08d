// As gru_reset_cell.wgsl, in pairs; the states are rounded.

fn reset_hidden(r: GateSum, old: Rows) -> Rows {
    return rounded(pair_product(activated_pair(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, r), pair(old)));
}

fn gru_reset(z: GateSum, candidate: GateSum, old: Rows) -> Rows {
    let update_gate = activated_pair(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, z);
    let stepped = activated_pair(ACTIVATION, ACTIVATION_PARAMETER, candidate);
    return rounded(pair_sum(pair_product(update_gate, pair(old)), pair_product(one_minus(update_gate), stepped)));
}
