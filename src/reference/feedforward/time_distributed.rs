use super::super::recurrent::{self, OfLayer, Recurrence};
use super::{Real, reshaped};
use crate::error::{Error, Result};
use crate::layer::{Layer, TimeDistributed};
use ndarray::ArrayD;

/// The layer on every timestep: batch and time as one axis. A mask of `[batch, timesteps, steps]`
/// reaches the layer; one of `[batch, timesteps]` says nothing about what the layer reads.
pub(super) fn run<F: Real>(
    layer: &TimeDistributed,
    input: &ArrayD<F>,
    mask: Option<&ArrayD<bool>>,
    of_layer: OfLayer<'_, impl Recurrence<F>>,
) -> Result<Vec<ArrayD<F>>> {
    let wrong =
        |e: ndarray::ShapeError| Error::Graph(format!("layer {:?}: {e}", layer.layer.name()));
    let (batch, timesteps) = (input.shape()[0], input.shape()[1]);
    let folded = |shape: &[usize]| -> Vec<usize> {
        std::iter::once(batch * timesteps).chain(shape.iter().skip(2).copied()).collect()
    };
    let read = reshaped(input.clone(), &folded(input.shape())).map_err(wrong)?;
    let mask = mask.filter(|mask| mask.ndim() > 2);
    let mask = mask
        .map(|mask| reshaped(mask.clone(), &folded(mask.shape())))
        .transpose()
        .map_err(wrong)?;
    let results = match &*layer.layer {
        Layer::Feedforward(layer) => super::run(layer, &[&read], &[mask], of_layer)?,
        layer => {
            let states =
                layer.directions().iter().map(|(_, direction)| direction.cell().states()).sum();
            recurrent::run(layer, read.view(), mask, vec![None; states], &mut Vec::new(), of_layer)?
        }
    };
    let unfolded = |result: ArrayD<F>| {
        let shape: Vec<usize> =
            [batch, timesteps].into_iter().chain(result.shape().iter().skip(1).copied()).collect();
        reshaped(result, &shape).map_err(wrong)
    };
    results.into_iter().map(unfolded).collect()
}
