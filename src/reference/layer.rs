use super::Real;
use super::cell::{CellWeights, State, step};
use crate::error::{Error, Result};
use crate::layer::{Layer, MergeMode, Recurrent};
use ndarray::{Array2, Array3, ArrayD, ArrayView3, Axis, Ix2, Ix3, concatenate};

/// What one direction computed.
struct DirectionResult<F> {
    /// `[batch, timesteps, units]` in the order of reading, or `[batch, units]`.
    output: ArrayD<F>,
    state: State<F>,
}

/// Runs a layer on `[batch, timesteps, features]`; `states` are its initial states in Keras's order
/// (zeros where there is none). Returns its results in Keras's order.
pub(super) fn run<F: Real>(
    layer: &Layer,
    input: Option<&ArrayD<F>>,
    states: Vec<Option<ArrayD<F>>>,
) -> Result<Vec<ArrayD<F>>> {
    let graph_error = |e: &dyn std::fmt::Display| Error::Graph(format!("layer {:?}: {e}", layer.name()));
    let input = input.ok_or_else(|| graph_error(&"its input is computed after it"))?;
    let x = input.view().into_dimensionality::<Ix3>().map_err(|e| graph_error(&e))?;
    let mut states = states.into_iter();
    let mut results = Vec::new();
    for (_, direction) in layer.directions() {
        let mut next = || -> Result<Option<Array2<F>>> {
            states.next().flatten().map(|s| s.into_dimensionality::<Ix2>().map_err(|e| graph_error(&e))).transpose()
        };
        let hidden = next()?;
        let cell = if direction.cell().has_cell_state() { next()? } else { None };
        let zeros = Array2::zeros((x.len_of(Axis(0)), direction.units()));
        results.push(run_direction(direction, x, State { hidden: hidden.unwrap_or(zeros), cell })?);
    }
    let mut returned = outputs(layer, &mut results);
    if layer.first().return_state() {
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

fn run_direction<F: Real>(layer: &Recurrent, x: ArrayView3<F>, mut state: State<F>) -> Result<DirectionResult<F>> {
    let weights = layer.weights().ok_or_else(|| Error::MissingWeights { layer: layer.name().to_string() })?;
    let weights = CellWeights::new(weights);
    let (batch, timesteps, _) = x.dim();
    let mut sequence = layer.return_sequences().then(|| Array3::zeros((batch, timesteps, layer.units())));
    for index in 0..timesteps {
        let t = if layer.go_backwards() { timesteps - 1 - index } else { index };
        state = step(layer, &weights, x.index_axis(Axis(1), t), state);
        if let Some(sequence) = &mut sequence {
            sequence.index_axis_mut(Axis(1), index).assign(&state.hidden);
        }
    }
    let output = sequence.map_or_else(|| state.hidden.clone().into_dyn(), |sequence| sequence.into_dyn());
    Ok(DirectionResult { output, state })
}
