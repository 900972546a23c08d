use super::rules::{Along, Rules, Shapes, axes, expect};
use super::windows::Windows;

/// The largest value or the mean of each feature over windows of timesteps.
///
/// | operand | shape | |
/// |---|---|---|
/// | 0 | `[batch, timesteps, features]` | x |
/// | 1 | `[batch, timesteps]` | the mask of x, or none: a mean leaves out what is masked |
///
/// It writes `[batch, windows, features]`; NaN where all of a window is masked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pool {
    pub windows: Windows,
    pub reduction: Reduction,
}

/// What is taken of the values of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reduction {
    Maximum,
    Mean,
}

impl Rules for Pool {
    fn name(&self) -> &'static str {
        "pool"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        let [batch, timesteps, features] = axes(reads, 0)?;
        expect(reads, 1, &[batch, timesteps])?;
        Ok(vec![vec![batch, self.windows.outputs, features]])
    }

    fn along(&self, operand: usize, axis: usize, _: &Shapes) -> Along {
        match (operand, axis) {
            (_, 0) => Along::Independent(0),
            (0, 2) => Along::Independent(2),
            _ => Along::Whole,
        }
    }
}
