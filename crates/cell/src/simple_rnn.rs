//! The fully connected recurrence.

use crate::cell::{Cell, Description, Gate, GateActivation, HiddenProduct};
use crate::timestep::{Formula, Real, State, Timestep};

impl Cell {
    /// Fully connected recurrence (Elman 1990).
    pub const SIMPLE_RNN: Cell = Cell::new(&SIMPLE_RNN);
}

static SIMPLE_RNN: Description = Description {
    name: "simple_rnn",
    class_name: "SimpleRNN",
    title: "SimpleRNN",
    gates: &[Gate {
        name: "h",
        title: "candidate",
        hidden: HiddenProduct::Added,
        activation: GateActivation::Main,
    }],
    cell_state: false,
    peepholes: &[],
    can_couple: false,
    forget_gate: None,
    formula: Formula { in_f32: step, in_f64: step },
};

/// `h' = activation(x·W + h·U + b)`
///
/// Source: Elman 1990 and `keras.layers.SimpleRNNCell`.
fn step<F: Real>(t: &Timestep<F>, state: &State<F>) -> State<F> {
    State { hidden: t.candidate(0, t.of_input(0) + t.of_hidden(0, &state.hidden)), cell: None }
}
