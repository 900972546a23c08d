use ndarray::{LinalgScalar, NdFloat};

/// The number types that the reference computes in: `f32` and `f64`.
pub trait Real: NdFloat + LinalgScalar + Default {
    /// The number of this type that is nearest to `value`.
    fn nearest(value: f64) -> Self;
    /// The same number in `f64`.
    fn widened(self) -> f64;
}

impl Real for f32 {
    fn nearest(value: f64) -> f32 {
        value as f32
    }
    fn widened(self) -> f64 {
        self.into()
    }
}

impl Real for f64 {
    fn nearest(value: f64) -> f64 {
        value
    }
    fn widened(self) -> f64 {
        self
    }
}
