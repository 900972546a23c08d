use ndarray::{ArrayView1, ArrayView2};

/// A direction's weights: the gates side by side along the columns, `units` columns each.
#[derive(Clone, Debug)]
pub struct Weights<'a> {
    /// `[features, gates · units]`
    pub kernel: ArrayView2<'a, f32>,
    /// `[units, gates · units]`
    pub recurrent_kernel: ArrayView2<'a, f32>,
    /// `[gates · units]`: what is added to the product of the input.
    pub bias: ArrayView1<'a, f32>,
    /// Those of [`Cell::unit_weights`](birnn_cell::Cell::unit_weights), each `[units]`.
    pub unit_weights: Vec<ArrayView1<'a, f32>>,
}
