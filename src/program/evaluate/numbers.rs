//! Functions of values, value by value and over axes.

use super::operands::Operands;
use super::places::check_places;
use super::{Array, Computed, Evaluator, empty};
use crate::layer::Activation;
use crate::operator::{self, BinaryFunction, Normalization, ReduceFunction, UnaryFunction};
use crate::program::host;
use crate::program::operation::{Binary, Reduction, Unary};
use crate::program::shapes::{self, Reason, axis as axis_of};
use crate::program::values::{Kind, Values};

/// Multiplications of a matrix product that the host does itself.
const PRODUCT_ON_HOST: usize = 1 << 28;

impl Evaluator {
    /// An operator of one operand that writes its shape.
    fn apply(
        &mut self,
        operator: impl Into<operator::Operator>,
        x: &Computed,
        kind: Kind,
    ) -> Reason<Array> {
        let array = self.step(operator, &[Some(x.array)])?[0];
        Ok(Array::Computed(self.in_order_of(array, x, kind)))
    }

    pub(super) fn activate(&mut self, activation: Activation, x: &Array) -> Reason<Array> {
        if !activation.is_elementwise() {
            return Err(format!("{activation} isn't of each value"));
        }
        match x {
            Array::Known(known) => {
                self.afford(known.values.shape())?;
                Ok(host::activate(activation, &known.values).into())
            }
            Array::Computed(x) => self.apply(operator::Activate { activation }, x, Kind::Float),
        }
    }

    pub(super) fn unary(&mut self, function: Unary, x: &Array) -> Reason<Array> {
        let x = match x {
            Array::Known(known) => {
                self.afford(known.values.shape())?;
                return Ok(host::unary(function, &known.values).into());
            }
            Array::Computed(x) => x,
        };
        let kind = match function {
            Unary::Not | Unary::IsNan => Kind::Bool,
            Unary::Negate | Unary::Absolute | Unary::Sign => x.kind,
            _ => Kind::Float,
        };
        match function.as_operator() {
            Some(function) => self.apply(operator::Unary { function }, x, kind),
            None => {
                let activation = Activation::Exponential;
                self.apply(operator::Activate { activation }, x, kind)
            }
        }
    }

    pub(super) fn cast(&mut self, x: &Array, kind: Kind) -> Reason<Array> {
        let x = match x {
            Array::Known(known) if known.values.kind() == kind => {
                return Ok(Array::Known(known.clone()));
            }
            Array::Known(known) => {
                self.afford(known.values.shape())?;
                return Ok(known.values.cast(kind).into());
            }
            Array::Computed(x) => x,
        };
        match (x.kind, kind) {
            (Kind::Float, Kind::Integer) => {
                self.apply(operator::Unary { function: UnaryFunction::Truncate }, x, kind)
            }
            (Kind::Float | Kind::Integer, Kind::Bool) => {
                self.apply(operator::Differs { value: 0.0, any_feature: false }, x, kind)
            }
            _ => Ok(Array::Computed(Computed { kind, ..x.clone() })),
        }
    }

    pub(super) fn binary(&mut self, function: Binary, a: &Array, b: &Array) -> Reason<Array> {
        let shape = shapes::broadcast(a.shape(), b.shape())?;
        let kind = kind_of(function, a.kind(), b.kind());
        if let (Some(a), Some(b)) = (a.known(), b.known()) {
            self.afford(&shape)?;
            return host::binary(function, a, b).map(Array::from);
        }
        if shapes::count(&shape)? == 0 {
            return Ok(empty(&shape, kind));
        }
        let whole = kind == Kind::Integer;
        match (function, function.as_operator()) {
            (Binary::Divide, _) if whole => {
                let divided = self.binary_step(BinaryFunction::Divide, [a, b], Kind::Float)?;
                self.cast(&divided, Kind::Integer)
            }
            (_, Some(function)) => self.binary_step(function, [a, b], kind),
            (Binary::Greater, None) => self.binary_step(BinaryFunction::Less, [b, a], kind),
            (Binary::GreaterOrEqual, None) => {
                self.binary_step(BinaryFunction::LessOrEqual, [b, a], kind)
            }
            // sign(a) · (|a| mod |b|): above zero what is left is the same whichever way the
            // quotient is rounded, and exact.
            (_, None) => {
                let [sign, size] = [Unary::Sign, Unary::Absolute].map(|of| self.unary(of, a));
                let (sign, size) = (sign?, size?);
                let divisor = self.unary(Unary::Absolute, b)?;
                let left = self.binary_step(BinaryFunction::Modulo, [&size, &divisor], kind)?;
                self.binary_step(BinaryFunction::Multiply, [&sign, &left], kind)
            }
        }
    }

    fn binary_step(
        &mut self,
        function: BinaryFunction,
        operands: [&Array; 2],
        kind: Kind,
    ) -> Reason<Array> {
        self.together(operator::Binary { function }.into(), &operands, kind)
    }

    /// An operator that repeats its operands to one shape. Where one of them, the largest, has its
    /// axes in another order than in memory, the others are put into that order.
    fn together(
        &mut self,
        operator: operator::Operator,
        operands: &[&Array],
        kind: Kind,
    ) -> Reason<Array> {
        let mut shape = Vec::new();
        for operand in operands {
            shape = shapes::broadcast(&shape, operand.shape())?;
        }
        let computed = operands.iter().filter_map(|operand| match operand {
            Array::Computed(computed) => Some(computed),
            Array::Known(_) => None,
        });
        let leader = computed.max_by_key(|computed| computed.shape.iter().product::<usize>());
        let turned = leader.filter(|leader| leader.shape == shape && !leader.is_straight());
        let mut reads = Vec::with_capacity(operands.len());
        match turned.cloned() {
            None => {
                for operand in operands {
                    reads.push(Some(self.straight(operand)?));
                }
                let array = self.step(operator, &reads)?[0];
                Ok(Array::Computed(self.straight_array(array, kind)))
            }
            Some(leader) => {
                let inverse = leader.inverse();
                for operand in operands {
                    let longer = shapes::at_rank(operand.shape(), shape.len());
                    let longer = self.reshape(operand, &longer)?;
                    let alike = self.transpose(&longer, &inverse)?;
                    reads.push(Some(self.straight(&alike)?));
                }
                let array = self.step(operator, &reads)?[0];
                Ok(Array::Computed(self.in_order_of(array, &leader, kind)))
            }
        }
    }

    pub(super) fn select(&mut self, condition: &Array, a: &Array, b: &Array) -> Reason<Array> {
        let shape = shapes::broadcast(condition.shape(), a.shape())?;
        let shape = shapes::broadcast(&shape, b.shape())?;
        let kind = larger_kind(a.kind(), b.kind());
        if let (Some(c), Some(a), Some(b)) = (condition.known(), a.known(), b.known()) {
            self.afford(&shape)?;
            return host::select(c, a, b).map(Array::from);
        }
        // One known answer for all needs no operator.
        if let Some(answer) = condition.known().and_then(Values::only) {
            let chosen = if answer != 0.0 { a } else { b };
            let longer = shapes::at_rank(chosen.shape(), shape.len());
            let chosen = self.reshape(chosen, &longer)?;
            return self.expand(&chosen, &shape);
        }
        if shapes::count(&shape)? == 0 {
            return Ok(empty(&shape, kind));
        }
        self.together(operator::Where.into(), &[condition, a, b], kind)
    }

    pub(super) fn reduce(
        &mut self,
        operands: &Operands,
        reduction: Reduction,
        keep: bool,
    ) -> Reason<Array> {
        let x = operands.get(0)?;
        let axes = match operands.optional_numbers(1)? {
            Some(listed) => shapes::axes(&listed, x.rank())?,
            None => (0..x.rank()).collect(),
        };
        let kept = self.reduce_kept(x, &axes, reduction)?;
        match keep {
            true => Ok(kept),
            false => self.without_axes(&kept, &axes),
        }
    }

    /// Without axes of length one.
    fn without_axes(&mut self, x: &Array, axes: &[usize]) -> Reason<Array> {
        let left = (0..x.rank()).filter(|axis| !axes.contains(axis)).map(|axis| x.shape()[axis]);
        let shape: Vec<usize> = left.collect();
        self.reshape(x, &shape)
    }

    /// Over axes that stay, with length one.
    pub(super) fn reduce_kept(
        &mut self,
        x: &Array,
        axes: &[usize],
        reduction: Reduction,
    ) -> Reason<Array> {
        match x {
            Array::Known(known) => {
                self.afford(known.values.shape())?;
                Ok(host::reduce(reduction, &known.values, axes).into())
            }
            Array::Computed(x) if axes.is_empty() && !is_of_powers(reduction) => {
                Ok(Array::Computed(x.clone()))
            }
            Array::Computed(x) => {
                let function = match reduction {
                    Reduction::Sum => ReduceFunction::Sum,
                    Reduction::Mean => ReduceFunction::Mean,
                    Reduction::Maximum => ReduceFunction::Maximum,
                    Reduction::Minimum => ReduceFunction::Minimum,
                    Reduction::Product => ReduceFunction::Product,
                    Reduction::SumOfSquares => ReduceFunction::SumOfSquares,
                    Reduction::SumOfAbsolutes => ReduceFunction::SumOfAbsolutes,
                };
                let axes = in_memory(x, axes);
                self.apply(operator::Reduce { axes, function, keep_axes: true }, x, x.kind)
            }
        }
    }

    /// `how`: whether the axis stays, whether it is the place of the smallest, and whether of the
    /// last.
    pub(super) fn arg_max(
        &mut self,
        x: &Array,
        axis: i64,
        (keep, smallest, last): (bool, bool, bool),
    ) -> Reason<Array> {
        let axis = axis_of(axis, x.rank())?;
        let length = x.shape()[axis];
        if length == 0 {
            return Err(format!("{:?} has no values along axis {axis}", x.shape()));
        }
        let kept = match x {
            Array::Known(known) => {
                self.afford(known.values.shape())?;
                host::arg_max(&known.values, axis, smallest, last).into()
            }
            // The last of equal ones is the first from behind.
            Array::Computed(_) if last => {
                let part = shapes::Part { axis, start: length - 1, length, step: -1 };
                let turned = self.slice(x, part)?;
                let found = self.arg_max(&turned, axis as i64, (true, smallest, false))?;
                let behind = Values::integer(length as i64 - 1).into();
                self.binary(Binary::Subtract, &behind, &found)?
            }
            Array::Computed(x) => {
                check_places(length)?;
                let function = match smallest {
                    true => ReduceFunction::IndexOfMinimum,
                    false => ReduceFunction::IndexOfMaximum,
                };
                let axes = vec![x.order[axis]];
                let reduce = operator::Reduce { axes, function, keep_axes: true };
                self.apply(reduce, x, Kind::Integer)?
            }
        };
        match keep {
            true => Ok(kept),
            false => self.without_axes(&kept, &[axis]),
        }
    }

    /// NumPy's `matmul`: an operand of one axis is a row or a column, which is taken away again.
    pub(super) fn product(&mut self, a: &Array, b: &Array) -> Reason<Array> {
        if a.rank() == 0 || b.rank() == 0 {
            return Err("a number is no matrix".into());
        }
        let row = match a.rank() {
            1 => self.reshape(a, &[1, a.shape()[0]])?,
            _ => a.clone(),
        };
        let column = match b.rank() {
            1 => self.reshape(b, &[b.shape()[0], 1])?,
            _ => b.clone(),
        };
        let product = self.matrix_product(&row, &column)?;
        let rank = product.rank();
        let gone: Vec<usize> = [(a, rank - 2), (b, rank - 1)]
            .into_iter()
            .filter(|(operand, _)| operand.rank() == 1)
            .map(|(_, axis)| axis)
            .collect();
        if gone.is_empty() { Ok(product) } else { self.without_axes(&product, &gone) }
    }

    fn matrix_product(&mut self, a: &Array, b: &Array) -> Reason<Array> {
        let (last, k) = (a.rank() - 1, b.rank() - 2);
        if a.shape()[last] != b.shape()[k] {
            return Err(format!("{:?} isn't multiplied with {:?}", a.shape(), b.shape()));
        }
        let outer = shapes::broadcast(&a.shape()[..last - 1], &b.shape()[..k])?;
        let (rows, columns) = (a.shape()[last - 1], b.shape()[k + 1]);
        let shape = [&outer[..], &[rows, columns]].concat();
        let kind = match larger_kind(a.kind(), b.kind()) {
            Kind::Bool => Kind::Integer,
            kind => kind,
        };
        let work = shapes::count(&shape)?.saturating_mul(a.shape()[last]);
        match (a, b) {
            _ if shapes::count(&shape)? == 0 => Ok(empty(&shape, kind)),
            (Array::Known(a), Array::Known(b)) if work <= PRODUCT_ON_HOST => {
                self.afford(&shape)?;
                self.afford(&[work])?;
                host::product(&a.values, &b.values).map(Array::from)
            }
            _ if a.shape()[last] == 0 => {
                self.afford(&shape)?;
                host::fill(&shape, &Values::float(0.0).cast(kind)).map(Array::from)
            }
            (Array::Computed(a), Array::Known(b)) if b.constant.is_some() && k == 0 => {
                self.times_kernel(a, &Array::Known(b.clone()), None)
            }
            _ => {
                let reads = [self.straight(a)?, self.straight(b)?].map(Some);
                let array = self.step(operator::BatchedMatMul, &reads)?[0];
                Ok(Array::Computed(self.straight_array(array, kind)))
            }
        }
    }

    /// The product of the last axis with a constant kernel, `[features, columns]`, and a bias.
    pub(super) fn times_kernel(
        &mut self,
        x: &Computed,
        kernel: &Array,
        bias: Option<&Array>,
    ) -> Reason<Array> {
        let kernel = self.straight(kernel)?;
        let bias = bias.map(|bias| self.straight(bias)).transpose()?;
        let last = x.order.len() - 1;
        let reads = |x| [Some(x), Some(kernel), bias];
        let matmul = operator::MatMul { activation: Activation::Linear };
        if x.order[last] == last {
            let array = self.step(matmul, &reads(x.array))?[0];
            return Ok(Array::Computed(self.in_order_of(array, x, x.kind)));
        }
        let straight = self.put_straight(x)?;
        let array = self.step(matmul, &reads(straight))?[0];
        Ok(Array::Computed(self.straight_array(array, x.kind)))
    }

    pub(super) fn softmax(&mut self, x: &Array, axis: i64, log: bool) -> Reason<Array> {
        let axis = axis_of(axis, x.rank())?;
        if let Array::Known(known) = x {
            // exp(x - max) / Σ exp(x - max), in the same words on the host.
            let x = Array::Known(known.clone());
            let largest = self.reduce_kept(&x, &[axis], Reduction::Maximum)?;
            let lower = self.binary(Binary::Subtract, &x, &largest)?;
            let powers = self.unary(Unary::Exp, &lower)?;
            let sum = self.reduce_kept(&powers, &[axis], Reduction::Sum)?;
            return match log {
                true => {
                    let sum = self.unary(Unary::Log, &sum)?;
                    self.binary(Binary::Subtract, &lower, &sum)
                }
                false => self.binary(Binary::Divide, &powers, &sum),
            };
        }
        let x = self.computed(x)?;
        let axes = vec![x.order[axis]];
        let normalization = if log { Normalization::LogSoftmax } else { Normalization::Softmax };
        self.apply(operator::Normalize { axes, normalization }, &x, Kind::Float)
    }

    pub(super) fn standardize(&mut self, x: &Array, axes: &[i64], epsilon: f32) -> Reason<Array> {
        let axes = shapes::axes(axes, x.rank())?;
        let x = self.computed(x)?;
        let axes = in_memory(&x, &axes);
        let normalization = Normalization::Moments { epsilon: epsilon.into() };
        self.apply(operator::Normalize { axes, normalization }, &x, Kind::Float)
    }
}

/// The axes of the graph's array that these are, in ascending order.
fn in_memory(x: &Computed, axes: &[usize]) -> Vec<usize> {
    let mut places: Vec<usize> = axes.iter().map(|&axis| x.order[axis]).collect();
    places.sort_unstable();
    places
}

/// The kind to which both are converted.
fn larger_kind(a: Kind, b: Kind) -> Kind {
    match (a, b) {
        (Kind::Float, _) | (_, Kind::Float) => Kind::Float,
        (Kind::Bool, Kind::Bool) => Kind::Bool,
        _ => Kind::Integer,
    }
}

fn kind_of(function: Binary, a: Kind, b: Kind) -> Kind {
    if host::is_comparison(function) || host::is_logic(function) {
        return Kind::Bool;
    }
    match larger_kind(a, b) {
        Kind::Float => Kind::Float,
        _ => Kind::Integer,
    }
}

/// Whether a reduction changes a value that is alone.
fn is_of_powers(reduction: Reduction) -> bool {
    matches!(reduction, Reduction::SumOfSquares | Reduction::SumOfAbsolutes)
}
