//! How a model is saved.

#[cfg(doc)]
use crate::Model;

/// How a model is written in birnn's own form; [`Model::save`] writes with the defaults.
///
/// ```
/// use birnn::{Gru, Model, SaveOptions};
/// let model = Model::sequential(64, [Gru::new(64)])?.initialize(1)?;
/// let half = SaveOptions::new().half_weights(true).bytes(&model)?;
/// assert!(half.len() < model.to_portable_bytes()?.len() * 6 / 10);
/// # Ok::<(), birnn::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct SaveOptions {
    pub(super) half_weights: bool,
}

impl SaveOptions {
    /// The defaults.
    pub fn new() -> SaveOptions {
        SaveOptions::default()
    }

    /// Whether kernels and tables are stored as 16-bit floats (default: false), which halves the
    /// file: weights and constants of two axes or more and at least 256 values, as far as all their
    /// values are below 65,520. Each is rounded to 11 bits, so that the model computes slightly
    /// other numbers than before. It computes with f32.
    pub fn half_weights(mut self, half_weights: bool) -> SaveOptions {
        self.half_weights = half_weights;
        self
    }
}
