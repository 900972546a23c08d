use super::rules::{Along, Rules, Shapes, axes, expect};
use super::windows::Windows;
use birnn_cell::Activation;

/// `activation(Σ x[window] · kernel + bias)` over windows of timesteps.
///
/// | operand | shape | |
/// |---|---|---|
/// | 0 | `[batch, timesteps, features]` | x |
/// | 1 | `[size of a window, features / groups, filters]` | the kernel |
/// | 2 | `[filters]` | the bias, or none |
///
/// It writes `[batch, windows, filters]`; glu halves the filters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Convolution {
    pub windows: Windows,
    /// Each part of the features reaches its part of the filters.
    pub groups: usize,
    pub activation: Activation,
}

impl Rules for Convolution {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        let [batch, _, features] = axes(reads, 0)?;
        let [size, of_group, filters] = axes(reads, 1)?;
        expect(reads, 2, &[filters])?;
        if size != self.windows.size || features != of_group * self.groups {
            return Err(format!("its kernel of {:?} doesn't fit {:?}", reads[1], reads[0]));
        }
        let filters = self.activation.output_features(Some(filters))?;
        Ok(vec![[batch, self.windows.outputs].into_iter().chain(filters).collect()])
    }

    fn along(&self, _: usize, axis: usize, _: &Shapes) -> Along {
        if axis == 0 { Along::Independent(0) } else { Along::Whole }
    }
}
