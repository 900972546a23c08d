use super::activation::activate;
use crate::layer::{Cell, Weights};
use crate::number::Real;
use crate::operator::Reader;
use ndarray::{Array1, Array2, ArrayView2, Axis, Zip, s};

/// The states after a step: hidden, and for LSTM cell; each `[batch, units]`.
#[derive(Clone)]
pub(crate) struct State<F> {
    pub hidden: Array2<F>,
    pub cell: Option<Array2<F>>,
}

/// A direction's weights in the precision of `F`.
#[derive(Debug)]
pub(crate) struct CellWeights<F> {
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
    reader: &Reader,
    weights: &CellWeights<F>,
    x: ArrayView2<F>,
    state: State<F>,
) -> State<F> {
    match reader.cell {
        Cell::Lstm => lstm(reader, weights, x, state),
        Cell::Gru { reset_after: true } => gru_reset_after(reader, weights, x, state),
        Cell::Gru { reset_after: false } => gru_reset_before(reader, weights, x, state),
        Cell::SimpleRnn => simple_rnn(reader, weights, x, state),
    }
}

fn lstm<F: Real>(
    reader: &Reader,
    w: &CellWeights<F>,
    x: ArrayView2<F>,
    state: State<F>,
) -> State<F> {
    let z = x.dot(&w.kernel) + state.hidden.dot(&w.recurrent_kernel) + &w.bias;
    let n = reader.units;
    let i = gate(reader, z.slice(s![.., ..n]));
    let f = gate(reader, z.slice(s![.., n..2 * n]));
    let candidate = activated(reader, z.slice(s![.., 2 * n..3 * n]));
    let o = gate(reader, z.slice(s![.., 3 * n..]));
    let cell = match state.cell {
        Some(cell) => f * cell + i * candidate,
        None => i * candidate,
    };
    State { hidden: o * activated(reader, cell.view()), cell: Some(cell) }
}

fn gru_reset_after<F: Real>(
    reader: &Reader,
    w: &CellWeights<F>,
    x: ArrayView2<F>,
    state: State<F>,
) -> State<F> {
    let n = reader.units;
    let from_x = x.dot(&w.kernel) + &w.bias;
    let from_h = state.hidden.dot(&w.recurrent_kernel) + &w.recurrent_bias;
    let sum = &from_x + &from_h;
    let z = gate(reader, sum.slice(s![.., ..n]));
    let r = gate(reader, sum.slice(s![.., n..2 * n]));
    let candidate = activated(
        reader,
        (&from_x.slice(s![.., 2 * n..]) + r * from_h.slice(s![.., 2 * n..])).view(),
    );
    State { hidden: blend(z, state.hidden, candidate), cell: None }
}

fn gru_reset_before<F: Real>(
    reader: &Reader,
    w: &CellWeights<F>,
    x: ArrayView2<F>,
    state: State<F>,
) -> State<F> {
    let n = reader.units;
    let from_x = x.dot(&w.kernel) + &w.bias;
    let from_h = state.hidden.dot(&w.recurrent_kernel.slice(s![.., ..2 * n]));
    let gates = gate(reader, (&from_x.slice(s![.., ..2 * n]) + from_h).view());
    let (z, r) = gates.view().split_at(Axis(1), n);
    let from_reset = (&r * &state.hidden).dot(&w.recurrent_kernel.slice(s![.., 2 * n..]));
    let candidate = activated(reader, (&from_x.slice(s![.., 2 * n..]) + from_reset).view());
    State { hidden: blend(z.to_owned(), state.hidden, candidate), cell: None }
}

fn simple_rnn<F: Real>(
    reader: &Reader,
    w: &CellWeights<F>,
    x: ArrayView2<F>,
    state: State<F>,
) -> State<F> {
    let z = x.dot(&w.kernel) + state.hidden.dot(&w.recurrent_kernel) + &w.bias;
    State { hidden: activated(reader, z.view()), cell: None }
}

/// `z ⊙ h + (1 - z) ⊙ candidate`
fn blend<F: Real>(mut z: Array2<F>, h: Array2<F>, candidate: Array2<F>) -> Array2<F> {
    Zip::from(&mut z)
        .and(&h)
        .and(&candidate)
        .for_each(|z, &h, &candidate| *z = *z * h + (F::one() - *z) * candidate);
    z
}

fn gate<F: Real>(reader: &Reader, z: ArrayView2<F>) -> Array2<F> {
    z.mapv(|v| activate(reader.recurrent_activation, v))
}

fn activated<F: Real>(reader: &Reader, z: ArrayView2<F>) -> Array2<F> {
    z.mapv(|v| activate(reader.activation, v))
}
