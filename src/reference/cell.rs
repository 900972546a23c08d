use super::{Real, activate};
use crate::layer::{Cell, Recurrent, Weights};
use ndarray::{Array1, Array2, ArrayView2, Axis, Zip, s};

/// The states after a step: hidden, and for LSTM cell; each `[batch, units]`.
#[derive(Clone)]
pub(crate) struct State<F> {
    pub hidden: Array2<F>,
    pub cell: Option<Array2<F>>,
}

/// A layer's weights in the precision of `F`.
pub(super) struct CellWeights<F> {
    kernel: Array2<F>,
    recurrent_kernel: Array2<F>,
    bias: Array1<F>,
    recurrent_bias: Array1<F>,
}

fn real<F: Real>(value: f32) -> F {
    F::nearest(value.into())
}

impl<F: Real> CellWeights<F> {
    pub fn new(weights: &Weights) -> CellWeights<F> {
        CellWeights {
            kernel: weights.kernel.mapv(real),
            recurrent_kernel: weights.recurrent_kernel.mapv(real),
            bias: weights.bias.mapv(real),
            recurrent_bias: weights.recurrent_bias.mapv(real),
        }
    }
}

/// One timestep: `x` is `[batch, features]`.
pub(super) fn step<F: Real>(
    layer: &Recurrent,
    weights: &CellWeights<F>,
    x: ArrayView2<F>,
    state: State<F>,
) -> State<F> {
    match layer.cell() {
        Cell::Lstm => lstm(layer, weights, x, state),
        Cell::Gru { reset_after: true } => gru_reset_after(layer, weights, x, state),
        Cell::Gru { reset_after: false } => gru_reset_before(layer, weights, x, state),
        Cell::SimpleRnn => simple_rnn(layer, weights, x, state),
    }
}

fn lstm<F: Real>(
    layer: &Recurrent,
    w: &CellWeights<F>,
    x: ArrayView2<F>,
    state: State<F>,
) -> State<F> {
    let z = x.dot(&w.kernel) + state.hidden.dot(&w.recurrent_kernel) + &w.bias;
    let n = layer.units();
    let i = gate(layer, z.slice(s![.., ..n]));
    let f = gate(layer, z.slice(s![.., n..2 * n]));
    let candidate = activated(layer, z.slice(s![.., 2 * n..3 * n]));
    let o = gate(layer, z.slice(s![.., 3 * n..]));
    let cell = match state.cell {
        Some(cell) => f * cell + i * candidate,
        None => i * candidate,
    };
    State { hidden: o * activated(layer, cell.view()), cell: Some(cell) }
}

fn gru_reset_after<F: Real>(
    layer: &Recurrent,
    w: &CellWeights<F>,
    x: ArrayView2<F>,
    state: State<F>,
) -> State<F> {
    let n = layer.units();
    let from_x = x.dot(&w.kernel) + &w.bias;
    let from_h = state.hidden.dot(&w.recurrent_kernel) + &w.recurrent_bias;
    let sum = &from_x + &from_h;
    let z = gate(layer, sum.slice(s![.., ..n]));
    let r = gate(layer, sum.slice(s![.., n..2 * n]));
    let candidate = activated(
        layer,
        (&from_x.slice(s![.., 2 * n..]) + r * from_h.slice(s![.., 2 * n..])).view(),
    );
    State { hidden: blend(z, state.hidden, candidate), cell: None }
}

fn gru_reset_before<F: Real>(
    layer: &Recurrent,
    w: &CellWeights<F>,
    x: ArrayView2<F>,
    state: State<F>,
) -> State<F> {
    let n = layer.units();
    let from_x = x.dot(&w.kernel) + &w.bias;
    let from_h = state.hidden.dot(&w.recurrent_kernel.slice(s![.., ..2 * n]));
    let gates = gate(layer, (&from_x.slice(s![.., ..2 * n]) + from_h).view());
    let (z, r) = gates.view().split_at(Axis(1), n);
    let from_reset = (&r * &state.hidden).dot(&w.recurrent_kernel.slice(s![.., 2 * n..]));
    let candidate = activated(layer, (&from_x.slice(s![.., 2 * n..]) + from_reset).view());
    State { hidden: blend(z.to_owned(), state.hidden, candidate), cell: None }
}

fn simple_rnn<F: Real>(
    layer: &Recurrent,
    w: &CellWeights<F>,
    x: ArrayView2<F>,
    state: State<F>,
) -> State<F> {
    let z = x.dot(&w.kernel) + state.hidden.dot(&w.recurrent_kernel) + &w.bias;
    State { hidden: activated(layer, z.view()), cell: None }
}

/// `z ⊙ h + (1 - z) ⊙ candidate`
fn blend<F: Real>(mut z: Array2<F>, h: Array2<F>, candidate: Array2<F>) -> Array2<F> {
    Zip::from(&mut z)
        .and(&h)
        .and(&candidate)
        .for_each(|z, &h, &candidate| *z = *z * h + (F::one() - *z) * candidate);
    z
}

fn gate<F: Real>(layer: &Recurrent, z: ArrayView2<F>) -> Array2<F> {
    z.mapv(|v| activate(layer.recurrent_activation(), v))
}

fn activated<F: Real>(layer: &Recurrent, z: ArrayView2<F>) -> Array2<F> {
    z.mapv(|v| activate(layer.activation(), v))
}
