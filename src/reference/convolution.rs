use super::activation::activate_rows;
use super::operands::{Computed, Reads};
use super::windows::taps;
use crate::operator::Convolution;
use birnn_cell::Real;
use ndarray::{Array2, ArrayD, ArrayView2, Axis, s};

/// `activation(Σ x[window] · kernel + bias)`: for each element of the windows a product, of all
/// windows at once.
pub(super) fn convolution<F: Real>(
    operator: &Convolution,
    reads: &Reads<F>,
    shape: &[usize],
) -> Computed<F> {
    let (x, kernel) = (reads.get(0)?, reads.get(1)?);
    let sizes = &kernel.shape()[..kernel.ndim() - 2];
    let (of_group, filters) =
        (kernel.len_of(Axis(sizes.len())), kernel.len_of(Axis(sizes.len() + 1)));
    let elements: usize = sizes.iter().product();
    let kernel = kernel.to_shape((elements, of_group, filters))?;
    let features = of_group * operator.groups;
    let mut sums = ArrayD::zeros([&shape[..shape.len() - 1], &[filters]].concat());
    for tap in taps(&operator.windows, x.shape()) {
        let held = tap.held(x.view());
        let vectors = held.len() / features.max(1);
        let held = held.to_shape((vectors, features))?;
        let kernel = kernel.index_axis(Axis(0), tap.element);
        let products = products(operator.groups, held.view(), kernel);
        let mut sums = tap.computed(sums.view_mut());
        sums += &products.to_shape(sums.raw_dim())?;
    }
    if let Some(bias) = reads.optional(2) {
        sums += &bias;
    }
    activate_rows(operator.activation, &mut sums);
    Ok(sums)
}

/// Vectors of features times the kernel `[features of a group, filters]`: each part of the
/// features reaches its part of the filters.
fn products<F: Real>(groups: usize, x: ArrayView2<F>, kernel: ArrayView2<F>) -> Array2<F> {
    let (of_group, filters) = kernel.dim();
    let filters_of_group = filters / groups;
    if groups == 1 {
        return x.dot(&kernel);
    }
    if of_group == 1 {
        let product =
            |(vector, filter)| x[[vector, filter / filters_of_group]] * kernel[[0, filter]];
        return Array2::from_shape_fn((x.nrows(), filters), product);
    }
    let mut products = Array2::zeros((x.nrows(), filters));
    for group in 0..groups {
        let features = s![.., group * of_group..(group + 1) * of_group];
        let filters = s![.., group * filters_of_group..(group + 1) * filters_of_group];
        products.slice_mut(filters).assign(&x.slice(features).dot(&kernel.slice(filters)));
    }
    products
}
