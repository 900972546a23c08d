use serde::{Deserialize, Serialize};

/// Whose rules the masks follow: those of the Keras that the model was made in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum MaskRules {
    /// A joined array counts where any of its arrays' masks does; a recurrent layer that is called
    /// with initial states doesn't use the mask that its input carries.
    #[default]
    Keras3,
    /// A joined array counts where all masks do that there are, and joining doesn't look at masks
    /// otherwise; a recurrent layer with initial states still reads its input's mask; attention
    /// takes no masks away; a TimeDistributed's output has the mask that the layer in it makes.
    Keras2,
}
