use super::rules::{Along, Rules, Shapes, expect, shape};
use super::windows::{Windows, windowed};

/// The largest value or the mean of each feature over windows of timesteps, of pixels…
///
/// | operand | shape | |
/// |---|---|---|
/// | 0 | `[batch, lengths…, features]` | x |
/// | 1 | `[batch, lengths…]` | the mask of x, or none: a mean leaves out what is masked |
///
/// It writes `[batch, windows…, features]`. Of a window that holds nothing, or only what is masked,
/// the mean is NaN and the largest value below all others.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pool {
    /// Along each axis between the batch and the features.
    pub windows: Vec<Windows>,
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
        let (batch, outputs, features) = windowed(reads, &self.windows)?;
        let x = shape(reads, 0)?;
        expect(reads, 1, &x[..x.len() - 1])?;
        Ok(vec![[batch].into_iter().chain(outputs).chain([features]).collect()])
    }

    fn along(&self, operand: usize, axis: usize, reads: &Shapes) -> Along {
        let last = shape(reads, 0).map_or(0, <[usize]>::len) - 1;
        match (operand, axis) {
            (_, 0) => Along::Independent(0),
            (0, axis) if axis == last => Along::Independent(last),
            _ => Along::Whole,
        }
    }
}
