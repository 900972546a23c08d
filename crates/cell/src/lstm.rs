//! Long short-term memory.

use crate::cell::{Cell, Description, Gate, GateActivation, HiddenProduct};
use crate::timestep::{Formula, Real, State, Timestep};

impl Cell {
    /// Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000;
    /// peepholes: Gers & Schmidhuber 2000; coupled gates: Greff et al. 2015).
    pub const LSTM: Cell = Cell::new(&LSTM);
}

static LSTM: Description = Description {
    name: "lstm",
    class_name: "LSTM",
    title: "LSTM",
    gates: &[
        gate("i", "input gate", GateActivation::Recurrent),
        gate("f", "forget gate", GateActivation::Recurrent),
        gate("c", "candidate", GateActivation::Main),
        gate("o", "output gate", GateActivation::Recurrent),
    ],
    cell_state: true,
    peepholes: &[0, 1, 3],
    can_couple: true,
    forget_gate: Some(1),
    formula: Formula { in_f32: step, in_f64: step },
};

const fn gate(name: &'static str, title: &'static str, activation: GateActivation) -> Gate {
    Gate { name, title, hidden: HiddenProduct::Added, activation }
}

/// ```text
/// i  = recurrent_activation(x·W_i + h·U_i + b_i + p_i ⊙ c)
/// f  = recurrent_activation(x·W_f + h·U_f + b_f + p_f ⊙ c)    coupled: 1 - i
/// c' = f ⊙ c + i ⊙ activation(x·W_c + h·U_c + b_c)
/// o  = recurrent_activation(x·W_o + h·U_o + b_o + p_o ⊙ c')
/// h' = o ⊙ activation(c')                               or state_activation(c')
/// ```
///
/// Source: `keras.layers.LSTMCell`, and the operator LSTM of ONNX for peepholes p, coupled
/// gates and state_activation, its h.
fn step<F: Real>(t: &Timestep<F>, state: &State<F>) -> State<F> {
    let (h, c) = (&state.hidden, state.cell());
    let sum = |gate| t.of_input(gate) + t.of_hidden(gate, h);
    let i = t.gate(0, sum(0) + t.of_cell(0, &c));
    let f = match t.options.coupled {
        true => t.rest(1, &i),
        false => t.gate(1, sum(1) + t.of_cell(1, &c)),
    };
    let next_c = f * c + i * t.candidate(2, sum(2));
    let o = t.gate(3, sum(3) + t.of_cell(2, &next_c));
    State { hidden: o * t.activated(&next_c), cell: Some(next_c) }
}
