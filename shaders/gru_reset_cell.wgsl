// The states of a GRU with reset_after false. Source of the formulas: `Gru` in
// src/layer/recurrent.rs.

// r ⊙ h, of the gate r before its activation.
fn reset_hidden(r: Rows, old: Rows) -> Rows {
    return activated(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, r) * old;
}

// The hidden state after a step, of the gate z and the candidate before their activations.
fn gru_reset(z: Rows, candidate: Rows, old: Rows) -> Rows {
    let update_gate = activated(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, z);
    return update_gate * old + (1.0 - update_gate) * activated(ACTIVATION, ACTIVATION_PARAMETER, candidate);
}
