use super::recurrent::Recurrent;
use crate::error::{Error, Result};
use crate::operator::MergeMode;
use serde::{Deserialize, Serialize};

/// Keras's `Bidirectional`: one recurrent layer reads time forward, one backward, and their outputs
/// are merged. It reads `[batch, timesteps, features]` and returns `[batch, timesteps, merged]`
/// with `return_sequences`, otherwise `[batch, merged]`, where `merged` is `2 · units` for
/// [`MergeMode::Concat`] (the default) and `units` for the other modes.
///
/// With `return_sequences` the backward layer's output is put back into the order of time before
/// the merge. So with [`MergeMode::Concat`], where nothing is masked, the forward direction's final
/// hidden state is at the last timestep of the output, in the first `units` features, and the
/// backward direction's at the first timestep, in the other features. At masked timesteps the
/// output of both is zero.
///
/// With `return_state` the final states follow the output, each `[batch, units]`: the hidden state
/// and for an LSTM the cell state, first forward, then backward.
///
/// ```
/// use birnn::{Bidirectional, Gru, MergeMode};
/// let layer = Bidirectional::new(Gru::new(32).return_sequences(true)).merge_mode(MergeMode::Sum);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bidirectional {
    pub(super) name: String,
    pub(super) forward: Recurrent,
    pub(super) backward: Recurrent,
    merge_mode: MergeMode,
}

impl Bidirectional {
    /// A layer whose directions both have the arguments of `layer`, but that the backward one
    /// reads time the other way round.
    pub fn new(layer: impl Into<Recurrent>) -> Bidirectional {
        let forward = layer.into();
        let mut backward = forward.clone();
        backward.go_backwards = !forward.go_backwards;
        let name = forward.name.clone();
        let mut both =
            Bidirectional { name: String::new(), forward, backward, merge_mode: MergeMode::Concat };
        if !name.is_empty() {
            both.forward.name = format!("forward_{name}");
            both.backward.name = format!("backward_{name}");
        }
        both.zero_outputs()
    }

    /// Keras's rule: with `return_sequences` both directions return zeros at masked timesteps.
    fn zero_outputs(mut self) -> Bidirectional {
        for layer in [&mut self.forward, &mut self.backward] {
            layer.zero_output_for_mask = layer.return_sequences();
        }
        self
    }

    /// Gives the backward direction a layer with arguments of its own. As in Keras its
    /// `go_backwards` has to be the opposite of the forward layer's, and its `return_sequences` and
    /// `return_state` have to be the same.
    ///
    /// ```
    /// use birnn::{Bidirectional, Lstm};
    /// let backward = Lstm::new(8).go_backwards(true);
    /// let layer = Bidirectional::new(Lstm::new(32)).backward_layer(backward);
    /// ```
    pub fn backward_layer(mut self, layer: impl Into<Recurrent>) -> Bidirectional {
        self.backward = layer.into();
        self.zero_outputs()
    }

    /// Sets how the outputs of the two directions are joined (default: [`MergeMode::Concat`]).
    pub fn merge_mode(mut self, merge_mode: MergeMode) -> Bidirectional {
        self.merge_mode = merge_mode;
        self
    }

    /// Gives the layer a name (default: `bidirectional`, with a counter from the second one on).
    pub fn named(mut self, name: impl Into<String>) -> Bidirectional {
        self.name = name.into();
        self
    }

    /// The layer's name; empty where none was set and no model has given it one.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The layer of the forward direction.
    pub fn forward(&self) -> &Recurrent {
        &self.forward
    }

    /// The layer of the backward direction.
    pub fn backward(&self) -> &Recurrent {
        &self.backward
    }

    /// How the outputs of the two directions are joined.
    pub fn mode(&self) -> MergeMode {
        self.merge_mode
    }

    /// The features of the merged output.
    pub(crate) fn merged_features(&self) -> usize {
        match self.merge_mode {
            MergeMode::Concat => self.forward.units() + self.backward.units(),
            _ => self.forward.units(),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let (forward, backward) = (&self.forward, &self.backward);
        let wrong = |argument: &str, reason: String| {
            Err(Error::Argument { layer: self.name.clone(), argument: argument.into(), reason })
        };
        if forward.go_backwards() == backward.go_backwards() {
            let both = forward.go_backwards();
            return wrong(
                "backward_layer",
                format!("both directions have go_backwards={both}; they must differ"),
            );
        }
        if forward.return_sequences() != backward.return_sequences()
            || forward.return_state() != backward.return_state()
        {
            return wrong(
                "backward_layer",
                "return_sequences and return_state must equal the forward layer's".into(),
            );
        }
        let adds = matches!(self.merge_mode, MergeMode::Sum | MergeMode::Mul | MergeMode::Ave);
        if adds && forward.units() != backward.units() {
            let (f, b) = (forward.units(), backward.units());
            let reason = format!(
                "{:?} needs equal units, the directions have {f} and {b}; use Concat or None",
                self.merge_mode
            );
            return wrong("merge_mode", reason);
        }
        Ok(())
    }
}

impl MergeMode {
    /// The merge mode that Keras calls by this name, or `None` where there is none. A name of
    /// `None`, as in Python, is [`MergeMode::None`].
    pub fn from_keras_name(name: Option<&str>) -> Option<MergeMode> {
        Some(match name {
            Some("concat") => MergeMode::Concat,
            Some("sum") => MergeMode::Sum,
            Some("mul") => MergeMode::Mul,
            Some("ave") => MergeMode::Ave,
            None => MergeMode::None,
            Some(_) => return None,
        })
    }
}
