/// The recurrence that a recurrent layer runs. Later versions will add others: outside of birnn,
/// match them with a wildcard arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cell {
    /// Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000).
    Lstm,
    /// Gated recurrent unit. With `reset_after` true it has cuDNN's form, which is Keras's default;
    /// with false that of Cho et al. 2014.
    Gru {
        /// Whether the reset gate is applied after the product of hidden state and
        /// `recurrent_kernel` (true) or before (false).
        reset_after: bool,
    },
    /// Fully connected recurrence (Elman 1990).
    SimpleRnn,
}

impl Cell {
    /// The number of gates, whose columns are side by side in `kernel` and `recurrent_kernel`: 4
    /// for an LSTM, 3 for a GRU, 1 for a SimpleRNN. The candidate counts as a gate, too.
    pub fn gates(self) -> usize {
        match self {
            Cell::Lstm => 4,
            Cell::Gru { .. } => 3,
            Cell::SimpleRnn => 1,
        }
    }

    /// Whether it has a cell state besides the hidden state: only an LSTM has.
    pub fn has_cell_state(self) -> bool {
        self == Cell::Lstm
    }

    /// The number of states of a direction: 2 for an LSTM (hidden and cell state), otherwise 1.
    pub fn states(self) -> usize {
        1 + usize::from(self.has_cell_state())
    }

    /// The class of the Keras layer that runs it, such as `LSTM`.
    pub fn class_name(self) -> &'static str {
        match self {
            Cell::Lstm => "LSTM",
            Cell::Gru { .. } => "GRU",
            Cell::SimpleRnn => "SimpleRNN",
        }
    }

    /// Rows of the bias: 2 for a GRU with `reset_after`, whose second row is added to the product
    /// of the hidden state; otherwise 1, which means a vector.
    pub fn bias_rows(self) -> usize {
        if self == (Cell::Gru { reset_after: true }) { 2 } else { 1 }
    }
}
