//! Arrays whose values are known before a program runs.

use ndarray::{ArrayD, IxDyn};
use serde::{Deserialize, Serialize};

/// What the numbers of an array in a [`Program`](super::Program) are. A device computes all of them
/// in `f32`, so that whole numbers are exact up to 2^24.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Numbers.
    Float,
    /// Whole numbers.
    Integer,
    /// Truth values, 1 and 0 on a device.
    Bool,
}

/// An array of a [`Program`](super::Program) whose values are known, such as a weight.
///
/// ```
/// use birnn::program::{Kind, Values};
/// let ids = Values::Integers(ndarray::arr1(&[3, 1, 4]).into_dyn());
/// assert_eq!((ids.kind(), ids.shape()), (Kind::Integer, &[3][..]));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Numbers.
    Floats(ArrayD<f32>),
    /// Whole numbers.
    Integers(ArrayD<i64>),
    /// Truth values.
    Bools(ArrayD<bool>),
}

/// The same for an array of any kind of values.
macro_rules! each {
    ($values:expr, $array:ident => $result:expr) => {
        match $values {
            Values::Floats($array) => Values::Floats($result),
            Values::Integers($array) => Values::Integers($result),
            Values::Bools($array) => Values::Bools($result),
        }
    };
}
pub(super) use each;

impl Values {
    /// A number without an axis.
    pub fn float(value: f32) -> Values {
        Values::Floats(ArrayD::from_elem(IxDyn(&[]), value))
    }

    /// A whole number without an axis.
    pub fn integer(value: i64) -> Values {
        Values::Integers(ArrayD::from_elem(IxDyn(&[]), value))
    }

    /// Whole numbers along one axis.
    pub fn integers(values: impl IntoIterator<Item = i64>) -> Values {
        Values::Integers(values.into_iter().collect::<ndarray::Array1<i64>>().into_dyn())
    }

    /// What its values are.
    pub fn kind(&self) -> Kind {
        match self {
            Values::Floats(_) => Kind::Float,
            Values::Integers(_) => Kind::Integer,
            Values::Bools(_) => Kind::Bool,
        }
    }

    /// The lengths of its axes.
    pub fn shape(&self) -> &[usize] {
        match self {
            Values::Floats(array) => array.shape(),
            Values::Integers(array) => array.shape(),
            Values::Bools(array) => array.shape(),
        }
    }

    /// How many values it has.
    pub fn len(&self) -> usize {
        self.shape().iter().product()
    }

    /// Whether it has no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As a device has them: numbers, the nearest to whole numbers, and 1 and 0.
    pub(crate) fn to_floats(&self) -> ArrayD<f32> {
        match self {
            Values::Floats(array) => array.clone(),
            Values::Integers(array) => array.mapv(|value| value as f32),
            Values::Bools(array) => array.mapv(|value| f32::from(u8::from(value))),
        }
    }

    /// Numbers without their part behind the point.
    pub(super) fn to_integers(&self) -> ArrayD<i64> {
        match self {
            Values::Floats(array) => array.mapv(|value| value as i64),
            Values::Integers(array) => array.clone(),
            Values::Bools(array) => array.mapv(i64::from),
        }
    }

    /// Whether each isn't zero.
    pub(super) fn to_bools(&self) -> ArrayD<bool> {
        match self {
            Values::Floats(array) => array.mapv(|value| value != 0.0),
            Values::Integers(array) => array.mapv(|value| value != 0),
            Values::Bools(array) => array.clone(),
        }
    }

    /// The same values as others of this kind: numbers lose their part behind the point, and what
    /// isn't zero is true.
    pub fn cast(&self, kind: Kind) -> Values {
        match kind {
            Kind::Float => Values::Floats(self.to_floats()),
            Kind::Integer => Values::Integers(self.to_integers()),
            Kind::Bool => Values::Bools(self.to_bools()),
        }
    }

    /// The same in C order, which is that of all arrays between operators.
    pub(super) fn in_c_order(self) -> Values {
        each!(self, array => match array.is_standard_layout() {
            true => array,
            false => array.as_standard_layout().into_owned(),
        })
    }

    /// Its values in order, where they are whole numbers or truth values.
    pub(super) fn numbers(&self) -> Option<Vec<i64>> {
        match self {
            Values::Floats(_) => None,
            _ => Some(self.to_integers().iter().copied().collect()),
        }
    }

    /// Its only value.
    pub(super) fn only(&self) -> Option<f32> {
        match self.len() {
            1 => self.to_floats().first().copied(),
            _ => None,
        }
    }
}
