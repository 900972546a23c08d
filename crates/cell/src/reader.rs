use crate::{Activation, Cell};

/// A direction of a recurrence: what reads the sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reader {
    /// The recurrence that it runs.
    pub cell: Cell,
    /// The values of a state.
    pub units: usize,
    /// Of the candidate, and of an LSTM's cell state where the cell's options have no other.
    pub activation: Activation,
    /// Of the gates.
    pub recurrent_activation: Activation,
    /// Whether it reads from the last timestep to the first.
    pub go_backwards: bool,
    /// Whether its output is put into the reverse of the order in which it reads.
    pub reverse_output: bool,
    /// Whether the output at a masked timestep is zero, or that of the timestep before it.
    pub zero_output_for_mask: bool,
}
