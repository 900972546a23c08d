//! From operations to operators, for a call of one shape: what is known is computed here, and the
//! rest goes into the graph.
//!
//! * [`array`] is an array of the call, known or computed; [`reshape`] says when a reshape of one
//!   costs nothing.
//! * [`making`], [`moving`], [`numbers`], [`order`], [`places`], [`resize`] and [`windows`] are
//!   what operations are made of, each on the host where its operands are known.
//! * [`operands`] reads shapes, axes and places from known operands.
//! * [`Evaluator::evaluate`] does an operation; [`recurrent`] that of recurrent layers.

mod array;
mod making;
mod moving;
mod numbers;
mod operands;
mod order;
mod places;
mod recurrent;
mod reshape;
mod resize;
mod windows;

use super::layers::OfLayer;
use super::operation::Operation;
use super::shapes::{self, Reason};
use super::values::{Kind, Values};
use crate::error::Error;
use crate::graph::{ArrayId, Bounds, ConstantId, OperatorGraph, Source};
use crate::operator::{self, Operator};
use array::Computed;
pub(super) use array::{Array, Known};
use ndarray::Axis;
use operands::Operands;
use std::collections::HashMap;

/// How many values the host may compute for a call.
const VALUES_OF_A_CALL: usize = 1 << 25;
/// How many when a program is built, at least, and for each value of its constants: weights are put
/// into another layout in some ten steps.
pub(super) const VALUES_OF_A_PROGRAM: usize = 1 << 22;
const VALUES_OF_A_CONSTANT: usize = 32;
/// Known values that are more than this, and repeat others, are repeated on the device.
const REPEATED_ON_HOST: usize = 1 << 10;
/// How many values an array of a call may have: 4 GiB.
const MOST_COMPUTED: usize = 1 << 30;

/// The graph of a call in the making.
#[derive(Debug)]
pub(super) struct Evaluator {
    pub graph: OperatorGraph,
    /// The name of the operation at work, for the graph.
    pub name: String,
    /// Whether all has to be known: when a program is built, there is no graph.
    known_only: bool,
    /// Values that the host may still compute.
    budget: usize,
    /// The layer that stands for the program's own constants.
    constants: usize,
    /// Of each array that is another one in another shape that one.
    roots: HashMap<ArrayId, ArrayId>,
    /// Arrays whose axes were put into order.
    straight: HashMap<(ArrayId, Vec<usize>), ArrayId>,
}

impl Evaluator {
    /// For a call; `constants` is the layer that stands for the program's constants.
    pub fn new(constants: usize) -> Evaluator {
        Evaluator::within(OperatorGraph::default(), constants, VALUES_OF_A_CALL)
    }

    /// For a call of a layer, whose operators go to this graph; `constants` is the layer's number,
    /// and `budget` says how many values the host may compute.
    pub fn within(graph: OperatorGraph, constants: usize, budget: usize) -> Evaluator {
        Evaluator {
            graph,
            name: String::new(),
            known_only: false,
            budget,
            constants,
            roots: HashMap::new(),
            straight: HashMap::new(),
        }
    }

    /// For what is known without a call: so many values of constants, and this many others.
    pub fn of_known(values: usize, others: usize) -> Evaluator {
        let budget = values.saturating_mul(VALUES_OF_A_CONSTANT).saturating_add(others);
        Evaluator { known_only: true, budget, ..Evaluator::new(0) }
    }

    /// An array of the graph.
    pub fn of_graph(&self, array: ArrayId, kind: Kind) -> Array {
        Array::Computed(self.straight_array(array, kind))
    }

    /// An array that the call gives.
    pub fn fed(&mut self, source: Source, shape: &[usize], kind: Kind) -> Reason<Computed> {
        shapes::count(shape)?;
        if self.known_only {
            return Err("it isn't known before a call".into());
        }
        let array = match shape {
            // No array that is fed is without an axis.
            [] => {
                let one = self.graph.feed(source, [1]);
                self.reshaped(one, &[])?
            }
            shape => self.graph.feed(source, shape),
        };
        Ok(self.straight_array(array, kind))
    }

    /// An array of the graph whose axes are in order.
    fn straight_array(&self, array: ArrayId, kind: Kind) -> Computed {
        let shape = self.graph.shape(array).to_vec();
        Computed { array, order: (0..shape.len()).collect(), shape, kind }
    }

    /// An array of the graph whose axes are in the order of another one's.
    fn in_order_of(&self, array: ArrayId, like: &Computed, kind: Kind) -> Computed {
        let base = self.graph.shape(array);
        let shape = like.order.iter().map(|&place| base[place]).collect();
        Computed { array, order: like.order.clone(), shape, kind }
    }

    /// Asks for room for known values.
    fn afford(&mut self, shape: &[usize]) -> Reason<()> {
        let count = shapes::count(shape)?;
        match self.budget.checked_sub(count) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => Err(format!("known values of shape {shape:?} are more than the host computes")),
        }
    }

    /// Adds an operator to the graph; what it writes.
    fn step(
        &mut self,
        operator: impl Into<Operator>,
        reads: &[Option<ArrayId>],
    ) -> Reason<Vec<ArrayId>> {
        if self.known_only {
            return Err("it isn't known before a call".into());
        }
        let text = |error| match error {
            Error::Graph(text) => text,
            error => error.to_string(),
        };
        let written = self.graph.step(&self.name, operator, reads).map_err(text)?;
        for &array in &written {
            let shape = self.graph.shape(array);
            if shapes::count(shape)? > MOST_COMPUTED {
                return Err(format!("an array of shape {shape:?} is too large to compute"));
            }
        }
        Ok(written)
    }

    /// The values of an array in another shape. One that had this shape before is that one again.
    fn reshaped(&mut self, array: ArrayId, shape: &[usize]) -> Reason<ArrayId> {
        let root = self.roots.get(&array).copied().unwrap_or(array);
        for known in [array, root] {
            if self.graph.shape(known) == shape {
                return Ok(known);
            }
        }
        let reshape = operator::Reshape { shape: shape.to_vec() };
        let written = self.step(reshape, &[Some(root)])?[0];
        self.roots.insert(written, root);
        Ok(written)
    }

    /// The array as the graph has it, whether it is known or not.
    fn computed(&mut self, array: &Array) -> Reason<Computed> {
        let known = match array {
            Array::Computed(computed) => return Ok(computed.clone()),
            Array::Known(known) => known,
        };
        let (shape, kind) = (known.values.shape(), known.values.kind());
        if known.values.is_empty() {
            return Err(format!("an operand of {shape:?} has no values"));
        }
        match known.constant {
            Some(index) => {
                let id = ConstantId { layer: self.constants, index };
                self.fed(Source::Constant(id), shape, kind)
            }
            None => {
                let floats = known.values.to_floats();
                // As `fed` has it: with an axis.
                let floats = if shape.is_empty() { floats.insert_axis(Axis(0)) } else { floats };
                self.graph.known.push(floats.into());
                self.fed(Source::Known(self.graph.known.len() - 1), shape, kind)
            }
        }
    }

    /// The graph's array with its axes in order.
    pub fn straight(&mut self, array: &Array) -> Reason<ArrayId> {
        let computed = self.computed(array)?;
        self.put_straight(&computed)
    }

    fn put_straight(&mut self, computed: &Computed) -> Reason<ArrayId> {
        if computed.is_straight() {
            return Ok(computed.array);
        }
        let key = (computed.array, computed.order.clone());
        if let Some(&known) = self.straight.get(&key) {
            return Ok(known);
        }
        let longer = computed.order.iter().zip(&computed.shape).filter(|(_, length)| **length != 1);
        let moves = !longer.map(|(&place, _)| place).is_sorted();
        let array = Some(computed.array);
        let written = match moves {
            true => self.step(operator::Transpose { order: computed.order.clone() }, &[array])?[0],
            false => self.reshaped(computed.array, &computed.shape)?,
        };
        self.straight.insert(key, written);
        Ok(written)
    }

    /// Does an operation. What it returns, or why it can't be.
    pub fn evaluate(
        &mut self,
        operation: &Operation,
        reads: &[Option<Array>],
        layer: Option<OfLayer>,
    ) -> Reason<Vec<Array>> {
        let operands = Operands(reads);
        let result = match operation {
            Operation::Split { axis, parts } => return self.split(&operands, *axis, *parts),
            Operation::TopK { axis, smallest } => return self.top_k(&operands, *axis, *smallest),
            Operation::Recurrent { layer: kind, in_order_of_time } => {
                return self.recurrent(&operands, kind, *in_order_of_time, layer);
            }
            Operation::Activate(activation) => self.activate(*activation, operands.get(0)?)?,
            Operation::Unary(function) => self.unary(*function, operands.get(0)?)?,
            Operation::Binary(function) => {
                self.binary(*function, operands.get(0)?, operands.get(1)?)?
            }
            Operation::Select => {
                self.select(operands.get(0)?, operands.get(1)?, operands.get(2)?)?
            }
            Operation::Cast(kind) => self.cast(operands.get(0)?, *kind)?,
            Operation::CastLike => {
                let kind = operands.get(1)?.kind();
                self.cast(operands.get(0)?, kind)?
            }
            Operation::Shape => {
                let shape = operands.get(0)?.shape();
                Values::integers(shape.iter().map(|&length| length as i64)).into()
            }
            Operation::Reshape { zero_copies } => {
                let x = operands.get(0)?;
                let shape = shapes::reshaped(x.shape(), &operands.numbers(1)?, *zero_copies)?;
                self.reshape(x, &shape)?
            }
            Operation::Flatten { axis } => self.flatten(operands.get(0)?, *axis)?,
            Operation::Squeeze => self.squeeze(&operands)?,
            Operation::Unsqueeze => self.unsqueeze(&operands)?,
            Operation::Transpose { order } => self.transpose_by(operands.get(0)?, order)?,
            Operation::MoveAxis { from, to } => {
                let x = operands.get(0)?;
                let from = shapes::axis(*from, x.rank())?;
                let to = shapes::axis(*to, x.rank())?;
                let mut order: Vec<usize> = (0..x.rank()).filter(|axis| *axis != from).collect();
                order.insert(to, from);
                self.transpose(x, &order)?
            }
            Operation::Concat { axis } => self.concat_all(&operands, *axis)?,
            Operation::Slice => self.slices(&operands)?,
            Operation::Take { axis } => self.take(operands.get(0)?, operands.get(1)?, *axis)?,
            Operation::Expand => {
                let x = operands.get(0)?;
                let shape = shapes::broadcast(x.shape(), &operands.lengths(1)?)?;
                self.expand(x, &shape)?
            }
            Operation::Tile => self.tile(operands.get(0)?, &operands.lengths(1)?)?,
            Operation::Pad(mode) => self.pad(&operands, *mode)?,
            Operation::Range => self.range(&operands)?,
            Operation::Fill => self.fill(&operands)?,
            Operation::Reduce { reduction, keep } => self.reduce(&operands, *reduction, *keep)?,
            Operation::ArgMax { axis, keep, smallest, last } => {
                self.arg_max(operands.get(0)?, *axis, (*keep, *smallest, *last))?
            }
            Operation::Product => self.product(operands.get(0)?, operands.get(1)?)?,
            Operation::Softmax { axis, log } => self.softmax(operands.get(0)?, *axis, *log)?,
            Operation::Standardize { epsilon } => {
                self.standardize(operands.get(0)?, &operands.numbers(1)?, *epsilon)?
            }
            Operation::Convolution { windows, groups } => {
                self.convolution(&operands, windows, *groups)?
            }
            Operation::Pool { windows, size, pooling, partial } => {
                self.pool(operands.get(0)?, windows, (size, *partial), *pooling)?
            }
            Operation::Choose => self.choose(&operands)?,
            Operation::TakeNd { batch_axes } => {
                self.take_nd(operands.get(0)?, operands.get(1)?, *batch_axes)?
            }
            Operation::TakeAlong { axis } => {
                self.take_along(operands.get(0)?, operands.get(1)?, *axis)?
            }
            Operation::ScatterNd { reduction } => {
                self.scatter_nd([operands.get(0)?, operands.get(1)?, operands.get(2)?], *reduction)?
            }
            Operation::ScatterAlong { axis, reduction } => self.scatter_along(
                [operands.get(0)?, operands.get(1)?, operands.get(2)?],
                *axis,
                *reduction,
            )?,
            Operation::Triangle { upper } => self.triangle(&operands, *upper)?,
            Operation::NonZero => self.non_zero(operands.get(0)?)?,
            Operation::CumulativeSum { exclusive, reverse } => {
                self.cumulative_sum(&operands, *exclusive, *reverse)?
            }
            Operation::CumulativeProduct { exclusive, reverse } => {
                self.cumulative_product(&operands, *exclusive, *reverse)?
            }
            Operation::Resize(how) => self.resize(&operands, how)?,
            Operation::Lengths => {
                let (lengths, longest) = (operands.get(0)?, operands.number_or(1, 0)?);
                let longest = usize::try_from(longest).map_err(|_| "an axis is below 0 long")?;
                self.demand(lengths, Bounds::Lengths(longest))?;
                lengths.clone()
            }
            Operation::Unsupported { op_type, reason } => {
                return Err(format!("{op_type} is not supported: {reason}"));
            }
        };
        Ok(vec![result])
    }

    /// Which of its branches a choice takes: the operand's number.
    pub fn chosen(condition: &Array) -> Reason<usize> {
        match condition.known().and_then(Values::only) {
            Some(0.0) => Ok(2),
            Some(_) => Ok(1),
            None => Err("its condition depends on the values of an input".into()),
        }
    }

    fn choose(&mut self, operands: &Operands) -> Reason<Array> {
        let chosen = Evaluator::chosen(operands.get(0)?)?;
        operands.get(chosen).cloned()
    }
}

/// An array without values.
pub(super) fn empty(shape: &[usize], kind: Kind) -> Array {
    let none = ndarray::ArrayD::from_elem(ndarray::IxDyn(shape), 0.0);
    Values::Floats(none).cast(kind).into()
}
