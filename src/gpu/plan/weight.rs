//! Weights as the kernels read them: what is packed and uploaded once for all calls.

use crate::graph::ConstantId;
use crate::layer::Cell;

/// A weight in the layout that a kernel reads. It says all that its values depend on, beside the
/// model: what equals another is the same in every plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::gpu) enum Weight {
    Recurrent(RecurrentWeight),
    Constant {
        id: ConstantId,
        layout: ConstantLayout,
    },
    /// The number 1.
    One,
}

/// A weight of directions of recurrences that run in the same launches, one after another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::gpu) struct RecurrentWeight {
    /// For each direction the layer of the model that has its weights (`Recurrent::weights`), and
    /// its place in it: 0 forward, 1 backward.
    pub directions: Vec<(usize, usize)>,
    pub part: WeightPart,
    pub cell: Cell,
    pub units: usize,
    /// Whether kernels are stored as halves.
    pub halves: bool,
    /// The width in units of a panel of a kernel; `None`: one panel has all units.
    pub panel: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::gpu) enum WeightPart {
    Kernel,
    Bias,
    RecurrentKernel,
    /// What each unit has one value of, such as a recurrent bias.
    UnitWeights,
}

impl WeightPart {
    /// Whether a stack has one array for all its recurrences.
    pub fn is_recurrent(self) -> bool {
        matches!(self, WeightPart::RecurrentKernel | WeightPart::UnitWeights)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::gpu) enum ConstantLayout {
    /// All values in order.
    Flat,
    /// `[…][features]`, the features filled up to a multiple of four with zeros.
    Vectors,
    /// `[tap][features4][columns4][feature]`, vectors of four columns with zeros past the last, of
    /// a kernel `[features, columns]` or `[sizes of a window…, features, columns]`.
    Matrix,
}
