use super::activation::activate_rows;
use super::operands::{Computed, Reads};
use crate::operator::Convolution;
use birnn_cell::Real;
use ndarray::{Array3, Axis, Ix3, s};

/// `activation(Σ x[window] · kernel + bias)`; with groups each part of the features reaches its
/// part of the filters.
pub(super) fn convolution<F: Real>(operator: &Convolution, reads: &Reads<F>) -> Computed<F> {
    let x = reads.get(0)?.into_dimensionality::<Ix3>()?;
    let kernel = reads.get(1)?.into_dimensionality::<Ix3>()?;
    let (_, features, all_filters) = kernel.dim();
    let filters = all_filters / operator.groups;
    let (batch, timesteps, _) = x.dim();
    let mut output = Array3::zeros((batch, operator.windows.outputs, all_filters));
    for (window, mut sums) in output.axis_iter_mut(Axis(1)).enumerate() {
        for (element, timestep) in operator.windows.elements(window, timesteps) {
            for group in 0..operator.groups {
                let columns = group * filters..(group + 1) * filters;
                let x = x.slice(s![.., timestep, group * features..(group + 1) * features]);
                let product = x.dot(&kernel.slice(s![element, .., columns.clone()]));
                let mut sums = sums.slice_mut(s![.., columns]);
                sums += &product;
            }
        }
    }
    let mut output = output.into_dyn();
    if let Some(bias) = reads.optional(2) {
        output += &bias;
    }
    activate_rows(operator.activation, &mut output);
    Ok(output)
}
