// As simple_rnn_cell.wgsl, in pairs; the state is rounded.

fn simple_rnn(sum: Accumulator) -> Rows {
    return rounded(activated_pair(ACTIVATION, ACTIVATION_PARAMETER, sum[0]));
}
