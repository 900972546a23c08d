//! The memory orders that an array can stand in, for tests: whatever the order, results are equal
//! to the bit.

use ndarray::{ArrayD, Axis, Slice, concatenate, stack};

/// Makes an array equal to its argument in another memory order.
pub type Reorder<F> = fn(&ArrayD<F>) -> ArrayD<F>;

/// The memory orders of owned arrays, by name.
pub fn all<F: Copy>() -> [(&'static str, Reorder<F>); 6] {
    [
        ("c", |array| array.clone()),
        ("fortran", fortran),
        ("permuted", permuted),
        ("reversed", reversed),
        ("strided", strided),
        ("sliced", sliced),
    ]
}

fn fortran<F: Copy>(array: &ArrayD<F>) -> ArrayD<F> {
    array.t().as_standard_layout().into_owned().reversed_axes()
}

/// The first two axes change places in memory: `[timesteps, batch, features]`, as in PyTorch.
fn permuted<F: Copy>(array: &ArrayD<F>) -> ArrayD<F> {
    if array.ndim() < 2 {
        return strided(array);
    }
    let mut permuted = array.clone();
    permuted.swap_axes(0, 1);
    let mut permuted = permuted.as_standard_layout().into_owned();
    permuted.swap_axes(0, 1);
    permuted
}

/// Every axis runs backwards in memory.
fn reversed<F: Copy>(array: &ArrayD<F>) -> ArrayD<F> {
    let mut reversed = array.clone();
    (0..array.ndim()).for_each(|axis| reversed.invert_axis(Axis(axis)));
    let mut reversed = reversed.as_standard_layout().into_owned();
    (0..array.ndim()).for_each(|axis| reversed.invert_axis(Axis(axis)));
    reversed
}

/// Every other value of the last axis of an array twice as long.
fn strided<F: Copy>(array: &ArrayD<F>) -> ArrayD<F> {
    let last = Axis(array.ndim());
    let twice = stack(last, &[array.view(), array.view()]).unwrap();
    let mut twice = twice.as_standard_layout().into_owned();
    twice.index_axis_inplace(last, 1);
    twice
}

/// The middle of an array that is three times as long along every axis.
fn sliced<F: Copy>(array: &ArrayD<F>) -> ArrayD<F> {
    let mut larger = array.clone();
    for axis in 0..array.ndim() {
        larger = concatenate(Axis(axis), &[larger.view(), larger.view(), larger.view()]).unwrap();
    }
    let mut middle = larger.as_standard_layout().into_owned();
    for (axis, &length) in array.shape().iter().enumerate() {
        middle.slice_axis_inplace(Axis(axis), Slice::from(length..2 * length));
    }
    middle
}

#[test]
fn each_order_holds_the_same_values_in_another_place() {
    let array = ArrayD::from_shape_fn(vec![2, 3, 5], |i| i[0] * 15 + i[1] * 5 + i[2]);
    for (name, reorder) in all() {
        assert_eq!(reorder(&array), array, "{name}");
        assert_eq!(reorder(&array).is_standard_layout(), name == "c", "{name}");
    }
}
