//! What windows hold: an array's values are taken element by element of all windows at once.

use crate::operator::Windows;
use ndarray::{ArrayViewD, ArrayViewMutD, Axis, Slice};

/// An element of windows that lie along the axes between the first and the last.
pub(super) struct Tap {
    /// Its number in C order.
    pub element: usize,
    /// Along each axis the windows that hold something there.
    windows: Vec<Slice>,
    /// Along each axis the indices that they hold.
    indices: Vec<Slice>,
}

/// The elements that windows hold of an array of this shape, one after another.
pub(super) fn taps<'w>(
    windows: &'w [Windows],
    shape: &'w [usize],
) -> impl Iterator<Item = Tap> + 'w {
    let elements = windows.iter().fold(1usize, |n, windows| n.saturating_mul(windows.size));
    (0..elements).filter_map(move |element| tap(windows, shape, element))
}

/// An element along all axes; `None`: no window holds something there.
fn tap(windows: &[Windows], shape: &[usize], element: usize) -> Option<Tap> {
    let mut tap = Tap { element, windows: Vec::new(), indices: Vec::new() };
    let mut rest = element;
    for (windows, &length) in windows.iter().zip(&shape[1..]).rev() {
        let pairs = windows.with_element(rest % windows.size, length);
        rest /= windows.size;
        let (holders, held): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        tap.windows.insert(0, evenly(&holders)?);
        tap.indices.insert(0, evenly(&held)?);
    }
    Some(tap)
}

impl Tap {
    /// What the windows hold.
    pub fn held<'a, F>(&self, mut x: ArrayViewD<'a, F>) -> ArrayViewD<'a, F> {
        let indices = self.indices.iter().enumerate();
        indices.for_each(|(axis, &indices)| x.slice_axis_inplace(Axis(axis + 1), indices));
        x
    }

    /// What is computed of these windows.
    pub fn computed<'a, F>(&self, mut output: ArrayViewMutD<'a, F>) -> ArrayViewMutD<'a, F> {
        let windows = self.windows.iter().enumerate();
        windows.for_each(|(axis, &windows)| output.slice_axis_inplace(Axis(axis + 1), windows));
        output
    }
}

/// Numbers in ascending order and equally far apart, as a slice; `None`: there are none.
fn evenly(numbers: &[usize]) -> Option<Slice> {
    let (first, last) = (*numbers.first()?, *numbers.last()?);
    let step = numbers.get(1).map_or(1, |second| second - first);
    Some(Slice::new(first as isize, Some(last as isize + 1), step as isize))
}
