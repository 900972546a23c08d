//! Memory order. A caller's arrays, and what ndarray returns, may be in any: C, Fortran, permuted,
//! reversed, strided, broadcast. Weights, outputs and arrays between layers are in C order, so that
//! sums run in one order and fast paths find their rows in one piece; but for sequences that only
//! recurrences and transposes read (`OperatorGraph::in_any_order`).

use ndarray::{Array, ArrayView, Dimension};

/// The array in C order (row-major, from its first value on). Copies only where it isn't already.
pub(crate) fn standard<F: Clone, D: Dimension>(array: Array<F, D>) -> Array<F, D> {
    match array.is_standard_layout() {
        true => array,
        false => array.as_standard_layout().into_owned(),
    }
}

/// A copy of the view in C order.
pub(crate) fn to_standard<F: Clone, D: Dimension>(view: &ArrayView<'_, F, D>) -> Array<F, D> {
    view.as_standard_layout().into_owned()
}

#[cfg(test)]
#[path = "../tests/common/orders.rs"]
pub(crate) mod orders;

#[cfg(test)]
mod tests {
    use super::{orders, standard, to_standard};
    use ndarray::ArrayD;

    #[test]
    fn any_order_comes_out_in_c_order() {
        for shape in [vec![4], vec![3, 5], vec![2, 3, 5]] {
            let mut count = 0.0;
            let array = ArrayD::<f32>::from_shape_simple_fn(shape, || {
                count += 1.0;
                count
            });
            for (name, reorder) in orders::all() {
                let other = reorder(&array);
                for standard in [to_standard(&other.view()), standard(other)] {
                    assert_eq!(standard, array, "{name}");
                    assert!(standard.is_standard_layout(), "{name}");
                }
            }
        }
    }
}
