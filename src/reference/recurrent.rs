use super::operands::{Computed, Reads};
use crate::error::{Error, Result};
use crate::graph::{OperatorGraph, Step};
use crate::model::Model;
use crate::operator::{MergeMode, Recurrent};
use crate::order::to_standard;
use birnn_cell::{CellWeights, GateValues, Reader, Real, State, Timestep};
use ndarray::{
    Array2, Array3, ArrayD, ArrayView1, ArrayView2, ArrayView3, Axis, Ix2, Ix3, ShapeError,
    concatenate,
};

/// What the code of this module is called in a profile.
pub(super) const PLAIN: &str = "plain";

/// The operators that a backend has code of its own for.
pub(crate) trait Operators<F>: Sync {
    /// What its own code is called in a profile.
    const KERNEL: &'static str = PLAIN;

    /// Runs a recurrence.
    fn recur(&self, operator: &Recurrent, sequences: Sequences<'_, F>) -> Result<Ran<F>>;

    /// What another step writes; `None`: by the plain code.
    fn compute(
        &self,
        _step: &Step,
        _graph: &OperatorGraph,
        _reads: &Reads<F>,
    ) -> Option<Computed<F>> {
        None
    }

    /// Takes the memory of an array that no step needs any more.
    fn done_with(&self, array: ArrayD<F>) {
        drop(array);
    }
}

/// What a recurrence reads.
pub(crate) struct Sequences<'a, F> {
    /// `[batch, timesteps, features]`
    pub x: ArrayView3<'a, F>,
    /// `[batch, timesteps]`
    pub mask: Option<ArrayView2<'a, bool>>,
    /// The initial state of each direction.
    pub states: Vec<State<F>>,
    /// Whether outputs of every timestep are read `[timesteps, batch, features]`, so that they had
    /// better lie in memory in that order.
    pub in_time: bool,
}

/// What a recurrence computed.
pub(crate) struct Ran<F> {
    /// Merged; with `MergeMode::None` one for each direction.
    pub outputs: Vec<ArrayD<F>>,
    /// The final state of each direction.
    pub states: Vec<State<F>>,
}

/// Runs a recurrence on an operator's operands. Returns what the operator writes.
pub(super) fn recurrent<F: Real>(
    operator: &Recurrent,
    reads: &Reads<F>,
    operators: &impl Operators<F>,
    in_time: bool,
) -> Result<Vec<ArrayD<F>>> {
    let sequences = |e: ShapeError| Error::Graph(format!("a recurrence: {e}"));
    let x = reads.get(0).and_then(|x| x.into_dimensionality::<Ix3>()).map_err(sequences)?;
    let mask = reads.optional(1).map(|mask| mask.mapv(|counts| counts != F::zero()));
    let mask = mask.map(|mask| mask.into_dimensionality::<Ix2>()).transpose().map_err(sequences)?;
    let batch = x.len_of(Axis(0));
    let mut states = (Recurrent::STATES..).map(|operand| reads.optional(operand));
    let mut initial = Vec::new();
    for reader in &operator.directions {
        let mut next = || match states.next().flatten() {
            Some(state) => Ok(to_standard(&state.into_dimensionality::<Ix2>()?)),
            None => Ok(Array2::zeros((batch, reader.units))),
        };
        let hidden = next().map_err(sequences)?;
        let cell = reader.cell.has_cell_state().then(next).transpose().map_err(sequences)?;
        initial.push(State { hidden, cell });
    }
    let mask = mask.as_ref().map(|mask| mask.view());
    let ran = operators.recur(operator, Sequences { x, mask, states: initial, in_time })?;
    let mut written = ran.outputs;
    for state in ran.states {
        written.push(state.hidden.into_dyn());
        written.extend(state.cell.map(|cell| cell.into_dyn()));
    }
    Ok(written)
}

/// By the formulas, one timestep after the other.
#[derive(Debug)]
pub(crate) struct Plain<F> {
    /// Of each layer of the model the weights of its directions.
    weights: Vec<Vec<CellWeights<F>>>,
}

impl<F: Real> Plain<F> {
    pub fn new(model: &Model) -> Result<Plain<F>> {
        let of_layer = |layer: usize| {
            let directions = model.directions(layer)?;
            Ok(directions.into_iter().map(|(_, weights)| weights.of_cell()).collect())
        };
        Ok(Plain { weights: (0..model.layers.len()).map(of_layer).collect::<Result<_>>()? })
    }
}

impl<F: Real> Operators<F> for Plain<F> {
    fn recur(&self, operator: &Recurrent, sequences: Sequences<'_, F>) -> Result<Ran<F>> {
        Ok(self.run_watched(operator, sequences, None))
    }
}

/// What is told of each timestep of a direction: the direction's number, the timestep, the values
/// of the gates and the state after it.
pub(super) type Watcher<'w, F> = &'w mut dyn FnMut(usize, usize, &GateValues<F>, &State<F>);

impl<F: Real> Plain<F> {
    pub(super) fn run_watched(
        &self,
        operator: &Recurrent,
        sequences: Sequences<'_, F>,
        mut watcher: Option<Watcher<'_, F>>,
    ) -> Ran<F> {
        let Sequences { x, mask, states, in_time: _ } = sequences;
        let (mut outputs, mut finals) = (Vec::new(), Vec::new());
        let weights = &self.weights[operator.weights];
        let directions = operator.directions.iter().zip(weights).zip(states);
        for (number, ((reader, weights), state)) in directions.enumerate() {
            let sequence = operator.return_sequences;
            let mut told = watcher.as_mut().map(|watcher| {
                |t: usize, gates: &GateValues<F>, state: &State<F>| watcher(number, t, gates, state)
            });
            let told = told.as_mut().map(|told| told as OfDirection<'_, F>);
            let (output, state) = run_direction(reader, weights, sequence, x, mask, state, told);
            outputs.push(output);
            finals.push(state);
        }
        Ran { outputs: merged(operator.merge_mode, outputs), states: finals }
    }
}

type OfDirection<'w, F> = &'w mut dyn FnMut(usize, &GateValues<F>, &State<F>);

/// The outputs of the directions as the operator writes them.
fn merged<F: Real>(merge_mode: MergeMode, mut outputs: Vec<ArrayD<F>>) -> Vec<ArrayD<F>> {
    if outputs.len() < 2 {
        return outputs;
    }
    let (Some(backward), Some(forward)) = (outputs.pop(), outputs.pop()) else {
        return outputs;
    };
    match merge_mode {
        MergeMode::Concat => {
            let last = Axis(forward.ndim() - 1);
            concatenate(last, &[forward.view(), backward.view()]).into_iter().collect()
        }
        MergeMode::Sum => vec![forward + backward],
        MergeMode::Mul => vec![forward * backward],
        MergeMode::Ave => vec![(forward + backward).mapv(|v| v / (F::one() + F::one()))],
        MergeMode::None => vec![forward, backward],
    }
}

/// Returns the output, `[batch, timesteps, units]` or `[batch, units]`, and the final state.
fn run_direction<F: Real>(
    reader: &Reader,
    weights: &CellWeights<F>,
    return_sequences: bool,
    x: ArrayView3<F>,
    mask: Option<ArrayView2<bool>>,
    mut state: State<F>,
    mut watcher: Option<OfDirection<'_, F>>,
) -> (ArrayD<F>, State<F>) {
    let (batch, timesteps, _) = x.dim();
    let mut sequence = return_sequences.then(|| Array3::zeros((batch, timesteps, reader.units)));
    // What a masked timestep repeats: the output before it, and zeros at first.
    let mut output = Array2::zeros((batch, reader.units));
    let gates = GateValues::new(reader.cell.gates().len());
    for index in 0..timesteps {
        let t = if reader.go_backwards { timesteps - 1 - index } else { index };
        let x = x.index_axis(Axis(1), t);
        let timestep = Timestep {
            units: reader.units,
            activation: reader.activation,
            recurrent_activation: reader.recurrent_activation,
            options: reader.cell.options,
            weights,
            x,
            gate_values: watcher.is_some().then_some(&gates),
        };
        let next = reader.cell.after(&timestep, &state);
        match mask.as_ref().map(|mask| mask.column(t)) {
            None => {
                output.assign(&next.hidden);
                state = next;
            }
            Some(mask) => {
                if reader.zero_output_for_mask {
                    output.fill(F::zero());
                }
                assign_rows(&mut output, &next.hidden, mask);
                assign_rows(&mut state.hidden, &next.hidden, mask);
                if let (Some(cell), Some(next)) = (&mut state.cell, &next.cell) {
                    assign_rows(cell, next, mask);
                }
            }
        }
        if let Some(sequence) = &mut sequence {
            let place = if reader.reverse_output { timesteps - 1 - index } else { index };
            sequence.index_axis_mut(Axis(1), place).assign(&output);
        }
        if let Some(watcher) = &mut watcher {
            watcher(t, &gates, &state);
        }
    }
    let output = sequence.map_or_else(|| output.into_dyn(), |sequence| sequence.into_dyn());
    (output, state)
}

/// Takes the rows of `from` where the mask is true.
fn assign_rows<F: Real>(to: &mut Array2<F>, from: &Array2<F>, mask: ArrayView1<bool>) {
    for ((mut to, from), &mask) in to.rows_mut().into_iter().zip(from.rows()).zip(mask) {
        if mask {
            to.assign(&from);
        }
    }
}
