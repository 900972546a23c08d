//! The launches of activations.

use super::array::Array;
use super::normalize::OfVectors;
use super::planner::Planner;
use super::walk::Route;
use crate::error::Result;
use crate::gpu::kernel::{self, Constants, Elementwise, Kernel};
use crate::graph::Step;
use crate::layer::Activation;
use crate::operator::{Activate, BinaryFunction, Relu, UnaryFunction};

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
                self.copy(&source, &target)?;
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
        let sigmoids = self.scratch_array(source.shape.clone())?;
        self.elementwise(Activation::Sigmoid, Elementwise::default(), source, &sigmoids);
        let half = |first: usize| Route::new(source.strides()).from(first);
        let (values, gates) = (half(0), half(target.features()));
        let arrays = [(source, values), (&sigmoids, gates.clone()), (&sigmoids, gates)];
        self.broadcast_along(arrays, BinaryFunction::Multiply as u32, target)
    }

    pub(super) fn unary(&mut self, step: &Step, function: UnaryFunction) -> Result<()> {
        let (source, target) = (self.operand(step, 0)?, self.array(step.writes[0]));
        let features4 = source.features_padded() / 4;
        let (function, divisor) = match function {
            UnaryFunction::DividedBy(divisor) => (0, divisor),
            UnaryFunction::Negate => (1, 1.0),
            UnaryFunction::Absolute => (2, 1.0),
            UnaryFunction::Reciprocal => (3, 1.0),
            UnaryFunction::Sqrt => (4, 1.0),
            UnaryFunction::Log => (5, 1.0),
            UnaryFunction::Erf => (6, 1.0),
            UnaryFunction::Sin => (7, 1.0),
            UnaryFunction::Cos => (8, 1.0),
            UnaryFunction::Floor => (9, 1.0),
            UnaryFunction::Ceil => (10, 1.0),
            UnaryFunction::Round => (11, 1.0),
            UnaryFunction::Truncate => (12, 1.0),
            UnaryFunction::Sign => (13, 1.0),
            UnaryFunction::Not => (14, 1.0),
            UnaryFunction::IsNan => (15, 1.0),
        };
        let uniform = kernel::Unary {
            vectors: source.vectors() as u32,
            features: source.features() as u32,
            features4: features4 as u32,
            function,
            divisor,
        };
        let buffers = vec![source.buffer, target.buffer];
        self.flat(Kernel::Unary, buffers, uniform, source.vectors() * features4);
        Ok(())
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
