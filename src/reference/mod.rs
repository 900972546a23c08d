//! The oracle: every layer in plain ndarray, generic over `f32` and `f64`, written to read like the
//! formulas. Tests compare every other backend with it in `f64`. The CPU path takes from it, in
//! `f32`, everything but the recurrent layers.

mod activation;
mod cell;
mod feedforward;
mod masks;
mod recurrent;

pub use activation::activate;
pub(crate) use recurrent::{Plain, Ran, Recurrence, Sequences, recurrent_of};

use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::model::{Bound, Inputs, Model, Output, Outputs};
use ndarray::{Array2, ArrayD, ArrayViewD, LinalgScalar, NdFloat};

/// `f32` or `f64`.
pub trait Real: NdFloat + LinalgScalar + Default {
    /// The nearest value.
    fn nearest(value: f64) -> Self;
    /// The same value in f64.
    fn widened(self) -> f64;
    /// `erfc(x) = 1 - erf(x) = 2/√π ∫ₓ^∞ exp(-t²) dt`
    fn complementary_error_function(self) -> Self;
}

impl Real for f32 {
    fn nearest(value: f64) -> f32 {
        value as f32
    }
    fn widened(self) -> f64 {
        self.into()
    }
    fn complementary_error_function(self) -> f32 {
        libm::erfcf(self)
    }
}

impl Real for f64 {
    fn nearest(value: f64) -> f64 {
        value
    }
    fn widened(self) -> f64 {
        self
    }
    fn complementary_error_function(self) -> f64 {
        libm::erfc(self)
    }
}

/// Runs the model in the precision of `F`, on the CPU.
///
/// # Errors
/// Where the inputs don't fit the model, or a layer has no weights.
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

/// Runs the graph; `recurrence` runs the recurrent layers.
pub(crate) fn run_bound<F: Real>(
    model: &Model,
    inputs: &Bound<'_, F>,
    carried: &mut Carried<F>,
    recurrence: &impl Recurrence<F>,
) -> Result<Outputs<F>> {
    check_memory(model, inputs)?;
    let mut arrays: Vec<Option<ArrayD<F>>> = vec![None; model.tensors.len()];
    let mut sequences: Vec<Option<ArrayViewD<F>>> = vec![None; model.tensors.len()];
    for (input, array) in model.inputs.iter().zip(&inputs.arrays) {
        match only_recurrent_layers_read(model, input.tensor) {
            true => sequences[input.tensor] = Some(array.view()),
            false => arrays[input.tensor] = Some(array.to_owned()),
        }
    }
    carried.resize(model.layers.len(), Vec::new());
    let mut masks = masks::Evaluated::new(model, inputs);
    for (index, node) in model.nodes.iter().enumerate() {
        let layer = &model.layers[node.layer].layer;
        let node_masks = masks.of_node(model, index, &arrays);
        let of_layer = recurrent::OfLayer { recurrence, index: node.layer };
        let results = match layer {
            Layer::Feedforward(layer) => {
                let read =
                    node.inputs.iter().filter_map(|&t| arrays[t].as_ref()).collect::<Vec<_>>();
                feedforward::run(layer, &read, &node_masks, of_layer)?
            }
            layer => {
                let from_graph = node.initial_state.iter().map(|&t| arrays[t].clone());
                let given =
                    inputs.states[index].iter().map(|state| state.map(|s| s.to_owned().into_dyn()));
                let states = if node.initial_state.is_empty() {
                    given.collect()
                } else {
                    from_graph.collect()
                };
                let mask = node_masks.first().cloned().flatten();
                let computed = arrays[node.inputs[0]].as_ref().map(|array| array.view());
                let x = computed.or(sequences[node.inputs[0]].clone());
                recurrent::run(layer, x, mask, states, &mut carried[node.layer], of_layer)?
            }
        };
        for (&tensor, result) in node.results.iter().zip(results) {
            arrays[tensor] = Some(result);
        }
    }
    let mut list = Vec::with_capacity(model.outputs.len());
    for (index, &tensor) in model.outputs.iter().enumerate() {
        let spec = &model.tensors[tensor];
        let again = model.outputs[index + 1..].contains(&tensor);
        let array = if again { arrays[tensor].clone() } else { arrays[tensor].take() };
        let Some(array) = array else { continue };
        list.push(Output { layer: spec.source.clone(), role: spec.role, array });
    }
    Ok(Outputs::new(list))
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
