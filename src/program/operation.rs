//! What a program is made of: operations on arrays.

use super::resizing::Resizing;
use super::values::Kind;
use crate::layer::{Activation, Layer};
use crate::operator::{BinaryFunction, UnaryFunction};
use serde::{Deserialize, Serialize};

/// An operation of a [`Program`](super::Program). It reads arrays, its operands, in an order that
/// is written here, and returns one array where nothing else is said. Axes count from the end where
/// they are negative.
///
/// Operands that say a shape, axes or a place have to be known when a call is prepared: constants,
/// lengths of arrays, what follows from them, or an input that holds such numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub enum Operation {
    /// An element-wise activation of operand 0.
    Activate(Activation),
    /// A function of each value of operand 0.
    Unary(Unary),
    /// A function of the values of operands 0 and 1, whose shapes are repeated to each other as
    /// NumPy does.
    Binary(Binary),
    /// Where operand 0 is true the values of operand 1, elsewhere those of operand 2, repeated to
    /// one shape.
    Select,
    /// Operand 0 as values of another kind: numbers lose their part behind the point, and what
    /// isn't zero is true.
    Cast(Kind),
    /// Operand 0 as values of the kind that operand 1 has.
    CastLike,
    /// The lengths of operand 0's axes, always known.
    Shape,
    /// Operand 0 in the shape that operand 1 says, of which one length may be -1: what is left.
    Reshape {
        /// Whether a length of 0 means the length that operand 0 has there.
        zero_copies: bool,
    },
    /// Operand 0 as a matrix: the axes before this one as one, and all others as one.
    Flatten {
        /// The first axis of the columns.
        axis: i64,
    },
    /// Operand 0 without the axes of length one that operand 1 lists; without it, without all such.
    Squeeze,
    /// Operand 0 with axes of length one at the places that operand 1 lists.
    Unsqueeze,
    /// Axis `i` of what it returns is axis `order[i]` of operand 0; empty: in reverse order.
    Transpose {
        /// An axis of operand 0 each.
        order: Vec<usize>,
    },
    /// Operand 0 with an axis at another place; the others stay in their order.
    MoveAxis {
        /// The place of the axis.
        from: i64,
        /// Its place in what is returned.
        to: i64,
    },
    /// All operands, one after another.
    Concat {
        /// Along which axis.
        axis: i64,
    },
    /// A part of operand 0, as NumPy counts: from the starts that operand 1 lists to the ends of
    /// operand 2, of the axes of operand 3 (or the first ones), in the steps of operand 4 (or 1).
    Slice,
    /// Operand 0 in parts of the lengths that operand 1 lists, or of equal lengths. It returns
    /// each.
    Split {
        /// Along which axis.
        axis: i64,
        /// How many.
        parts: usize,
    },
    /// The places of operand 0 that operand 1 says, along an axis, in whose place the axes of
    /// operand 1 stand.
    ///
    /// Here and in the other operations with places, those below zero count from the end. A place
    /// that a call gives, as it is or moved by other operations, has to lie on the axis, or it is
    /// an [`Error::InputValue`](crate::Error::InputValue); of one that is computed and doesn't the
    /// nearest counts.
    Take {
        /// Along which axis.
        axis: i64,
    },
    /// Operand 0 repeated to the shape of operand 1, and to its own.
    Expand,
    /// Operand 0 as often as operand 1 says of each axis.
    Tile,
    /// Operand 0 with values around it: operand 1 lists how many are before each axis, then how
    /// many are after each. Operand 2 is the value (0 without it), operand 3 the axes (or all).
    Pad(PadMode),
    /// The numbers from operand 0 to below operand 1 in steps of operand 2.
    Range,
    /// An array of the shape of operand 0 of which all values are operand 1.
    Fill,
    /// A value of all values along the axes that operand 1 lists, or along all axes.
    Reduce {
        /// Which value.
        reduction: Reduction,
        /// Whether the axes stay, with length one.
        keep: bool,
    },
    /// The place of the largest value along an axis.
    ArgMax {
        /// Along which axis.
        axis: i64,
        /// Whether the axis stays, with length one.
        keep: bool,
        /// Whether it is the place of the smallest.
        smallest: bool,
        /// Whether of equal values the last is taken.
        last: bool,
    },
    /// The matrix product of operands 0 and 1, as NumPy's `matmul`: of the last two axes.
    Product,
    /// `exp(x) / Σ exp(x)` of operand 0.
    Softmax {
        /// Along which axis the sum is.
        axis: i64,
        /// Whether it is the logarithm of it.
        log: bool,
    },
    /// `(x - mean) / √(variance + epsilon)` of operand 0, over the axes that operand 1 lists.
    Standardize {
        /// Keeps what is constant from being divided by zero.
        epsilon: f32,
    },
    /// Windows of operand 0, `[batch, …, features]`, times operand 1, a constant
    /// `[size of a window…, features / groups, filters]`, plus operand 2, a constant `[filters]`,
    /// where it is there.
    Convolution {
        /// The windows.
        windows: Windows,
        /// In how many parts features and filters are, of which each reaches its part of the
        /// others.
        groups: usize,
    },
    /// The largest value or the mean of each feature over windows of operand 0,
    /// `[batch, …, features]`.
    Pool {
        /// The windows.
        windows: Windows,
        /// The length of a window along each axis.
        size: Vec<usize>,
        /// What is taken of a window.
        pooling: Pooling,
        /// Whether a window that begins within the array and ends outside counts.
        partial: bool,
    },
    /// A recurrent layer, or one of two directions, with the arguments of `layer`, whose
    /// `return_sequences`, `return_state` and `stateful` don't count: it returns the output of
    /// every timestep, `[batch, timesteps, units of all directions]`, and then the final states of
    /// each direction.
    ///
    /// Operand 0 is the sequence, `[batch, timesteps, features]`, operand 1 its mask,
    /// `[batch, timesteps]`, or none; then come the initial states of each direction, each
    /// `[batch, units]` or none, and at last the weights in the order of
    /// [`Model::set_weights`](crate::Model::set_weights), which have to be constants.
    Recurrent {
        /// What reads the sequence; its `merge_mode` has to be `Concat`.
        layer: Box<Layer>,
        /// Whether the output of a layer with `go_backwards`, which comes in the order of reading,
        /// is put back into the order of time.
        in_order_of_time: bool,
    },
    /// Operand 1 where operand 0, a single known truth value, is true, otherwise operand 2. What
    /// isn't taken isn't computed.
    Choose,
    /// The values of operand 0 at places: the last axis of operand 1 holds the index along each of
    /// the first axes, behind those that both have.
    TakeNd {
        /// How many of the first axes both have: each of their places has places of its own.
        batch_axes: usize,
    },
    /// The values of operand 0 at the places that operand 1 says along an axis, elsewhere at its
    /// own places.
    TakeAlong {
        /// Along which axis.
        axis: i64,
    },
    /// Operand 0 with the values of operand 2 at the places of operand 1, whose last axis holds the
    /// index along each of the first axes. Of several values for a place the last one counts.
    ScatterNd {
        /// Whether values are put together with those that are there; it is a sum, a product, the
        /// largest or the smallest value.
        reduction: Option<Reduction>,
    },
    /// Operand 0 with the values of operand 2 at the places that operand 1 says along an axis,
    /// elsewhere at their own places. Of several values for a place the last one counts.
    ScatterAlong {
        /// Along which axis.
        axis: i64,
        /// As that of [`Operation::ScatterNd`].
        reduction: Option<Reduction>,
    },
    /// As many of the largest values of operand 0 along an axis as operand 1 says, in descending
    /// order, and their places. It returns both.
    TopK {
        /// Along which axis.
        axis: i64,
        /// Whether it is the smallest, in ascending order.
        smallest: bool,
    },
    /// Of the last two axes of operand 0 what lies on one side of a diagonal, elsewhere zeros.
    /// Operand 1 says how far above the main diagonal it is (or 0).
    Triangle {
        /// Whether it is the side above.
        upper: bool,
    },
    /// The indices of the values of operand 0 that aren't zero, `[axes, count]`.
    NonZero,
    /// The sum of all values of operand 0 up to each, along the axis that operand 1 says.
    CumulativeSum {
        /// Whether each is left out of its own sum.
        exclusive: bool,
        /// Whether sums begin at the end.
        reverse: bool,
    },
    /// The product of all values of operand 0 up to each, along the axis that operand 1 says.
    CumulativeProduct {
        /// Whether each is left out of its own product.
        exclusive: bool,
        /// Whether products begin at the end.
        reverse: bool,
    },
    /// Operand 0 with other lengths of axes, and values between those that there were. Operand 1
    /// says which part of each axis is taken, first where it begins and then where it ends, from 0
    /// to 1; only [`Coordinates::Crop`](super::Coordinates) has it. Operand 2 says how many times
    /// as long axes become, or operand 3 how long.
    Resize(Resizing),
    /// Operand 0 as it is: how much of an axis counts in each row, of one as long as the known
    /// number operand 1 says. Where a call gives other values than whole numbers from 0 to that it
    /// is an [`Error::InputValue`](crate::Error::InputValue).
    Lengths,
    /// What can't be computed, in the place of an array that need not be, such as what a branch
    /// returns that no call takes. It reads nothing. Where the array is needed it is an
    /// [`Error::UnsupportedNode`](crate::Error::UnsupportedNode).
    Unsupported {
        /// The operator of the node that isn't supported; the node's name is that of the operation.
        op_type: String,
        /// Why, and what to do.
        reason: String,
    },
}

/// A function of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Unary {
    /// `-x`
    Negate,
    /// `|x|`
    Absolute,
    /// `exp(x)`
    Exp,
    /// `ln(x)`
    Log,
    /// `√x`
    Sqrt,
    /// `1 / x`
    Reciprocal,
    /// The error function.
    Erf,
    /// The largest whole number that isn't above x.
    Floor,
    /// The smallest whole number that isn't below x.
    Ceil,
    /// The nearest whole number, of two the even one.
    Round,
    /// -1, 0 or 1.
    Sign,
    /// Whether x is false.
    Not,
    /// `sin(x)`
    Sin,
    /// `cos(x)`
    Cos,
    /// Whether x is no number.
    IsNan,
}

impl Unary {
    /// The operator's function that it is; `None`: it is the activation `Exponential`.
    pub(super) fn as_operator(self) -> Option<UnaryFunction> {
        Some(match self {
            Unary::Exp => return None,
            Unary::Negate => UnaryFunction::Negate,
            Unary::Absolute => UnaryFunction::Absolute,
            Unary::Log => UnaryFunction::Log,
            Unary::Sqrt => UnaryFunction::Sqrt,
            Unary::Reciprocal => UnaryFunction::Reciprocal,
            Unary::Erf => UnaryFunction::Erf,
            Unary::Floor => UnaryFunction::Floor,
            Unary::Ceil => UnaryFunction::Ceil,
            Unary::Round => UnaryFunction::Round,
            Unary::Sign => UnaryFunction::Sign,
            Unary::Not => UnaryFunction::Not,
            Unary::Sin => UnaryFunction::Sin,
            Unary::Cos => UnaryFunction::Cos,
            Unary::IsNan => UnaryFunction::IsNan,
        })
    }
}

/// A function of two values. Comparisons and logic return truth values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Binary {
    /// `a + b`
    Add,
    /// `a - b`
    Subtract,
    /// `a · b`
    Multiply,
    /// `a / b`; of whole numbers without what is behind the point.
    Divide,
    /// `a` to the power of `b`
    Power,
    /// The larger one.
    Maximum,
    /// The smaller one.
    Minimum,
    /// What is left of `a / b`, with the sign of b.
    Modulo,
    /// What is left of `a / b`, with the sign of a.
    Remainder,
    /// `a = b`
    Equal,
    /// `a < b`
    Less,
    /// `a ≤ b`
    LessOrEqual,
    /// `a > b`
    Greater,
    /// `a ≥ b`
    GreaterOrEqual,
    /// Both.
    And,
    /// One of them or both.
    Or,
    /// One of them alone.
    Xor,
}

impl Binary {
    /// The operator's function that it is; `None`: it is made of others, or of one whose operands
    /// change places.
    pub(super) fn as_operator(self) -> Option<BinaryFunction> {
        Some(match self {
            Binary::Remainder | Binary::Greater | Binary::GreaterOrEqual => return None,
            Binary::Add => BinaryFunction::Add,
            Binary::Subtract => BinaryFunction::Subtract,
            Binary::Multiply => BinaryFunction::Multiply,
            Binary::Divide => BinaryFunction::Divide,
            Binary::Power => BinaryFunction::Power,
            Binary::Maximum => BinaryFunction::Maximum,
            Binary::Minimum => BinaryFunction::Minimum,
            Binary::Modulo => BinaryFunction::Modulo,
            Binary::Equal => BinaryFunction::Equal,
            Binary::Less => BinaryFunction::Less,
            Binary::LessOrEqual => BinaryFunction::LessOrEqual,
            Binary::And => BinaryFunction::And,
            Binary::Or => BinaryFunction::Or,
            Binary::Xor => BinaryFunction::Xor,
        })
    }
}

/// A value of many values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Reduction {
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The largest.
    Maximum,
    /// The smallest.
    Minimum,
    /// Their product.
    Product,
    /// The sum of their squares.
    SumOfSquares,
    /// The sum of their sizes, `|x|`.
    SumOfAbsolutes,
}

/// What [`Operation::Pad`] puts around an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum PadMode {
    /// A value.
    Constant,
    /// The array as in a mirror, without its outermost value.
    Reflect,
    /// The outermost value.
    Edge,
    /// The array's other end.
    Wrap,
}

/// What [`Operation::Pool`] takes of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Pooling {
    /// The largest value.
    Maximum,
    /// The mean of the values, of those that lie within the array.
    Mean,
    /// The mean, in which what lies outside counts as zero.
    MeanWithPadding,
}

/// Windows along the axes of an array between the first and the last. Of each axis:
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Windows {
    /// How far it is from one window to the next.
    pub strides: Vec<usize>,
    /// How far it is from one value of a window to the next.
    pub dilations: Vec<usize>,
    /// How far it is from one value of the array to the next, with zeros between them: 1, or the
    /// strides of a convolution that this one transposes.
    pub spread: Vec<usize>,
    /// How many zeros there are before the axis and behind it; below zero, how many values are
    /// left out.
    pub padding: Vec<(i64, i64)>,
}

impl Operation {
    /// Its name in messages.
    pub fn name(&self) -> &'static str {
        use Operation::*;
        match self {
            Activate(_) => "activate",
            Unary(_) => "unary",
            Binary(_) => "binary",
            Select => "select",
            Cast(_) => "cast",
            CastLike => "cast_like",
            Shape => "shape",
            Reshape { .. } => "reshape",
            Flatten { .. } => "flatten",
            Squeeze => "squeeze",
            Unsqueeze => "unsqueeze",
            Transpose { .. } => "transpose",
            MoveAxis { .. } => "move_axis",
            Concat { .. } => "concat",
            Slice => "slice",
            Split { .. } => "split",
            Take { .. } => "take",
            Expand => "expand",
            Tile => "tile",
            Pad(_) => "pad",
            Range => "range",
            Fill => "fill",
            Reduce { .. } => "reduce",
            ArgMax { .. } => "arg_max",
            Product => "product",
            Softmax { .. } => "softmax",
            Standardize { .. } => "standardize",
            Convolution { .. } => "convolution",
            Pool { .. } => "pool",
            Recurrent { .. } => "recurrent",
            Choose => "choose",
            TakeNd { .. } => "take_nd",
            TakeAlong { .. } => "take_along",
            ScatterNd { .. } => "scatter_nd",
            ScatterAlong { .. } => "scatter_along",
            TopK { .. } => "top_k",
            Triangle { .. } => "triangle",
            NonZero => "non_zero",
            CumulativeSum { .. } => "cumulative_sum",
            CumulativeProduct { .. } => "cumulative_product",
            Resize(_) => "resize",
            Lengths => "lengths",
            Unsupported { .. } => "unsupported",
        }
    }

    /// How many arrays it returns.
    pub fn results(&self) -> usize {
        match self {
            Operation::Split { parts, .. } => *parts,
            Operation::TopK { .. } => 2,
            Operation::Recurrent { layer, .. } => {
                1 + layer
                    .directions()
                    .iter()
                    .map(|(_, reader)| reader.cell().states())
                    .sum::<usize>()
            }
            _ => 1,
        }
    }

    pub(super) fn is_recurrent(&self) -> bool {
        matches!(self, Operation::Recurrent { .. })
    }

    /// The operands whose values have to be known when a call is prepared.
    pub(super) fn decides(&self, operand: usize) -> bool {
        use Operation::*;
        match self {
            Reshape { .. }
            | Squeeze
            | Unsqueeze
            | Split { .. }
            | Expand
            | Tile
            | Reduce { .. }
            | Standardize { .. }
            | Triangle { .. }
            | CumulativeSum { .. }
            | CumulativeProduct { .. }
            | TopK { .. }
            | Lengths => operand == 1,
            Slice | Pad(_) | Resize(_) => operand >= 1,
            Fill | Choose => operand == 0,
            NonZero | Range => true,
            _ => false,
        }
    }
}
