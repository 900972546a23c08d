//! Layers that join several arrays.

use super::definition::{Definition, MaskRule, arguments};
use super::dims::{Dims, axis_of, describe};
use super::lowering::Lowering;
use crate::error::Error;
use crate::graph::ArrayId;
use crate::operator::{
    BatchedMatMul, Binary, BinaryFunction, Combination, Combine, Concat, Normalization, Normalize,
    Transpose, Unary, UnaryFunction,
};
use serde::{Deserialize, Serialize};
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Merge {
    pub(crate) operation: Operation,
}

/// How arrays are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
                    describe(&output),
                    describe(other)
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

    fn reads_numbers(&self) -> bool {
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
                    describe(&inputs[0]),
                    describe(other),
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

arguments! {
    /// Keras's `Dot`: products of two arrays, summed over an axis of each, for each row of the
    /// batch by itself. The output has the other axes of the first array and then those of the
    /// second; `[batch, 1]` where there are none. It doesn't hand a mask on.
    ///
    /// ```
    /// use birnn::{Device, Graph, Inputs, layer::Dot};
    /// let mut graph = Graph::new();
    /// let queries = graph.sequence_input("queries", None, 2)?;
    /// let keys = graph.sequence_input("keys", None, 2)?;
    /// let scores = graph.add(Dot::new((2, 2)), [queries, keys])?; // [batch, queries, keys]
    /// let mut session = Device::cpu().compile(&graph.build(scores)?)?;
    /// let (q, k) = (ndarray::Array3::<f32>::ones((1, 3, 2)), ndarray::Array3::ones((1, 4, 2)));
    /// let outputs = session.run(Inputs::new(q.view()).input(k.view()))?;
    /// assert_eq!(outputs.output(), &ndarray::Array3::from_elem((1, 3, 4), 2.0).into_dyn());
    /// # Ok::<(), birnn::Error>(())
    /// ```
    Dot(
        /// The axis of each array that is summed over, counted as in Keras: 1 is the first after
        /// the batch. They are equally long.
        axes: (isize, isize)
    ) {
        /// Whether both arrays are divided by their L2 norms along these axes first (default:
        /// false), so that the output is a cosine.
        normalize: bool = false,
    }
}

impl Dot {
    /// The axes as indices of [`Dims`].
    fn axes_of(&self, dims: [usize; 2]) -> Result<[usize; 2], String> {
        Ok([axis_of(self.axes.0, dims[0])?, axis_of(self.axes.1, dims[1])?])
    }

    /// An operand with the axis that is summed over as the last one, or right behind the batch:
    /// `[batch, others, summed]` or `[batch, summed, others]`.
    fn matrix(
        &self,
        call: &mut Lowering,
        input: usize,
        axis: usize,
        last: bool,
    ) -> Result<ArrayId, Error> {
        let mut x = call.input(input);
        if self.normalize {
            let normalization = Normalization::Unit;
            x = call.apply(Normalize { axes: vec![axis], normalization }, x)?;
        }
        let shape = call.shape(x);
        let others = (1..shape.len()).filter(|&other| other != axis);
        let order: Vec<_> = match last {
            true => [0].into_iter().chain(others).chain([axis]).collect(),
            false => [0, axis].into_iter().chain(others).collect(),
        };
        if !order.is_sorted() {
            x = call.apply(Transpose { order }, x)?;
        }
        let (batch, summed) = (shape[0], shape[axis]);
        let others = shape[1..].iter().product::<usize>() / summed.max(1);
        let matrix = if last { vec![batch, others, summed] } else { vec![batch, summed, others] };
        call.reshaped(x, matrix)
    }
}

impl Definition for Dot {
    fn class_name(&self) -> &'static str {
        "Dot"
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        2..=2
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let (mut one, mut other) = (inputs[0].clone(), inputs[1].clone());
        let [axis, other_axis] = self.axes_of([one.len(), other.len()])?;
        match (one.remove(axis), other.remove(other_axis)) {
            (Some(a), Some(b)) if a != b => Err(format!("it sums over axes of length {a} and {b}")),
            (Some(0), _) | (_, Some(0)) => Err("it sums over axes of length 0".to_string()),
            _ => {
                one.extend(other);
                Ok(if one.is_empty() { vec![Some(1)] } else { one })
            }
        }
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Drop
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let shapes = [0, 1].map(|input| call.shape(call.input(input)));
        let dims = [shapes[0].len() - 1, shapes[1].len() - 1];
        let graph = |reason| Error::Graph(format!("layer {:?}: {reason}", call.name));
        let axes = self.axes_of(dims).map_err(graph)?.map(|axis| axis + 1);
        let a = self.matrix(call, 0, axes[0], true)?;
        let b = self.matrix(call, 1, axes[1], false)?;
        let product = call.add(BatchedMatMul, [Some(a), Some(b)])?;
        let others = |input: usize| {
            let axis = axes[input];
            let lengths = shapes[input].iter().enumerate().skip(1);
            lengths.filter(move |&(other, _)| other != axis).map(|(_, &length)| length)
        };
        let mut output: Vec<_> =
            [shapes[0][0]].into_iter().chain(others(0)).chain(others(1)).collect();
        if output.len() == 1 {
            output.push(1);
        }
        call.reshaped(product, output)
    }
}
