//! Layers that join several arrays.

use super::feedforward::{Definition, Dims, MaskRule, arguments, axis_of, shown};
use std::ops::RangeInclusive;

/// How a [`Merge`] joins two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum MergeOperation {
    Add,
    Subtract,
    Multiply,
    Average,
    Maximum,
    Minimum,
}

/// Keras's `Add`, `Subtract`, `Multiply`, `Average`, `Maximum` and `Minimum`: value by value, of
/// two or more arrays (`subtract`: two). An axis of length one is repeated along the other's.
#[derive(Clone, Debug, PartialEq)]
pub struct Merge {
    pub(crate) operation: MergeOperation,
}

macro_rules! merges {
    ($($(#[$doc:meta])* $name:ident $operation:ident),+) => {
        impl Merge {
            $($(#[$doc])* pub fn $name() -> Merge {
                Merge { operation: MergeOperation::$operation }
            })+
        }
    };
}
merges! {
    /// The sum.
    add Add,
    /// The first less the second.
    subtract Subtract,
    /// The product.
    multiply Multiply,
    /// The mean.
    average Average,
    /// The largest.
    maximum Maximum,
    /// The smallest.
    minimum Minimum
}

impl Definition for Merge {
    fn class_name(&self) -> &'static str {
        match self.operation {
            MergeOperation::Add => "Add",
            MergeOperation::Subtract => "Subtract",
            MergeOperation::Multiply => "Multiply",
            MergeOperation::Average => "Average",
            MergeOperation::Maximum => "Maximum",
            MergeOperation::Minimum => "Minimum",
        }
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        if self.operation == MergeOperation::Subtract { 2..=2 } else { 2..=usize::MAX }
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let mut output = inputs[0].clone();
        for other in &inputs[1..] {
            if other.len() != output.len() {
                return Err(format!(
                    "its inputs {} and {} differ in rank",
                    shown(&output),
                    shown(other)
                ));
            }
            for (axis, &length) in output.iter_mut().zip(other) {
                *axis = match (*axis, length) {
                    (Some(1), n) | (n, Some(1)) => n,
                    (None, n) | (n, None) => n,
                    (Some(a), Some(b)) if a == b => Some(a),
                    (Some(a), Some(b)) => {
                        return Err(format!("its inputs have axes of length {a} and {b}"));
                    }
                };
            }
        }
        Ok(output)
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Any
    }
}

arguments! {
    /// Keras's `Concatenate`: arrays one after another along an axis.
    Concatenate() {
        /// The axis (default -1, the last), in Keras's count.
        axis: isize = -1,
    }
}

impl Definition for Concatenate {
    fn class_name(&self) -> &'static str {
        "Concatenate"
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        1..=usize::MAX
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let along = axis_of(self.axis, inputs[0].len())?;
        let mut output = inputs[0].clone();
        for other in &inputs[1..] {
            let fits = other.len() == output.len()
                && (0..other.len()).all(|i| {
                    i == along || other[i].is_none() || output[i].is_none() || other[i] == output[i]
                });
            if !fits {
                return Err(format!(
                    "its inputs {} and {} differ beside axis {}",
                    shown(&inputs[0]),
                    shown(other),
                    self.axis
                ));
            }
            for (index, axis) in output.iter_mut().enumerate() {
                *axis = match index == along {
                    true => axis.zip(other[index]).map(|(a, b)| a.saturating_add(b)),
                    false => axis.or(other[index]),
                };
            }
        }
        Ok(output)
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Concatenate(self.axis)
    }
}
