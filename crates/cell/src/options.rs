use crate::activation::{Activation, Parameter};
use serde::{Deserialize, Serialize};

/// Variants of a cell, as ONNX has them; by default there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellOptions {
    /// Every sum is limited to what is between -clip and clip before the activation of its gate.
    pub clip: Option<Parameter>,
    /// Whether gates see the cell state, by a weight for each unit. Only an LSTM has it.
    pub peepholes: bool,
    /// Whether the forget gate is one minus the input gate. Only an LSTM has it.
    pub coupled: bool,
    /// The activation of the cell state, where it isn't `activation`, which is then that of the
    /// candidate alone. Only an LSTM has it.
    pub state_activation: Option<Activation>,
}
