// The hidden state of a GRU with reset_after true after a step. Source of the formulas: `Gru` in
// src/layer/recurrent.rs.

// `projected`: the gates z r h of x·kernel + bias; `sums`: those of h·recurrent_kernel; `bias`: the
// recurrent bias of the candidate (those of z and r are added to the projection's bias).
fn gru(projected: Sums, sums: Sums, bias: f32, old: Rows) -> Rows {
    let update_gate = activated(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, projected[0] + sums[0]);
    let reset_gate = activated(RECURRENT_ACTIVATION, RECURRENT_PARAMETER, projected[1] + sums[1]);
    let recurrent = reset_gate * (sums[2] + bias);
    let candidate = activated(ACTIVATION, ACTIVATION_PARAMETER, projected[2] + recurrent);
    return update_gate * old + (1.0 - update_gate) * candidate;
}
