//! Walks over the values of a box of up to six axes, as the kernels that import `walk.wgsl` do.

use super::array::Array;
use crate::error::{Error, Result};
use crate::gpu::kernel::Side;

/// The axes of a box at most: `walk.wgsl` names them.
const AXES: usize = 6;

/// Where a walk finds the values of an array, in the array's own order: the first, and how far a
/// step along each axis of the box goes. A step backward is the two's complement, as the kernels
/// have it.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub offset: usize,
    pub strides: Vec<usize>,
}

impl Route {
    /// From the first value on.
    pub fn new(strides: impl Into<Vec<usize>>) -> Route {
        Route { offset: 0, strides: strides.into() }
    }

    pub fn from(self, offset: usize) -> Route {
        Route { offset, ..self }
    }

    /// Over the array as it is broadcast to so many axes: those of length one are repeated.
    pub fn repeating(array: &Array, axes: usize) -> Route {
        let strides = array.strides().into_iter().zip(&array.shape);
        let strides = strides.map(|(stride, &length)| if length == 1 { 0 } else { stride });
        let missing = axes.saturating_sub(array.shape.len());
        Route::new(std::iter::repeat_n(0, missing).chain(strides).collect::<Vec<_>>())
    }
}

/// The box without its axes of length one, and with neighbours as one axis that all routes go along
/// evenly.
pub(super) fn joined(axes: &[usize], routes: &mut [Route]) -> Vec<usize> {
    let mut lengths: Vec<usize> = Vec::new();
    let mut strides: Vec<Vec<usize>> = vec![Vec::new(); routes.len()];
    for (axis, &length) in axes.iter().enumerate().filter(|&(_, &length)| length != 1) {
        let of_axis: Vec<_> = routes.iter().map(|route| route.strides[axis]).collect();
        let mut both = strides.iter().zip(&of_axis);
        let evenly = |(before, stride): (&Vec<usize>, &usize)| {
            before.last() == Some(&stride.wrapping_mul(length))
        };
        if both.all(evenly) && !lengths.is_empty() {
            let last = lengths.len() - 1;
            lengths[last] *= length;
            strides.iter_mut().for_each(|strides| strides.truncate(last));
        } else {
            lengths.push(length);
        }
        strides.iter_mut().zip(of_axis).for_each(|(strides, stride)| strides.push(stride));
    }
    routes.iter_mut().zip(strides).for_each(|(route, strides)| route.strides = strides);
    lengths
}

/// The lengths of the axes of a box as `indices` of `walk.wgsl` has them, but the first.
pub(super) fn lengths(axes: &[usize]) -> Result<[u32; AXES - 1]> {
    check_axes(axes.len(), AXES)?;
    let [_, axis1, axis2, axis3, axis4, axis5] = behind(axes, 1);
    Ok(match axes.len() {
        0..5 => [0, 0, axis3, axis4, axis5],
        _ => [axis1, axis2, axis3, axis4, axis5],
    })
}

/// An array beside a walk.
pub(super) fn side(array: &Array, route: &Route) -> Side {
    let [stride0, stride1, stride2, stride3, stride4, stride5] = behind(&route.strides, 0);
    Side {
        offset: route.offset as u32,
        stride0,
        stride1,
        stride2,
        stride3,
        stride4,
        stride5,
        features: array.features().max(1) as u32,
    }
}

/// Up to `N` numbers, behind as many others as are missing.
pub(super) fn behind<const N: usize>(values: &[usize], fill: u32) -> [u32; N] {
    let mut all = [fill; N];
    for (place, &value) in all.iter_mut().rev().zip(values.iter().rev()) {
        *place = value as u32;
    }
    all
}

/// That a kernel, which goes along `most` axes, can take so many.
pub(super) fn check_axes(axes: usize, most: usize) -> Result<()> {
    match axes <= most {
        true => Ok(()),
        false => Err(Error::Graph(format!(
            "an array of {axes} axes: the GPU path takes {most} there; use Device::cpu()"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a walk over `axes` the axes that are left, and their strides.
    fn left(axes: &[usize], strides: &[&[usize]]) -> (Vec<usize>, Vec<Vec<usize>>) {
        let mut routes: Vec<_> = strides.iter().map(|&strides| Route::new(strides)).collect();
        let axes = joined(axes, &mut routes);
        (axes, routes.into_iter().map(|route| route.strides).collect())
    }

    #[test]
    fn axes_that_all_routes_go_along_evenly_are_one() {
        assert_eq!(left(&[2, 3, 4], &[&[12, 4, 1], &[12, 4, 1]]), (vec![24], vec![vec![1]; 2]));
        let turned = left(&[2, 1, 3, 4], &[&[12, 9, 4, 1], &[4, 9, 8, 1]]);
        assert_eq!(turned, (vec![2, 3, 4], vec![vec![12, 4, 1], vec![4, 8, 1]]));
        let repeated = left(&[5, 2, 3], &[&[0, 0, 1], &[6, 3, 1]]);
        assert_eq!(repeated, (vec![10, 3], vec![vec![0, 1], vec![3, 1]]));
        let back = 0usize.wrapping_sub(1);
        let backward = left(&[2, 3], &[&[back.wrapping_mul(3), back], &[3, 1]]);
        assert_eq!(backward, (vec![6], vec![vec![back], vec![1]]));
        assert_eq!(left(&[1, 1], &[&[1, 1]]), (vec![], vec![vec![]]));
    }

    #[test]
    fn lengths_say_where_a_box_has_four_axes_at_most() {
        assert_eq!(lengths(&[7, 8]).unwrap(), [0, 0, 1, 7, 8]);
        assert_eq!(lengths(&[2, 3, 4, 5, 6]).unwrap(), [2, 3, 4, 5, 6]);
        assert_eq!(lengths(&[2, 3, 4, 5, 6, 7]).unwrap(), [3, 4, 5, 6, 7]);
        assert!(lengths(&[2; 7]).is_err());
    }
}
