//! Comparisons with a number, of which masks are made. NaN differs from everything.

use super::rules::{Along, Rules, Shapes, shape, vector_by_vector};

/// 1 where operand 0 differs from a value, 0 elsewhere. It writes the shape of the operand, with
/// `any_feature` without the last axis: 1 where any value along it differs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Differs {
    pub value: f32,
    pub any_feature: bool,
}

impl Rules for Differs {
    fn name(&self) -> &'static str {
        "differs"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        let mut output = shape(reads, 0)?.to_vec();
        if self.any_feature {
            output.pop();
        }
        Ok(vec![output])
    }

    fn along(&self, _: usize, axis: usize, reads: &Shapes) -> Along {
        match self.any_feature {
            true => vector_by_vector(axis, reads),
            false => Along::Independent(axis),
        }
    }
}

/// Operand 0 with zeros in place of the vectors along the last axis of which all values equal
/// `value`. It writes the shape of the operand.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Blank {
    pub value: f32,
}

impl Rules for Blank {
    fn name(&self) -> &'static str {
        "blank"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        Ok(vec![shape(reads, 0)?.to_vec()])
    }

    fn along(&self, _: usize, axis: usize, reads: &Shapes) -> Along {
        vector_by_vector(axis, reads)
    }
}
