use serde::{Deserialize, Serialize};

/// What a window of a convolution or pooling reads where it reaches beyond the first or the last
/// index of an axis, such as a timestep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Padding {
    /// Windows don't reach beyond the sequence: the output has `(timesteps - window + 1) / strides`
    /// timesteps, rounded up, where `window` is how many timesteps a window spans. This is the
    /// default.
    #[default]
    Valid,
    /// The sequence is padded so that the output has `timesteps / strides` timesteps, rounded up.
    /// Half of the padding, rounded down, is before the first timestep, the rest after the last.
    Same,
    /// The sequence is padded before the first timestep only, so that no output depends on a later
    /// timestep. The output has `timesteps / strides` timesteps, rounded up. Only
    /// [`Conv1d`](super::Conv1d) and [`SeparableConv1d`](super::SeparableConv1d) can have it.
    Causal,
}

impl Padding {
    /// The padding that Keras calls by this name, or `None` where there is none.
    pub fn from_keras_name(name: &str) -> Option<Padding> {
        match name {
            "valid" => Some(Padding::Valid),
            "same" => Some(Padding::Same),
            "causal" => Some(Padding::Causal),
            _ => None,
        }
    }

    /// The length of the output of a window that spans `window` indices of an axis; zero where it
    /// never fits.
    pub(crate) fn outputs(self, length: usize, window: usize, strides: usize) -> usize {
        match self {
            Padding::Valid => length.saturating_add(1).saturating_sub(window).div_ceil(strides),
            Padding::Same | Padding::Causal => length.div_ceil(strides),
        }
    }

    /// The indices missing before the first, of a window that spans `window` of them.
    pub(crate) fn before(self, length: usize, window: usize, strides: usize) -> usize {
        match self {
            Padding::Valid => 0,
            Padding::Causal => window - 1,
            Padding::Same => {
                let outputs = length.div_ceil(strides);
                ((outputs.max(1) - 1) * strides + window).saturating_sub(length) / 2
            }
        }
    }
}
