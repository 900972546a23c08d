use super::Real;
use crate::error::{Error, Result};
use crate::layer::Feedforward;
use ndarray::{Array2, ArrayD};

/// Runs a layer that keeps no state; `masks` are those of its inputs.
pub(super) fn run<F: Real>(
    layer: &Feedforward,
    inputs: &[&ArrayD<F>],
    _masks: &[Option<Array2<bool>>],
) -> Result<Vec<ArrayD<F>>> {
    let _ = inputs;
    Err(Error::Graph(format!("layer {:?}: not yet", layer.name())))
}
