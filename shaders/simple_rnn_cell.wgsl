// The hidden state of a SimpleRNN after a step.

fn simple_rnn(sum: Rows) -> Rows {
    return activated(ACTIVATION, ACTIVATION_PARAMETER, sum);
}
