use birnn_cell::{Activation, Cell};
use ndarray::{ArrayView1, ArrayView2};

/// A direction of a recurrent layer: what reads the sequence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reader {
    /// The recurrence that it runs.
    pub cell: Cell,
    /// The values of a state.
    pub units: usize,
    /// Of the candidate, and of an LSTM's cell state.
    pub activation: Activation,
    /// Of the gates.
    pub recurrent_activation: Activation,
    /// Whether it reads from the last timestep to the first.
    pub go_backwards: bool,
    /// Whether the output at a masked timestep is zero, or that of the timestep before it.
    pub zero_output_for_mask: bool,
}

/// A direction's weights: the gates side by side along the columns, `units` columns each.
#[derive(Clone, Debug)]
pub struct Weights<'a> {
    /// `[features, gates · units]`
    pub kernel: ArrayView2<'a, f32>,
    /// `[units, gates · units]`
    pub recurrent_kernel: ArrayView2<'a, f32>,
    /// `[gates · units]`: what is added to the product of the input.
    pub bias: ArrayView1<'a, f32>,
    /// Those of [`Cell::unit_weights`], each `[units]`.
    pub unit_weights: Vec<ArrayView1<'a, f32>>,
}
