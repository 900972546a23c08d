//! Convolutions and pooling, over windows of the axes between the first and the last.

use super::operands::Operands;
use super::{Array, Evaluator};
use crate::layer::Activation;
use crate::operator::{self, Reduction};
use crate::program::operation::{Pooling, Windows};
use crate::program::shapes::{self, Reason};
use crate::program::values::Kind;

impl Evaluator {
    pub(super) fn convolution(
        &mut self,
        operands: &Operands,
        windows: &Windows,
        groups: usize,
    ) -> Reason<Array> {
        let (x, kernel) = (operands.get(0)?, operands.get(1)?);
        let between = kernel.rank().saturating_sub(2);
        if x.rank() != between + 2 || between == 0 {
            return Err(format!("{:?} doesn't fit a kernel of {:?}", x.shape(), kernel.shape()));
        }
        let windows = along_axes(x.shape(), &kernel.shape()[..between], windows)?;
        let bias = operands.optional(2).map(|bias| self.straight(bias)).transpose()?;
        let reads = [Some(self.straight(x)?), Some(self.straight(kernel)?), bias];
        let operator = operator::Convolution { windows, groups, activation: Activation::Linear };
        let array = self.step(operator, &reads)?[0];
        Ok(Array::Computed(self.straight_array(array, Kind::Float)))
    }

    /// `size`: that of a window, and whether one counts that begins within the array and ends
    /// outside.
    pub(super) fn pool(
        &mut self,
        x: &Array,
        windows: &Windows,
        (size, partial): (&[usize], bool),
        pooling: Pooling,
    ) -> Reason<Array> {
        if x.rank() != size.len() + 2 {
            return Err(format!("{:?} has not {} axes between", x.shape(), size.len()));
        }
        let mut along = along_axes(x.shape(), size, windows)?;
        for (axis, one) in along.iter_mut().enumerate().filter(|_| partial) {
            one.outputs = with_partial(*one, x.shape()[axis + 1], windows.padding.get(axis));
        }
        if pooling == Pooling::MeanWithPadding {
            return self.mean_with_padding(x, windows, along);
        }
        let reduction = match pooling {
            Pooling::Maximum => Reduction::Maximum,
            _ => Reduction::Mean,
        };
        self.pool_step(x, along, reduction)
    }

    fn pool_step(
        &mut self,
        x: &Array,
        windows: Vec<operator::Windows>,
        reduction: Reduction,
    ) -> Reason<Array> {
        let x = self.straight(x)?;
        let array = self.step(operator::Pool { windows, reduction }, &[Some(x), None])?[0];
        Ok(Array::Computed(self.straight_array(array, Kind::Float)))
    }

    /// The padding as zeros of the array itself. What a window has behind them isn't counted.
    fn mean_with_padding(
        &mut self,
        x: &Array,
        windows: &Windows,
        mut along: Vec<operator::Windows>,
    ) -> Reason<Array> {
        use crate::program::operation::PadMode;
        use crate::program::values::Values;
        let sides = |end: bool| {
            let of = windows.padding.iter().map(move |side| if end { side.1 } else { side.0 });
            std::iter::once(0).chain(of).chain([0])
        };
        let padding = Values::integers(sides(false).chain(sides(true)));
        let operands = [Some(x.clone()), Some(padding.into())];
        let padded = self.pad(&Operands(&operands), PadMode::Constant)?;
        along.iter_mut().for_each(|one| one.before = 0);
        self.pool_step(&padded, along, Reduction::Mean)
    }
}

/// The windows along each axis.
fn along_axes(x: &[usize], size: &[usize], windows: &Windows) -> Reason<Vec<operator::Windows>> {
    let along = size.iter().enumerate().map(|(axis, &size)| {
        let of = |list: &[usize]| list.get(axis).copied().unwrap_or(1);
        let (before, after) = windows.padding.get(axis).copied().unwrap_or((0, 0));
        let (strides, dilation) = (of(&windows.strides), of(&windows.dilations));
        let spread = of(&windows.spread);
        let wrong = || {
            format!(
                "windows of {size} with strides of {strides} and dilation {dilation}, along axis \
                 {} of {x:?} with a padding of {before} and {after}",
                axis + 1
            )
        };
        let length = x[axis + 1].checked_sub(1).ok_or_else(wrong)?;
        let spread_length = length.checked_mul(spread).ok_or_else(wrong)? as i128 + 1;
        let window = (size.checked_sub(1).ok_or_else(wrong)?)
            .checked_mul(dilation)
            .ok_or_else(wrong)? as i128
            + 1;
        let room = spread_length + i128::from(before) + i128::from(after) - window;
        if room < 0 || strides == 0 {
            return Err(wrong());
        }
        let outputs = usize::try_from(room / strides as i128 + 1).map_err(|_| wrong())?;
        let before = isize::try_from(before).map_err(|_| wrong())?;
        Ok(operator::Windows { outputs, size, strides, dilation, spread, before })
    });
    let along: Vec<_> = along.collect::<Reason<_>>()?;
    shapes::count(&along.iter().map(|one| one.outputs).collect::<Vec<_>>())?;
    Ok(along)
}

/// How many windows there are where the last may end outside, if it begins within the array or the
/// padding before it.
fn with_partial(one: operator::Windows, length: usize, padding: Option<&(i64, i64)>) -> usize {
    let (before, after) = padding.copied().unwrap_or((0, 0));
    let begins = |window: usize| (window * one.strides) as i128 - i128::from(before);
    let window = ((one.size - 1) * one.dilation) as i128 + 1;
    let end = length as i128 + i128::from(after);
    // One more where the last one leaves something behind it.
    let last_end = begins(one.outputs - 1) + window;
    let more = last_end < end && begins(one.outputs) < length as i128;
    one.outputs + usize::from(more)
}
