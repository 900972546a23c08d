use super::rules::{Along, Rules, Shapes, expect, shape};
use super::windows::{Windows, windowed};
use birnn_cell::Activation;

/// `activation(Σ x[window] · kernel + bias)` over windows of timesteps, of pixels…
///
/// | operand | shape | |
/// |---|---|---|
/// | 0 | `[batch, lengths…, features]` | x |
/// | 1 | `[sizes of a window…, features / groups, filters]` | the kernel |
/// | 2 | `[filters]` | the bias, or none |
///
/// It writes `[batch, windows…, filters]`; glu halves the filters.
///
/// A transposed convolution, which adds each value times the kernel to a window of what it writes,
/// is the one whose kernel is turned round along all axes of the window, with its strides as
/// [`Windows::spread`] and `(size - 1) · dilation - padding` before.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Convolution {
    /// Along each axis between the batch and the features.
    pub windows: Vec<Windows>,
    /// Each part of the features reaches its part of the filters.
    pub groups: usize,
    pub activation: Activation,
}

impl Rules for Convolution {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        let (batch, outputs, features) = windowed(reads, &self.windows)?;
        let wrong = || format!("its kernel of {:?} doesn't fit {:?}", reads[1], reads[0]);
        let &[ref sizes @ .., of_group, filters] = shape(reads, 1)? else { return Err(wrong()) };
        expect(reads, 2, &[filters])?;
        let fits = sizes.iter().copied().eq(self.windows.iter().map(|windows| windows.size))
            && of_group.checked_mul(self.groups) == Some(features)
            && self.groups > 0
            && filters % self.groups == 0;
        if !fits {
            return Err(wrong());
        }
        let filters = self.activation.output_features(Some(filters))?;
        Ok(vec![[batch].into_iter().chain(outputs).chain(filters).collect()])
    }

    fn along(&self, _: usize, axis: usize, _: &Shapes) -> Along {
        if axis == 0 { Along::Independent(0) } else { Along::Whole }
    }
}
