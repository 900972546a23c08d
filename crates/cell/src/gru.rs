//! The gated recurrent unit, in both of its forms.

use crate::cell::{Cell, Description, Gate, GateActivation, HiddenProduct};
use crate::timestep::{Formula, Real, State, Timestep, rest};
use ndarray::Array2;

impl Cell {
    /// Gated recurrent unit in cuDNN's form, which is Keras's default: `reset_after` true.
    pub const GRU: Cell = Cell::new(&GRU);
    /// Gated recurrent unit of Cho et al. 2014: `reset_after` false.
    pub const GRU_RESET_BEFORE: Cell = Cell::new(&GRU_RESET_BEFORE);
}

static GRU: Description = Description {
    name: "gru",
    class_name: "GRU",
    title: "GRU",
    gates: &gates(HiddenProduct::Apart),
    cell_state: false,
    peepholes: &[],
    can_couple: false,
    forget_gate: None,
    formula: Formula { in_f32: reset_after, in_f64: reset_after },
};

static GRU_RESET_BEFORE: Description = Description {
    name: "gru_reset_before",
    class_name: "GRU",
    title: "GRU, reset before",
    gates: &gates(HiddenProduct::Gated),
    cell_state: false,
    peepholes: &[],
    can_couple: false,
    forget_gate: None,
    formula: Formula { in_f32: reset_before, in_f64: reset_before },
};

const fn gates(candidate: HiddenProduct) -> [Gate; 3] {
    const fn gate(name: &'static str, title: &'static str) -> Gate {
        let activation = GateActivation::Recurrent;
        Gate { name, title, hidden: HiddenProduct::Added, activation }
    }
    let activation = GateActivation::Main;
    [
        gate("z", "update gate"),
        gate("r", "reset gate"),
        Gate { name: "h", title: "candidate", hidden: candidate, activation },
    ]
}

/// The numbers of the gates.
const Z: usize = 0;
const R: usize = 1;
const H: usize = 2;

/// ```text
/// z, r = recurrent_activation(x·W + h·U + b)
/// ĥ    = activation(x·W_h + b_h + r ⊙ (h·U_h + b_rh))
/// h'   = z ⊙ h + (1 - z) ⊙ ĥ
/// ```
///
/// Source: `keras.layers.GRUCell` with `reset_after=True`; `linear_before_reset=1` in ONNX.
fn reset_after<F: Real>(t: &Timestep<F>, state: &State<F>) -> State<F> {
    let h = &state.hidden;
    let z = t.gate(Z, t.of_input(Z) + t.of_hidden(Z, h));
    let r = t.gate(R, t.of_input(R) + t.of_hidden(R, h));
    let candidate = t.candidate(H, t.of_input(H) + r * t.of_hidden(H, h));
    updated(z, h, candidate)
}

/// ```text
/// z, r = recurrent_activation(x·W + h·U + b)
/// ĥ    = activation(x·W_h + b_h + (r ⊙ h)·U_h)
/// h'   = z ⊙ h + (1 - z) ⊙ ĥ
/// ```
///
/// Source: Cho et al. 2014, and `keras.layers.GRUCell` with `reset_after=False`.
fn reset_before<F: Real>(t: &Timestep<F>, state: &State<F>) -> State<F> {
    let h = &state.hidden;
    let z = t.gate(Z, t.of_input(Z) + t.of_hidden(Z, h));
    let r = t.gate(R, t.of_input(R) + t.of_hidden(R, h));
    let candidate = t.candidate(H, t.of_input(H) + t.of_hidden(H, &(r * h)));
    updated(z, h, candidate)
}

fn updated<F: Real>(z: Array2<F>, h: &Array2<F>, candidate: Array2<F>) -> State<F> {
    let hidden = &z * h + rest(&z) * candidate;
    State { hidden, cell: None }
}
