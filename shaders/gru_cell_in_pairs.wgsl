// As gru_cell.wgsl, in pairs; the state is rounded.

fn gru(projected: Accumulator, sums: Accumulator, bias: f32, old: Rows) -> Rows {
    let update_gate = activated_pair(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, pair_sum(projected[0], sums[0]));
    let reset_gate = activated_pair(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, pair_sum(projected[1], sums[1]));
    let recurrent = pair_product(reset_gate, pair_sum(sums[2], pair(Rows(bias))));
    let candidate = activated_pair(ACTIVATION, ACTIVATION_PARAMETER, pair_sum(projected[2], recurrent));
    return rounded(pair_sum(pair_product(update_gate, pair(old)), pair_product(one_minus(update_gate), candidate)));
}
