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
mod rules;
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
pub(crate) use recurrent::Recurrent;
pub(crate) use repeat::Repeat;
pub(crate) use reshape::Reshape;
pub(crate) use rules::{Along, Rules};
pub(crate) use slice::Slice;
pub(crate) use transpose::Transpose;
pub(crate) use unary::{Activate, Relu};
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
