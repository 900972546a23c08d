//! A layer for tests: one operator, whatever it is.

use super::definition::Definition;
use super::dims::Dims;
use super::lowering::Lowering;
use crate::error::Error;
use crate::graph::{ArrayId, Constant};
use crate::operator::{Expand, Operator, Slice};
use ndarray::ArrayD;
use std::ops::RangeInclusive;

/// An operator on inputs of the model and constants. Its inputs are `[batch, values]`, whose first
/// row gets the operands' shapes, and it returns what is computed of it in every row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Probe {
    pub operator: Operator,
    pub operands: Vec<Operand>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand {
    Input(ArrayD<f32>),
    Constant(ArrayD<f32>),
    Missing,
}

impl Operand {
    pub fn shape(&self) -> Option<&[usize]> {
        match self {
            Operand::Input(array) | Operand::Constant(array) => Some(array.shape()),
            Operand::Missing => None,
        }
    }
}

impl Probe {
    /// The shape of what the operator writes.
    pub fn writes(&self) -> Result<Vec<usize>, String> {
        let shapes: Vec<_> = self.operands.iter().map(Operand::shape).collect();
        Ok(self.operator.rules().writes(&shapes)?.remove(0))
    }

    pub fn inputs(&self) -> Vec<&ArrayD<f32>> {
        let inputs = self.operands.iter().filter_map(|operand| match operand {
            Operand::Input(array) => Some(array),
            _ => None,
        });
        inputs.collect()
    }
}

impl Definition for Probe {
    fn class_name(&self) -> &'static str {
        "Probe"
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        1..=usize::MAX
    }

    fn output(&self, _: &[Dims]) -> Result<Dims, String> {
        Ok(vec![Some(self.writes()?.iter().product())])
    }

    fn constants<'w>(&self, _: &'w [ArrayD<f32>], _: &[Dims]) -> Vec<Constant<'w>> {
        let constant = |operand: &Operand| match operand {
            Operand::Constant(array) => Some(Constant::Derived(array.mapv(f64::from))),
            _ => None,
        };
        self.operands.iter().filter_map(constant).collect()
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let batch = call.shape(call.input(0))[0];
        let (mut inputs, mut constants) = (0.., 0..);
        let mut reads = Vec::new();
        for operand in &self.operands {
            reads.push(match operand {
                Operand::Input(array) => {
                    let input = call.input(inputs.next().unwrap_or(0));
                    let row = call.apply(Slice { axis: 0, start: 0, step: 1, length: 1 }, input)?;
                    Some(call.reshaped(row, array.shape().to_vec())?)
                }
                Operand::Constant(array) => {
                    Some(call.constant(constants.next().unwrap_or(0), array.shape()))
                }
                Operand::Missing => None,
            });
        }
        let written = call.add(self.operator.clone(), reads)?;
        let values = call.shape(written).iter().product();
        let row = call.reshaped(written, vec![1, values])?;
        call.apply(Expand { shape: vec![batch, values] }, row)
    }
}
