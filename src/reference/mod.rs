//! The oracle: every layer in plain ndarray, generic over `f32` and `f64`, written to read like the
//! formulas. Tests compare every other backend with it in `f64`; in `f32` it is the CPU path.

mod activation;
mod cell;
mod layer;

pub use activation::activate;

use crate::error::Result;
use crate::model::{Bound, Inputs, Model, Output, Outputs};
use ndarray::{ArrayD, LinalgScalar, NdFloat};

/// `f32` or `f64`.
pub trait Real: NdFloat + LinalgScalar + Default {
    /// The nearest value.
    fn nearest(value: f64) -> Self;
}

impl Real for f32 {
    fn nearest(value: f64) -> f32 {
        value as f32
    }
}

impl Real for f64 {
    fn nearest(value: f64) -> f64 {
        value
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
    run_bound(model, &model.bind(inputs.into())?)
}

pub(crate) fn run_bound<F: Real>(model: &Model, inputs: &Bound<'_, F>) -> Result<Outputs<F>> {
    let mut arrays: Vec<Option<ArrayD<F>>> = vec![None; model.tensors.len()];
    for (input, array) in model.inputs.iter().zip(&inputs.arrays) {
        arrays[input.tensor] = Some(array.to_owned());
    }
    for (node, given) in model.nodes.iter().zip(&inputs.states) {
        let layer = &model.layers[node.layer].layer;
        let states: Vec<Option<ArrayD<F>>> = match node.initial_state.is_empty() {
            true => given.iter().map(|state| state.map(|s| s.to_owned().into_dyn())).collect(),
            false => node.initial_state.iter().map(|&t| arrays[t].clone()).collect(),
        };
        let results = layer::run(layer, arrays[node.input].as_ref(), states)?;
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
