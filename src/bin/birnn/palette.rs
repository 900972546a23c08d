//! Colours of values, which people tell apart who see no red or no green.

use plotters::prelude::RGBColor;

/// Which colours values have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// Blue below zero, white, red above; the ends are at this size.
    AroundZero(f64),
    /// From 0, dark, to 1, bright.
    FromZeroToOne,
}

/// ColorBrewer's RdBu, by Cynthia Brewer (Apache 2.0), from blue to red.
const AROUND_ZERO: [[u8; 3]; 11] = [
    [5, 48, 97],
    [33, 102, 172],
    [67, 147, 195],
    [146, 197, 222],
    [209, 229, 240],
    [247, 247, 247],
    [253, 219, 199],
    [244, 165, 130],
    [214, 96, 77],
    [178, 24, 43],
    [103, 0, 31],
];
/// viridis, by Nathaniel Smith and Stéfan van der Walt (CC0).
const FROM_ZERO: [[u8; 3]; 9] = [
    [68, 1, 84],
    [71, 44, 122],
    [59, 81, 139],
    [44, 113, 142],
    [33, 144, 141],
    [39, 173, 129],
    [92, 200, 99],
    [170, 220, 50],
    [253, 231, 37],
];
const UNKNOWN: RGBColor = RGBColor(150, 150, 150);

impl Scale {
    /// Around zero, as far as the values go that are finite.
    pub fn around_zero<'a>(values: impl Iterator<Item = &'a f64>) -> Scale {
        let sizes = values.map(|value| value.abs()).filter(|size| size.is_finite());
        let largest = sizes.fold(0.0, f64::max);
        Scale::AroundZero(if largest == 0.0 { 1.0 } else { largest })
    }

    /// The lowest and the highest value that have a colour of their own.
    pub fn ends(self) -> (f64, f64) {
        match self {
            Scale::AroundZero(size) => (-size, size),
            Scale::FromZeroToOne => (0.0, 1.0),
        }
    }

    /// The colour of a value; beyond the ends that of the end, grey for NaN.
    pub fn color(self, value: f64) -> RGBColor {
        let (low, high) = self.ends();
        let colors: &[[u8; 3]] = match self {
            Scale::AroundZero(_) => &AROUND_ZERO,
            Scale::FromZeroToOne => &FROM_ZERO,
        };
        if value.is_nan() {
            return UNKNOWN;
        }
        // The halves first: what is finite may have no finite difference.
        let part = ((value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0)).clamp(0.0, 1.0);
        let place = part * (colors.len() - 1) as f64;
        let below = (place as usize).min(colors.len() - 2);
        let mix = |channel: usize| {
            let (from, to) = (colors[below][channel], colors[below + 1][channel]);
            let (from, to) = (f64::from(from), f64::from(to));
            (from + (to - from) * (place - below as f64)).round() as u8
        };
        RGBColor(mix(0), mix(1), mix(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_of_the_ends_and_the_middle() {
        let scale = Scale::around_zero([0.5, -2.0, f64::NAN, f64::INFINITY].iter());
        assert_eq!(scale, Scale::AroundZero(2.0));
        let color = |value| scale.color(value);
        assert_eq!(color(0.0), RGBColor(247, 247, 247));
        assert_eq!(color(-2.0), RGBColor(5, 48, 97));
        assert_eq!(color(f64::INFINITY), RGBColor(103, 0, 31));
        assert_eq!(color(f64::NAN), UNKNOWN);
        assert_eq!(color(1.0), RGBColor(229, 131, 104)); // between two of the table
        assert_eq!(Scale::around_zero([0.0].iter()), Scale::AroundZero(1.0));
        assert_eq!(Scale::AroundZero(f64::MAX).color(0.0), RGBColor(247, 247, 247));
        assert_eq!(Scale::FromZeroToOne.color(0.5), RGBColor(33, 144, 141));
    }
}
