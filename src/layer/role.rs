use std::fmt;

/// One of the two directions of a [`Bidirectional`](super::Bidirectional).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// The forward layer of a [`Bidirectional`](super::Bidirectional); also a recurrent layer that
    /// is in none, whichever way it reads time.
    Forward,
    /// The backward layer of a [`Bidirectional`](super::Bidirectional).
    Backward,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Forward => "forward",
            Direction::Backward => "backward",
        })
    }
}

/// The role of an array in a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// An input of the model.
    Input,
    /// The output of a layer.
    Output,
    /// The output of one direction of a bidirectional layer with
    /// [`MergeMode::None`](crate::MergeMode::None).
    DirectionOutput(Direction),
    /// The final hidden state of a direction, `[batch, units]`: that after the last timestep which
    /// the direction reads. A [`ConvLstm2d`](super::ConvLstm2d) and its kin have states of more
    /// axes.
    HiddenState(Direction),
    /// The final cell state of a direction of an LSTM, `[batch, units]`.
    CellState(Direction),
    /// The weight that each query of an attention layer gives each value,
    /// `[batch, query timesteps, value timesteps]`; with heads `[batch, heads, …]`.
    AttentionScores,
}

impl Role {
    /// Whether it is a final state.
    pub(crate) fn is_state(self) -> bool {
        matches!(self, Role::HiddenState(_) | Role::CellState(_))
    }

    /// Whether an array of it can have its layer's mask.
    pub(crate) fn has_mask(self) -> bool {
        !self.is_state() && self != Role::AttentionScores
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Role::Input => f.write_str("input"),
            Role::Output => f.write_str("output"),
            Role::DirectionOutput(direction) => write!(f, "{direction} output"),
            Role::HiddenState(direction) => write!(f, "{direction} hidden state"),
            Role::CellState(direction) => write!(f, "{direction} cell state"),
            Role::AttentionScores => f.write_str("attention scores"),
        }
    }
}
