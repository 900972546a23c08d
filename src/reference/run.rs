//! Running a graph of operators, step by step.

use super::operands::{Computed, Reads};
use super::recurrent::{Operators, PLAIN, recurrent};
use super::{
    activation, affine, attention, binary, combine, convolution, differs, matmul, moving,
    normalize, pool, reduce,
};
use crate::error::{Error, Result};
use crate::graph::{ArrayId, Constants, OperatorGraph, Source, StateOfLayer, Step};
use crate::model::{Bound, Model, Output, Outputs};
use crate::operator::Operator;
use crate::order::standard;
use crate::profile::{Recorder, Track, Work};
use birnn_cell::Real;
use ndarray::{ArrayD, CowArray, ErrorKind, IxDyn, ShapeError};
use std::any::Any;
use std::time::Duration;

/// The states that stateful layers ended with; none before the first call.
#[derive(Debug)]
pub(crate) struct Carried<F> {
    /// There are a few.
    states: Vec<(StateOfLayer, ArrayD<F>)>,
    /// Otherwise the arrays are nothing but memory for the next states.
    are_there: bool,
}

impl<F> Default for Carried<F> {
    fn default() -> Carried<F> {
        Carried { states: Vec::new(), are_there: false }
    }
}

impl<F: Clone> Carried<F> {
    pub fn is_empty(&self) -> bool {
        !self.are_there
    }

    /// Forgets the states, and keeps their memory.
    pub fn clear(&mut self) {
        self.are_there = false;
    }

    pub fn get(&self, state: StateOfLayer) -> Option<&ArrayD<F>> {
        let found = self.states.iter().find(|(known, _)| *known == state);
        found.filter(|_| self.are_there).map(|(_, array)| array)
    }

    /// Sets a state, of all states that a call carries.
    pub fn set(&mut self, state: StateOfLayer, array: ArrayD<F>) {
        self.are_there = true;
        match self.states.iter_mut().find(|(known, _)| *known == state) {
            Some((_, kept)) => *kept = array,
            None => self.states.push((state, array)),
        }
    }

    /// The memory of a state that a call sets, in C order, where it has this shape.
    pub fn memory(&mut self, state: StateOfLayer, shape: &[usize]) -> Option<&mut [F]> {
        let kept = self.states.iter_mut().find(|(known, _)| *known == state);
        let (_, kept) = kept.filter(|(_, kept)| kept.shape() == shape)?;
        self.are_there = true;
        kept.as_slice_mut()
    }
}

/// What a step is called in a profile that leaves values where they are.
const VIEW: &str = "view";

/// What calls of any shape share.
pub(crate) struct Shared<'a, F, O> {
    pub model: &'a Model,
    pub constants: &'a Constants<F>,
    pub operators: &'a O,
}

/// Runs a model's graph for calls of the shape of these inputs, for which there is memory. A
/// recorder is told how long each step takes.
pub(crate) fn run_graph<F: Real, O: Operators<F>>(
    shared: Shared<'_, F, O>,
    graph: &OperatorGraph,
    inputs: &Bound<'_, F>,
    carried: &mut Carried<F>,
    mut recorder: Option<&mut Recorder>,
) -> Result<Outputs<F>> {
    inputs.check_values(shared.model, &graph.demands, 0..inputs.batch)?;
    let before = std::mem::take(carried);
    let mut arrays = Arrays::fed(graph, inputs, shared.constants, &before)?;
    let (last_readers, in_any_order) = (graph.last_readers(), graph.in_any_order());
    for (index, step) in graph.steps.iter().enumerate() {
        let is_last = |read: ArrayId| last_readers[read.0] == Some(index);
        let any_order = in_any_order[step.writes[0].0];
        let start = recorder.as_ref().map(|recorder| recorder.now());
        let kernel = match arrays.moved(step, graph, is_last, any_order)? {
            Some(moved) => {
                arrays.0[step.writes[0].0] = Some(moved);
                VIEW
            }
            None => {
                let (written, kernel) = arrays.run(step, graph, shared.operators, any_order)?;
                for (array, written) in step.writes.iter().zip(written) {
                    let keeps_order = in_any_order[array.0];
                    let written = if keeps_order { written } else { standard(written) };
                    arrays.0[array.0] = Some(written.into());
                }
                kernel
            }
        };
        // Their memory is for the next ones.
        let done = step.reads.iter().flatten().filter(|&&read| is_last(read));
        for array in done.filter_map(|read| arrays.0[read.0].take()) {
            if !array.is_view() {
                shared.operators.done_with(array.into_owned());
            }
        }
        if let (Some(recorder), Some(start)) = (recorder.as_deref_mut(), start) {
            note(recorder, start, step, graph, kernel);
        }
    }
    for &(state, array) in &graph.carried {
        carried.set(state, arrays.get(array)?.to_owned());
    }
    let mut list = Vec::with_capacity(graph.outputs.len());
    for (index, (&array, &tensor)) in graph.outputs.iter().zip(&shared.model.outputs).enumerate() {
        let spec = &shared.model.tensors[tensor];
        let again = graph.outputs[index + 1..].contains(&array);
        let array = if again { arrays.get(array)?.to_owned() } else { arrays.take(array)? };
        list.push(Output { layer: spec.source.clone(), role: spec.role, array });
    }
    Ok(Outputs::new(list))
}

/// Tells a recorder of a step that began at `start`.
fn note(
    recorder: &mut Recorder,
    start: Duration,
    step: &Step,
    graph: &OperatorGraph,
    kernel: &str,
) {
    let (operator, shape) = (step.operator.rules().name(), graph.shape(step.writes[0]));
    let track = Track::Cpu;
    let work = Work { track, layer: &step.layer, operator, kernel, shape, launches: 1 };
    recorder.note(work, start, recorder.now().saturating_sub(start));
}

/// The arrays of a graph once they are there, in C order but for those that may be in any
/// ([`OperatorGraph::in_any_order`]).
struct Arrays<'a, F>(Vec<Option<CowArray<'a, F, IxDyn>>>);

impl<'a, F: Real> Arrays<'a, F> {
    /// Those that no step writes. What the caller gives is only copied where it isn't in C order.
    fn fed(
        graph: &'a OperatorGraph,
        inputs: &'a Bound<'_, F>,
        constants: &'a Constants<F>,
        carried: &'a Carried<F>,
    ) -> Result<Arrays<'a, F>> {
        let number = |counts: bool| if counts { F::one() } else { F::zero() };
        let fed = graph.arrays.iter().map(|array| match array.source {
            Source::Step => None,
            Source::Input(input) => Some(inputs.arrays[input].as_standard_layout()),
            Source::Mask(input) => {
                let mask = inputs.masks[input].as_ref();
                mask.map(|mask| standard(mask.mapv(number)).into_dyn().into())
            }
            Source::InitialState { node, index } => {
                let state = inputs.states[node][index].as_ref();
                state.map(|state| CowArray::from(state.view().into_dyn()))
            }
            Source::Carried(state) => carried.get(state).map(|state| state.view().into()),
            Source::Constant(id) => constants.get(id).map(|constant| constant.view().into()),
            Source::Known(index) => graph.known.get(index).map(|known| in_type(known)),
            Source::Ones => Some(ArrayD::ones(&array.shape[..]).into()),
        });
        Ok(Arrays(fed.collect()))
    }

    fn get(&self, array: ArrayId) -> Result<&CowArray<'a, F, IxDyn>> {
        self.0[array.0].as_ref().ok_or_else(|| missing(array))
    }

    /// The array itself, or another view of what is the caller's.
    fn take_or_view(&mut self, array: ArrayId) -> Result<CowArray<'a, F, IxDyn>> {
        let is_view = self.get(array)?.is_view();
        let there = if is_view { self.0[array.0].clone() } else { self.0[array.0].take() };
        there.ok_or_else(|| missing(array))
    }

    fn take(&mut self, array: ArrayId) -> Result<ArrayD<F>> {
        self.0[array.0].take().map(CowArray::into_owned).ok_or_else(|| missing(array))
    }

    /// What a step writes that gives an array other axes and leaves its values where they are:
    /// nobody needs the array as it was, or it is the caller's. `None`: it is no such step.
    fn moved(
        &mut self,
        step: &Step,
        graph: &OperatorGraph,
        is_last: impl Fn(ArrayId) -> bool,
        any_order: bool,
    ) -> Result<Option<CowArray<'a, F, IxDyn>>> {
        let &[Some(read)] = &step.reads[..] else { return Ok(None) };
        let array = self.get(read)?;
        if !is_last(read) && !array.is_view() {
            return Ok(None);
        }
        let array = match &step.operator {
            Operator::Reshape(_) => {
                let shape = graph.shape(step.writes[0]);
                self.take_or_view(read)?.into_shape_with_order(shape)
            }
            Operator::Transpose(operator) => {
                let order = IxDyn(&operator.order);
                let is_in_order =
                    array.view().permuted_axes(&operator.order[..]).is_standard_layout();
                if !any_order && !is_in_order {
                    return Ok(None);
                }
                Ok(self.take_or_view(read)?.permuted_axes(order))
            }
            _ => return Ok(None),
        };
        let unlike = |e: ndarray::ShapeError| Error::Graph(format!("layer {:?}: {e}", step.layer));
        array.map(Some).map_err(unlike)
    }

    /// What a step writes, and what the code that computed it is called; `any_order`: in any order
    /// of the axes.
    fn run<O: Operators<F>>(
        &self,
        step: &Step,
        graph: &OperatorGraph,
        operators: &O,
        any_order: bool,
    ) -> Result<(Vec<ArrayD<F>>, &'static str)> {
        let read =
            |read: &Option<ArrayId>| read.map(|array| Ok(self.get(array)?.view())).transpose();
        let reads = Reads(step.reads.iter().map(read).collect::<Result<_>>()?);
        run_step(step, graph, operators, &reads, any_order)
    }
}

/// What a step writes of what it reads, and what the code that computed it is called; `any_order`:
/// in any order of the axes.
pub(crate) fn run_step<F: Real, O: Operators<F>>(
    step: &Step,
    graph: &OperatorGraph,
    operators: &O,
    reads: &Reads<F>,
    any_order: bool,
) -> Result<(Vec<ArrayD<F>>, &'static str)> {
    if let Operator::Recurrent(operator) = &step.operator {
        let in_time = any_order && graph.is_read_in_time(step.writes[0]);
        return Ok((recurrent(operator, reads, operators, in_time)?, O::KERNEL));
    }
    let own = operators.compute(step, graph, reads);
    let plain = || compute(&step.operator, reads, graph.shape(step.writes[0]));
    let kernel = if own.is_some() { O::KERNEL } else { PLAIN };
    let written = own.unwrap_or_else(plain);
    let written = written.map_err(|e| Error::Graph(format!("layer {:?}: {e}", step.layer)))?;
    Ok((vec![written], kernel))
}

/// An array that a graph knows, in the type of a backend; in `f32` it is that one.
fn in_type<F: Real>(known: &ArrayD<f32>) -> CowArray<'_, F, IxDyn> {
    match (known as &dyn Any).downcast_ref::<ArrayD<F>>() {
        Some(same) => same.as_standard_layout(),
        None => standard(known.mapv(|value| F::nearest(value.into()))).into(),
    }
}

fn missing(array: ArrayId) -> Error {
    Error::Graph(format!("array {} of the graph is read before it is computed", array.0))
}

/// What an operator writes; `shape` is that of the array.
fn compute<F: Real>(operator: &Operator, reads: &Reads<F>, shape: &[usize]) -> Computed<F> {
    match operator {
        // `recurrent` runs it.
        Operator::Recurrent(_) => Err(ShapeError::from_kind(ErrorKind::Unsupported)),
        Operator::MatMul(operator) => matmul::matmul(operator, reads, shape),
        Operator::BatchedMatMul(_) => matmul::batched(reads, shape),
        Operator::Convolution(operator) => convolution::convolution(operator, reads, shape),
        Operator::Pool(operator) => pool::pool(operator, reads, shape),
        Operator::Attention(operator) => attention::attention(operator, reads),
        Operator::Activate(operator) => activation::activation(operator, reads),
        Operator::Unary(operator) => activation::unary(operator, reads),
        Operator::Relu(operator) => activation::relu(operator, reads),
        Operator::PRelu(_) => affine::p_relu(reads),
        Operator::Affine(_) => affine::affine(reads),
        Operator::Normalize(operator) => normalize::normalize(operator, reads),
        Operator::Binary(operator) => binary::binary(operator, reads, shape),
        Operator::Where(_) => binary::choose(reads, shape),
        Operator::Combine(operator) => combine::combine(operator, reads),
        Operator::Reduce(operator) => reduce::reduce(operator, reads, shape),
        Operator::Gather(operator) => moving::gather(operator, reads, shape),
        Operator::Scatter(operator) => moving::scatter(operator, reads),
        Operator::Differs(operator) => differs::differs(operator, reads),
        Operator::Blank(operator) => differs::blank(operator, reads),
        Operator::Reshape(_) => moving::reshape(reads, shape),
        Operator::Transpose(operator) => moving::transpose(operator, reads),
        Operator::Slice(operator) => moving::slice(operator, reads),
        Operator::Pad(operator) => moving::pad(operator, reads, shape),
        Operator::Concat(operator) => moving::concat(operator, reads),
        Operator::Expand(operator) => moving::expand(operator, reads),
    }
}

/// That there is memory for all arrays of a call: an allocation that fails later would end the
/// program.
pub(crate) fn check_memory<F>(graph: &OperatorGraph) -> Result<()> {
    let values = graph.values();
    Vec::<F>::new().try_reserve_exact(values).map_err(|_| Error::OutOfMemory {
        what: format!("the arrays of a call, {values} values of {} bytes", size_of::<F>()),
    })
}
