use super::Real;
use super::cell::{CellWeights, State, step};
use crate::error::{Error, Result};
use crate::layer::{Feedforward, Kind, Layer, MergeMode, Recurrent};
use crate::order::to_standard;
use ndarray::{
    Array2, Array3, ArrayD, ArrayView1, ArrayView2, ArrayView3, ArrayViewD, Axis, Ix2, Ix3,
    concatenate,
};

/// What runs the sequences of a recurrent layer.
pub(crate) trait Recurrence<F>: Sync {
    /// Runs all directions of a recurrent layer, which is the layer `index` of the model or what a
    /// TimeDistributed there holds.
    fn run(&self, index: usize, layer: &Layer, sequences: Sequences<'_, F>) -> Result<Ran<F>>;
}

/// What a recurrent layer reads.
pub(crate) struct Sequences<'a, F> {
    /// `[batch, timesteps, features]`
    pub x: ArrayView3<'a, F>,
    /// `[batch, timesteps]`
    pub mask: Option<ArrayView2<'a, bool>>,
    /// The initial state of each direction.
    pub states: Vec<State<F>>,
}

/// What a recurrent layer computed.
pub(crate) struct Ran<F> {
    /// Merged; with `MergeMode::None` one for each direction.
    pub outputs: Vec<ArrayD<F>>,
    /// The final state of each direction.
    pub states: Vec<State<F>>,
}

/// A [`Recurrence`] for one layer of the model.
pub(super) struct OfLayer<'a, R> {
    pub recurrence: &'a R,
    pub index: usize,
}

/// The recurrent layer that a TimeDistributed holds; otherwise the layer itself.
pub(crate) fn recurrent_of(layer: &Layer) -> &Layer {
    match layer {
        Layer::Feedforward(Feedforward { kind: Kind::TimeDistributed(each), .. }) => {
            recurrent_of(&each.layer)
        }
        layer => layer,
    }
}

/// Runs a layer on `[batch, timesteps, features]`; `states` are its initial states in Keras's order
/// (where there is none: of a stateful layer what the last call `carried`, otherwise zeros).
/// Returns its results in Keras's order.
pub(super) fn run<F: Real>(
    layer: &Layer,
    x: ArrayViewD<F>,
    mask: Option<ArrayD<bool>>,
    states: Vec<Option<ArrayViewD<F>>>,
    carried: &mut Vec<Option<Array2<F>>>,
    of_layer: OfLayer<'_, impl Recurrence<F>>,
) -> Result<Vec<ArrayD<F>>> {
    let graph_error =
        |e: &dyn std::fmt::Display| Error::Graph(format!("layer {:?}: {e}", layer.name()));
    let x = x.into_dimensionality::<Ix3>().map_err(|e| graph_error(&e))?;
    let batch = x.len_of(Axis(0));
    if let Some(states) =
        carried.iter().flatten().map(|state| state.nrows()).find(|&rows| rows != batch)
    {
        return Err(graph_error(&format!(
            "it is stateful and its states are those of {states} sequences, not {batch}"
        )));
    }
    let mask = mask
        .map(|mask| mask.into_dimensionality::<Ix2>())
        .transpose()
        .map_err(|e| graph_error(&e))?;
    carried.resize(states.len(), None);
    let mut given = states.into_iter().zip(carried.iter_mut().map(Option::take));
    let mut states = Vec::new();
    for (_, direction) in layer.directions() {
        let mut next = || -> Result<Array2<F>> {
            match given.next() {
                Some((Some(state), _)) => {
                    let state = state.into_dimensionality::<Ix2>().map_err(|e| graph_error(&e))?;
                    Ok(to_standard(&state))
                }
                Some((None, Some(carried))) => Ok(carried),
                Some((None, None)) => Ok(Array2::zeros((batch, direction.units()))),
                None => Err(graph_error(&"it has more initial states than were counted")),
            }
        };
        let hidden = next()?;
        let cell = if direction.cell().has_cell_state() { Some(next()?) } else { None };
        states.push(State { hidden, cell });
    }
    drop(given);
    let sequences = Sequences { x, mask: mask.as_ref().map(|mask| mask.view()), states };
    let Ran { outputs: mut returned, states } =
        of_layer.recurrence.run(of_layer.index, layer, sequences)?;
    let mut index = 0;
    for ((_, direction), state) in layer.directions().into_iter().zip(&states) {
        for state in [Some(&state.hidden), state.cell.as_ref()].into_iter().flatten() {
            carried[index] = direction.stateful().then(|| to_standard(&state.view()));
            index += 1;
        }
    }
    if layer.directions()[0].1.return_state() {
        for state in states {
            returned.push(state.hidden.into_dyn());
            returned.extend(state.cell.map(|cell| cell.into_dyn()));
        }
    }
    Ok(returned)
}

/// By the formulas, one timestep after the other.
pub(crate) struct Plain;

impl<F: Real> Recurrence<F> for Plain {
    fn run(&self, _: usize, layer: &Layer, sequences: Sequences<'_, F>) -> Result<Ran<F>> {
        let Sequences { x, mask, states } = sequences;
        let (mut outputs, mut finals) = (Vec::new(), Vec::new());
        for ((_, direction), state) in layer.directions().into_iter().zip(states) {
            let (output, state) = run_direction(direction, x, mask, state)?;
            outputs.push(output);
            finals.push(state);
        }
        Ok(Ran { outputs: merged(layer, outputs), states: finals })
    }
}

/// The outputs of the directions as the layer returns them.
fn merged<F: Real>(layer: &Layer, mut outputs: Vec<ArrayD<F>>) -> Vec<ArrayD<F>> {
    let Layer::Bidirectional(both) = layer else {
        return outputs;
    };
    let (Some(mut backward), Some(forward)) = (outputs.pop(), outputs.pop()) else {
        return outputs;
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

/// Returns the output in the order of reading, `[batch, timesteps, units]` or `[batch, units]`, and
/// the final state.
fn run_direction<F: Real>(
    layer: &Recurrent,
    x: ArrayView3<F>,
    mask: Option<ArrayView2<bool>>,
    mut state: State<F>,
) -> Result<(ArrayD<F>, State<F>)> {
    let weights =
        layer.weights().ok_or_else(|| Error::MissingWeights { layer: layer.name().to_string() })?;
    let weights = CellWeights::new(weights);
    let (batch, timesteps, _) = x.dim();
    let mut sequence =
        layer.return_sequences().then(|| Array3::zeros((batch, timesteps, layer.units())));
    // What a masked timestep repeats: the output before it, and zeros at first.
    let mut output = Array2::zeros((batch, layer.units()));
    for index in 0..timesteps {
        let t = if layer.go_backwards() { timesteps - 1 - index } else { index };
        let next = step(layer, &weights, x.index_axis(Axis(1), t), state.clone());
        match mask.as_ref().map(|mask| mask.column(t)) {
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
    Ok((output, state))
}

/// Takes the rows of `from` where the mask is true.
fn assign_rows<F: Real>(to: &mut Array2<F>, from: &Array2<F>, mask: ArrayView1<bool>) {
    for ((mut to, from), &mask) in to.rows_mut().into_iter().zip(from.rows()).zip(mask) {
        if mask {
            to.assign(&from);
        }
    }
}
