//! A layer whose arrays have the features right behind the batch; the type itself stands beside
//! that of all layers.

use super::definition::{Definition, MaskRule, WeightSpec, Wrong};
use super::dims::Dims;
use super::kinds::{ChannelsFirst, Feedforward, Kind, Layer};
use super::lowering::Lowering;
use crate::error::Result;
use crate::graph::{ArrayId, Constant};
use crate::operator::Transpose;
use ndarray::ArrayD;

impl ChannelsFirst {
    /// `layer` on arrays `[batch, features, …]`.
    pub fn new(layer: impl Into<Layer>) -> ChannelsFirst {
        ChannelsFirst { layer: Box::new(layer.into()) }
    }

    /// What the layer inside reads: the features last.
    fn inside(inputs: &[Dims]) -> Vec<Dims> {
        let last = |dims: &Dims| {
            let mut dims = dims.clone();
            if dims.len() > 1 {
                dims.rotate_left(1);
            }
            dims
        };
        inputs.iter().map(last).collect()
    }
}

impl Definition for ChannelsFirst {
    fn class_name(&self) -> &'static str {
        self.layer.class_name()
    }

    fn check(&self) -> Result<(), Wrong> {
        match &*self.layer {
            Layer::Feedforward(Feedforward { kind, .. })
                if self.layer.inputs() == (1..=1)
                    && self.layer.state_roles().is_empty()
                    && !matches!(
                        kind,
                        Kind::TimeDistributed(_) | Kind::ChannelsFirst(_) | Kind::Foreign(_)
                    ) =>
            {
                kind.definition().check()
            }
            other => {
                let reason = format!("{} has no data_format", other.class_name());
                Err(("layer", reason))
            }
        }
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let results = self.layer.results(&ChannelsFirst::inside(inputs));
        let mut results = results.map_err(|error| error.to_string())?;
        let mut output = results.swap_remove(0).1;
        if output.len() > 1 {
            output.rotate_right(1);
        }
        Ok(output)
    }

    fn weights(&self, inputs: &[Dims]) -> Vec<WeightSpec> {
        self.layer.weight_specs(&ChannelsFirst::inside(inputs))
    }

    fn constants<'w>(&'w self, weights: &'w [ArrayD<f32>], inputs: &[Dims]) -> Vec<Constant<'w>> {
        let inside = ChannelsFirst::inside(inputs);
        self.layer.definition().map_or(Vec::new(), |kind| kind.constants(weights, &inside))
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId> {
        let axes = call.shape(call.input(0)).len();
        let mut inputs = call.inputs.clone();
        if axes > 2 {
            let order = [0].into_iter().chain(2..axes).chain([1]).collect();
            inputs[0] = call.apply(Transpose { order }, call.input(0))?;
        }
        let (layer, name, masks) = (call.layer, call.name, call.masks.clone());
        let mut inside = Lowering { graph: &mut *call.graph, layer, name, inputs, masks };
        let output = self.layer.lower(&mut inside, &[])?[0];
        match call.shape(output).len() {
            axes @ 3.. => {
                let order = [0, axes - 1].into_iter().chain(1..axes - 1).collect();
                call.apply(Transpose { order }, output)
            }
            _ => Ok(output),
        }
    }

    fn reads_numbers(&self) -> bool {
        self.layer.reads_numbers()
    }

    fn masking(&self) -> MaskRule {
        self.layer.masking()
    }

    fn computes_with_masks(&self) -> bool {
        self.layer.computes_with_masks()
    }

    fn reads_mask(&self, mask_axes: usize, axes: usize) -> bool {
        self.layer.reads_mask(mask_axes, axes)
    }

    fn has_mask_argument(&self) -> bool {
        self.layer.definition().is_some_and(|kind| kind.has_mask_argument())
    }
}
