//! What the lengths of axes say: which axis is meant, what fits what, and which part is taken.

use std::ops::Range;

/// A reason why an operation can't be.
pub(super) type Reason<T> = Result<T, String>;

/// More axes than this no array has.
const MOST_AXES: usize = 64;

/// The axis that is counted from the end where it is negative.
pub(super) fn axis(axis: i64, rank: usize) -> Reason<usize> {
    let counted = if axis < 0 { axis + rank as i64 } else { axis };
    match usize::try_from(counted) {
        Ok(axis) if axis < rank => Ok(axis),
        _ => Err(format!("an array of {rank} axes has no axis {axis}")),
    }
}

/// Axes in ascending order; an error where one is there twice.
pub(super) fn axes(list: &[i64], rank: usize) -> Reason<Vec<usize>> {
    if rank > MOST_AXES || list.len() > rank {
        return Err(format!("{} axes of an array of {rank}", list.len()));
    }
    let mut axes = list.iter().map(|&one| axis(one, rank)).collect::<Reason<Vec<_>>>()?;
    axes.sort_unstable();
    match axes.windows(2).any(|pair| pair[0] == pair[1]) {
        true => Err(format!("the axes {list:?} of an array of {rank} are there twice")),
        false => Ok(axes),
    }
}

/// How many values an array of this shape has; an error where they are too many to count.
pub(super) fn count(shape: &[usize]) -> Reason<usize> {
    // As bytes of an f64, with room to add some up.
    const MOST: usize = isize::MAX as usize / 64;
    if shape.len() > MOST_AXES {
        return Err(format!("an array of {} axes; {MOST_AXES} are supported", shape.len()));
    }
    let product = shape.iter().try_fold(1usize, |product, &length| product.checked_mul(length));
    let product = product.filter(|&product| product <= MOST && shape.iter().all(|&n| n <= MOST));
    product.ok_or_else(|| format!("an array of shape {shape:?} is too large"))
}

/// The shape that both are repeated to.
pub(super) fn broadcast(one: &[usize], other: &[usize]) -> Reason<Vec<usize>> {
    let rank = one.len().max(other.len());
    let (left, right) = (at_rank(one, rank), at_rank(other, rank));
    let both = left.iter().zip(&right).map(|(&a, &b)| match (a, b) {
        (a, b) if a == b => Ok(a),
        (1, length) | (length, 1) => Ok(length),
        _ => Err(format!("arrays of {one:?} and {other:?} don't fit each other")),
    });
    both.collect()
}

/// The shape with axes of length one before it.
pub(super) fn at_rank(shape: &[usize], rank: usize) -> Vec<usize> {
    let mut longer = vec![1; rank.saturating_sub(shape.len())];
    longer.extend(shape);
    longer
}

/// The shape that a reshape asks for: -1 is what is left, and 0 with `zero_copies` the length that
/// the axis has.
pub(super) fn reshaped(from: &[usize], asked: &[i64], zero_copies: bool) -> Reason<Vec<usize>> {
    let wrong = || format!("an array of {from:?} can't be reshaped to {asked:?}");
    let mut shape = Vec::with_capacity(asked.len());
    let mut left = None;
    for (place, &length) in asked.iter().enumerate() {
        shape.push(match length {
            0 if zero_copies => *from.get(place).ok_or_else(wrong)?,
            -1 if left.replace(place).is_none() => 1,
            length => usize::try_from(length).map_err(|_| wrong())?,
        });
    }
    let (values, others) = (count(from)?, count(&shape)?);
    match left {
        Some(place) if others > 0 && values % others == 0 => shape[place] = values / others,
        None if values == others => {}
        _ => return Err(wrong()),
    }
    Ok(shape)
}

/// Some indices of an axis: `length` of them from `start` on, `step` apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub axis: usize,
    pub start: usize,
    pub length: usize,
    pub step: isize,
}

/// The part that `start..end` with a step is of an axis, as NumPy counts: negative numbers from the
/// end, and what lies outside is cut.
pub(super) fn part(axis: usize, length: usize, range: (i64, i64), step: i64) -> Reason<Part> {
    if step == 0 {
        return Err("the step of a slice is 0".into());
    }
    let n = length as i64;
    let counted = |place: i64| if place < 0 { place.saturating_add(n) } else { place };
    let (start, end) = (counted(range.0), counted(range.1));
    let (start, end, span) = match step > 0 {
        true => {
            let (start, end) = (start.clamp(0, n), end.clamp(0, n));
            (start, end, end - start)
        }
        false => {
            let (start, end) = (start.clamp(-1, n - 1), end.clamp(-1, n - 1));
            (start, end, start - end)
        }
    };
    let _ = end;
    let taken = if span <= 0 { 0 } else { (span as u64).div_ceil(step.unsigned_abs()) };
    Ok(Part { axis, start: start.max(0) as usize, length: taken as usize, step: step as isize })
}

/// The lengths of so many parts of an axis: equal, but the last may be shorter.
pub(super) fn equal_parts(length: usize, parts: usize) -> Reason<Vec<usize>> {
    let each = length.div_ceil(parts.max(1));
    let lengths: Vec<usize> =
        (0..parts).map(|part| each.min(length.saturating_sub(part * each))).collect();
    match lengths.iter().sum::<usize>() == length {
        true => Ok(lengths),
        false => Err(format!("{length} can't be split into {parts} parts")),
    }
}

/// Where each part lies on an axis of this length.
pub(super) fn parts(length: usize, lengths: &[usize]) -> Reason<Vec<Range<usize>>> {
    let mut ranges = Vec::with_capacity(lengths.len());
    let mut start = 0usize;
    for &part in lengths {
        let end = start.saturating_add(part);
        ranges.push(start..end);
        start = end;
    }
    match start == length {
        true => Ok(ranges),
        false => Err(format!("parts of {lengths:?} aren't an axis of {length}")),
    }
}

/// An index that is counted from the end where it is negative.
pub(super) fn index(index: i64, length: usize) -> Reason<usize> {
    let counted = if index < 0 { index.saturating_add(length as i64) } else { index };
    match usize::try_from(counted) {
        Ok(place) if place < length => Ok(place),
        _ => Err(format!("index {index} of an axis of length {length}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_counted_from_both_ends() {
        assert_eq!(axis(-1, 3), Ok(2));
        assert_eq!(axis(0, 3), Ok(0));
        assert!(axis(3, 3).is_err() && axis(-4, 3).is_err() && axis(i64::MIN, 3).is_err());
        assert_eq!(axes(&[-1, 0], 3), Ok(vec![0, 2]));
        assert!(axes(&[-1, 2], 3).is_err());
    }

    #[test]
    fn reshapes_are_resolved() {
        assert_eq!(reshaped(&[2, 3, 4], &[0, -1], true), Ok(vec![2, 12]));
        assert_eq!(reshaped(&[2, 3], &[3, 2], true), Ok(vec![3, 2]));
        assert_eq!(reshaped(&[0, 3], &[0, 5], false), Ok(vec![0, 5]));
        assert!(reshaped(&[2, 3], &[-1, -1], true).is_err());
        assert!(reshaped(&[2, 3], &[4, -1], true).is_err());
        assert!(reshaped(&[2, 3], &[7], true).is_err());
        assert!(reshaped(&[2, 3], &[-2], true).is_err());
        assert!(reshaped(&[2], &[2, 0], true).is_err());
        assert!(reshaped(&[1], &[i64::MAX, i64::MAX], true).is_err());
    }

    #[test]
    fn parts_are_as_numpy_takes_them() {
        let taken = |length, range, step| {
            let part = part(0, length, range, step).unwrap();
            (part.start, part.length)
        };
        assert_eq!(taken(5, (1, 3), 1), (1, 2));
        assert_eq!(taken(5, (-2, i64::MAX), 1), (3, 2));
        assert_eq!(taken(5, (0, -1), 2), (0, 2));
        assert_eq!(taken(5, (-1, i64::MIN), -1), (4, 5));
        assert_eq!(taken(5, (3, 0), -2), (3, 2));
        assert_eq!(taken(5, (7, 9), 1), (5, 0));
        assert_eq!(taken(0, (0, 9), 1), (0, 0));
        assert_eq!(taken(0, (-1, i64::MIN), -1).1, 0);
        assert!(part(0, 5, (0, 1), 0).is_err());
        assert_eq!(equal_parts(7, 3), Ok(vec![3, 3, 1]));
        assert_eq!(equal_parts(4, 3), Ok(vec![2, 2, 0]));
        assert!(parts(4, &[1, 2]).is_err());
    }

    #[test]
    fn shapes_are_repeated_to_each_other() {
        assert_eq!(broadcast(&[3, 1], &[4]), Ok(vec![3, 4]));
        assert_eq!(broadcast(&[], &[2]), Ok(vec![2]));
        assert!(broadcast(&[3], &[2]).is_err());
        assert!(count(&[usize::MAX, 2]).is_err() && count(&[usize::MAX, 0]).is_err());
    }
}
