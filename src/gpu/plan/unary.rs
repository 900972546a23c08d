//! The launches of activations.

use super::array::Array;
use super::moving::Join;
use super::normalize::OfVectors;
use super::planner::Planner;
use crate::error::Result;
use crate::gpu::kernel::{Constants, Elementwise, Kernel};
use crate::graph::Step;
use crate::layer::Activation;
use crate::operator::{Activate, Relu};

impl Planner<'_> {
    pub(super) fn activate(&mut self, step: &Step, operator: &Activate) -> Result<()> {
        let (source, target) = (self.operand(step, 0)?, self.array(step.writes[0]));
        match operator.activation {
            Activation::Glu => self.glu(&source, &target),
            activation if activation.is_elementwise() => {
                self.elementwise(activation, Elementwise::default(), &source, &target);
                Ok(())
            }
            activation => {
                self.copy(&source, &target, Join::Store)?;
                self.normalize_vectors(&target, OfVectors::activation(activation));
                Ok(())
            }
        }
    }

    pub(super) fn relu(&mut self, step: &Step, operator: &Relu) -> Result<()> {
        let (source, target) = (self.operand(step, 0)?, self.array(step.writes[0]));
        let uniform = Elementwise {
            relu: 1,
            negative_slope: operator.negative_slope,
            max_value: operator.max_value.unwrap_or(f32::MAX),
            threshold: operator.threshold,
            lowest: if operator.max_value.is_some() { 0.0 } else { f32::MIN },
            ..Elementwise::default()
        };
        self.elementwise(Activation::Linear, uniform, &source, &target);
        Ok(())
    }

    /// The first half of each vector times the sigmoid of the second.
    pub(super) fn glu(&mut self, source: &Array, target: &Array) -> Result<()> {
        let gates = self.scratch_array(source.shape.clone())?;
        self.elementwise(Activation::Sigmoid, Elementwise::default(), source, &gates);
        self.take_features(source, target, 0, Join::Store)?;
        self.take_features(&gates, target, target.features(), Join::Multiply)
    }

    /// An activation, or what `uniform` says of a [`Relu`].
    fn elementwise(
        &mut self,
        activation: Activation,
        uniform: Elementwise,
        source: &Array,
        target: &Array,
    ) {
        let features4 = source.features_padded() / 4;
        let uniform = Elementwise {
            vectors: source.vectors() as u32,
            features: source.features() as u32,
            features4: features4 as u32,
            ..uniform
        };
        let constants = Constants { activation, ..Constants::default() };
        let buffers = vec![source.buffer, target.buffer];
        let invocations = source.vectors() * features4;
        self.flat_with(Kernel::Elementwise, constants, buffers, uniform, invocations);
    }
}
