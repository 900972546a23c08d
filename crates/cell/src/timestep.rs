//! What formulas of cells are written in: numbers, states, weights and the words of a timestep.

use crate::activation::{Activation, Parameter};
use crate::formula::activate;
use crate::options::CellOptions;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, LinalgScalar, NdFloat, Slice};
use std::cell::RefCell;

/// The number types that formulas are computed in: `f32` and `f64`.
pub trait Real: NdFloat + LinalgScalar + Default {
    /// The number of this type that is nearest to `value`.
    fn nearest(value: f64) -> Self;
    /// The same number in `f64`.
    fn widened(self) -> f64;
    /// A cell's formula in this type.
    #[doc(hidden)]
    fn step(formula: &Formula) -> Step<Self>;
}

impl Real for f32 {
    fn nearest(value: f64) -> f32 {
        value as f32
    }
    fn widened(self) -> f64 {
        self.into()
    }
    fn step(formula: &Formula) -> Step<f32> {
        formula.in_f32
    }
}

impl Real for f64 {
    fn nearest(value: f64) -> f64 {
        value
    }
    fn widened(self) -> f64 {
        self
    }
    fn step(formula: &Formula) -> Step<f64> {
        formula.in_f64
    }
}

/// A cell's formula: the state after a timestep.
#[derive(Clone, Copy, Debug)]
pub struct Formula {
    pub(crate) in_f32: Step<f32>,
    pub(crate) in_f64: Step<f64>,
}

/// From a timestep's input and the state before it to the state after it.
type Step<F> = fn(&Timestep<F>, &State<F>) -> State<F>;

/// The states of a direction: hidden, and for an LSTM cell; each `[batch, units]`.
#[derive(Clone, Debug)]
pub struct State<F> {
    /// The hidden state.
    pub hidden: Array2<F>,
    /// The cell state, where the cell has one.
    pub cell: Option<Array2<F>>,
}

impl<F: Real> State<F> {
    /// The cell state; zeros where there is none.
    pub fn cell(&self) -> Array2<F> {
        self.cell.clone().unwrap_or_else(|| Array2::zeros(self.hidden.dim()))
    }
}

/// A direction's weights in the precision of `F`. The columns of the gates are side by side.
#[derive(Clone, Debug)]
pub struct CellWeights<F> {
    /// `[features, gates · units]`
    pub kernel: Array2<F>,
    /// `[units, gates · units]`
    pub recurrent_kernel: Array2<F>,
    /// `[gates · units]`
    pub bias: Array1<F>,
    /// `[gates · units]`; zeros where the cell has none.
    pub recurrent_bias: Array1<F>,
    /// `[gates that have one, units]`; without rows where the cell has none.
    pub peepholes: Array2<F>,
}

/// Where a formula leaves the values of the gates, for those who want to see them.
#[derive(Debug)]
pub struct GateValues<F> {
    /// Of each gate, `[batch, units]`, once the formula has come to it.
    values: RefCell<Vec<Option<Array2<F>>>>,
}

impl<F: Real> GateValues<F> {
    /// Of so many gates, none of which is computed yet.
    pub fn new(gates: usize) -> GateValues<F> {
        GateValues { values: RefCell::new(vec![None; gates]) }
    }

    /// Takes a gate's values out, `[batch, units]`; `None` where no formula computed it.
    pub fn take(&self, gate: usize) -> Option<Array2<F>> {
        self.values.borrow_mut().get_mut(gate).and_then(Option::take)
    }

    /// A formula's gates are those of its cell's description.
    fn set(&self, gate: usize, values: &Array2<F>) {
        self.values.borrow_mut()[gate] = Some(values.clone());
    }
}

/// One timestep of a cell: what its formula is written in. Gates go by their numbers, and arrays
/// are `[batch, units]` where nothing else is said.
#[derive(Debug)]
pub struct Timestep<'a, F> {
    /// The length of a row of the hidden state.
    pub units: usize,
    /// Of candidates, and of states where `options` have no other.
    pub activation: Activation,
    /// Of the other gates.
    pub recurrent_activation: Activation,
    /// Those of the cell.
    pub options: CellOptions,
    /// What the layer has learnt.
    pub weights: &'a CellWeights<F>,
    /// The input, `[batch, features]`.
    pub x: ArrayView2<'a, F>,
    /// Where the values of the gates are left.
    pub gate_values: Option<&'a GateValues<F>>,
}

impl<F: Real> Timestep<'_, F> {
    /// x·W + b, by the gate's columns of `kernel` and `bias`.
    pub fn of_input(&self, gate: usize) -> Array2<F> {
        self.x.dot(&self.columns(&self.weights.kernel, gate))
            + self.values(&self.weights.bias, gate)
    }

    /// h·U + b, by the gate's columns of `recurrent_kernel` and of the recurrent bias. `hidden`, h,
    /// is the hidden state, or that times a gate.
    pub fn of_hidden(&self, gate: usize, hidden: &Array2<F>) -> Array2<F> {
        hidden.dot(&self.columns(&self.weights.recurrent_kernel, gate))
            + self.values(&self.weights.recurrent_bias, gate)
    }

    /// p ⊙ c, where p is this row of `peepholes`; zeros where the cell has none.
    pub fn of_cell(&self, row: usize, cell: &Array2<F>) -> Array2<F> {
        match self.weights.peepholes.nrows() {
            0 => Array2::zeros(cell.dim()),
            _ => cell * &self.weights.peepholes.row(row),
        }
    }

    /// A gate from its sum: `recurrent_activation`.
    pub fn gate(&self, gate: usize, sum: Array2<F>) -> Array2<F> {
        self.computed(gate, self.clipped(sum).mapv(|x| apply(self.recurrent_activation, x)))
    }

    /// A candidate, which is a gate too, from its sum: `activation`.
    pub fn candidate(&self, gate: usize, sum: Array2<F>) -> Array2<F> {
        self.computed(gate, self.clipped(sum).mapv(|x| apply(self.activation, x)))
    }

    /// A gate that is `1 - other`.
    pub fn rest(&self, gate: usize, other: &Array2<F>) -> Array2<F> {
        self.computed(gate, rest(other))
    }

    fn computed(&self, gate: usize, values: Array2<F>) -> Array2<F> {
        if let Some(noted) = self.gate_values {
            noted.set(gate, &values);
        }
        values
    }

    /// The activation of a state: `activation`, or `state_activation` where the cell has one.
    pub fn activated(&self, state: &Array2<F>) -> Array2<F> {
        let activation = self.options.state_activation.unwrap_or(self.activation);
        state.mapv(|x| apply(activation, x))
    }

    fn clipped(&self, sum: Array2<F>) -> Array2<F> {
        match self.options.clip {
            Some(limit) => sum.mapv(|x| clipped(x, limit)),
            None => sum,
        }
    }

    /// A gate's columns of a kernel.
    fn columns<'k>(&self, kernel: &'k Array2<F>, gate: usize) -> ArrayView2<'k, F> {
        kernel.slice_axis(Axis(1), self.place(gate))
    }

    /// A gate's values of a bias.
    fn values<'b>(&self, bias: &'b Array1<F>, gate: usize) -> ArrayView1<'b, F> {
        bias.slice_axis(Axis(0), self.place(gate))
    }

    fn place(&self, gate: usize) -> Slice {
        Slice::from(gate * self.units..(gate + 1) * self.units)
    }
}

fn apply<F: Real>(activation: Activation, x: F) -> F {
    F::nearest(activate(activation, x.widened()))
}

/// What is between `-limit` and `limit`; NaN stays NaN.
fn clipped<F: Real>(x: F, limit: Parameter) -> F {
    let limit = F::nearest(f32::from(limit).into());
    if x > limit {
        limit
    } else if x < -limit {
        -limit
    } else {
        x
    }
}

/// `1 - gate`
pub(crate) fn rest<F: Real>(gate: &Array2<F>) -> Array2<F> {
    gate.mapv(|value| F::one() - value)
}
