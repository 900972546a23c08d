//! Operators: what machines compute. Layers and importers lower to them, and backends run them.
//!
//! Each file defines one: its attributes, its operands in order, the shapes of what it writes, and
//! what becomes of each axis. Shapes are whole, the batch included. No operator knows a layer, a
//! file format or a backend; masks, initial states and weights are operands like any other. A mask
//! is an array of 0 and 1, without the axis of the features: 1 where the value counts.

mod affine;
mod attention;
mod combine;
mod concat;
mod convolution;
mod differs;
mod gather;
mod matmul;
mod normalize;
mod pad;
mod pool;
mod recurrent;
mod repeat;
mod reshape;
mod slice;
mod transpose;
mod unary;
mod windows;

pub(crate) use affine::{Affine, PRelu};
pub(crate) use attention::{Attention, MaskedScore, Score};
pub(crate) use combine::{Combine, Operation};
pub(crate) use concat::Concat;
pub(crate) use convolution::Convolution;
pub(crate) use differs::{Blank, Differs};
pub(crate) use gather::Gather;
pub(crate) use matmul::MatMul;
pub(crate) use normalize::{Normalization, Normalize};
pub(crate) use pad::Pad;
pub(crate) use pool::{Pool, Reduction};
pub use recurrent::MergeMode;
pub(crate) use recurrent::{Reader, Recurrent};
pub(crate) use repeat::Repeat;
pub(crate) use reshape::Reshape;
pub(crate) use slice::Slice;
pub(crate) use transpose::Transpose;
pub(crate) use unary::{Activate, Relu};
pub(crate) use windows::Windows;

/// The shapes of an operator's operands in order; `None` stands for an operand that isn't there.
pub(crate) type Shapes<'a> = [Option<&'a [usize]>];

/// What is known of an operator without running it.
pub(crate) trait Rules {
    /// Its name in messages and reports.
    fn name(&self) -> &'static str;

    /// The shapes of the arrays that it writes, or why it can't read operands of such shapes.
    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String>;

    /// What becomes of an axis of an operand that depends on the batch; asked for only where
    /// `writes` succeeds.
    fn along(&self, operand: usize, axis: usize, reads: &Shapes) -> Along;
}

/// How an operator goes along an axis of one of its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Along {
    /// Index by index, in any order: part of the axis gives the same part of this axis of what it
    /// writes.
    Independent(usize),
    /// One index after another, each from what came before: parts have to be computed in order.
    /// The axis comes out as this one, or not at all.
    InOrder(Option<usize>),
    /// Every value that it writes may need all of the axis.
    Whole,
}

macro_rules! operators {
    ($($operator:ident),+ $(,)?) => {
        /// An operator with its attributes.
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) enum Operator {
            $($operator($operator),)+
        }

        impl Operator {
            pub fn rules(&self) -> &dyn Rules {
                match self {
                    $(Operator::$operator(operator) => operator,)+
                }
            }
        }

        $(
            impl From<$operator> for Operator {
                fn from(operator: $operator) -> Operator {
                    Operator::$operator(operator)
                }
            }
        )+
    };
}
operators! {
    Recurrent,
    MatMul,
    Convolution,
    Pool,
    Attention,
    Activate,
    Relu,
    PRelu,
    Affine,
    Normalize,
    Combine,
    Gather,
    Differs,
    Blank,
    Reshape,
    Transpose,
    Slice,
    Pad,
    Concat,
    Repeat,
}

/// The shape of an operand that has to be there.
fn shape<'a>(reads: &Shapes<'a>, operand: usize) -> Result<&'a [usize], String> {
    let there = reads.get(operand).copied().flatten();
    there.ok_or_else(|| format!("its operand {operand} is missing"))
}

/// An operand that has to be there and of so many axes.
fn axes<'a, const N: usize>(reads: &Shapes<'a>, operand: usize) -> Result<[usize; N], String> {
    let shape = shape(reads, operand)?;
    shape.try_into().map_err(|_| format!("its operand {operand} of {shape:?} has not {N} axes"))
}

/// That an operand, where it is there, has this shape.
fn expect(reads: &Shapes, operand: usize, expected: &[usize]) -> Result<(), String> {
    match reads.get(operand).copied().flatten() {
        Some(found) if found != expected => {
            Err(format!("its operand {operand} is {found:?}, expected {expected:?}"))
        }
        _ => Ok(()),
    }
}

/// Every axis but the last by itself.
fn vector_by_vector(axis: usize, reads: &Shapes) -> Along {
    let rank = reads.first().copied().flatten().map_or(0, <[usize]>::len);
    if axis + 1 < rank { Along::Independent(axis) } else { Along::Whole }
}
