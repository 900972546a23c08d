//! What a graph asks of the values that a call gives: that they are ids of a table, places along an
//! axis, or lengths. `following.rs` finds out which values these are.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Values of an input of the model, and what they have to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Demand {
    /// The number of the input.
    pub input: usize,
    /// Which of its values, in C order; `None`: all.
    pub values: Option<Vec<usize>>,
    /// Whether they lose their part behind the point before they are read.
    pub is_cut: bool,
    pub bounds: Bounds,
    /// The layer or the operation that reads them.
    pub reader: String,
}

/// What whole numbers have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Bounds {
    /// Ids of a table with so many rows, from 0 on.
    Ids(usize),
    /// Places along an axis so long; below zero they count from its end.
    Places(usize),
    /// How much counts of an axis so long.
    Lengths(usize),
    /// Any whole numbers.
    Whole,
    /// 0 or 1.
    Truth,
}

impl Bounds {
    /// The smallest and the largest number.
    pub fn range(self) -> (f64, f64) {
        match self {
            Bounds::Ids(rows) => (0.0, rows as f64 - 1.0),
            Bounds::Places(length) => (-(length as f64), length as f64 - 1.0),
            Bounds::Lengths(length) => (0.0, length as f64),
            Bounds::Whole => (f64::NEG_INFINITY, f64::INFINITY),
            Bounds::Truth => (0.0, 1.0),
        }
    }

    /// Whether a value is one of the numbers, or becomes one when it is cut.
    pub fn hold(self, value: f64, is_cut: bool) -> bool {
        let (least, most) = self.range();
        let number = if is_cut { value.trunc() } else { value };
        number.is_finite() && number.fract() == 0.0 && (least..=most).contains(&number)
    }
}

/// What was found out while a graph is written.
#[derive(Clone, Debug, Default)]
pub(super) struct Following {
    /// Where values come from, of the arrays of which that was asked, by their numbers.
    pub origins: HashMap<usize, Origin>,
    /// How many values were followed one by one.
    pub values: usize,
    /// Arrays with the values of another one in an order that steps compute: the other one.
    pub reordered: HashMap<usize, usize>,
    /// Arrays that steps compute with each place of an axis once: how long the axis is.
    pub orders: HashMap<usize, usize>,
    /// What is asked of all values of an input, with [`Demand::is_cut`].
    pub asked: HashSet<(usize, Bounds, bool)>,
}

/// Where the values of an array come from.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// The inputs of the model that it has values of.
    pub inputs: Arc<BTreeSet<usize>>,
    /// Whether it has every value of them.
    pub has_all: bool,
    /// Whether steps compute some of its values.
    pub is_computed: bool,
    pub is_cut: bool,
}
