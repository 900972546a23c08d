//! Where each array's mask comes from. A mask is `[batch, timesteps]`, true where the timestep counts; Keras hands it
//! from layer to layer beside the array. Pure: which masks there are depends on the graph and on the call alone.

use super::Model;
use crate::layer::{MaskRule, axis_of};

/// How a mask is made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum MaskSource {
    /// Given with the call, for this input of the model.
    Given(usize),
    /// True where this array, `[batch, timesteps]`, is not zero.
    Tensor(usize),
    /// True where not all features of this array have the value of these bits.
    Values { tensor: usize, value: u32 },
    /// True where any of these masks is.
    Any(Vec<usize>),
    /// One after another along time: of each array its mask, or true.
    Concatenate(Vec<(usize, Option<usize>)>),
}

#[cfg_attr(not(feature = "gpu"), allow(dead_code))]
impl MaskSource {
    /// The arrays that it is made from.
    pub fn tensors(&self) -> Vec<usize> {
        match self {
            MaskSource::Tensor(tensor) | MaskSource::Values { tensor, .. } => vec![*tensor],
            MaskSource::Given(_) | MaskSource::Any(_) | MaskSource::Concatenate(_) => vec![],
        }
    }
}

/// The masks of a call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Masks {
    /// In an order in which each only needs those before it.
    pub sources: Vec<MaskSource>,
    /// Of each array the index of its mask.
    pub of_tensor: Vec<Option<usize>>,
    /// Of each call of a layer the masks of its inputs.
    pub of_node: Vec<Vec<Option<usize>>>,
}

impl Masks {
    fn add(&mut self, source: MaskSource) -> usize {
        match self.sources.iter().position(|known| *known == source) {
            Some(index) => index,
            None => {
                self.sources.push(source);
                self.sources.len() - 1
            }
        }
    }

    /// The array that gives a mask its timesteps.
    #[cfg_attr(not(feature = "gpu"), allow(dead_code))]
    pub fn timesteps(&self, model: &Model, shapes: &[Vec<usize>], mask: usize) -> usize {
        match &self.sources[mask] {
            MaskSource::Given(input) => shapes[model.inputs[*input].tensor][0],
            MaskSource::Tensor(tensor) | MaskSource::Values { tensor, .. } => shapes[*tensor][0],
            MaskSource::Any(masks) => self.timesteps(model, shapes, masks[0]),
            MaskSource::Concatenate(parts) => parts.iter().map(|(tensor, _)| shapes[*tensor][0]).sum(),
        }
    }
}

impl Model {
    /// The masks of a call that gives masks for these inputs of the model.
    pub(crate) fn masks(&self, given: impl Fn(usize) -> bool) -> Masks {
        let mut masks = Masks { of_tensor: vec![None; self.tensors.len()], ..Masks::default() };
        for (index, input) in self.inputs.iter().enumerate() {
            if given(index) {
                masks.of_tensor[input.tensor] = Some(masks.add(MaskSource::Given(index)));
            }
        }
        for node in &self.nodes {
            let mut of_inputs: Vec<_> = node.inputs.iter().map(|&tensor| masks.of_tensor[tensor]).collect();
            for (slot, tensor) in of_inputs.iter_mut().zip(&node.masks) {
                if let Some(tensor) = *tensor {
                    *slot = Some(masks.add(MaskSource::Tensor(tensor)));
                }
            }
            let layer = &self.layers[node.layer].layer;
            let input = node.inputs[0];
            let output = match layer.masking() {
                MaskRule::Drop => None,
                MaskRule::Pass => of_inputs[0],
                MaskRule::Ids => Some(masks.add(MaskSource::Tensor(input))),
                MaskRule::Values(value) => {
                    Some(masks.add(MaskSource::Values { tensor: input, value: value.to_bits() }))
                }
                MaskRule::Any => of_inputs.iter().copied().collect::<Option<Vec<_>>>().map(|of| masks.any(of)),
                MaskRule::Concatenate(axis) => {
                    masks.concatenate(&node.inputs, &of_inputs, axis_of(axis, self.tensors[input].shape.len()))
                }
            };
            let outputs = node.results.iter().filter(|&&t| !self.tensors[t].role.is_state());
            outputs.for_each(|&tensor| masks.of_tensor[tensor] = output);
            masks.of_node.push(of_inputs);
        }
        masks
    }
}

impl Masks {
    fn any(&mut self, mut of: Vec<usize>) -> usize {
        of.sort_unstable();
        of.dedup();
        if of.len() == 1 { of[0] } else { self.add(MaskSource::Any(of)) }
    }

    /// Keras's `Concatenate`: along time the masks follow one another, with true for an array that has none; along
    /// features any of them counts, and an array without one makes all true, which is as good as no mask.
    fn concatenate(&mut self, inputs: &[usize], of: &[Option<usize>], axis: Result<usize, String>) -> Option<usize> {
        if of.iter().all(Option::is_none) {
            return None;
        }
        match axis {
            Ok(0) => Some(self.add(MaskSource::Concatenate(inputs.iter().copied().zip(of.iter().copied()).collect()))),
            _ => of.iter().copied().collect::<Option<Vec<_>>>().map(|of| self.any(of)),
        }
    }
}
