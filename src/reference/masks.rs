use super::{Arrays, Real};
use crate::error::{Error, Result};
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

    /// The masks of a node's inputs; `None` for an input that has none, or that the node's layer
    /// doesn't ask for.
    pub fn of_node<F: Real>(
        &mut self,
        model: &Model,
        node: usize,
        arrays: &Arrays<'_, F>,
    ) -> Result<Vec<Option<ArrayD<bool>>>> {
        let read = model.layers[model.nodes[node].layer].layer.computes_with_masks();
        let masks = self.masks.of_node[node].clone();
        masks
            .into_iter()
            .map(|mask| mask.filter(|_| read).map(|mask| self.mask(mask, arrays)).transpose())
            .collect()
    }

    fn mask<F: Real>(&mut self, index: usize, arrays: &Arrays<'_, F>) -> Result<ArrayD<bool>> {
        if let Some(known) = &self.known[index] {
            return Ok(known.clone());
        }
        let mask = self.compute(&self.masks.sources[index].clone(), arrays)?;
        Ok(self.known[index].insert(mask).clone())
    }

    fn compute<F: Real>(
        &mut self,
        source: &MaskSource,
        arrays: &Arrays<'_, F>,
    ) -> Result<ArrayD<bool>> {
        match source {
            MaskSource::Given(input) => match &self.given[*input] {
                Some(mask) => Ok(mask.clone().into_dyn()),
                None => Err(Error::Graph(format!("input number {input} has no mask"))),
            },
            MaskSource::Tensor(tensor) => Ok(arrays.get(*tensor)?.mapv(|value| value != F::zero())),
            MaskSource::Values { tensor, value } => {
                let value = F::nearest(f32::from_bits(*value).into());
                let array = arrays.get(*tensor)?;
                let last = Axis(array.ndim() - 1);
                Ok(array.map_axis(last, |features| features.iter().any(|&x| x != value)))
            }
            MaskSource::AnyInLastAxis(mask) => {
                let mask = self.mask(*mask, arrays)?;
                Ok(mask.map_axis(Axis(mask.ndim() - 1), |of| of.iter().any(|&counts| counts)))
            }
            MaskSource::Any(masks) => self.joined(masks, arrays, |a, b| a | b),
            MaskSource::All(masks) => self.joined(masks, arrays, |a, b| a & b),
            MaskSource::Concatenate(parts) => {
                let mut masks = Vec::new();
                for (tensor, mask) in parts {
                    masks.push(match mask {
                        Some(mask) => self.mask(*mask, arrays)?,
                        None => {
                            let shape = arrays.get(*tensor)?.shape();
                            ArrayD::from_elem(IxDyn(&shape[..shape.len() - 1]), true)
                        }
                    });
                }
                let views: Vec<_> = masks.iter().map(|mask| mask.view()).collect();
                concatenate(Axis(1), &views).map_err(|e| Error::Graph(format!("masks: {e}")))
            }
        }
    }

    fn joined<F: Real>(
        &mut self,
        masks: &[usize],
        arrays: &Arrays<'_, F>,
        join: impl Fn(ArrayD<bool>, &ArrayD<bool>) -> ArrayD<bool>,
    ) -> Result<ArrayD<bool>> {
        let masks = masks.iter().map(|&mask| self.mask(mask, arrays));
        let joined = masks.reduce(|joined, mask| Ok(join(joined?, &mask?)));
        joined.unwrap_or_else(|| Err(Error::Graph("no mask was joined of none".into())))
    }
}
