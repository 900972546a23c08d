use super::Real;
use super::cell::{CellWeights, State, step};
use crate::error::{Error, Result};
use crate::layer::{Layer, MergeMode, Recurrent};
use ndarray::{Array2, Array3, ArrayD, ArrayView1, ArrayView3, Axis, Ix2, Ix3, concatenate};

/// What one direction computed.
struct DirectionResult<F> {
    /// `[batch, timesteps, units]` in the order of reading, or `[batch, units]`.
    output: ArrayD<F>,
    state: State<F>,
}

/// Runs a layer on `[batch, timesteps, features]`; `states` are its initial states in Keras's order (where there is
/// none: of a stateful layer what the last call `carried`, otherwise zeros). Returns its results in Keras's order.
pub(super) fn run<F: Real>(
    layer: &Layer,
    inputs: &[&ArrayD<F>],
    mask: Option<ArrayD<bool>>,
    states: Vec<Option<ArrayD<F>>>,
    carried: &mut Vec<Option<Array2<F>>>,
) -> Result<Vec<ArrayD<F>>> {
    let graph_error = |e: &dyn std::fmt::Display| Error::Graph(format!("layer {:?}: {e}", layer.name()));
    let input = inputs.first().ok_or_else(|| graph_error(&"its input is computed after it"))?;
    let x = input.view().into_dimensionality::<Ix3>().map_err(|e| graph_error(&e))?;
    let batch = x.len_of(Axis(0));
    if let Some(states) = carried.iter().flatten().map(|state| state.nrows()).find(|&rows| rows != batch) {
        return Err(graph_error(&format!(
            "it is stateful and its states are those of {states} sequences, not {batch}"
        )));
    }
    let mask = mask.map(|mask| mask.into_dimensionality::<Ix2>()).transpose().map_err(|e| graph_error(&e))?;
    carried.resize(states.len(), None);
    let mut states = states.into_iter().zip(carried.iter_mut().map(Option::take));
    let mut results = Vec::new();
    for (_, direction) in layer.directions() {
        let mut next = || -> Result<Option<Array2<F>>> {
            let (given, carried) = states.next().unwrap_or_default();
            let given = given.map(|s| s.into_dimensionality::<Ix2>().map_err(|e| graph_error(&e))).transpose()?;
            Ok(given.or(carried))
        };
        let hidden = next()?;
        let cell = if direction.cell().has_cell_state() { next()? } else { None };
        let zeros = || Array2::zeros((batch, direction.units()));
        let cell = if direction.cell().has_cell_state() { Some(cell.unwrap_or_else(zeros)) } else { None };
        let state = State { hidden: hidden.unwrap_or_else(zeros), cell };
        results.push(run_direction(direction, x, mask.as_ref(), state)?);
    }
    drop(states);
    let mut index = 0;
    for ((_, direction), result) in layer.directions().into_iter().zip(&results) {
        for state in [Some(&result.state.hidden), result.state.cell.as_ref()].into_iter().flatten() {
            carried[index] = direction.stateful().then(|| state.clone());
            index += 1;
        }
    }
    let mut returned = outputs(layer, &mut results);
    if layer.directions()[0].1.return_state() {
        for result in results {
            returned.push(result.state.hidden.into_dyn());
            returned.extend(result.state.cell.map(|cell| cell.into_dyn()));
        }
    }
    Ok(returned)
}

/// Takes the outputs of the directions, merged.
fn outputs<F: Real>(layer: &Layer, results: &mut [DirectionResult<F>]) -> Vec<ArrayD<F>> {
    let mut taken: Vec<_> = results.iter_mut().map(|result| std::mem::take(&mut result.output)).collect();
    let Layer::Bidirectional(both) = layer else {
        return taken;
    };
    let (Some(mut backward), Some(forward)) = (taken.pop(), taken.pop()) else {
        return taken;
    };
    if both.forward().return_sequences() {
        backward.invert_axis(Axis(1)); // back into the order of time
    }
    match both.mode() {
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

fn run_direction<F: Real>(
    layer: &Recurrent,
    x: ArrayView3<F>,
    mask: Option<&Array2<bool>>,
    mut state: State<F>,
) -> Result<DirectionResult<F>> {
    let weights = layer.weights().ok_or_else(|| Error::MissingWeights { layer: layer.name().to_string() })?;
    let weights = CellWeights::new(weights);
    let (batch, timesteps, _) = x.dim();
    let mut sequence = layer.return_sequences().then(|| Array3::zeros((batch, timesteps, layer.units())));
    // What a masked timestep repeats: the output before it, and zeros at first.
    let mut output = Array2::zeros((batch, layer.units()));
    for index in 0..timesteps {
        let t = if layer.go_backwards() { timesteps - 1 - index } else { index };
        let next = step(layer, &weights, x.index_axis(Axis(1), t), state.clone());
        match mask.map(|mask| mask.column(t)) {
            None => {
                output.assign(&next.hidden);
                state = next;
            }
            Some(mask) => {
                if layer.zero_output_for_mask() {
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
            sequence.index_axis_mut(Axis(1), index).assign(&output);
        }
    }
    let output = sequence.map_or_else(|| output.into_dyn(), |sequence| sequence.into_dyn());
    Ok(DirectionResult { output, state })
}

/// Takes the rows of `from` where the mask is true.
fn assign_rows<F: Real>(to: &mut Array2<F>, from: &Array2<F>, mask: ArrayView1<bool>) {
    for ((mut to, from), &mask) in to.rows_mut().into_iter().zip(from.rows()).zip(mask) {
        if mask {
            to.assign(&from);
        }
    }
}
