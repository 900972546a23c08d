use super::Real;
use crate::model::{Bound, MaskSource, Masks, Model};
use ndarray::{Array2, ArrayD, Axis, IxDyn, concatenate};

/// The masks of a call, each computed when a layer first needs it.
pub(super) struct Evaluated<'a> {
    masks: Masks,
    given: &'a [Option<Array2<bool>>],
    known: Vec<Option<ArrayD<bool>>>,
}

impl<'a> Evaluated<'a> {
    pub fn new<F>(model: &Model, inputs: &'a Bound<'_, F>) -> Evaluated<'a> {
        let masks = model.masks(|input| inputs.masks[input].is_some());
        Evaluated { known: vec![None; masks.sources.len()], masks, given: &inputs.masks }
    }

    /// The masks of a node's inputs.
    pub fn of_node<F: Real>(
        &mut self,
        model: &Model,
        node: usize,
        arrays: &[Option<ArrayD<F>>],
    ) -> Vec<Option<ArrayD<bool>>> {
        let read = model.layers[model.nodes[node].layer].layer.computes_with_masks();
        let masks = self.masks.of_node[node].clone();
        masks
            .into_iter()
            .map(|mask| mask.filter(|_| read).and_then(|mask| self.mask(mask, arrays)))
            .collect()
    }

    fn mask<F: Real>(
        &mut self,
        index: usize,
        arrays: &[Option<ArrayD<F>>],
    ) -> Option<ArrayD<bool>> {
        if self.known[index].is_none() {
            self.known[index] = self.compute(&self.masks.sources[index].clone(), arrays);
        }
        self.known[index].clone()
    }

    fn compute<F: Real>(
        &mut self,
        source: &MaskSource,
        arrays: &[Option<ArrayD<F>>],
    ) -> Option<ArrayD<bool>> {
        match source {
            MaskSource::Given(input) => self.given[*input].clone().map(|mask| mask.into_dyn()),
            MaskSource::Tensor(tensor) => {
                Some(arrays[*tensor].as_ref()?.mapv(|value| value != F::zero()))
            }
            MaskSource::Values { tensor, value } => {
                let value = F::nearest(f32::from_bits(*value).into());
                let array = arrays[*tensor].as_ref()?;
                let last = Axis(array.ndim() - 1);
                Some(array.map_axis(last, |features| features.iter().any(|&x| x != value)))
            }
            MaskSource::AnyInLastAxis(mask) => {
                let mask = self.mask(*mask, arrays)?;
                Some(mask.map_axis(Axis(mask.ndim() - 1), |of| of.iter().any(|&counts| counts)))
            }
            MaskSource::Any(masks) => {
                let masks: Vec<_> =
                    masks.iter().filter_map(|&mask| self.mask(mask, arrays)).collect();
                masks.into_iter().reduce(|a, b| a | &b)
            }
            MaskSource::All(masks) => {
                let masks: Vec<_> =
                    masks.iter().filter_map(|&mask| self.mask(mask, arrays)).collect();
                masks.into_iter().reduce(|a, b| a & &b)
            }
            MaskSource::Concatenate(parts) => {
                let mut masks = Vec::new();
                for (tensor, mask) in parts {
                    let shape = arrays[*tensor].as_ref()?.shape();
                    let all = ArrayD::from_elem(IxDyn(&shape[..shape.len() - 1]), true);
                    masks.push(mask.and_then(|mask| self.mask(mask, arrays)).unwrap_or(all));
                }
                let views: Vec<_> = masks.iter().map(|mask| mask.view()).collect();
                concatenate(Axis(1), &views).ok()
            }
        }
    }
}
