//! Where the values of a resized array come from.

use serde::{Deserialize, Serialize};

/// What [`Operation::Resize`](super::Operation::Resize) does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resizing {
    /// What a value between others is.
    pub interpolation: Interpolation,
    /// Where in the old array a new value lies.
    pub coordinates: Coordinates,
    /// Whether more values count where an axis becomes shorter.
    pub smooth: bool,
    /// Whether what lies outside of the array counts nothing, in place of being its outermost
    /// value.
    pub only_inside: bool,
    /// The value outside of the array, with [`Coordinates::Crop`].
    pub outside: f32,
    /// The axes, or all of them.
    pub axes: Option<Vec<i64>>,
    /// Whether all axes become longer by the same factor.
    pub ratio: Ratio,
}

/// What a value between others is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Interpolation {
    /// The nearest one.
    Nearest(Rounding),
    /// A line between two.
    Linear,
    /// A cubic curve through four, with this coefficient a.
    Cubic(f32),
}

/// Which of two values is the nearest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Rounding {
    /// The nearest, half way the first.
    HalfDown,
    /// The nearest, half way the second.
    HalfUp,
    /// The first.
    Down,
    /// The second.
    Up,
}

/// Where in an axis of n values the value of an index x of the resized one lies. The resized axis
/// is s times as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Coordinates {
    /// `(x + 0.5) / s - 0.5`
    HalfPixel,
    /// The same; of an axis of one value it is before the first.
    HalfPixelOfMore,
    /// The same, with the middle of the axis where it was.
    HalfPixelSymmetric,
    /// `x (n - 1) / (s n - 1)`: the outermost values stay where they are.
    AlignCorners,
    /// `x / s`
    Asymmetric,
    /// As `AlignCorners`, in a part of the axis.
    Crop,
}

/// Whether all axes become longer by the same factor, where lengths are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Ratio {
    /// Each by its own.
    Free,
    /// By the smallest of all, so that none is longer than its length says.
    NotLarger,
    /// By the largest.
    NotSmaller,
}
