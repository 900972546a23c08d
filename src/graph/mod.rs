//! A graph of operators for calls of one shape: what a backend runs. Every length in it is a
//! number. Layers write it (`lower` in `src/layer` and `src/model/lower.rs`), and no backend needs
//! to know them.

mod attention;
mod constants;
mod demands;
mod following;
mod fuse;
mod moves;
mod rows;

pub(crate) use constants::{Constant, ConstantId, Constants};
pub(crate) use demands::{Bounds, Demand};

use crate::error::{Error, Result};
use crate::operator::{Operator, product};
use demands::Following;
use ndarray::ArrayD;
use std::collections::HashMap;
use std::sync::Arc;

/// An array of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ArrayId(pub usize);

/// Steps in the order in which they run, each reading what is fed or what steps before it wrote.
#[derive(Clone, Debug, Default)]
pub(crate) struct OperatorGraph {
    pub arrays: Vec<Array>,
    pub steps: Vec<Step>,
    /// What the model returns, in order. An array may be there twice, and may be one that is fed.
    pub outputs: Vec<ArrayId>,
    /// Final states of stateful layers, which the next call is fed with.
    pub carried: Vec<(StateOfLayer, ArrayId)>,
    /// Arrays that are known for calls of this shape, and for no others.
    pub known: Vec<Arc<ArrayD<f32>>>,
    /// What the values of inputs have to be.
    pub demands: Vec<Demand>,
    /// The array of each source and shape that is fed.
    fed: HashMap<(Source, Vec<usize>), ArrayId>,
    following: Following,
}

/// What is known of an array before it is computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Array {
    /// Of an array of the batch, the batch is the first axis.
    pub shape: Vec<usize>,
    pub source: Source,
}

/// Where the values of an array come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// A step writes them.
    Step,
    /// The call gives them: this input of the model, or the model has them as a constant input.
    Input(usize),
    /// The call gives them: the mask of this input.
    Mask(usize),
    /// The call gives them: an initial state of a node of the model, in Keras's order.
    InitialState { node: usize, index: usize },
    /// A stateful layer ended the last call with them.
    Carried(StateOfLayer),
    /// They belong to the model: see [`Constants`].
    Constant(ConstantId),
    /// They belong to the graph: this one of `OperatorGraph::known`.
    Known(usize),
    /// All are 1.
    Ones,
}

/// A state of a stateful layer of the model; `index` counts its states in Keras's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct StateOfLayer {
    pub layer: usize,
    pub index: usize,
}

/// An operator at work.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub operator: Operator,
    /// Its operands in order; `None` is one that isn't there.
    pub reads: Vec<Option<ArrayId>>,
    pub writes: Vec<ArrayId>,
    /// The name of the layer that it is of, for messages.
    pub layer: String,
}

impl OperatorGraph {
    pub fn shape(&self, array: ArrayId) -> &[usize] {
        &self.arrays[array.0].shape
    }

    /// An array that no step writes; the same one where it was fed before.
    pub fn feed(&mut self, source: Source, shape: impl Into<Vec<usize>>) -> ArrayId {
        let shape = shape.into();
        match self.fed.get(&(source, shape.clone())) {
            Some(&known) => known,
            None => {
                let array = self.array(source, shape.clone());
                self.fed.insert((source, shape), array);
                array
            }
        }
    }

    fn array(&mut self, source: Source, shape: Vec<usize>) -> ArrayId {
        self.arrays.push(Array { shape, source });
        ArrayId(self.arrays.len() - 1)
    }

    /// Adds a step at the end. Returns what it writes.
    pub fn step(
        &mut self,
        layer: &str,
        operator: impl Into<Operator>,
        reads: impl Into<Vec<Option<ArrayId>>>,
    ) -> Result<Vec<ArrayId>> {
        let (operator, reads) = (operator.into(), reads.into());
        let shapes = operator.rules().writes(&self.shapes(&reads)).map_err(|reason| {
            Error::Graph(format!("layer {layer:?}: {}: {reason}", operator.rules().name()))
        })?;
        let writes: Vec<_> =
            shapes.into_iter().map(|shape| self.array(Source::Step, shape)).collect();
        let layer = layer.to_string();
        self.steps.push(Step { operator, reads, writes: writes.clone(), layer });
        Ok(writes)
    }

    /// The shapes of operands.
    pub fn shapes(&self, reads: &[Option<ArrayId>]) -> Vec<Option<&[usize]>> {
        reads.iter().map(|read| read.map(|array| self.shape(array))).collect()
    }

    /// How many numbers its arrays have together, and the most that an operator needs room for
    /// beside them.
    pub fn values(&self) -> usize {
        let room = self.steps.iter().map(|step| match &step.operator {
            Operator::Attention(attention) => attention.scores(&self.shapes(&step.reads)),
            _ => 0,
        });
        let arrays = self.arrays.iter().map(|array| product(&array.shape));
        arrays.chain(room.max()).fold(0, usize::saturating_add)
    }

    /// Which arrays something needs: an output, the next call, or a step that is kept.
    pub fn used(&self) -> Vec<bool> {
        let mut used = vec![false; self.arrays.len()];
        for array in self.outputs.iter().chain(self.carried.iter().map(|(_, array)| array)) {
            used[array.0] = true;
        }
        for step in self.steps.iter().rev() {
            if step.writes.iter().any(|array| used[array.0]) {
                step.reads.iter().flatten().for_each(|array| used[array.0] = true);
            }
        }
        used
    }

    /// Of each array the last step that reads it; `None`: it is needed behind all steps, or by
    /// none.
    pub fn last_readers(&self) -> Vec<Option<usize>> {
        let mut last = vec![None; self.arrays.len()];
        for (index, step) in self.steps.iter().enumerate() {
            step.reads.iter().flatten().for_each(|array| last[array.0] = Some(index));
        }
        for array in self.outputs.iter().chain(self.carried.iter().map(|(_, array)| array)) {
            last[array.0] = None;
        }
        last
    }

    /// Which arrays may lie in memory in any order of their axes: those that steps alone read that
    /// follow strides.
    pub fn in_any_order(&self) -> Vec<bool> {
        let mut any: Vec<bool> = self.last_readers().iter().map(Option::is_some).collect();
        for step in &self.steps {
            for (operand, array) in step.reads.iter().enumerate() {
                let follows = step.operator.rules().follows_strides(operand);
                array.filter(|_| !follows).into_iter().for_each(|array| any[array.0] = false);
            }
        }
        any
    }

    /// Whether all that read an array turn its first two axes around.
    pub fn is_read_in_time(&self, array: ArrayId) -> bool {
        let readers = self.steps.iter().filter(|step| step.reads.contains(&Some(array)));
        let mut turn = readers.map(|step| match &step.operator {
            Operator::Transpose(operator) => operator.order == [1, 0, 2],
            _ => false,
        });
        turn.next() == Some(true) && turn.all(|turns| turns)
    }

    /// Leaves out the steps that nothing needs.
    pub fn without_unused_steps(mut self) -> OperatorGraph {
        let used = self.used();
        self.steps.retain(|step| step.writes.iter().any(|array| used[array.0]));
        self.following = Following::default();
        self
    }
}
