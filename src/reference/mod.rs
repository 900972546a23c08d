//! The reference: every operator computed in plain `ndarray`, in `f32` or `f64`, by code that reads
//! like the formulas.
//!
//! The tests compare the GPU and the CPU path with it in `f64`. It is slow; to run a model, use
//! [`Device::compile`](crate::Device::compile). The CPU path runs the same graph of operators, in
//! `f32`, with code of its own for those that take long: one code of the others for both is checked
//! twice.

mod activation;
mod affine;
mod attention;
mod binary;
mod combine;
mod convolution;
mod differs;
mod matmul;
mod moving;
mod normalize;
mod operands;
mod pool;
mod recurrent;
mod reduce;
mod run;
#[cfg(feature = "reference")]
mod session;
mod trace;
mod windows;

pub use activation::activate;
pub(crate) use activation::activate_rows;
pub(crate) use attention::{AttentionMasks, repeated_bias, score_bias};
pub use birnn_cell::Real;
#[cfg(test)]
pub(crate) use birnn_cell::State;
pub(crate) use operands::{Computed, Reads};
pub(crate) use recurrent::{Operators, Ran, Sequences};
pub(crate) use run::{Carried, Shared, check_memory, run_graph, run_step};
#[cfg(feature = "reference")]
pub(crate) use session::ReferenceSession;
pub use trace::{Trace, trace};

use crate::error::Result;
use crate::model::{Inputs, Model, Outputs};
use recurrent::Plain;

/// Runs the model on the CPU, in `f32` or `f64` as the inputs have it, on the calling thread.
///
/// The inputs are those of [`Session::run`](crate::Session::run), such as an array
/// `[batch, timesteps, features]`. Stateful layers start from zeros in every call.
///
/// # Errors
/// [`Error::MissingWeights`](crate::Error::MissingWeights) where a layer has no weights,
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory) where the arrays of the call don't fit in
/// memory, and the errors of [`Session::run`](crate::Session::run) where the inputs don't fit the
/// model.
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
    let inputs = model.bind(inputs.into())?;
    let graph = model.lower(&inputs.call_shape(inputs.batch, false))?;
    check_memory::<F>(&graph)?;
    let (constants, operators) = (model.constants(), Plain::new(model)?);
    let shared = Shared { model, constants: &constants, operators: &operators };
    run_graph(shared, &graph, &inputs, &mut Carried::default(), None)
}
