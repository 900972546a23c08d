//! Layers that join several arrays.

use super::definition::{Definition, MaskRule, arguments};
use super::dims::{Dims, axis_of, shown};
use super::lowering::Lowering;
use crate::error::Error;
use crate::graph::ArrayId;
use crate::operator::{Binary, BinaryFunction, Combination, Combine, Concat, Unary, UnaryFunction};
use std::ops::RangeInclusive;

/// Keras's `Add`, `Subtract`, `Multiply`, `Average`, `Maximum` and `Minimum`, which join arrays of
/// the same shape value by value. They are called on two or more arrays, `Subtract` on two.
///
/// The arrays have the same rank and the same lengths, but for axes of length one: such an array is
/// repeated along that axis. The output has the longest length of each axis.
///
/// ```
/// use birnn::{Device, Graph, Inputs, layer::Merge};
/// let mut graph = Graph::new();
/// let a = graph.sequence_input("a", None, 2)?;
/// let b = graph.sequence_input("b", None, 2)?;
/// let larger = graph.add(Merge::maximum(), [a, b])?;
/// let mut session = Device::cpu().compile(&graph.build(larger)?)?;
/// let a = ndarray::Array3::<f32>::ones((1, 4, 2));
/// let b = ndarray::Array3::<f32>::zeros((1, 4, 2));
/// let outputs = session.run(Inputs::new(a.view()).input(b.view()))?;
/// assert_eq!(outputs.output(), &a.into_dyn());
/// # Ok::<(), birnn::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Merge {
    pub(crate) operation: Operation,
}

/// How arrays are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Add,
    Subtract,
    Multiply,
    Average,
    Maximum,
    Minimum,
}

impl Operation {
    /// What joins two arrays; of a mean their sum.
    fn of_two(self) -> BinaryFunction {
        match self {
            Operation::Add | Operation::Average => BinaryFunction::Add,
            Operation::Subtract => BinaryFunction::Subtract,
            Operation::Multiply => BinaryFunction::Multiply,
            Operation::Maximum => BinaryFunction::Maximum,
            Operation::Minimum => BinaryFunction::Minimum,
        }
    }

    /// What joins arrays of which some are masked; `None`: their masks don't count.
    fn with_masks(self) -> Option<Combination> {
        match self {
            Operation::Multiply => Some(Combination::Product),
            Operation::Maximum => Some(Combination::Largest),
            Operation::Minimum => Some(Combination::Smallest),
            Operation::Add | Operation::Subtract | Operation::Average => None,
        }
    }
}

macro_rules! merges {
    ($($(#[$doc:meta])* $name:ident $operation:ident),+) => {
        impl Merge {
            $($(#[$doc])* pub fn $name() -> Merge {
                Merge { operation: Operation::$operation }
            })+
        }
    };
}
merges! {
    /// Keras's `Add`: the sum of the arrays.
    add Add,
    /// Keras's `Subtract`: the first array minus the second.
    subtract Subtract,
    /// Keras's `Multiply`: the product of the arrays.
    multiply Multiply,
    /// Keras's `Average`: the mean of the arrays.
    average Average,
    /// Keras's `Maximum`: the largest value of the arrays in each place.
    maximum Maximum,
    /// Keras's `Minimum`: the smallest value of the arrays in each place.
    minimum Minimum
}

impl Definition for Merge {
    fn class_name(&self) -> &'static str {
        match self.operation {
            Operation::Add => "Add",
            Operation::Subtract => "Subtract",
            Operation::Multiply => "Multiply",
            Operation::Average => "Average",
            Operation::Maximum => "Maximum",
            Operation::Minimum => "Minimum",
        }
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        if self.operation == Operation::Subtract { 2..=2 } else { 2..=usize::MAX }
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let mut output = inputs[0].clone();
        for other in &inputs[1..] {
            if other.len() != output.len() {
                return Err(format!(
                    "its inputs {} and {} differ in rank",
                    shown(&output),
                    shown(other)
                ));
            }
            for (axis, &length) in output.iter_mut().zip(other) {
                *axis = match (*axis, length) {
                    (Some(1), n) | (n, Some(1)) => n,
                    (None, n) | (n, None) => n,
                    (Some(a), Some(b)) if a == b => Some(a),
                    (Some(a), Some(b)) => {
                        return Err(format!("its inputs have axes of length {a} and {b}"));
                    }
                };
            }
        }
        Ok(output)
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Any
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let count = call.inputs.len();
        if let Some(operation) = self.operation.with_masks()
            && call.masks.iter().any(Option::is_some)
        {
            let masks = (0..count).map(|index| call.mask(index));
            let reads: Vec<_> = call.inputs.iter().map(|&input| Some(input)).chain(masks).collect();
            return call.add(Combine { operation, count }, reads);
        }
        let function = self.operation.of_two();
        let mut joined = call.input(0);
        for index in 1..count {
            joined = call.add(Binary { function }, [Some(joined), Some(call.input(index))])?;
        }
        match self.operation {
            Operation::Average => {
                call.apply(Unary { function: UnaryFunction::DividedBy(count as f32) }, joined)
            }
            _ => Ok(joined),
        }
    }

    fn computes_with_masks(&self) -> bool {
        true
    }

    fn reads_mask(&self, mask_axes: usize, axes: usize) -> bool {
        mask_axes + 1 == axes
    }

    fn looks_at_arrays_masks(&self) -> bool {
        true
    }
}

arguments! {
    /// Keras's `Concatenate`: puts arrays one after another along an axis. They have the same rank,
    /// and the same lengths along all other axes; so `[batch, timesteps, 2]` and
    /// `[batch, timesteps, 3]` give `[batch, timesteps, 5]`.
    Concatenate() {
        /// The axis (default: -1, the last), counted as in Keras: 1 is the first after the batch.
        axis: isize = -1,
    }
}

impl Definition for Concatenate {
    fn class_name(&self) -> &'static str {
        "Concatenate"
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        1..=usize::MAX
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let along = axis_of(self.axis, inputs[0].len())?;
        let mut output = inputs[0].clone();
        for other in &inputs[1..] {
            let fits = other.len() == output.len()
                && (0..other.len()).all(|i| {
                    i == along || other[i].is_none() || output[i].is_none() || other[i] == output[i]
                });
            if !fits {
                return Err(format!(
                    "its inputs {} and {} differ beside axis {}",
                    shown(&inputs[0]),
                    shown(other),
                    self.axis
                ));
            }
            for (index, axis) in output.iter_mut().enumerate() {
                *axis = match index == along {
                    true => axis.zip(other[index]).map(|(a, b)| a.saturating_add(b)),
                    false => axis.or(other[index]),
                };
            }
        }
        Ok(output)
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Concatenate(self.axis)
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let axis = call.axis(self.axis)?;
        let reads: Vec<_> = call.inputs.iter().map(|&input| Some(input)).collect();
        call.add(Concat { axis }, reads)
    }

    // Along time or the last axis: as a mask has them.
    fn reads_mask(&self, mask_axes: usize, axes: usize) -> bool {
        mask_axes == 1 && axes == 2
    }
}
