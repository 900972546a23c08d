//! Steps that belong together as one: a product or a convolution, the bias that is added to it, and
//! its activation; a normalization with its gamma and beta; attention ([`super::attention`]).

use super::{ArrayId, Constants, OperatorGraph, Source, Step};
use crate::operator::{Activate, BinaryFunction, Normalization, Operator};
use birnn_cell::Activation;

impl OperatorGraph {
    /// The same graph, in which products and convolutions add their bias and compute their
    /// activation where steps of their own did, normalizations have their gamma and beta, and
    /// attention is one step. The constants are those of the model.
    #[allow(dead_code)] // Only backends that run steps one by one ask.
    pub fn fused(mut self, constants: &Constants<f32>) -> OperatorGraph {
        self = self.with_attention(&|graph, array| graph.number(array, constants));
        let readers = self.readers();
        let mut gone = vec![false; self.steps.len()];
        for at in 0..self.steps.len() {
            loop {
                let step = &self.steps[at];
                let fused = match readers[step.writes[0].0][..] {
                    [Some(reader)] => self.joined(step, &self.steps[reader]),
                    [Some(one), Some(other)] => self.with_silu(step, &readers, [one, other]),
                    _ => None,
                };
                let Some(fused) = fused else { break };
                for reader in readers[step.writes[0].0].iter().flatten() {
                    gone[*reader] = true;
                }
                self.steps[at] = fused;
            }
        }
        let mut gone = gone.into_iter();
        self.steps.retain(|_| gone.next() != Some(true));
        // What no step writes any more needs no memory.
        let mut written = vec![false; self.arrays.len()];
        for array in self.steps.iter().flat_map(|step| &step.writes) {
            written[array.0] = true;
        }
        for (array, written) in self.arrays.iter_mut().zip(written) {
            if array.source == Source::Step && !written {
                array.shape = vec![0];
            }
        }
        self
    }

    /// The value of an array that has one, which is the same in all calls of the graph.
    fn number(&self, array: ArrayId, constants: &Constants<f32>) -> Option<f32> {
        let values = match self.arrays[array.0].source {
            Source::Constant(id) => constants.get(id)?,
            Source::Known(index) => &**self.known.get(index)?,
            _ => return None,
        };
        values.first().copied().filter(|_| values.len() == 1)
    }

    /// Of each array the steps that read it; `None`: it is needed behind all steps.
    pub(super) fn readers(&self) -> Vec<Vec<Option<usize>>> {
        let mut readers = vec![Vec::new(); self.arrays.len()];
        for (at, step) in self.steps.iter().enumerate() {
            step.reads.iter().flatten().for_each(|array| readers[array.0].push(Some(at)));
        }
        for array in self.outputs.iter().chain(self.carried.iter().map(|(_, array)| array)) {
            readers[array.0].push(None);
        }
        readers
    }

    /// A product or a convolution whose result two steps read, as one with both: `x · sigmoid(x)`.
    fn with_silu(
        &self,
        step: &Step,
        readers: &[Vec<Option<usize>>],
        [one, other]: [usize; 2],
    ) -> Option<Step> {
        let (sigmoid, product) = (&self.steps[one], &self.steps[other]);
        let is_sigmoid = matches!(&sigmoid.operator, Operator::Activate(operator)
            if operator.activation == Activation::Sigmoid);
        let is_product = matches!(&product.operator, Operator::Binary(operator)
            if operator.function == BinaryFunction::Multiply);
        let is_only_for_it = readers[sigmoid.writes[0].0] == [Some(other)];
        if !(is_sigmoid && is_product && is_only_for_it) {
            return None;
        }
        let silu = Activate { activation: Activation::Silu };
        self.joined(step, &Step { operator: silu.into(), ..product.clone() })
    }

    /// A product, a convolution or a normalization and the step that reads what it writes as one.
    fn joined(&self, step: &Step, reader: &Step) -> Option<Step> {
        if let Operator::Normalize(_) = step.operator {
            return self.with_weights(step, reader);
        }
        let mut joined = Step { writes: reader.writes.clone(), ..step.clone() };
        let activation = match &mut joined.operator {
            Operator::MatMul(operator) => &mut operator.activation,
            Operator::Convolution(operator) => &mut operator.activation,
            _ => return None,
        };
        match &reader.operator {
            _ if *activation != Activation::Linear => return None,
            Operator::Activate(operator) => *activation = operator.activation,
            Operator::Binary(operator) if operator.function == BinaryFunction::Add => {
                let bias = self.bias(step, reader, step.writes[0])?;
                joined.reads.truncate(2);
                joined.reads.push(Some(bias));
            }
            _ => return None,
        }
        Some(joined)
    }

    /// A normalization and the step that multiplies with its gamma or adds its beta.
    fn with_weights(&self, step: &Step, reader: &Step) -> Option<Step> {
        let (Operator::Normalize(operator), Operator::Binary(binary)) =
            (&step.operator, &reader.operator)
        else {
            return None;
        };
        let given = |operand: usize| step.reads.get(operand).copied().flatten().is_some();
        let by = operator.normalization;
        let is_softmax = matches!(by, Normalization::Softmax | Normalization::LogSoftmax);
        // x · gamma + beta: no gamma comes behind a beta.
        let operand = match binary.function {
            BinaryFunction::Multiply if !given(1) && !given(2) => 1,
            BinaryFunction::Add if !given(2) => 2,
            _ => return None,
        };
        let written = step.writes[0];
        let shape = self.shape(written);
        let other = reader.reads.iter().flatten().find(|&&array| array != written).copied()?;
        let axes = shape.len().checked_sub(operator.axes.len())?..shape.len();
        let is_of_axes = operator.axes.iter().copied().eq(axes.clone())
            && self.is_weight(other, &shape[axes], shape.len());
        if is_softmax || !is_of_axes {
            return None;
        }
        let mut joined = Step { writes: reader.writes.clone(), ..step.clone() };
        joined.reads.resize(3, None);
        joined.reads[operand] = Some(other);
        Some(joined)
    }

    /// A constant with a value for each column that a sum adds to what a step writes, which has no
    /// bias yet.
    fn bias(&self, step: &Step, sum: &Step, written: ArrayId) -> Option<ArrayId> {
        let has_bias = step.reads.get(2).copied().flatten().is_some();
        let other = sum.reads.iter().flatten().find(|&&array| array != written).copied()?;
        let shape = self.shape(written);
        let columns = shape.len().checked_sub(1)?..;
        (!has_bias && self.is_weight(other, &shape[columns], shape.len())).then_some(other)
    }

    /// Whether an array is the same in all calls of the graph, of this shape or with axes of length
    /// one before, of at most so many axes.
    fn is_weight(&self, array: ArrayId, wanted: &[usize], most_axes: usize) -> bool {
        let shape = self.shape(array);
        let Some(before) = shape.len().checked_sub(wanted.len()) else { return false };
        matches!(self.arrays[array.0].source, Source::Constant(_) | Source::Known(_))
            && shape.len() <= most_axes
            && shape[..before].iter().all(|&length| length == 1)
            && shape[before..] == *wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::ConstantId;
    use crate::operator::{Binary, MatMul, Normalize};
    use ndarray::ArrayD;

    /// `relu(x · kernel + other)` of an array `[2, 3]`, and the names of its steps once they are
    /// fused, with the operands of the first.
    fn fused(
        other: impl Fn(&mut OperatorGraph) -> ArrayId,
        returns_sum: bool,
    ) -> (Vec<&'static str>, Vec<Option<ArrayId>>) {
        let mut graph = OperatorGraph::default();
        let x = graph.feed(Source::Input(0), [2, 3]);
        let kernel = graph.feed(Source::Constant(ConstantId { layer: 0, index: 0 }), [3, 4]);
        let matmul = MatMul { activation: Activation::Linear };
        let product = graph.step("product", matmul, [Some(x), Some(kernel)]).unwrap()[0];
        let other = other(&mut graph);
        let add = Binary { function: BinaryFunction::Add };
        let sum = graph.step("sum", add, [Some(other), Some(product)]).unwrap()[0];
        let relu = Activate { activation: Activation::Relu };
        graph.outputs = graph.step("relu", relu, [Some(sum)]).unwrap();
        if returns_sum {
            graph.outputs.push(sum);
        }
        let last = graph.outputs[0];
        let graph = graph.fused(&Constants::new([]));
        assert_eq!(graph.steps.last().unwrap().writes, [last]);
        let names = graph.steps.iter().map(|step| step.operator.rules().name()).collect();
        (names, graph.steps[0].reads.clone())
    }

    #[test]
    fn bias_and_activation_become_part_of_a_product() {
        let constant = |shape: &'static [usize]| {
            let source = Source::Constant(ConstantId { layer: 0, index: 1 });
            move |graph: &mut OperatorGraph| graph.feed(source, shape)
        };
        let (names, reads) = fused(constant(&[4]), false);
        assert_eq!(names, ["matmul"]);
        assert_eq!(reads[2], Some(ArrayId(3)));
        assert_eq!(fused(constant(&[4]), true).0, ["matmul", "activate"]);
        assert_eq!(fused(constant(&[1, 4]), false).0, ["matmul"]);
        let known = |graph: &mut OperatorGraph| {
            graph.known.push(ArrayD::zeros(vec![1, 4]).into());
            graph.feed(Source::Known(0), [1, 4])
        };
        assert_eq!(fused(known, false).0, ["matmul"]);
        // What isn't a bias stays a sum.
        assert_eq!(fused(constant(&[2, 4]), false).0, ["matmul", "binary", "activate"]);
        assert_eq!(fused(constant(&[1, 1, 4]), false).0, ["matmul", "binary", "activate"]);
        assert_eq!(fused(constant(&[1]), false).0, ["matmul", "binary", "activate"]);
        let given = |graph: &mut OperatorGraph| graph.feed(Source::Input(1), [4]);
        assert_eq!(fused(given, false).0, ["matmul", "binary", "activate"]);
        let itself = |graph: &mut OperatorGraph| graph.steps[0].writes[0];
        assert_eq!(fused(itself, false).0, ["matmul", "binary", "activate"]);
    }

    /// `normalize(x) * gamma + beta` of an array `[2, 5, 3]`: the names of its steps once they are
    /// fused.
    fn normalized(gamma: &[usize], beta: &[usize]) -> Vec<&'static str> {
        let mut graph = OperatorGraph::default();
        let x = graph.feed(Source::Input(0), [2, 5, 3]);
        let normalization = Normalization::Moments { epsilon: 1e-3 };
        let normalize = Normalize { normalization, axes: vec![2] };
        let mut last = graph.step("normalize", normalize, [Some(x)]).unwrap()[0];
        for (function, shape) in [(BinaryFunction::Multiply, gamma), (BinaryFunction::Add, beta)] {
            graph.known.push(ArrayD::zeros(shape).into());
            let weight = graph.feed(Source::Known(graph.known.len() - 1), shape.to_vec());
            let weighted = Binary { function };
            last = graph.step("weight", weighted, [Some(last), Some(weight)]).unwrap()[0];
        }
        graph.outputs = vec![last];
        let graph = graph.fused(&Constants::new([]));
        graph.steps.iter().map(|step| step.operator.rules().name()).collect()
    }

    #[test]
    fn gamma_and_beta_become_part_of_a_normalization() {
        assert_eq!(normalized(&[3], &[3]), ["normalize"]);
        assert_eq!(normalized(&[1, 1, 3], &[1, 3]), ["normalize"]);
        assert_eq!(normalized(&[1, 3], &[5, 3]), ["normalize", "binary"]);
        assert_eq!(normalized(&[1], &[3]), ["normalize", "binary", "binary"]);
    }

    #[test]
    fn a_value_times_its_sigmoid_is_silu() {
        let of = |other_reader: bool| {
            let mut graph = OperatorGraph::default();
            let x = graph.feed(Source::Input(0), [2, 3]);
            let kernel = graph.feed(Source::Constant(ConstantId { layer: 0, index: 0 }), [3, 4]);
            let matmul = MatMul { activation: Activation::Linear };
            let product = graph.step("product", matmul, [Some(x), Some(kernel)]).unwrap()[0];
            let sigmoid = Activate { activation: Activation::Sigmoid };
            let gate = graph.step("gate", sigmoid, [Some(product)]).unwrap()[0];
            let times = Binary { function: BinaryFunction::Multiply };
            graph.outputs = graph.step("silu", times, [Some(product), Some(gate)]).unwrap();
            if other_reader {
                graph.outputs.push(gate);
            }
            graph.fused(&Constants::new([]))
        };
        let [only] = &of(false).steps[..] else { panic!("it is one step") };
        assert_eq!(only.operator, MatMul { activation: Activation::Silu }.into());
        assert_eq!(of(true).steps.len(), 3);
    }
}
