//! An array of a call while its graph is written.

use crate::graph::ArrayId;
use crate::program::values::{Kind, Values};
use std::sync::Arc;

#[derive(Clone, Debug)]
pub(in crate::program) enum Array {
    Known(Known),
    Computed(Computed),
}

/// One whose values are known on the host.
#[derive(Clone, Debug)]
pub(in crate::program) struct Known {
    pub values: Arc<Values>,
    /// Its place among the program's constants, where it is one.
    pub constant: Option<usize>,
}

/// One that a device computes, or that the call gives. Its axes may be in another order than those
/// of the graph's array, so that a transpose costs nothing until somebody needs the order.
#[derive(Clone, Debug)]
pub(in crate::program) struct Computed {
    pub array: ArrayId,
    /// Axis `i` is axis `order[i]` of the graph's array.
    pub order: Vec<usize>,
    pub shape: Vec<usize>,
    pub kind: Kind,
}

impl From<Values> for Array {
    fn from(values: Values) -> Array {
        Array::Known(Known { values: Arc::new(values.in_c_order()), constant: None })
    }
}

impl Array {
    pub fn shape(&self) -> &[usize] {
        match self {
            Array::Known(known) => known.values.shape(),
            Array::Computed(computed) => &computed.shape,
        }
    }

    pub fn rank(&self) -> usize {
        self.shape().len()
    }

    pub fn kind(&self) -> Kind {
        match self {
            Array::Known(known) => known.values.kind(),
            Array::Computed(computed) => computed.kind,
        }
    }

    pub fn known(&self) -> Option<&Values> {
        match self {
            Array::Known(known) => Some(&known.values),
            Array::Computed(_) => None,
        }
    }
}

impl Computed {
    /// The shape of the graph's array.
    pub fn base(&self) -> Vec<usize> {
        let mut base = vec![0; self.order.len()];
        for (&place, &length) in self.order.iter().zip(&self.shape) {
            base[place] = length;
        }
        base
    }

    /// Whether its axes are in the order of the graph's array.
    pub fn is_straight(&self) -> bool {
        self.order.iter().copied().eq(0..self.order.len())
    }

    /// Axis `i` of the result is axis `order[i]` of this one.
    pub fn transposed(&self, order: &[usize]) -> Computed {
        Computed {
            order: order.iter().map(|&axis| self.order[axis]).collect(),
            shape: order.iter().map(|&axis| self.shape[axis]).collect(),
            ..self.clone()
        }
    }

    /// The order that puts its axes into the order of the graph's array.
    pub fn inverse(&self) -> Vec<usize> {
        let mut inverse = vec![0; self.order.len()];
        for (axis, &place) in self.order.iter().enumerate() {
            inverse[place] = axis;
        }
        inverse
    }
}
