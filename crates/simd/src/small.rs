//! Layers of few units, in f64: a vector or two hold all units of a gate, so that it takes no
//! longer than f32 would.
//!
//! Large layers compute in f32, as Keras does, and over thousands of values the largest error comes
//! out as Keras's. Over a few values it is a matter of luck: here the only roundings to f32 are
//! those of the states after each timestep, which Keras has, too. (They are what a sequence that is
//! fed in pieces carries from call to call.)

use crate::reader::{Reader, Weights};
use crate::sequence::{Output, Sequence};
use birnn_cell::{Activation, Cell};
use ndarray::ArrayView2;
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// The most units of a layer that is computed so.
pub(super) const UNITS: usize = 8;

/// A value for each unit; what is past the last unit is never read.
type Units = [f64; UNITS];

/// The cells that are computed so: without options.
const CELLS: [(Cell, SmallCell); 4] = [
    (Cell::LSTM, SmallCell::Lstm),
    (Cell::GRU, SmallCell::Gru),
    (Cell::GRU_RESET_BEFORE, SmallCell::GruResetBefore),
    (Cell::SIMPLE_RNN, SmallCell::SimpleRnn),
];

#[derive(Clone, Copy, Debug)]
enum SmallCell {
    Lstm,
    Gru,
    GruResetBefore,
    SimpleRnn,
}

/// A direction's weights.
#[derive(Debug)]
pub(super) struct Small {
    cell: SmallCell,
    /// `[feature][gate]`
    kernel: Vec<Units>,
    /// `[unit][gate]`
    recurrent_kernel: Vec<Units>,
    /// `[gate]`
    bias: Vec<Units>,
    /// Those of the cell.
    unit_weights: Vec<Units>,
}

impl Small {
    /// `None`: the layer has too many units, or a cell that is not computed so.
    pub fn new(reader: &Reader, weights: &Weights) -> Option<Small> {
        let (units, gates) = (reader.units, reader.cell.gates().len());
        let cell = CELLS.into_iter().find(|(cell, _)| *cell == reader.cell)?.1;
        if units > UNITS {
            return None;
        }
        let of_row = |row: &[f32]| -> Vec<Units> {
            let mut of_gates = vec![[0.0; UNITS]; gates];
            for (gate, values) in of_gates.iter_mut().zip(row.chunks(units)) {
                gate.iter_mut().zip(values).for_each(|(to, &value)| *to = value.into());
            }
            of_gates
        };
        let of_rows = |kernel: ArrayView2<f32>| {
            kernel.rows().into_iter().flat_map(|row| of_row(&row.to_vec())).collect()
        };
        Some(Small {
            cell,
            kernel: of_rows(weights.kernel),
            recurrent_kernel: of_rows(weights.recurrent_kernel),
            bias: of_row(&weights.bias.to_vec()),
            unit_weights: weights.unit_weights.iter().map(|w| of_row(&w.to_vec())[0]).collect(),
        })
    }
}

/// All timesteps of a direction on its rows.
pub(super) struct Run<'p, 'a> {
    pub small: &'p Small,
    pub reader: &'p Reader,
    pub sequence: Sequence<'a>,
}

impl WithSimd for Run<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Run { small, reader, mut sequence } = self;
        for row in 0..sequence.rows {
            let mut states = States::of_row(&sequence, row);
            run_row(simd, reader, &mut sequence, small, row, &mut states);
            states.store(&mut sequence, row);
        }
    }
}

/// The states of a row of the batch.
struct States {
    hidden: Units,
    cell: Units,
}

impl States {
    fn of_row(sequence: &Sequence, row: usize) -> States {
        let of = |states: ArrayView2<f32>| {
            let mut units = [0.0; UNITS];
            units.iter_mut().zip(states.row(row)).for_each(|(unit, &state)| *unit = state.into());
            units
        };
        let cell = sequence.cell.as_ref().map_or([0.0; UNITS], |cell| of(cell.view()));
        States { hidden: of(sequence.hidden.view()), cell }
    }

    fn store(&self, sequence: &mut Sequence, row: usize) {
        let to = |state: &mut f32, &unit: &f64| *state = unit as f32;
        sequence
            .hidden
            .row_mut(row)
            .iter_mut()
            .zip(&self.hidden)
            .for_each(|(state, unit)| to(state, unit));
        if let Some(cell) = &mut sequence.cell {
            cell.row_mut(row).iter_mut().zip(&self.cell).for_each(|(state, unit)| to(state, unit));
        }
    }
}

#[inline(always)]
fn run_row<S: Simd>(
    simd: S,
    reader: &Reader,
    sequence: &mut Sequence,
    small: &Small,
    row: usize,
    states: &mut States,
) {
    let timesteps = sequence.timesteps;
    let features = small.kernel.len() / reader.cell.gates().len();
    let x = &sequence.x[row * timesteps * features..][..timesteps * features];
    let mut seen = false;
    for step in 0..timesteps {
        let t = if reader.go_backwards { timesteps - 1 - step } else { step };
        let counts = sequence.mask.as_ref().is_none_or(|mask| mask[[row, t]]);
        seen |= counts;
        if counts {
            let x = &x[t * features..][..features];
            match small.cell {
                SmallCell::Lstm => small.lstm(simd, reader, x, states),
                SmallCell::Gru => small.gru(simd, reader, x, states),
                SmallCell::GruResetBefore => small.gru_reset_before(simd, reader, x, states),
                SmallCell::SimpleRnn => small.simple_rnn(simd, reader, x, states),
            }
        }
        let zero = if reader.zero_output_for_mask { !counts } else { !seen };
        let output = match &mut sequence.output {
            Output::Every(output) => output.slice_mut(ndarray::s![row, step, ..]),
            Output::Last(output) if step + 1 == timesteps => output.row_mut(row),
            Output::Last(_) => continue,
        };
        output
            .into_iter()
            .zip(&states.hidden)
            .for_each(|(to, &unit)| *to = if zero { 0.0 } else { unit as f32 });
    }
}

impl Small {
    #[inline(always)]
    fn lstm<S: Simd>(&self, simd: S, reader: &Reader, x: &[f32], states: &mut States) {
        let mut sums = [[0.0; UNITS]; 4];
        sums.copy_from_slice(&self.bias);
        add_products(simd, &mut sums, x.iter().map(|&x| f64::from(x)), &self.kernel, 0..4);
        add_products(simd, &mut sums, states.hidden.into_iter(), &self.recurrent_kernel, 0..4);
        let [mut i, mut f, mut candidate, mut o] = sums;
        for gate in [&mut i, &mut f, &mut o] {
            activate(simd, reader.recurrent_activation, gate);
        }
        activate(simd, reader.activation, &mut candidate);
        let mut activated = [0.0; UNITS];
        for u in 0..UNITS {
            let cell = f[u] * states.cell[u] + i[u] * candidate[u];
            activated[u] = cell;
            states.cell[u] = rounded(cell);
        }
        activate(simd, reader.activation, &mut activated);
        states.hidden = std::array::from_fn(|u| rounded(o[u] * activated[u]));
    }

    #[inline(always)]
    fn gru<S: Simd>(&self, simd: S, reader: &Reader, x: &[f32], states: &mut States) {
        let (mut projected, mut sums) = ([[0.0; UNITS]; 3], [[0.0; UNITS]; 3]);
        projected.copy_from_slice(&self.bias);
        sums[2] = self.unit_weights[0];
        add_products(simd, &mut projected, x.iter().map(|&x| f64::from(x)), &self.kernel, 0..3);
        add_products(simd, &mut sums, states.hidden.into_iter(), &self.recurrent_kernel, 0..3);
        let [mut z, mut r, mut candidate] = projected;
        for u in 0..UNITS {
            z[u] += sums[0][u];
            r[u] += sums[1][u];
        }
        for gate in [&mut z, &mut r] {
            activate(simd, reader.recurrent_activation, gate);
        }
        for u in 0..UNITS {
            candidate[u] += r[u] * sums[2][u];
        }
        activate(simd, reader.activation, &mut candidate);
        states.blend(&z, &candidate);
    }

    #[inline(always)]
    fn gru_reset_before<S: Simd>(&self, simd: S, reader: &Reader, x: &[f32], states: &mut States) {
        let mut sums = [[0.0; UNITS]; 3];
        sums.copy_from_slice(&self.bias);
        add_products(simd, &mut sums, x.iter().map(|&x| f64::from(x)), &self.kernel, 0..3);
        add_products(simd, &mut sums, states.hidden.into_iter(), &self.recurrent_kernel, 0..2);
        for gate in &mut sums[..2] {
            activate(simd, reader.recurrent_activation, gate);
        }
        let reset: Units = std::array::from_fn(|u| sums[1][u] * states.hidden[u]);
        add_products(simd, &mut sums, reset.into_iter(), &self.recurrent_kernel, 2..3);
        let [z, _, mut candidate] = sums;
        activate(simd, reader.activation, &mut candidate);
        states.blend(&z, &candidate);
    }

    #[inline(always)]
    fn simple_rnn<S: Simd>(&self, simd: S, reader: &Reader, x: &[f32], states: &mut States) {
        let mut sums = [self.bias[0]];
        add_products(simd, &mut sums, x.iter().map(|&x| f64::from(x)), &self.kernel, 0..1);
        add_products(simd, &mut sums, states.hidden.into_iter(), &self.recurrent_kernel, 0..1);
        activate(simd, reader.activation, &mut sums[0]);
        states.hidden = sums[0].map(rounded);
    }
}

impl States {
    /// `z ⊙ h + (1 - z) ⊙ candidate`
    #[inline(always)]
    fn blend(&mut self, z: &Units, candidate: &Units) {
        for u in 0..UNITS {
            self.hidden[u] = rounded(z[u] * self.hidden[u] + (1.0 - z[u]) * candidate[u]);
        }
    }
}

fn rounded(state: f64) -> f64 {
    f64::from(state as f32)
}

/// Adds the products of a row with some gates of a kernel, whose rows are as many as it has.
#[inline(always)]
fn add_products<S: Simd, const G: usize>(
    simd: S,
    sums: &mut [Units; G],
    row: impl Iterator<Item = f64>,
    kernel: &[Units],
    gates: Range<usize>,
) {
    for (value, weights) in row.zip(kernel.as_chunks::<G>().0) {
        let value = simd.splat_f64s(value);
        for gate in gates.clone() {
            let weights = S::as_simd_f64s(&weights[gate]).0;
            for (sum, &weight) in S::as_mut_simd_f64s(&mut sums[gate]).0.iter_mut().zip(weights) {
                *sum = simd.mul_add_e_f64s(value, weight, *sum);
            }
        }
    }
}

// Loops, as closures are not always inlined.
#[inline(always)]
fn activate<S: Simd>(simd: S, activation: Activation, units: &mut Units) {
    match activation {
        Activation::Tanh => {
            for x in S::as_mut_simd_f64s(units).0 {
                *x = tanh(simd, *x);
            }
        }
        Activation::Sigmoid => {
            for x in S::as_mut_simd_f64s(units).0 {
                *x = sigmoid(simd, *x);
            }
        }
        other => units.iter_mut().for_each(|x| *x = birnn_cell::activate(other, *x)),
    }
}

/// `coefficients[0] xⁿ + … + coefficients[n]`
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(simd: S, x: S::f64s, coefficients: [f64; N]) -> S::f64s {
    let mut sum = simd.splat_f64s(coefficients[0]);
    for coefficient in &coefficients[1..] {
        sum = simd.mul_add_e_f64s(sum, x, simd.splat_f64s(*coefficient));
    }
    sum
}

/// eˣ for x in [-700, 700] to 1e-13 of itself: 2ⁿ eʳ, |r| ≤ ln 2 / 2, by the Taylor series.
#[inline(always)]
fn exp<S: Simd>(simd: S, x: S::f64s) -> S::f64s {
    // Added, it leaves whole numbers in the lowest bits.
    const WHOLE: f64 = 6_755_399_441_055_744.0;
    const FACTORS: [f64; 12] = [
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ];
    let whole = simd.splat_f64s(WHOLE);
    let n = simd.mul_add_e_f64s(x, simd.splat_f64s(std::f64::consts::LOG2_E), whole);
    let n = simd.sub_f64s(n, whole);
    let r = simd.mul_add_e_f64s(n, simd.splat_f64s(-std::f64::consts::LN_2), x);
    let e = polynomial(simd, r, FACTORS);
    // The exponent's bits go to their place.
    let mut power = simd.add_f64s(n, simd.splat_f64s(WHOLE + 1023.0));
    for bits in bytemuck::cast_slice_mut::<S::f64s, u64>(std::slice::from_mut(&mut power)) {
        *bits <<= 52;
    }
    simd.mul_f64s(e, power)
}

/// |x|, and at most `most`; NaN stays NaN.
#[inline(always)]
fn size_up_to<S: Simd>(simd: S, x: S::f64s, most: f64) -> S::f64s {
    let (size, most) = (simd.abs_f64s(x), simd.splat_f64s(most));
    simd.select_f64s(simd.greater_than_f64s(size, most), most, size)
}

/// 1 / (1 + e⁻ˣ)
#[inline(always)]
fn sigmoid<S: Simd>(simd: S, x: S::f64s) -> S::f64s {
    let (zero, one) = (simd.splat_f64s(0.0), simd.splat_f64s(1.0));
    let e = exp(simd, simd.neg_f64s(size_up_to(simd, x, 700.0)));
    // Zero below, as it is in f32: times an infinite state it makes a NaN.
    let e = simd.select_f64s(simd.less_than_f64s(x, simd.splat_f64s(-699.0)), zero, e);
    let top = simd.select_f64s(simd.greater_than_f64s(x, zero), one, e);
    simd.div_f64s(top, simd.add_f64s(one, e))
}

/// (e²ˣ - 1) / (e²ˣ + 1), near zero its Taylor series.
#[inline(always)]
fn tanh<S: Simd>(simd: S, x: S::f64s) -> S::f64s {
    let z = simd.mul_f64s(x, x);
    let series = polynomial(simd, z, [-17.0 / 315.0, 2.0 / 15.0, -1.0 / 3.0, 0.0]);
    let small = simd.mul_add_e_f64s(series, x, x);
    let size = size_up_to(simd, x, 20.0);
    let e = simd.sub_f64s(exp(simd, simd.add_f64s(size, size)), simd.splat_f64s(1.0));
    let large = simd.div_f64s(e, simd.add_f64s(e, simd.splat_f64s(2.0)));
    let signed =
        simd.select_f64s(simd.less_than_f64s(x, simd.splat_f64s(0.0)), simd.neg_f64s(large), large);
    simd.select_f64s(simd.less_than_f64s(size, simd.splat_f64s(0.02)), small, signed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::each_arch;

    struct Activated(Activation, f64);

    impl WithSimd for Activated {
        type Output = Units;

        fn with_simd<S: Simd>(self, simd: S) -> Units {
            let mut units = [self.1; UNITS];
            activate(simd, self.0, &mut units);
            units
        }
    }

    #[test]
    fn activations_are_exact_to_far_below_an_ulp_of_f32() {
        for arch in each_arch() {
            let sizes = (0..4_000)
                .flat_map(|i| [1.0, -1.0].map(|sign| sign * 1.0473f64.powi(i % 2_000 - 1_900)));
            let values = (0..40_000).map(|i| f64::from(i - 20_000) * 0.0021).chain(sizes);
            for x in values.chain([0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, 1e-300]) {
                let exact =
                    [(Activation::Tanh, x.tanh()), (Activation::Sigmoid, 1.0 / (1.0 + (-x).exp()))];
                for (activation, exact) in exact {
                    let units = arch.dispatch(Activated(activation, x));
                    let near = (units[0] - exact).abs() <= 1e-13 * exact.abs() + 1e-300;
                    assert!(
                        near && units == [units[0]; UNITS],
                        "{arch:?} {activation} of {x}: {units:?}, not {exact}"
                    );
                }
            }
            for activation in [Activation::Tanh, Activation::Sigmoid] {
                let units = arch.dispatch(Activated(activation, f64::NAN));
                assert!(
                    units.iter().all(|unit| unit.is_nan()),
                    "{arch:?} {activation} of NaN: {units:?}"
                );
            }
        }
    }
}
