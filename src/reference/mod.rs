//! The reference: every layer computed in plain `ndarray`, in `f32` or `f64`, by code that reads
//! like the formulas.
//!
//! The tests compare the GPU and the CPU path with it in `f64`. It is slow; to run a model, use
//! [`Device::compile`](crate::Device::compile). The CPU path takes from here, in `f32`, all layers
//! but the recurrent ones.

mod activation;
mod cell;
mod feedforward;
mod masks;
mod recurrent;
mod session;

pub use activation::activate;
#[cfg(test)]
pub(crate) use cell::State;
pub(crate) use recurrent::{Plain, Ran, Recurrence, Sequences, recurrent_of};
pub(crate) use session::ReferenceSession;

use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::model::{Bound, Inputs, Model, Output, Outputs};
use crate::order::{standard, to_standard};
use ndarray::{Array2, ArrayD, ArrayViewD, LinalgScalar, NdFloat};

/// The number types that the reference computes in: `f32` and `f64`.
pub trait Real: NdFloat + LinalgScalar + Default {
    /// The number of this type that is nearest to `value`.
    fn nearest(value: f64) -> Self;
    /// The same number in `f64`.
    fn widened(self) -> f64;
}

impl Real for f32 {
    fn nearest(value: f64) -> f32 {
        value as f32
    }
    fn widened(self) -> f64 {
        self.into()
    }
}

impl Real for f64 {
    fn nearest(value: f64) -> f64 {
        value
    }
    fn widened(self) -> f64 {
        self
    }
}

/// Runs the model on the CPU, in `f32` or `f64` as the inputs have it, on the calling thread.
///
/// The inputs are those of [`Session::run`](crate::Session::run), such as an array
/// `[batch, timesteps, features]`. Stateful layers start from zeros in every call. Where the inputs
/// are `f32`, layers of at most 4096 weights that aren't recurrent still compute in `f64` and then
/// round their output.
///
/// # Errors
/// [`Error::MissingWeights`] where a layer has no weights, [`Error::OutOfMemory`] where the arrays
/// of the call don't fit in memory, and the errors of [`Session::run`](crate::Session::run) where
/// the inputs don't fit the model.
///
/// ```
/// use birnn::{Lstm, Model, reference};
/// let model = Model::sequential(2, [Lstm::new(3)])?.initialize(1)?;
/// let x = ndarray::Array3::<f64>::ones((1, 4, 2));
/// let exact = reference::run(&model, x.view())?;
/// assert_eq!(exact.output().shape(), [1, 3]);
/// # Ok::<(), birnn::Error>(())
/// ```
pub fn run<'a, F: Real>(model: &Model, inputs: impl Into<Inputs<'a, F>>) -> Result<Outputs<F>> {
    model.check_weights()?;
    run_bound(model, &model.bind(inputs.into())?, &mut Carried::default(), &Plain)
}

/// The states that stateful layers ended with: of each layer in Keras's order; empty before the
/// first call.
pub(crate) type Carried<F> = Vec<Vec<Option<Array2<F>>>>;

/// The rows whose states these are; `None`: there are none yet.
pub(crate) fn carried_batch<F>(carried: &Carried<F>) -> Option<usize> {
    carried.iter().flatten().flatten().next().map(Array2::nrows)
}

/// Runs the graph; `recurrence` runs the recurrent layers.
pub(crate) fn run_bound<F: Real>(
    model: &Model,
    inputs: &Bound<'_, F>,
    carried: &mut Carried<F>,
    recurrence: &impl Recurrence<F>,
) -> Result<Outputs<F>> {
    check_memory(model, inputs)?;
    let mut arrays = Arrays::new(model, inputs);
    carried.resize(model.layers.len(), Vec::new());
    let mut masks = masks::Evaluated::new(model, inputs);
    for (index, node) in model.nodes.iter().enumerate() {
        let layer = &model.layers[node.layer].layer;
        let node_masks = masks.of_node(model, index, &arrays)?;
        let of_layer = recurrent::OfLayer { recurrence, index: node.layer };
        let results = match layer {
            Layer::Feedforward(layer) => {
                let read = node.inputs.iter().map(|&tensor| arrays.get(tensor));
                feedforward::run(layer, &read.collect::<Result<Vec<_>>>()?, &node_masks, of_layer)?
            }
            layer => {
                let given = inputs.states[index].iter().cloned();
                let states = match &node.initial_state[..] {
                    [] => given.map(|state| state.map(|state| state.into_dyn())).collect(),
                    from_graph => {
                        let state = |&tensor: &usize| arrays.get(tensor).map(|s| Some(s.view()));
                        from_graph.iter().map(state).collect::<Result<Vec<_>>>()?
                    }
                };
                let mask = node_masks.first().cloned().flatten();
                let x = arrays.sequence(node.inputs[0])?;
                recurrent::run(layer, x, mask, states, &mut carried[node.layer], of_layer)?
            }
        };
        for (&tensor, result) in node.results.iter().zip(results) {
            arrays.computed[tensor] = Some(standard(result));
        }
    }
    let mut list = Vec::with_capacity(model.outputs.len());
    for (index, &tensor) in model.outputs.iter().enumerate() {
        let spec = &model.tensors[tensor];
        let again = model.outputs[index + 1..].contains(&tensor);
        let array = if again { arrays.get(tensor)?.clone() } else { arrays.take(tensor)? };
        list.push(Output { layer: spec.source.clone(), role: spec.role, array });
    }
    Ok(Outputs::new(list))
}

/// The arrays of a call, by tensor, in C order.
struct Arrays<'a, F> {
    model: &'a Model,
    computed: Vec<Option<ArrayD<F>>>,
    /// The caller's, in any memory order, where only recurrent layers read them: these need no copy.
    sequences: Vec<Option<ArrayViewD<'a, F>>>,
}

impl<'a, F: Real> Arrays<'a, F> {
    fn new(model: &'a Model, inputs: &'a Bound<'_, F>) -> Arrays<'a, F> {
        let (mut computed, mut sequences) =
            (vec![None; model.tensors.len()], vec![None; model.tensors.len()]);
        for (input, array) in model.inputs.iter().zip(&inputs.arrays) {
            match only_recurrent_layers_read(model, input.tensor) {
                true => sequences[input.tensor] = Some(array.view()),
                false => computed[input.tensor] = Some(to_standard(&array.view())),
            }
        }
        Arrays { model, computed, sequences }
    }

    /// An array that was computed before.
    fn get(&self, tensor: usize) -> Result<&ArrayD<F>> {
        self.computed[tensor].as_ref().ok_or_else(|| self.missing(tensor))
    }

    fn take(&mut self, tensor: usize) -> Result<ArrayD<F>> {
        self.computed[tensor].take().ok_or_else(|| self.missing(tensor))
    }

    /// What a recurrent layer reads.
    fn sequence(&self, tensor: usize) -> Result<ArrayViewD<'_, F>> {
        match &self.sequences[tensor] {
            Some(view) => Ok(view.view()),
            None => self.get(tensor).map(|array| array.view()),
        }
    }

    fn missing(&self, tensor: usize) -> Error {
        let what = self.model.tensors[tensor].describe();
        Error::Graph(format!("{what} is read before it is computed"))
    }
}

/// Whether an input needs no copy.
fn only_recurrent_layers_read(model: &Model, tensor: usize) -> bool {
    let otherwise = model.nodes.iter().any(|node| {
        let feedforward = matches!(model.layers[node.layer].layer, Layer::Feedforward(_));
        let inputs = if feedforward { &node.inputs[..] } else { &[] };
        inputs.contains(&tensor)
            || node.initial_state.contains(&tensor)
            || node.masks.contains(&Some(tensor))
    });
    !otherwise && !model.outputs.contains(&tensor)
}

/// That there is memory for all arrays of a call: an allocation that fails later would end the
/// program.
fn check_memory<F>(model: &Model, inputs: &Bound<'_, F>) -> Result<()> {
    let all =
        |shape: &Vec<usize>| shape.iter().fold(inputs.batch, |values, &n| values.saturating_mul(n));
    let arrays = inputs.shapes.iter().map(all);
    // Attention holds the scores of one example.
    let scores = model.nodes.iter().filter_map(|node| {
        match (&model.layers[node.layer].layer, &node.inputs[..]) {
            (Layer::Feedforward(layer), &[query, value, ..]) if layer.kind.has_scores() => {
                Some(inputs.shapes[query][0].saturating_mul(inputs.shapes[value][0]))
            }
            _ => None,
        }
    });
    let values = arrays.chain(scores).fold(0, usize::saturating_add);
    Vec::<F>::new().try_reserve_exact(values).map_err(|_| Error::OutOfMemory {
        what: format!("the arrays of a call, {values} values of {} bytes", size_of::<F>()),
    })
}
