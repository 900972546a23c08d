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

/// The elements that windows hold of an array of this shape.
pub(super) fn taps(windows: &[Windows], shape: &[usize]) -> Vec<Tap> {
    let mut taps = vec![Tap { element: 0, windows: Vec::new(), indices: Vec::new() }];
    for (windows, &length) in windows.iter().zip(&shape[1..]) {
        let longer = |tap: &Tap| -> Vec<Tap> {
            let elements = 0..windows.size;
            elements.filter_map(|element| tap.along(*windows, element, length)).collect()
        };
        taps = taps.iter().flat_map(longer).collect();
    }
    taps
}

impl Tap {
    /// With an element along one more axis; `None`: no window holds something there.
    fn along(&self, windows: Windows, element: usize, length: usize) -> Option<Tap> {
        let pairs = windows.with_element(element, length);
        let (holders, held): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        Some(Tap {
            element: self.element * windows.size + element,
            windows: self.windows.iter().copied().chain([evenly(&holders)?]).collect(),
            indices: self.indices.iter().copied().chain([evenly(&held)?]).collect(),
        })
    }

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
