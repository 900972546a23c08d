//! What a call gives, on its way to the GPU.

use super::plan::Plan;
use crate::graph::Source;
use crate::model::Bound;
use ndarray::{Axis, CowArray, IxDyn};

/// The bytes of an array whose last axis is filled up to a multiple of 4.
pub(super) fn padded_bytes(array: &CowArray<'_, f32, IxDyn>) -> u64 {
    let features = array.len_of(Axis(array.ndim() - 1)).max(1);
    4 * (array.len() / features * features.next_multiple_of(4)) as u64
}

/// An array's values, its last axis filled up to a multiple of 4 with zeros, in `space` where they
/// have to be copied.
pub(super) fn padded<'a>(
    array: &'a CowArray<'_, f32, IxDyn>,
    space: &'a mut Vec<f32>,
) -> &'a [f32] {
    let last = Axis(array.ndim() - 1);
    match array.as_slice() {
        Some(values) if array.len_of(last).is_multiple_of(4) => values,
        _ => {
            space.clear();
            for lane in array.lanes(last) {
                space.extend(lane);
                space.resize(space.len().next_multiple_of(4), 0.0);
            }
            space
        }
    }
}

/// An array that the call gives.
pub(super) fn given<'a>(
    inputs: &'a Bound<'_, f32>,
    plan: &'a Plan,
    source: Source,
) -> Option<CowArray<'a, f32, IxDyn>> {
    match source {
        Source::Known(index) => plan.known.get(index).map(|known| known.view().into()),
        Source::Input(input) => Some(inputs.arrays.get(input)?.view().into()),
        Source::Mask(input) => {
            let mask = inputs.masks.get(input)?.as_ref()?;
            Some(mask.mapv(|counts| f32::from(u8::from(counts))).into_dyn().into())
        }
        Source::InitialState { node, index } => {
            Some(inputs.states.get(node)?.get(index)?.as_ref()?.view().into_dyn().into())
        }
        Source::Step | Source::Carried(_) | Source::Constant(_) | Source::Ones => None,
    }
}
