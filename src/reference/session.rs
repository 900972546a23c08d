use super::recurrent::Plain;
use super::run::{Carried, Shared, check_memory, run_graph};
use crate::error::Result;
use crate::graph::Constants;
use crate::model::{Bound, Model, Output, Outputs};
use crate::profile::Recorder;
use crate::runner::{Awaited, Runner, Started, Wait};
use ndarray::{ArrayD, ArrayViewD};

/// The reference as a session runs it: in `f64`, with what is read and returned in `f32`.
#[derive(Debug)]
pub(crate) struct ReferenceSession {
    constants: Constants<f64>,
    operators: Plain<f64>,
    carried: Carried<f64>,
    /// The rows of the batch of the last call.
    rows: usize,
}

impl ReferenceSession {
    pub fn new(model: &Model) -> Result<ReferenceSession> {
        model.check_weights()?;
        Ok(ReferenceSession {
            constants: model.constants(),
            operators: Plain::new(model)?,
            carried: Carried::default(),
            rows: 0,
        })
    }

    fn run(
        &mut self,
        model: &Model,
        inputs: &Bound<'_, f32>,
        mut recorder: Option<&mut Recorder>,
    ) -> Result<Outputs> {
        let states = states_in_f64(inputs);
        let inputs = in_f64(inputs, &states);
        let graph = model.lower(&inputs.call_shape(inputs.batch, !self.carried.is_empty()))?;
        check_memory::<f64>(&graph)?;
        let shared = Shared { model, constants: &self.constants, operators: &self.operators };
        self.rows = inputs.batch;
        if let Some(recorder) = &mut recorder {
            recorder.host("prepare");
        }
        let outputs = run_graph(shared, &graph, &inputs, &mut self.carried, recorder)?;
        let rounded = outputs.into_list().into_iter().map(|output| Output {
            layer: output.layer,
            role: output.role,
            array: output.array.mapv(|value| value as f32),
        });
        Ok(Outputs::new(rounded.collect()))
    }
}

impl Runner for ReferenceSession {
    fn submit<'a>(
        &'a mut self,
        model: &'a Model,
        inputs: &'a Bound<'_, f32>,
        _: Wait,
    ) -> Awaited<'a, Started> {
        Box::pin(async { self.run(model, inputs, None).map(Started::Done) })
    }

    fn profile<'a>(
        &'a mut self,
        model: &'a Model,
        inputs: &'a Bound<'_, f32>,
        _: Wait,
        recorder: &'a mut Recorder,
    ) -> Awaited<'a, Outputs> {
        Box::pin(async { self.run(model, inputs, Some(recorder)) })
    }

    fn carried_batch(&self) -> Option<usize> {
        (!self.carried.is_empty()).then_some(self.rows)
    }

    fn reset_states(&mut self) {
        self.carried.clear();
    }
}

/// The initial states of a call, for [`in_f64`] to borrow.
fn states_in_f64(inputs: &Bound<'_, f32>) -> Vec<Vec<Option<ArrayD<f64>>>> {
    let in_f64 =
        |state: &Option<ArrayViewD<f32>>| state.as_ref().map(|state| state.mapv(f64::from));
    inputs.states.iter().map(|states| states.iter().map(in_f64).collect()).collect()
}

/// The same call; `states` are its [`states_in_f64`].
fn in_f64<'s>(inputs: &Bound<'_, f32>, states: &'s [Vec<Option<ArrayD<f64>>>]) -> Bound<'s, f64> {
    let view = |state: &'s Option<ArrayD<f64>>| state.as_ref().map(|state| state.view());
    Bound {
        batch: inputs.batch,
        has_batch: inputs.has_batch,
        values: inputs.values.clone(),
        tied: inputs.tied.clone(),
        arrays: inputs.arrays.iter().map(|array| array.mapv(f64::from).into()).collect(),
        shapes: inputs.shapes.clone(),
        masks: inputs.masks.clone(),
        longest: inputs.longest.clone(),
        states: states.iter().map(|states| states.iter().map(view).collect()).collect(),
    }
}
