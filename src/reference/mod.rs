//! The oracle: every layer in plain ndarray, generic over `f32` and `f64`, written to read like the
//! formulas. Tests compare every other backend with it in `f64`; in `f32` it is the CPU path.

mod activation;
mod cell;
mod feedforward;
mod masks;
mod recurrent;

pub use activation::activate;

use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::model::{Bound, Inputs, Model, Output, Outputs};
use ndarray::{Array2, ArrayD, LinalgScalar, NdFloat};

/// `f32` or `f64`.
pub trait Real: NdFloat + LinalgScalar + Default {
    /// The nearest value.
    fn nearest(value: f64) -> Self;
    /// `erfc(x) = 1 - erf(x) = 2/√π ∫ₓ^∞ exp(-t²) dt`
    fn complementary_error_function(self) -> Self;
}

impl Real for f32 {
    fn nearest(value: f64) -> f32 {
        value as f32
    }
    fn complementary_error_function(self) -> f32 {
        libm::erfcf(self)
    }
}

impl Real for f64 {
    fn nearest(value: f64) -> f64 {
        value
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
    run_bound(model, &model.bind(inputs.into())?, &mut Carried::default())
}

/// The states that stateful layers ended with: of each layer in Keras's order; empty before the first call.
pub(crate) type Carried<F> = Vec<Vec<Option<Array2<F>>>>;

pub(crate) fn run_bound<F: Real>(model: &Model, inputs: &Bound<'_, F>, carried: &mut Carried<F>) -> Result<Outputs<F>> {
    check_memory(model, inputs)?;
    let mut arrays: Vec<Option<ArrayD<F>>> = vec![None; model.tensors.len()];
    for (input, array) in model.inputs.iter().zip(&inputs.arrays) {
        arrays[input.tensor] = Some(array.to_owned());
    }
    carried.resize(model.layers.len(), Vec::new());
    let mut masks = masks::Evaluated::new(model, inputs);
    for (index, node) in model.nodes.iter().enumerate() {
        let layer = &model.layers[node.layer].layer;
        let node_masks = masks.of_node(model, index, &arrays);
        let read = node.inputs.iter().filter_map(|&t| arrays[t].as_ref()).collect::<Vec<_>>();
        let results = match layer {
            Layer::Feedforward(layer) => feedforward::run(layer, &read, &node_masks)?,
            layer => {
                let from_graph = node.initial_state.iter().map(|&t| arrays[t].clone());
                let given = inputs.states[index].iter().map(|state| state.map(|s| s.to_owned().into_dyn()));
                let states = if node.initial_state.is_empty() { given.collect() } else { from_graph.collect() };
                recurrent::run(layer, &read, node_masks.first().cloned().flatten(), states, &mut carried[node.layer])?
            }
        };
        for (&tensor, result) in node.results.iter().zip(results) {
            arrays[tensor] = Some(result);
        }
    }
    let list = model.outputs.iter().filter_map(|&tensor| {
        let spec = &model.tensors[tensor];
        Some(Output { layer: spec.source.clone(), role: spec.role, array: arrays[tensor].clone()? })
    });
    Ok(Outputs::new(list.collect()))
}

/// That there is memory for all arrays of a call: an allocation that fails later would end the program.
fn check_memory<F>(model: &Model, inputs: &Bound<'_, F>) -> Result<()> {
    let all = |shape: &Vec<usize>| shape.iter().fold(inputs.batch, |values, &n| values.saturating_mul(n));
    let arrays = inputs.shapes.iter().map(all);
    // Attention holds the scores of one example.
    let scores = model.nodes.iter().filter_map(|node| match (&model.layers[node.layer].layer, &node.inputs[..]) {
        (Layer::Feedforward(layer), &[query, value, ..]) if layer.kind.has_scores() => {
            Some(inputs.shapes[query][0].saturating_mul(inputs.shapes[value][0]))
        }
        _ => None,
    });
    let values = arrays.chain(scores).fold(0, usize::saturating_add);
    Vec::<F>::new().try_reserve_exact(values).map_err(|_| Error::OutOfMemory {
        what: format!("the arrays of a call, {values} values of {} bytes", size_of::<F>()),
    })
}
