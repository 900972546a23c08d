//! What windows hold of an array `[batch, lengths…, features]`.

use crate::operator::Windows;
use std::ops::Range;

/// Windows over the axes between the batch and the features, numbered in C order.
pub(super) struct Held<'a> {
    /// In C order.
    x: &'a [f32],
    windows: &'a [Windows],
    lengths: &'a [usize],
    features: usize,
    /// Elements of a window.
    count: usize,
    /// Of each element of a window, in C order, how far from its start it is along each axis.
    elements: Vec<usize>,
}

impl<'a> Held<'a> {
    /// `shape` is that of x.
    pub fn new(x: &'a [f32], shape: &'a [usize], windows: &'a [Windows]) -> Held<'a> {
        let (lengths, features) = (&shape[1..shape.len() - 1], shape[shape.len() - 1]);
        let count: usize = windows.iter().map(|windows| windows.size).product();
        let mut elements = vec![0; count * windows.len()];
        for (element, places) in elements.chunks_exact_mut(windows.len().max(1)).enumerate() {
            let mut rest = element;
            for (place, windows) in places.iter_mut().zip(windows).rev() {
                *place = rest % windows.size * windows.dilation;
                rest /= windows.size;
            }
        }
        Held { x, windows, lengths, features, count, elements }
    }

    /// The features of x.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Elements of a window.
    pub fn elements(&self) -> usize {
        self.count
    }

    /// Elements along the last axis, and whether they and the indices are one apart.
    pub fn a_row(&self) -> (usize, bool) {
        self.windows.last().map_or((1, false), |w| (w.size, w.dilation == 1 && w.spread == 1))
    }

    /// Calls `work` with some windows, one after another.
    pub fn for_each(&self, windows: Range<usize>, mut work: impl FnMut(Window<'_, 'a>)) {
        let mut starts = vec![0; self.windows.len()];
        for window in windows {
            let mut rest = window;
            for (start, along) in starts.iter_mut().zip(self.windows).rev() {
                *start = (rest % along.outputs * along.strides) as isize - along.before;
                rest /= along.outputs;
            }
            work(Window { source: self, example: rest, starts: &starts });
        }
    }
}

/// A window of an example.
pub(super) struct Window<'w, 'a> {
    source: &'w Held<'a>,
    example: usize,
    /// Where it begins along each axis.
    starts: &'w [isize],
}

impl<'a> Window<'_, 'a> {
    /// What some elements hold that differ along the last axis alone, where elements and indices of
    /// that axis are one apart: how many of them come first that hold nothing, and the features of
    /// those that do. What is left holds nothing.
    pub fn held_in_a_row(&self, elements: Range<usize>) -> (usize, &'a [f32]) {
        let axes = self.starts.len();
        let places = &self.source.elements[elements.start * axes..][..axes];
        let mut vector = self.example;
        for (axis, &place) in places[..axes - 1].iter().enumerate() {
            match self.index(axis, place) {
                Some(index) => vector = vector * self.source.lengths[axis] + index,
                None => return (elements.len(), &[]),
            }
        }
        let length = self.source.lengths[axes - 1];
        let first = self.starts[axes - 1] + places[axes - 1] as isize;
        let inside = |index: isize| index.clamp(0, length as isize) as usize;
        let (start, end) = (inside(first), inside(first + elements.len() as isize));
        let before = (start as isize - first).clamp(0, elements.len() as isize) as usize;
        let features = self.source.features;
        let row = &self.source.x[vector * length * features..][..length * features];
        (before, &row[start * features..end * features])
    }

    /// Calls `work` with what it holds, in pieces: the first element of each, and the features of
    /// that one and of those behind it.
    pub fn each_held(&self, mut work: impl FnMut(usize, &'a [f32])) {
        let (size, one_apart) = self.source.a_row();
        if !one_apart {
            let all = (0..self.source.elements()).filter_map(|e| Some((e, self.held(e)?)));
            return all.for_each(|(element, held)| work(element, held));
        }
        for first in (0..self.source.elements()).step_by(size.max(1)) {
            let (before, held) = self.held_in_a_row(first..first + size);
            if !held.is_empty() {
                work(first + before, held);
            }
        }
    }

    /// The index of an axis at so far from the window's start.
    fn index(&self, axis: usize, place: usize) -> Option<usize> {
        let place = usize::try_from(self.starts[axis] + place as isize).ok()?;
        let index = match self.source.windows[axis].spread {
            1 => place,
            spread if place % spread == 0 => place / spread,
            _ => return None,
        };
        (index < self.source.lengths[axis]).then_some(index)
    }

    /// The features that an element of it holds; `None`: it is outside of the array.
    pub fn held(&self, element: usize) -> Option<&'a [f32]> {
        let axes = self.starts.len();
        let places = &self.source.elements[element * axes..][..axes];
        let mut vector = self.example;
        for (axis, &place) in places.iter().enumerate() {
            vector = vector * self.source.lengths[axis] + self.index(axis, place)?;
        }
        Some(&self.source.x[vector * self.source.features..][..self.source.features])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_where_windows_say() {
        let along = |size, strides, dilation, spread, before| Windows {
            outputs: 3,
            size,
            strides,
            dilation,
            spread,
            before,
        };
        for windows in [
            [along(2, 1, 1, 1, 0), along(3, 2, 1, 1, 1)],
            [along(3, 2, 2, 1, 3), along(1, 1, 1, 2, -1)],
            [along(4, 1, 3, 3, 2), along(2, 3, 1, 2, 5)],
        ] {
            let shape = [2, 5, 4, 1];
            let x: Vec<f32> = (0..40u8).map(f32::from).collect();
            let held = Held::new(&x, &shape, &windows);
            let mut window = 0;
            held.for_each(0..18, |found| {
                let (example, row, column) = (window / 9, window / 3 % 3, window % 3);
                for element in 0..held.elements() {
                    let (down, right) = (element / windows[1].size, element % windows[1].size);
                    let places =
                        windows[0].index(row, down, 5).zip(windows[1].index(column, right, 4));
                    let value = places.map(|(i, j)| x[(example * 5 + i) * 4 + j]);
                    assert_eq!(found.held(element).map(|held| held[0]), value);
                }
                let (size, true) = held.a_row() else { return window += 1 };
                for first in (0..held.elements()).step_by(size) {
                    let each = (first..first + size).map(|element| found.held(element));
                    let (before, values) = found.held_in_a_row(first..first + size);
                    assert_eq!(each.clone().take_while(Option::is_none).count(), before);
                    let own: Vec<f32> = each.flatten().map(|held| held[0]).collect();
                    assert_eq!(values, own);
                }
                window += 1;
            });
            assert_eq!(window, 18);
        }
    }
}
