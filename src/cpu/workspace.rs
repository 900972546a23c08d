//! A workspace: memory for all that calls of one shape need, so that such a call allocates nothing
//! and takes no lock.
//!
//! Every array of the graph has its place: in the caller's memory, among the model's constants, or
//! in memory of the workspace's own. The steps that streaming models are made of write there; other
//! steps run as in any call, and what they return is copied.

use super::engine::Engine;
use crate::error::{Error, Result};
use crate::graph::{ArrayId, ConstantId, Constants, OperatorGraph, Source, StateOfLayer, Step};
use crate::model::{Bound, Inputs, KnownCall, Model, OutputsMut, Places};
use crate::operator::{self, Operator};
use crate::reference::{Carried, Reads, run_step};
use birnn_simd::{Machine, Output, Scratch, Sequence, Sums};
use ndarray::{ArrayView, ArrayView3, ArrayViewD, ArrayViewMut2, ArrayViewMut3, Axis, IxDyn};

/// What all workspaces of a session share.
pub(super) struct Common<'a> {
    pub engine: &'a Engine,
    pub constants: &'a Constants<f32>,
    pub model: &'a Model,
}

/// A call: what it is like, and what it gives.
type Call<'a, 'i> = (&'a KnownCall, &'a Inputs<'i, f32>);

#[derive(Debug)]
pub(super) struct Workspace {
    graph: OperatorGraph,
    /// Of each array of the graph.
    places: Vec<Storage>,
    /// The workspace's own memory, for each array of the graph that needs some.
    values: Vec<Vec<f32>>,
    /// How each step runs.
    ways: Vec<Way>,
}

/// Where the values of an array stand, in C order.
#[derive(Clone, Copy, Debug)]
enum Storage {
    Own,
    /// In the place of another array, of which it is another shape.
    Same(ArrayId),
    /// This input of the model, which the call gives; in the workspace's memory where the caller's
    /// array is in another order.
    Input(usize),
    /// This one of the initial states that the call gives, in the same way.
    State(usize),
    /// In the workspace's memory, too: the state that a layer ended the last call with.
    Carried(StateOfLayer),
    Constant(ConstantId),
}

/// How a step runs.
#[derive(Debug)]
enum Way {
    /// What it writes is there already.
    Moved,
    /// One direction, on this thread.
    Sequence(Box<Scratch>),
    /// A product with a packed kernel, on this thread.
    Product(Sums),
    /// As in any call.
    Any,
}

impl Workspace {
    /// For calls like `known`, whose inputs are `bound`. The engine is prepared for the graph.
    pub fn new(
        engine: &Engine,
        graph: OperatorGraph,
        known: &KnownCall,
        bound: &Bound<'_, f32>,
    ) -> Workspace {
        let mut places = vec![Storage::Own; graph.arrays.len()];
        let mut values = vec![Vec::new(); graph.arrays.len()];
        for (index, array) in graph.arrays.iter().enumerate() {
            let count = array.shape.iter().product();
            let zeros = || vec![0.0; count];
            (places[index], values[index]) = match array.source {
                Source::Input(input) if known.gives(input) => (Storage::Input(input), zeros()),
                // A constant of the model, which is an input of its graph.
                Source::Input(input) => {
                    (Storage::Own, bound.arrays[input].iter().copied().collect())
                }
                Source::InitialState { node, index } => match known.state(node, index) {
                    Some(state) => (Storage::State(state), zeros()),
                    None => (Storage::Own, zeros()),
                },
                Source::Carried(state) => (Storage::Carried(state), zeros()),
                Source::Constant(id) => (Storage::Constant(id), Vec::new()),
                Source::Known(known) => {
                    let known = graph.known.get(known);
                    (
                        Storage::Own,
                        known.into_iter().flat_map(|known| known.iter().copied()).collect(),
                    )
                }
                Source::Ones => (Storage::Own, vec![1.0; count]),
                // A call with masks has no workspace.
                Source::Mask(_) | Source::Step => (Storage::Own, zeros()),
            };
        }
        let mut ways = Vec::with_capacity(graph.steps.len());
        for step in &graph.steps {
            let way = way(engine, &graph, step);
            if let (Way::Moved, &[Some(read)]) = (&way, &step.reads[..]) {
                let written = step.writes[0].0;
                (places[written], values[written]) = (Storage::Same(read), Vec::new());
            }
            ways.push(way);
        }
        Workspace { graph, places, values, ways }
    }

    /// That the call's values are what the graph asks of them, and the arrays for outputs have
    /// their shapes.
    pub fn check(
        &self,
        common: &Common<'_>,
        (known, inputs): Call<'_, '_>,
        (outputs, places): &(&mut OutputsMut<'_>, &Places),
    ) -> Result<()> {
        for demand in &self.graph.demands {
            // The model's constants are as they were when the workspace was made.
            if let Some(array) = known.array(inputs, demand.input) {
                demand.check(common.model, array, 0)?;
            }
        }
        let shape = |place: usize| self.graph.shape(self.graph.outputs[place]);
        let has = |place: usize, found: &[usize]| shape(place) == found;
        outputs.check(common.model, places, has, |place| shape(place).to_vec())
    }

    /// Makes a call that was checked.
    pub fn run(
        &mut self,
        common: &Common<'_>,
        call: Call<'_, '_>,
        carried: &mut Carried<f32>,
        (outputs, places): (&mut OutputsMut<'_>, &Places),
    ) -> Result<()> {
        self.gather(call, carried)?;
        for index in 0..self.ways.len() {
            // What a step writes, and its workspace, are apart from what it reads.
            let mut way = std::mem::replace(&mut self.ways[index], Way::Moved);
            let step = &self.graph.steps[index];
            let ran = match &mut way {
                Way::Moved => Ok(()),
                Way::Sequence(scratch) => {
                    let mut written = [0, 1, 2].map(|array| {
                        let array = step.writes.get(array);
                        array.map(|array| std::mem::take(&mut self.values[array.0]))
                    });
                    let ran = self.recur(step, common, call, scratch, &mut written);
                    for (array, values) in step.writes.iter().zip(written) {
                        self.values[array.0] = values.unwrap_or_default();
                    }
                    ran
                }
                Way::Product(sums) => {
                    let written = step.writes[0].0;
                    let mut values = std::mem::take(&mut self.values[written]);
                    let ran = self.multiply(step, common, call, sums, &mut values);
                    self.values[written] = values;
                    ran
                }
                Way::Any => {
                    let written = step.writes[0].0;
                    let mut values = std::mem::take(&mut self.values[written]);
                    let ran = self.compute(step, common, call, &mut values);
                    self.values[written] = values;
                    ran.map(|further| {
                        for (array, further) in step.writes[1..].iter().zip(further) {
                            self.values[array.0] = further;
                        }
                    })
                }
            };
            self.ways[index] = way;
            ran?;
        }
        for &(state, array) in &self.graph.carried {
            match carried.memory(state, self.graph.shape(array)) {
                Some(kept) => kept.copy_from_slice(self.slice(array, common, call)?),
                None => carried.set(state, self.view(array, common, call)?.to_owned()),
            }
        }
        outputs.fill_from(places, |place| self.slice(self.graph.outputs[place], common, call))
    }

    /// Copies what the caller has in another order than C's, and the states that layers carry.
    fn gather(&mut self, (known, inputs): Call<'_, '_>, carried: &Carried<f32>) -> Result<()> {
        for (place, values) in self.places.iter().zip(&mut self.values) {
            let array = match *place {
                Storage::Input(input) => known.array(inputs, input),
                Storage::State(state) => inputs.given_state(state),
                Storage::Carried(state) => {
                    let array = carried.get(state).and_then(|array| array.as_slice());
                    let array = array.filter(|array| array.len() == values.len());
                    let missing = || Error::Graph(format!("there is no {state:?} to go on from"));
                    values.copy_from_slice(array.ok_or_else(missing)?);
                    continue;
                }
                _ => continue,
            };
            if let Some(array) = array.filter(|array| array.as_slice().is_none()) {
                values.iter_mut().zip(array).for_each(|(value, &given)| *value = given);
            }
        }
        Ok(())
    }

    /// The values of an array that is there.
    fn slice<'s>(
        &'s self,
        array: ArrayId,
        common: &Common<'s>,
        (known, inputs): Call<'s, '_>,
    ) -> Result<&'s [f32]> {
        let own = &self.values[array.0][..];
        Ok(match self.places[array.0] {
            Storage::Own | Storage::Carried(_) => own,
            Storage::Same(other) => self.slice(other, common, (known, inputs))?,
            Storage::Input(input) => {
                known.array(inputs, input).and_then(|array| array.as_slice()).unwrap_or(own)
            }
            Storage::State(state) => {
                inputs.given_state(state).and_then(|array| array.as_slice()).unwrap_or(own)
            }
            Storage::Constant(id) => {
                let constant = common.constants.get(id).and_then(|constant| constant.as_slice());
                constant.ok_or_else(|| Error::Graph(format!("there is no {id:?} in C order")))?
            }
        })
    }

    fn view<'s>(
        &'s self,
        array: ArrayId,
        common: &Common<'s>,
        call: Call<'s, '_>,
    ) -> Result<ArrayViewD<'s, f32>> {
        let shape = IxDyn(self.graph.shape(array));
        ArrayView::from_shape(shape, self.slice(array, common, call)?).map_err(unlike)
    }

    /// A recurrence in one direction; `written` are its output, hidden state and cell state.
    fn recur(
        &self,
        step: &Step,
        common: &Common<'_>,
        call: Call<'_, '_>,
        scratch: &mut Scratch,
        written: &mut [Option<Vec<f32>>; 3],
    ) -> Result<()> {
        let incomplete = || Error::Graph(format!("layer {:?}: an array is missing", step.layer));
        let (Operator::Recurrent(operator), Some(x)) = (&step.operator, step.reads[0]) else {
            return Err(incomplete());
        };
        let [reader] = &operator.directions[..] else { return Err(incomplete()) };
        let &[batch, timesteps, features] = self.graph.shape(x) else { return Err(incomplete()) };
        let states = written[1..].iter_mut().flatten();
        for (values, operand) in states.zip(operator::Recurrent::STATES..) {
            match step.reads.get(operand).copied().flatten() {
                Some(state) => values.copy_from_slice(self.slice(state, common, call)?),
                None => values.fill(0.0),
            }
        }
        let units = reader.units;
        let [Some(output), Some(hidden), cell] = written else { return Err(incomplete()) };
        let x = ArrayView3::from_shape((batch, timesteps, features), self.slice(x, common, call)?);
        let output = match operator.return_sequences {
            true => {
                let shape = (batch, timesteps, units);
                let mut output = ArrayViewMut3::from_shape(shape, output).map_err(unlike)?;
                if reader.reverse_output {
                    output.invert_axis(Axis(1));
                }
                Output::Every(output)
            }
            false => {
                Output::Last(ArrayViewMut2::from_shape((batch, units), output).map_err(unlike)?)
            }
        };
        let shape = (batch, units);
        let sequence = Sequence {
            reader,
            x: x.map_err(unlike)?,
            rows: batch,
            timesteps,
            mask: None,
            output,
            hidden: ArrayViewMut2::from_shape(shape, hidden).map_err(unlike)?,
            cell: match cell {
                Some(cell) => Some(ArrayViewMut2::from_shape(shape, cell).map_err(unlike)?),
                None => None,
            },
        };
        let machine = Machine { arch: common.engine.cores.arch, shares: 1 };
        common.engine.layers[operator.weights][0].run(sequence, machine, scratch);
        Ok(())
    }

    fn multiply(
        &self,
        step: &Step,
        common: &Common<'_>,
        call: Call<'_, '_>,
        sums: &mut Sums,
        written: &mut [f32],
    ) -> Result<()> {
        let engine = common.engine;
        let (Operator::MatMul(operator), Some(kernel), Some(x)) =
            (&step.operator, engine.operators.kernel(step, &self.graph), step.reads[0])
        else {
            return Err(Error::Graph(format!("layer {:?}: its kernel isn't packed", step.layer)));
        };
        let bias = step.reads.get(2).copied().flatten();
        let bias = bias.map(|bias| self.slice(bias, common, call)).transpose()?;
        let operands = (self.slice(x, common, call)?, bias);
        let factor = (kernel, operator.activation);
        engine.operators.multiply(&engine.cores, factor, operands, sums, written).map_err(unlike)
    }

    /// Any step: writes the first array of what it writes, and returns the others.
    fn compute(
        &self,
        step: &Step,
        common: &Common<'_>,
        call: Call<'_, '_>,
        written: &mut [f32],
    ) -> Result<Vec<Vec<f32>>> {
        let read =
            |read: &Option<ArrayId>| read.map(|read| self.view(read, common, call)).transpose();
        let reads = Reads(step.reads.iter().map(read).collect::<Result<_>>()?);
        let engine = common.engine;
        // Those `Operators::compute` leaves to the plain code.
        let has_no_axes = self.graph.shape(step.writes[0]).is_empty();
        let is_empty =
            has_no_axes || written.is_empty() || reads.optional(0).is_none_or(|x| x.is_empty());
        if !is_empty {
            let wrote = engine.operators.write(&engine.cores, step, &reads, written);
            if wrote.map_err(unlike)? {
                return Ok(Vec::new());
            }
        }
        let mut all = run_step(step, &self.graph, engine, &reads, false)?.0.into_iter();
        if let Some(first) = all.next() {
            written.iter_mut().zip(&first).for_each(|(to, &value)| *to = value);
        }
        Ok(all.map(|array| array.iter().copied().collect()).collect())
    }
}

/// How a step runs.
fn way(engine: &Engine, graph: &OperatorGraph, step: &Step) -> Way {
    match &step.operator {
        Operator::Reshape(_) if matches!(step.reads[..], [Some(_)]) => Way::Moved,
        Operator::MatMul(_) if engine.operators.multiplies(&engine.cores, step, graph) => {
            Way::Product(Sums::default())
        }
        Operator::Recurrent(operator) if is_alone(engine, graph, step, operator) => {
            Way::Sequence(Box::default())
        }
        _ => Way::Any,
    }
}

/// Whether a recurrence is one sequence without a mask, which this thread runs alone.
fn is_alone(
    engine: &Engine,
    graph: &OperatorGraph,
    step: &Step,
    operator: &operator::Recurrent,
) -> bool {
    let Some(&[batch, timesteps, features]) = step.reads[0].map(|x| graph.shape(x)) else {
        return false;
    };
    let is_masked = step.reads.get(1).copied().flatten().is_some();
    let plan = engine.plan(operator, batch, timesteps, features);
    operator.directions.len() == 1 && !is_masked && batch <= plan.rows && plan.shares == 1
}

fn unlike(error: ndarray::ShapeError) -> Error {
    Error::Graph(format!("an array of a workspace: {error}"))
}

#[cfg(test)]
mod tests {
    use crate::host::WAITS;
    use crate::layer::{Activation, Cell, Dense, Layer, RecurrentBuilder};
    use crate::{CpuOptions, DeviceOptions, Model};
    use ndarray::Array3;

    /// Every lock and every pool of the CPU path counts; `tests/allocations.rs` counts allocations.
    #[test]
    fn a_call_takes_no_lock_and_no_other_thread() {
        let device = DeviceOptions::from(CpuOptions::new().threads(2)).open().unwrap();
        for cell in [Cell::LSTM, Cell::GRU, Cell::SIMPLE_RNN] {
            for units in [8, 64, 256] {
                let layer = RecurrentBuilder::of(cell, units).return_sequences(true).stateful(true);
                let layers: [Layer; 3] = [
                    layer.into(),
                    Dense::new(5).activation(Activation::Relu).into(),
                    Dense::new(2).activation(Activation::Softmax).into(),
                ];
                let model = Model::sequential(3, layers).unwrap().initialize(1).unwrap();
                let mut session = device.compile(&model).unwrap();
                for timesteps in [1, 64, 1, 64] {
                    let x = Array3::<f32>::ones((1, timesteps, 3));
                    let mut y = Array3::zeros((1, timesteps, 2));
                    let before = WAITS.get();
                    session.run_into(x.view(), &mut y).unwrap();
                    assert_eq!(WAITS.get(), before, "{cell:?}, {units} units, {timesteps} steps");
                }
                let before = WAITS.get();
                session.run(Array3::<f32>::ones((1, 1, 3)).view()).unwrap();
                assert!(WAITS.get() > before, "run takes memory under a lock");
            }
        }
    }
}
