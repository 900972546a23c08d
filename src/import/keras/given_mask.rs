//! The masks that calls give in a file, and whether the model computes the same.

use super::mask_operation::{Mask, MaskExpressions};
use crate::{Error, Model, Tensor};

/// A mask that a call gives.
#[derive(Clone)]
pub(super) struct GivenMask {
    /// It, where it is an array.
    pub array: Option<Tensor>,
    /// It among the masks that operations compute.
    pub mask: Mask,
    /// For messages.
    pub reference: String,
}

impl GivenMask {
    pub(super) fn none() -> GivenMask {
        GivenMask { array: None, mask: None, reference: "None".to_string() }
    }

    /// `call` is the number of the call in the file.
    pub(super) fn spelled_out(
        self,
        layer: &str,
        (node, call): (usize, usize),
        input: usize,
    ) -> SpelledOut {
        let GivenMask { mask, reference, .. } = self;
        SpelledOut { layer: layer.to_string(), node, call, input, mask, reference }
    }
}

/// A mask that the file spells out, and the input of a call that has to have it.
pub(super) struct SpelledOut {
    layer: String,
    /// The call's place in the model.
    node: usize,
    /// Its number among those of the file.
    call: usize,
    input: usize,
    mask: Mask,
    reference: String,
}

/// The first mask that the file spells out and that isn't the one that the model computes: the
/// number of the call, and the error where nothing else helps.
pub(super) fn other_mask(
    model: &Model,
    mut expressions: MaskExpressions,
    spelled_out: Vec<SpelledOut>,
) -> Option<(usize, Error)> {
    let masks = model.mask_origins(|_| false);
    let found = expressions.of_model(&masks.origins);
    for SpelledOut { layer, node, call, input, mask, reference } in spelled_out {
        let carried = masks.calls[node].get(input).copied().flatten().and_then(|mask| found[mask]);
        if carried != mask {
            let error = Error::UnsupportedArgument {
                layer,
                argument: "mask".into(),
                value: reference,
                reason: "it is not the mask that the input carries; give the mask as an input of \
                         the model"
                    .into(),
            };
            return Some((call, error));
        }
    }
    None
}
