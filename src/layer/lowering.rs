use super::dims::axis_of;
use crate::error::{Error, Result};
use crate::graph::{ArrayId, Bounds, ConstantId, OperatorGraph, Source};
use crate::operator::Operator;

/// A call of a layer that is being lowered: what it reads, and the graph that its operators go to.
pub(crate) struct Lowering<'g> {
    pub graph: &'g mut OperatorGraph,
    /// The layer's index in the model, and its name.
    pub layer: usize,
    pub name: &'g str,
    /// `[batch, …]` each, in the layer's order.
    pub inputs: Vec<ArrayId>,
    /// The masks of the inputs, where the layer computes with them.
    pub masks: Vec<Option<ArrayId>>,
}

impl Lowering<'_> {
    pub fn input(&self, index: usize) -> ArrayId {
        self.inputs[index]
    }

    pub fn mask(&self, index: usize) -> Option<ArrayId> {
        self.masks.get(index).copied().flatten()
    }

    /// The shape of an array, with the batch.
    pub fn shape(&self, array: ArrayId) -> Vec<usize> {
        self.graph.shape(array).to_vec()
    }

    /// The length of an array's last axis.
    pub fn features(&self, array: ArrayId) -> usize {
        self.graph.shape(array).last().copied().unwrap_or(1)
    }

    /// The axes of the first input that Keras counts so, in ascending order, without doubles.
    pub fn axes(&self, axes: &[isize]) -> Result<Vec<usize>> {
        let rank = self.graph.shape(self.input(0)).len();
        let axis = |&axis: &isize| axis_of(axis, rank - 1).map(|axis| axis + 1);
        let mut axes = axes
            .iter()
            .map(axis)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|reason| Error::Graph(format!("layer {:?}: {reason}", self.name)))?;
        axes.sort_unstable();
        axes.dedup();
        Ok(axes)
    }

    /// The axis of the first input that Keras counts so.
    pub fn axis(&self, axis: isize) -> Result<usize> {
        Ok(self.axes(&[axis])?[0])
    }

    /// One of the layer's constants (`Definition::constants`), of this shape.
    pub fn constant(&mut self, index: usize, shape: impl Into<Vec<usize>>) -> ArrayId {
        self.graph.feed(Source::Constant(ConstantId { layer: self.layer, index }), shape)
    }

    /// Asks of the values of an array that they are within bounds, as far as the call gives them.
    pub fn demand(&mut self, array: ArrayId, bounds: Bounds) -> Result<()> {
        let asked = self.graph.demand(self.name, array, bounds);
        asked.map_err(|reason| Error::Graph(format!("layer {:?}: {reason}", self.name)))?;
        Ok(())
    }

    /// Adds an operator that writes one array.
    pub fn add(
        &mut self,
        operator: impl Into<Operator>,
        reads: impl Into<Vec<Option<ArrayId>>>,
    ) -> Result<ArrayId> {
        Ok(self.graph.step(self.name, operator, reads)?[0])
    }

    /// Adds an operator on one array.
    pub fn apply(&mut self, operator: impl Into<Operator>, array: ArrayId) -> Result<ArrayId> {
        self.add(operator, [Some(array)])
    }

    /// The values of an array in another shape.
    pub fn reshaped(&mut self, array: ArrayId, shape: Vec<usize>) -> Result<ArrayId> {
        self.apply(crate::operator::Reshape { shape }, array)
    }
}
