//! What a recurrent layer did at each timestep.

use super::recurrent::{Operators, Plain, Ran, Sequences};
use super::run::{Carried, Shared, check_memory, run_graph};
use crate::error::{Error, Result};
use crate::layer::{Direction, Gate};
use crate::model::{Inputs, Model};
use crate::operator::Recurrent;
use birnn_cell::{GateValues, Real, State};
use ndarray::{Array3, Axis};
use std::sync::{Mutex, PoisonError};

/// What a direction of a recurrent layer did at each timestep in a call of it; see [`trace`].
///
/// All arrays are `[batch, timesteps, units]`, and at index t of their timesteps is what the
/// direction had after it had read timestep t of its input. A backward direction reads the last
/// timestep first.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Trace<F> {
    /// The direction; forward for a layer that isn't bidirectional.
    pub direction: Direction,
    /// Whether it reads the last timestep first.
    pub go_backwards: bool,
    /// The hidden state.
    pub hidden: Array3<F>,
    /// The cell state, where the cell has one.
    pub cell: Option<Array3<F>>,
    /// The values of each gate, candidates among them, in the order of
    /// [`Cell::gates`](crate::Cell::gates). Where a mask leaves a timestep out they are NaN: the
    /// states stay as they were.
    pub gates: Vec<(Gate, Array3<F>)>,
}

/// Runs the model as [`run`](super::run) does, and returns what the recurrent layer of this name
/// did at each timestep: a list for each call of the layer, in order, with its directions.
///
/// A layer that a `TimeDistributed` calls has the timesteps of that in its batch.
///
/// # Errors
/// [`Error::UnknownLayer`] where no recurrent layer has this name, [`Error::Graph`] where what the
/// model returns doesn't need it, and those of [`run`](super::run).
///
/// ```
/// use birnn::{Bidirectional, Direction, Lstm, Model, reference};
/// let layer = Bidirectional::new(Lstm::new(3)).named("both");
/// let model = Model::sequential(2, [layer])?.initialize(1)?;
/// let x = ndarray::Array3::<f64>::ones((1, 4, 2)); // [batch, timesteps, features]
/// let calls = reference::trace(&model, "both", x.view())?;
/// let [forward, backward] = &calls[0][..] else { unreachable!() };
/// assert_eq!(forward.hidden.dim(), (1, 4, 3)); // [batch, timesteps, units]
/// assert_eq!(backward.direction, Direction::Backward);
/// assert_eq!(backward.gates[1].0.title, "forget gate");
/// # Ok::<(), birnn::Error>(())
/// ```
pub fn trace<'a, F: Real>(
    model: &Model,
    layer: &str,
    inputs: impl Into<Inputs<'a, F>>,
) -> Result<Vec<Vec<Trace<F>>>> {
    model.check_weights()?;
    let is_recurrent = |layer: &crate::layer::Layer| !layer.innermost().directions().is_empty();
    let found = model.layers().position(|one| one.name() == layer && is_recurrent(one));
    let number = found.ok_or_else(|| Error::UnknownLayer {
        name: layer.to_string(),
        known: model
            .layers()
            .filter(|layer| is_recurrent(layer))
            .map(|layer| layer.name().to_string())
            .collect(),
    })?;
    let inputs = model.bind(inputs.into())?;
    let graph = model.lower(&inputs.call_shape(inputs.batch, false))?;
    check_memory::<F>(&graph)?;
    let constants = model.constants();
    let recorder =
        Recorder { plain: Plain::new(model)?, model, layer: number, calls: Mutex::new(Vec::new()) };
    let shared = Shared { model, constants: &constants, operators: &recorder };
    run_graph(shared, &graph, &inputs, &mut Carried::default(), None)?;
    let calls = recorder.calls.into_inner().unwrap_or_else(PoisonError::into_inner);
    match calls.is_empty() {
        true => Err(Error::Graph(format!(
            "layer {layer:?} isn't run: nothing that the model returns needs it"
        ))),
        false => Ok(calls),
    }
}

/// Runs recurrences by the formulas, and records those of a layer.
struct Recorder<'m, F> {
    plain: Plain<F>,
    model: &'m Model,
    /// The number of the layer.
    layer: usize,
    calls: Mutex<Vec<Vec<Trace<F>>>>,
}

impl<F: Real> Operators<F> for Recorder<'_, F> {
    fn recur(&self, operator: &Recurrent, sequences: Sequences<'_, F>) -> Result<Ran<F>> {
        if operator.weights != self.layer {
            return self.plain.recur(operator, sequences);
        }
        let mut traces = self.empty(operator, &sequences);
        let mask = sequences.mask;
        let mut note = |direction: usize, t: usize, gates: &GateValues<F>, state: &State<F>| {
            let trace: &mut Trace<F> = &mut traces[direction];
            trace.hidden.index_axis_mut(Axis(1), t).assign(&state.hidden);
            if let (Some(cell), Some(now)) = (&mut trace.cell, &state.cell) {
                cell.index_axis_mut(Axis(1), t).assign(now);
            }
            for (number, (_, values)) in trace.gates.iter_mut().enumerate() {
                let Some(now) = gates.take(number) else { continue };
                let mut noted = values.index_axis_mut(Axis(1), t);
                for (row, mut noted) in noted.rows_mut().into_iter().enumerate() {
                    if mask.is_none_or(|mask| mask[[row, t]]) {
                        noted.assign(&now.row(row));
                    }
                }
            }
        };
        let ran = self.plain.run_watched(operator, sequences, Some(&mut note));
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(traces);
        Ok(ran)
    }
}

impl<F: Real> Recorder<'_, F> {
    /// Traces of which nothing is noted yet, one for each direction.
    fn empty(&self, operator: &Recurrent, sequences: &Sequences<'_, F>) -> Vec<Trace<F>> {
        let (batch, timesteps, _) = sequences.x.dim();
        let layer = self.model.layers().nth(self.layer).map(|layer| layer.innermost());
        let directions = layer.map(|layer| layer.directions()).unwrap_or_default();
        let of_direction = |((direction, _), reader): ((Direction, _), &birnn_cell::Reader)| {
            let shape = (batch, timesteps, reader.units);
            let unknown = || Array3::from_elem(shape, F::nearest(f64::NAN));
            Trace {
                direction,
                go_backwards: reader.go_backwards,
                hidden: Array3::zeros(shape),
                cell: reader.cell.has_cell_state().then(|| Array3::zeros(shape)),
                gates: reader.cell.gates().iter().map(|&gate| (gate, unknown())).collect(),
            }
        };
        directions.into_iter().zip(&operator.directions).map(of_direction).collect()
    }
}
