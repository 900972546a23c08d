//! The minimal gated unit.

use crate::cell::{Cell, Description, Gate, GateActivation, HiddenProduct};
use crate::timestep::{Formula, Real, State, Timestep, rest};

impl Cell {
    /// Minimal gated unit (Zhou et al. 2016): a GRU with one gate in the place of two.
    pub const MGU: Cell = Cell::new(&MGU);
}

static MGU: Description = Description {
    name: "mgu",
    class_name: "MGU",
    title: "MGU",
    gates: &[
        Gate {
            name: "f",
            title: "forget gate",
            hidden: HiddenProduct::Added,
            activation: GateActivation::Recurrent,
        },
        Gate {
            name: "h",
            title: "candidate",
            hidden: HiddenProduct::Gated,
            activation: GateActivation::Main,
        },
    ],
    cell_state: false,
    peepholes: &[],
    can_couple: false,
    forget_gate: Some(0),
    formula: Formula { in_f32: step, in_f64: step },
};

/// ```text
/// f  = recurrent_activation(x·W_f + h·U_f + b_f)
/// ĥ  = activation(x·W_h + (f ⊙ h)·U_h + b_h)
/// h' = (1 - f) ⊙ h + f ⊙ ĥ
/// ```
///
/// Source: Zhou, Wu, Zhang & Zhou, "Minimal Gated Unit for Recurrent Neural Networks", 2016,
/// equations 6.
fn step<F: Real>(t: &Timestep<F>, state: &State<F>) -> State<F> {
    let h = &state.hidden;
    let f = t.gate(0, t.of_input(0) + t.of_hidden(0, h));
    let candidate = t.candidate(1, t.of_input(1) + t.of_hidden(1, &(&f * h)));
    State { hidden: rest(&f) * h + f * candidate, cell: None }
}
