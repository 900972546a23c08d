//! How windows slide along the axes between the batch and the features.

use super::definition::{Wrong, size};
use super::dims::{Dims, describe};
use super::padding::Padding;
use crate::operator::Windows;

/// A number for each axis: one for a sequence, two for an image, three for a volume.
pub(super) trait Along {
    fn along(self) -> Vec<usize>;
}

impl Along for usize {
    fn along(self) -> Vec<usize> {
        vec![self]
    }
}

impl Along for (usize, usize) {
    fn along(self) -> Vec<usize> {
        vec![self.0, self.1]
    }
}

impl Along for (usize, usize, usize) {
    fn along(self) -> Vec<usize> {
        vec![self.0, self.1, self.2]
    }
}

/// What the axes between the batch and the features are called in messages, of so many.
pub(super) fn axes_named(axes: usize) -> &'static str {
    match axes {
        1 => "timesteps",
        2 => "rows, columns",
        _ => "depth, rows, columns",
    }
}

/// The windows of a layer, with a number for each axis.
pub(super) struct Sliding {
    /// Elements of a window.
    pub size: Vec<usize>,
    /// From one window to the next.
    pub strides: Vec<usize>,
    /// From one element of a window to the next.
    pub dilation: Vec<usize>,
    padding: Padding,
}

impl Sliding {
    pub fn new<A: Along>(size: A, strides: A, dilation: A, padding: Padding) -> Sliding {
        let [size, strides, dilation] = [size, strides, dilation].map(Along::along);
        Sliding { size, strides, dilation, padding }
    }

    /// Windows without gaps.
    pub fn pooling<A: Along>(size: A, strides: A, padding: Padding) -> Sliding {
        let (size, strides) = (size.along(), strides.along());
        let dilation = vec![1; size.len()];
        Sliding { size, strides, dilation, padding }
    }

    pub fn check(&self) -> Result<(), Wrong> {
        let numbers = [
            ("kernel_size", &self.size),
            ("strides", &self.strides),
            ("dilation_rate", &self.dilation),
        ];
        for (argument, numbers) in numbers {
            numbers.iter().try_for_each(|&number| size(argument, number))?;
        }
        let spans = (0..self.size.len()).map(|axis| self.span(axis));
        if spans.max() >= Some(1 << 30) {
            return Err(("dilation_rate", "a window spans 2^30 indices or more".to_string()));
        }
        if self.size.len() > 1 { self.not_causal() } else { Ok(()) }
    }

    pub fn not_causal(&self) -> Result<(), Wrong> {
        match self.padding {
            Padding::Causal => Err(("padding", "it knows valid and same".to_string())),
            _ => Ok(()),
        }
    }

    /// The indices that a window spans.
    fn span(&self, axis: usize) -> usize {
        (self.size[axis] - 1).saturating_mul(self.dilation[axis]).saturating_add(1)
    }

    /// The lengths of the axes, and the features, of an input that has one of each.
    fn lengths<'d>(&self, input: &'d Dims) -> Result<(&'d [Option<usize>], Option<usize>), String> {
        match &input[..] {
            [lengths @ .., features] if lengths.len() == self.size.len() => {
                Ok((lengths, *features))
            }
            _ => Err(self.reads(input)),
        }
    }

    fn reads(&self, input: &Dims) -> String {
        let axes = axes_named(self.size.len());
        format!("it reads [batch, {axes}, features], and its input is {}", describe(input))
    }

    /// The lengths of the output's axes, and the input's features.
    pub fn output(&self, input: &Dims) -> Result<(Dims, Option<usize>), String> {
        let (lengths, features) = self.lengths(input)?;
        let length = |(axis, &length): (usize, &Option<usize>)| {
            let Some(length) = length else { return Ok(None) };
            let span = self.span(axis);
            match self.padding.outputs(length, span, self.strides[axis]) {
                0 => Err(format!("its window spans {span} timesteps, and there are {length}")),
                outputs => Ok(Some(outputs)),
            }
        };
        let lengths = lengths.iter().enumerate().map(length).collect::<Result<_, _>>()?;
        Ok((lengths, features))
    }

    /// The windows over an array of this shape, with batch and features.
    pub fn windows(&self, shape: &[usize]) -> Vec<Windows> {
        let windows = |axis: usize| {
            let (length, span, strides) = (shape[axis + 1], self.span(axis), self.strides[axis]);
            Windows {
                outputs: self.padding.outputs(length, span, strides),
                size: self.size[axis],
                strides,
                dilation: self.dilation[axis],
                spread: 1,
                before: self.padding.before(length, span, strides) as isize,
            }
        };
        (0..self.size.len()).map(windows).collect()
    }

    /// That a transposed convolution can have these windows; `more`: its `output_padding`.
    pub fn check_transposed(&self, more: Option<&[usize]>) -> Result<(), Wrong> {
        self.not_causal()?;
        for (axis, &more) in more.into_iter().flatten().enumerate() {
            if more >= self.strides[axis] {
                let reason = format!("{more} isn't below the strides, {}", self.strides[axis]);
                return Err(("output_padding", reason));
            }
            if self.padding == Padding::Same && (self.span(axis) % 2 + more) == 0 {
                let reason = "Keras takes no 0 for a window of even length that is padded as same";
                return Err(("output_padding", reason.to_string()));
            }
        }
        Ok(())
    }

    /// What a transposed convolution returns of an axis of this length.
    fn transposed_length(&self, axis: usize, length: usize, more: Option<usize>) -> usize {
        let (span, strides) = (self.span(axis), self.strides[axis]);
        let apart = length.saturating_sub(1).saturating_mul(strides);
        match (self.padding, more) {
            (Padding::Same, None) => length.saturating_mul(strides),
            (Padding::Same, Some(more)) => apart.saturating_add(span % 2 + more),
            (_, more) => apart.saturating_add(more.map_or(span.max(strides), |more| span + more)),
        }
    }

    /// The lengths of a transposed convolution's output, and the input's features.
    pub fn transposed_output(
        &self,
        input: &Dims,
        more: Option<&[usize]>,
    ) -> Result<(Dims, Option<usize>), String> {
        let (lengths, features) = self.lengths(input)?;
        let length = |(axis, length): (usize, &Option<usize>)| {
            length.map(|length| self.transposed_length(axis, length, more.map(|more| more[axis])))
        };
        Ok((lengths.iter().enumerate().map(length).collect(), features))
    }

    /// The windows of a transposed convolution over an array of this shape: those of a convolution
    /// of values that stand apart. With `Same` as much is cut off both ends as a convolution that
    /// goes the other way pads.
    pub fn transposed(&self, shape: &[usize], more: Option<&[usize]>) -> Vec<Windows> {
        let windows = |axis: usize| {
            let (length, span, strides) = (shape[axis + 1], self.span(axis), self.strides[axis]);
            let outputs = self.transposed_length(axis, length, more.map(|more| more[axis]));
            let needed = length.saturating_sub(1).saturating_mul(strides).saturating_add(span);
            let cut = match self.padding {
                Padding::Same => needed.saturating_sub(outputs) / 2,
                _ => 0,
            };
            Windows {
                outputs,
                size: self.size[axis],
                strides: 1,
                dilation: self.dilation[axis],
                spread: strides,
                before: (span - 1) as isize - cut as isize,
            }
        };
        (0..self.size.len()).map(windows).collect()
    }
}
