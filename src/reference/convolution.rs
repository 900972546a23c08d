use super::activation::activate_rows;
use super::matmul::add_products;
use super::operands::{Computed, Reads};
use super::windows::taps;
use crate::operator::Convolution;
use birnn_cell::Real;
use ndarray::{ArrayD, ArrayView2, ArrayViewD, ArrayViewMutD, Axis, ErrorKind, ShapeError, Slice};

/// `activation(Σ x[window] · kernel + bias)`: for each element of the windows a product, of all
/// windows at once.
pub(super) fn convolution<F: Real>(
    operator: &Convolution,
    reads: &Reads<F>,
    shape: &[usize],
) -> Computed<F> {
    let (x, kernel) = (reads.get(0)?, reads.get(1)?);
    let &[ref sizes @ .., of_group, filters] = kernel.shape() else {
        return Err(ShapeError::from_kind(ErrorKind::IncompatibleShape));
    };
    let elements: usize = sizes.iter().product();
    let kernel = kernel.to_shape((elements, of_group, filters))?;
    let mut sums = ArrayD::zeros([&shape[..shape.len() - 1], &[filters]].concat());
    for tap in taps(&operator.windows, x.shape()) {
        let kernel = kernel.index_axis(Axis(0), tap.element);
        add(operator.groups, tap.held(x.view()), kernel, tap.computed(sums.view_mut()))?;
    }
    if let Some(bias) = reads.optional(2) {
        sums += &bias.to_shape(bias.len())?;
    }
    activate_rows(operator.activation, &mut sums);
    Ok(sums)
}

/// Adds vectors of features, along the last axis, times the kernel `[features of a group,
/// filters]`: each part of the features reaches its part of the filters.
fn add<F: Real>(
    groups: usize,
    x: ArrayViewD<F>,
    kernel: ArrayView2<F>,
    mut sums: ArrayViewMutD<F>,
) -> Result<(), ShapeError> {
    let (of_group, filters) = kernel.dim();
    let each = filters / groups;
    let last = Axis(x.ndim() - 1);
    if of_group == 1 {
        for (mut sums, x) in sums.lanes_mut(last).into_iter().zip(x.lanes(last)) {
            for (feature, &x) in x.iter().enumerate() {
                let filters = feature * each..(feature + 1) * each;
                filters.for_each(|filter| sums[filter] += x * kernel[[0, filter]]);
            }
        }
        return Ok(());
    }
    for group in 0..groups {
        let features = Slice::from(group * of_group..(group + 1) * of_group);
        let filters = Slice::from(group * each..(group + 1) * each);
        let kernel = kernel.slice_axis(Axis(1), filters);
        let sums = sums.slice_axis_mut(last, filters);
        add_products(x.slice_axis(last, features), kernel, sums)?;
    }
    Ok(())
}
