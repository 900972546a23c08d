//! The operators that aren't recurrent and that the CPU path has code of its own for. All others
//! are those of [`crate::reference`].

use super::convolution::{Filters, Operands, convolution};
use super::cores::{Cores, Reused};
use super::memory::Memory;
use super::pairs::{self, Pair};
use super::product::{self, Dense, Factor, Room, multiply};
use super::{attention, batched, moving, normalize, pool, values, winograd};
use crate::graph::{ConstantId, Constants, OperatorGraph, Source, Step};
use crate::layer::Activation;
use crate::operator::{Convolution, MatMul, Operator, Slice};
use crate::reference::{Computed, Reads, activate_rows};
use birnn_simd::{Kernel, Sums};
use ndarray::{ArrayD, ArrayViewD, Axis, ErrorKind, Ix2, ShapeError};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Kernels in the order in which the vectors read them, once a graph has been seen that needs them,
/// and memory for what is at work.
#[derive(Debug, Default)]
pub(super) struct Operators {
    kernels: HashMap<ConstantId, Kernel>,
    filters: HashMap<(ConstantId, usize), Filters>,
    /// Of convolutions in tiles.
    tiles: HashMap<ConstantId, Vec<Kernel>>,
    rooms: Reused<Room>,
    of_tiles: Reused<winograd::Room>,
    of_attention: Reused<attention::Room>,
    pub memory: Memory,
}

impl Operators {
    /// Packs the kernels of a graph.
    pub fn prepare(
        &mut self,
        graph: &OperatorGraph,
        constants: &Constants<f32>,
        lanes: usize,
    ) -> Result<(), ShapeError> {
        for step in &graph.steps {
            let Some(id) = kernel_of(step, graph) else { continue };
            let Some(kernel) = constants.get(id) else { continue };
            match &step.operator {
                Operator::MatMul(_) if !self.kernels.contains_key(&id) => {
                    let kernel = kernel.view().into_dimensionality::<Ix2>()?;
                    self.kernels.insert(id, Kernel::new(kernel, lanes));
                }
                Operator::Convolution(operator) if winograd::takes(operator, kernel.shape()) => {
                    if let Entry::Vacant(place) = self.tiles.entry(id) {
                        place.insert(winograd::kernels(&kernel.view(), lanes)?);
                    }
                }
                Operator::Convolution(operator) => {
                    if let Entry::Vacant(place) = self.filters.entry((id, operator.groups)) {
                        place.insert(Filters::new(&kernel.view(), operator.groups, lanes)?);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What a step writes; `None`: there is no code for it here, nor for arrays without values.
    pub fn compute(
        &self,
        cores: &Cores,
        step: &Step,
        graph: &OperatorGraph,
        reads: &Reads<f32>,
    ) -> Option<Computed<f32>> {
        let shape = graph.shape(step.writes[0]);
        let is_empty = reads.optional(0).is_none_or(|x| x.is_empty());
        if is_empty || shape.contains(&0) || shape.is_empty() {
            return None;
        }
        self.run(cores, step, graph, reads).transpose()
    }

    /// The packed kernel of a product.
    pub fn kernel(&self, step: &Step, graph: &OperatorGraph) -> Option<&Kernel> {
        kernel_of(step, graph).and_then(|id| self.kernels.get(&id))
    }

    /// Whether a product is computed by [`Operators::multiply`]: its kernel is packed, one thread
    /// has all of it, and its activation is that of each value or goes along rows.
    pub fn multiplies(&self, cores: &Cores, step: &Step, graph: &OperatorGraph) -> bool {
        let Operator::MatMul(operator) = &step.operator else { return false };
        let activation = operator.activation;
        let Some(kernel) = self.kernel(step, graph) else { return false };
        let work = graph.shape(step.writes[0]).iter().product::<usize>() * kernel.features();
        work > 0
            && cores.threads_for(work) == 1
            && (activation.is_elementwise() || is_softmax(activation))
    }

    /// A product of rows, on this thread and in memory that is there.
    pub fn multiply(
        &self,
        cores: &Cores,
        (kernel, activation): (&Kernel, Activation),
        (x, bias): (&[f32], Option<&[f32]>),
        sums: &mut Sums,
        to: &mut [f32],
    ) -> Result<(), ShapeError> {
        let factor = Factor { kernel, bias, activation: inside(activation) };
        product::multiply_here(cores.arch, x, factor, sums, to)?;
        if is_softmax(activation) {
            let length = kernel.columns(0..kernel.panels()).len();
            // On this thread, too, whatever its work.
            birnn_simd::softmax(cores.arch, to, length, activation == Activation::LogSoftmax);
        }
        Ok(())
    }

    /// Writes what a step writes, an array as long as its first operand, where that is computed
    /// value by value or vector by vector; false: it isn't.
    pub fn write(
        &self,
        cores: &Cores,
        step: &Step,
        reads: &Reads<f32>,
        to: &mut [f32],
    ) -> Result<bool, ShapeError> {
        let x = reads.get(0)?;
        let x_shape = x.shape();
        let x = flat(&x)?;
        match &step.operator {
            Operator::Activate(operator) if operator.activation.is_elementwise() => {
                values::activate(cores, operator.activation, x, to);
            }
            Operator::Relu(operator) => values::relu(cores, operator, x, to),
            Operator::Unary(operator) => match values::function(operator.function) {
                Some(function) => values::apply(cores, function, x, to),
                None => return Ok(false),
            },
            Operator::Affine(_) => {
                let (scale, shift) = (reads.get(1)?, reads.get(2)?);
                let features = x_shape.last().copied().unwrap_or(1);
                if scale.len() != features || shift.len() != features {
                    return Ok(false);
                }
                pairs::affine(cores, x, [flat(&scale)?, flat(&shift)?], to);
            }
            Operator::Normalize(operator)
                if normalize::is_of_last_axes(operator, x_shape.len()) =>
            {
                let length = operator.axes.iter().map(|&axis| x_shape[axis]).product();
                let (gamma, beta) = (reads.optional(1), reads.optional(2));
                let gamma = gamma.as_ref().map(flat).transpose()?;
                let weights = [gamma, beta.as_ref().map(flat).transpose()?];
                normalize::normalize(cores, operator.normalization, (x, length), weights, to);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn run(
        &self,
        cores: &Cores,
        step: &Step,
        graph: &OperatorGraph,
        reads: &Reads<f32>,
    ) -> Result<Option<ArrayD<f32>>, ShapeError> {
        let shape = graph.shape(step.writes[0]);
        let x = reads.get(0)?;
        // What these read may lie in any order.
        match &step.operator {
            Operator::Transpose(operator) => {
                return Ok(Some(moving::transpose(cores, &self.memory, x, &operator.order)));
            }
            Operator::Attention(_) if reads.get(2)?.is_empty() => return Ok(None),
            Operator::Attention(operator) => {
                let memory = (&self.of_attention, &self.memory);
                return attention::attention(cores, memory, operator, reads).map(Some);
            }
            _ => {}
        }
        let x_shape = x.shape();
        let x = flat(&x)?;
        match &step.operator {
            Operator::MatMul(operator) => {
                let kernel = self.kernel(step, graph);
                kernel.map(|kernel| self.matmul(cores, operator, kernel, reads, shape)).transpose()
            }
            Operator::BatchedMatMul(_) if reads.optional(1).is_some_and(|y| !y.is_empty()) => {
                let (a, b) = (reads.get(0)?, reads.get(1)?);
                let values = [x, flat(&b)?];
                self.filled(shape, |to| {
                    batched::batched(cores, &self.rooms, [&a, &b], values, to, shape)?;
                    Ok(true)
                })
            }
            Operator::Convolution(operator) => {
                let Some(id) = kernel_of(step, graph) else { return Ok(None) };
                self.convolution(cores, operator, id, reads, shape)
            }
            Operator::Pool(operator) if reads.optional(1).is_none() => {
                let trimmed = operator.windows.iter().zip(&x_shape[1..]);
                let windows: Vec<_> =
                    trimmed.map(|(windows, &length)| windows.trimmed(length)).collect();
                let along = (&windows[..], operator.reduction);
                self.filled(shape, |to| {
                    pool::pool(cores, along, (x, x_shape), to);
                    Ok(true)
                })
            }
            Operator::Activate(operator) if !operator.activation.is_elementwise() => {
                let x = reads.get(0)?.into_owned();
                activated(cores, x, operator.activation, shape).map(Some)
            }
            Operator::Binary(operator) => {
                let other = reads.get(1)?;
                let operands = [(x, x_shape), (flat(&other)?, other.shape())];
                match Pair::new(operator.function, operands, shape) {
                    Some(pair) => self.filled(shape, |to| {
                        pair.apply(cores, to);
                        Ok(true)
                    }),
                    None => Ok(None),
                }
            }
            Operator::Slice(operator) if operator.step != 0 => {
                let &Slice { axis, start, step, length } = operator;
                let end = start.wrapping_add_signed(step * (length as isize - 1));
                let part = ndarray::Slice {
                    start: start.min(end) as isize,
                    end: Some(start.max(end) as isize + 1),
                    step,
                };
                let mut x = reads.get(0)?;
                x.slice_axis_inplace(Axis(axis), part);
                Ok(Some(moving::copied(cores, &self.memory, x)))
            }
            Operator::Concat(operator) => {
                let all = reads.all();
                let each =
                    |array: &ArrayViewD<f32>| array.shape()[operator.axis..].iter().product();
                let arrays = all.iter().map(|array| Ok((flat(array)?, each(array))));
                let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
                self.filled(shape, |to| {
                    moving::concat(&arrays, to);
                    Ok(true)
                })
            }
            Operator::Activate(_)
            | Operator::Relu(_)
            | Operator::Unary(_)
            | Operator::Affine(_)
            | Operator::Normalize(_) => self.filled(shape, |to| self.write(cores, step, reads, to)),
            _ => Ok(None),
        }
    }

    /// An array of this shape, with what `fill` writes; `None` where it returns false.
    fn filled(
        &self,
        shape: &[usize],
        fill: impl FnOnce(&mut [f32]) -> Result<bool, ShapeError>,
    ) -> Result<Option<ArrayD<f32>>, ShapeError> {
        let mut values = self.memory.zeros(shape.iter().product());
        match fill(&mut values)? {
            true => ArrayD::from_shape_vec(shape, values).map(Some),
            false => Ok(None),
        }
    }

    fn matmul(
        &self,
        cores: &Cores,
        operator: &MatMul,
        kernel: &Kernel,
        reads: &Reads<f32>,
        shape: &[usize],
    ) -> Computed<f32> {
        let (x, bias) = (reads.get(0)?, reads.optional(2));
        let bias = bias.as_ref().map(flat).transpose()?;
        let (x, features) = (flat(&x)?, kernel.features());
        let activation = inside(operator.activation);
        let factor = Factor { kernel, bias, activation };
        let columns = kernel.columns(0..kernel.panels()).len();
        let mut sums = self.memory.array(Ix2(x.len() / features, columns));
        multiply(cores, &self.rooms, &Dense { x, features }, factor, sums.view_mut());
        activated(cores, sums.into_dyn(), operator.activation, shape)
    }

    fn convolution(
        &self,
        cores: &Cores,
        operator: &Convolution,
        id: ConstantId,
        reads: &Reads<f32>,
        shape: &[usize],
    ) -> Result<Option<ArrayD<f32>>, ShapeError> {
        let (x, kernel, bias) = (reads.get(0)?, reads.get(1)?, reads.optional(2));
        let bias = bias.as_ref().map(flat).transpose()?;
        let columns = kernel.shape().last().copied().unwrap_or(1);
        let windows = shape[..shape.len() - 1].iter().product();
        let mut sums = self.memory.array(Ix2(windows, columns));
        let operands = Operands { x: flat(&x)?, shape: x.shape(), kernel: flat(&kernel)?, bias };
        let linear = Convolution { activation: inside(operator.activation), ..operator.clone() };
        let (tiles, filters) = (self.tiles.get(&id), self.filters.get(&(id, operator.groups)));
        match (tiles.filter(|_| winograd::takes(operator, kernel.shape())), filters) {
            (Some(kernels), _) => {
                let output = sums.view_mut();
                winograd::convolution(cores, &self.of_tiles, &linear, &operands, kernels, output);
            }
            (None, Some(filters)) => {
                convolution(cores, &self.rooms, &linear, filters, &operands, sums.view_mut());
            }
            (None, None) => return Ok(None),
        }
        activated(cores, sums.into_dyn(), operator.activation, shape).map(Some)
    }
}

/// The constant that is the kernel of a product or a convolution.
fn kernel_of(step: &Step, graph: &OperatorGraph) -> Option<ConstantId> {
    if !matches!(step.operator, Operator::MatMul(_) | Operator::Convolution(_)) {
        return None;
    }
    match graph.arrays[step.reads.get(1).copied().flatten()?.0].source {
        Source::Constant(id) => Some(id),
        _ => None,
    }
}

/// What of an activation is computed with the sums: all of one that is of each value.
fn inside(activation: Activation) -> Activation {
    if activation.is_elementwise() { activation } else { Activation::Linear }
}

/// Whether [`normalize::softmax`] computes it.
fn is_softmax(activation: Activation) -> bool {
    matches!(activation, Activation::Softmax | Activation::LogSoftmax)
}

/// The rest of an activation, and the shape of what is written.
fn activated(
    cores: &Cores,
    mut sums: ArrayD<f32>,
    activation: Activation,
    shape: &[usize],
) -> Computed<f32> {
    if is_softmax(activation)
        && let Some(values) = sums.as_slice_mut()
    {
        let length = shape.last().copied().unwrap_or(1);
        normalize::softmax(cores, values, length, activation == Activation::LogSoftmax);
    } else if !activation.is_elementwise() {
        activate_rows(activation, &mut sums);
    }
    sums.into_shape_with_order(shape)
}

/// The values of an operand, which are in C order.
fn flat<'a>(operand: &'a ArrayViewD<f32>) -> Result<&'a [f32], ShapeError> {
    operand.as_slice().ok_or_else(|| ShapeError::from_kind(ErrorKind::IncompatibleLayout))
}
