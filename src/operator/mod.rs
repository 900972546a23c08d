//! Operators: what machines compute. Layers and importers lower to them, and backends run them.
//!
//! Each file defines one: its attributes, its operands in order, the shapes of what it writes, and
//! what becomes of each axis. Shapes are whole, the batch included. No operator knows a layer, a
//! file format or a backend; masks, initial states and weights are operands like any other (but for
//! those of a recurrence, which names the layer that has them: backends pack them once). A mask is
//! an array of 0 and 1, without the axis of the features: 1 where the value counts.

mod affine;
mod attention;
mod batched;
mod binary;
mod combine;
mod concat;
mod convolution;
mod differs;
mod expand;
mod gather;
mod matmul;
mod normalize;
mod pad;
mod pool;
mod recurrent;
mod reduce;
mod reshape;
mod rules;
mod scatter;
mod slice;
mod transpose;
mod unary;
mod windows;

pub(crate) use affine::{Affine, PRelu};
pub(crate) use attention::{Attention, MaskedScore, Score};
pub(crate) use batched::BatchedMatMul;
pub(crate) use binary::{Binary, BinaryFunction, Where, larger, smaller};
pub(crate) use combine::{Combination, Combine};
pub(crate) use concat::Concat;
pub(crate) use convolution::Convolution;
pub(crate) use differs::{Blank, Differs};
pub(crate) use expand::Expand;
pub(crate) use gather::Gather;
pub(crate) use matmul::MatMul;
pub(crate) use normalize::{Normalization, Normalize};
pub(crate) use pad::{Filling, Pad};
pub(crate) use pool::{Pool, Reduction};
pub use recurrent::MergeMode;
pub(crate) use recurrent::Recurrent;
pub(crate) use reduce::{Reduce, ReduceFunction};
pub(crate) use reshape::Reshape;
pub(crate) use rules::{Along, Rules, product};
pub(crate) use scatter::Scatter;
pub(crate) use slice::Slice;
pub(crate) use transpose::Transpose;
pub(crate) use unary::{Activate, Relu, Unary, UnaryFunction};
pub(crate) use windows::Windows;

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
    BatchedMatMul,
    Convolution,
    Pool,
    Attention,
    Activate,
    Unary,
    Relu,
    PRelu,
    Affine,
    Normalize,
    Binary,
    Where,
    Combine,
    Reduce,
    Gather,
    Scatter,
    Differs,
    Blank,
    Reshape,
    Transpose,
    Slice,
    Pad,
    Concat,
    Expand,
}
