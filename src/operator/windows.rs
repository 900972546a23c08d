use super::rules::{Shapes, shape};

/// Windows along an axis, such as timesteps: which indices each of them holds.
///
/// The indices stand `spread` apart, and nothing stands between them. Window `w` begins
/// `w · strides - before` behind the first one, and its elements are `dilation` apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Windows {
    /// How many windows there are: the length of the axis that is written.
    pub outputs: usize,
    /// Elements of a window.
    pub size: usize,
    /// From one window to the next.
    pub strides: usize,
    /// From one element of a window to the next.
    pub dilation: usize,
    /// From one index to the next: 1, or the strides of a convolution that this one transposes.
    pub spread: usize,
    /// How far the first window begins before the first index; below zero: behind it. What lies
    /// outside of the array is no part of a window.
    pub before: isize,
}

impl Windows {
    /// One window over all of an axis.
    pub fn whole(length: usize) -> Windows {
        Windows { outputs: 1, size: length, strides: 1, dilation: 1, spread: 1, before: 0 }
    }

    /// The index that an element of a window holds, of so many; `None`: it holds none.
    pub fn index(self, window: usize, element: usize, length: usize) -> Option<usize> {
        let place = window.checked_mul(self.strides)?;
        let place = place.checked_add(element.checked_mul(self.dilation)?)?;
        let place = place.checked_add_signed(self.before.checked_neg()?)?;
        let index = place / self.spread;
        (place.is_multiple_of(self.spread) && index < length).then_some(index)
    }

    /// The windows whose element of this number holds an index, each with it.
    pub fn with_element(self, element: usize, length: usize) -> Vec<(usize, usize)> {
        let windows = (0..self.outputs)
            .filter_map(|window| Some((window, self.index(window, element, length)?)));
        windows.collect()
    }

    /// The same windows, of an axis of this length, without the elements at both ends that hold
    /// nothing in any of them: a window may be far larger than the axis.
    pub fn trimmed(self, length: usize) -> Windows {
        let number = |number: usize| number as i64; // `check` bounds them
        let (dilation, before) = (number(self.dilation), self.before as i64);
        // Where the last window begins, and the last index stands.
        let last_window = number(self.outputs.saturating_sub(1)) * number(self.strides);
        let last_index = number(length.saturating_sub(1)) * number(self.spread);
        let size = number(self.size);
        let first = ((before - last_window).max(0) + dilation - 1) / dilation;
        let end = (before + last_index).div_euclid(dilation) + 1;
        let (first, end) = (first.min(size), end.clamp(0, size));
        Windows {
            size: (end - first).max(0) as usize,
            before: (before - first * dilation) as isize,
            ..self
        }
    }

    /// That all places are numbers that any backend can compute with.
    fn check(self) -> Result<(), String> {
        let last_window = self.outputs.saturating_sub(1).saturating_mul(self.strides);
        let last_element = self.size.saturating_sub(1).saturating_mul(self.dilation);
        let last = last_window.saturating_add(last_element);
        let furthest = last.saturating_add(self.before.unsigned_abs());
        let steps = [self.strides, self.dilation, self.spread];
        match furthest < 1 << 31 && steps.iter().all(|step| (1..1 << 31).contains(step)) {
            true => Ok(()),
            false => Err(format!("{self:?} are no windows")),
        }
    }
}

/// Windows over the axes between the first, the batch, and the last, the features, of operand 0:
/// the batch, the windows along each axis, and the features.
pub(super) fn windowed(
    reads: &Shapes,
    windows: &[Windows],
) -> Result<(usize, Vec<usize>, usize), String> {
    windows.iter().try_for_each(|windows| windows.check())?;
    match shape(reads, 0)? {
        &[batch, ref between @ .., features] if between.len() == windows.len() => {
            Ok((batch, windows.iter().map(|windows| windows.outputs).collect(), features))
        }
        x => Err(format!("{x:?} has not {} axes between batch and features", windows.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each window holds.
    fn held(windows: Windows, length: usize) -> Vec<Vec<usize>> {
        let of_window = |window| {
            let elements = 0..windows.size;
            elements.filter_map(|element| windows.index(window, element, length)).collect()
        };
        (0..windows.outputs).map(of_window).collect()
    }

    #[test]
    fn trimmed_windows_hold_the_same() {
        for (size, strides, dilation) in [(1, 1, 1), (5, 2, 1), (4, 3, 2), (7, 1, 3), (40, 2, 1)] {
            for (before, spread, length) in
                [(0, 1, 4), (-2, 1, 9), (3, 2, 5), (30, 1, 3), (-9, 3, 2)]
            {
                let windows = Windows { outputs: 4, size, strides, dilation, spread, before };
                let trimmed = windows.trimmed(length);
                assert_eq!(held(trimmed, length), held(windows, length), "{windows:?} of {length}");
                let most = (3 * strides + (length - 1) * spread) / dilation + 2;
                assert!(trimmed.size <= most, "{windows:?} of {length}: {trimmed:?}");
            }
        }
    }
}
