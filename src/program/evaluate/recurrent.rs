//! Recurrent layers.

use super::operands::Operands;
use super::{Array, Evaluator};
use crate::layer::Layer;
use crate::operator::{self, MergeMode};
use crate::program::layers::OfLayer;
use crate::program::shapes::Reason;
use crate::program::values::Kind;

impl Evaluator {
    /// `weights`: where they are.
    pub(super) fn recurrent(
        &mut self,
        operands: &Operands,
        layer: &Layer,
        in_order_of_time: bool,
        weights: Option<OfLayer>,
    ) -> Reason<Vec<Array>> {
        let weights = weights.ok_or("its weights are computed in the call")?;
        let x = operands.get(0)?;
        if x.rank() != 3 || x.shape()[2] != weights.features {
            let (shape, features) = (x.shape(), weights.features);
            return Err(format!("it reads {shape:?}, and its weights are for {features} features"));
        }
        let directions = layer.directions();
        let alone = directions.len() == 1;
        let reader = |index: usize| {
            let layer = directions[index].1;
            let turned = in_order_of_time && layer.go_backwards();
            layer.reader(if alone { turned } else { index == 1 })
        };
        let states: usize = directions.iter().map(|(_, layer)| layer.cell().states()).sum();
        let operator = operator::Recurrent {
            directions: (0..directions.len()).map(reader).collect(),
            merge_mode: MergeMode::Concat,
            return_sequences: weights.has_reader,
            weights: weights.layer,
        };
        let mut reads = vec![Some(self.straight(x)?)];
        for operand in 1..operator::Recurrent::STATES + states {
            let array = operands.optional(operand).filter(|array| !is_zero_state(operand, array));
            reads.push(array.map(|array| self.straight(array)).transpose()?);
        }
        let written = self.step(operator, &reads)?;
        let array = |array| Array::Computed(self.straight_array(array, Kind::Float));
        Ok(written.into_iter().map(array).collect())
    }
}

/// Whether an operand is an initial state of zeros, which is what a recurrence starts from without
/// one.
fn is_zero_state(operand: usize, array: &Array) -> bool {
    let zeros = |values: &crate::program::values::Values| values.to_bools().iter().all(|one| !one);
    operand >= operator::Recurrent::STATES && array.known().is_some_and(zeros)
}
