use super::rules::{Along, Rules, Shapes, axes, expect};
use birnn_cell::Reader;
use serde::{Deserialize, Serialize};

/// How a [`Bidirectional`](crate::Bidirectional) joins the outputs of its two directions, which
/// are each `[batch, timesteps, units]` or `[batch, units]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MergeMode {
    /// Side by side along the last axis, forward first, so that the output has the units of both.
    /// This is the default.
    #[default]
    Concat,
    /// Their sum; both directions need the same number of units.
    Sum,
    /// Their product, value by value; both directions need the same number of units.
    Mul,
    /// Their mean; both directions need the same number of units.
    Ave,
    /// Not at all: the layer returns two outputs, first that of the forward direction, then that
    /// of the backward one.
    None,
}

/// A recurrence over a sequence, in one direction or two.
///
/// | operand | shape | |
/// |---|---|---|
/// | 0 | `[batch, timesteps, features]` | the sequence |
/// | 1 | `[batch, timesteps]` | its mask, or none |
/// | 2… | `[batch, units]` | the initial states: of each direction the hidden state and of an LSTM the cell state; none is zeros |
///
/// It writes the output, `[batch, timesteps, merged]` with `return_sequences` and otherwise
/// `[batch, merged]` (with [`MergeMode::None`] that of each direction), and then the final states
/// in the order of the initial ones.
///
/// Its weights are no operands: backends pack them once for each layer of the model, by `weights`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recurrent {
    /// One or two.
    pub directions: Vec<Reader>,
    /// How the outputs of two directions are joined.
    pub merge_mode: MergeMode,
    pub return_sequences: bool,
    /// The layer of the model whose weights it has.
    pub weights: usize,
}

impl Recurrent {
    /// The operand of the first initial state.
    pub const STATES: usize = 2;

    /// Of each state in order its direction's units.
    fn states(&self) -> impl Iterator<Item = usize> {
        self.directions
            .iter()
            .flat_map(|reader| std::iter::repeat_n(reader.units, reader.cell.states()))
    }

    /// How many arrays it writes before the final states.
    #[allow(dead_code)] // Only backends that plan calls ask.
    pub fn outputs(&self) -> usize {
        if self.merge_mode == MergeMode::None { self.directions.len() } else { 1 }
    }

    /// The features of each of them.
    fn output_features(&self) -> Vec<usize> {
        let units = self.directions.iter().map(|reader| reader.units);
        match self.merge_mode {
            MergeMode::None => units.collect(),
            MergeMode::Concat => vec![units.sum()],
            MergeMode::Sum | MergeMode::Mul | MergeMode::Ave => units.take(1).collect(),
        }
    }
}

impl Rules for Recurrent {
    fn name(&self) -> &'static str {
        "recurrent"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        let [batch, timesteps, _] = axes(reads, 0)?;
        expect(reads, 1, &[batch, timesteps])?;
        let states: Vec<_> = self.states().map(|units| vec![batch, units]).collect();
        for (state, shape) in states.iter().enumerate() {
            expect(reads, Recurrent::STATES + state, shape)?;
        }
        let output = |features| match self.return_sequences {
            true => vec![batch, timesteps, features],
            false => vec![batch, features],
        };
        Ok(self.output_features().into_iter().map(output).chain(states).collect())
    }

    fn along(&self, operand: usize, axis: usize, _: &Shapes) -> Along {
        match (operand, axis) {
            (_, 0) => Along::Independent(0),
            (0 | 1, 1) => Along::InOrder(self.return_sequences.then_some(1)),
            _ => Along::Whole,
        }
    }

    fn follows_strides(&self, operand: usize) -> bool {
        operand == 0
    }
}
