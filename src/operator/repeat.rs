use super::rules::{Along, Rules, Shapes, shape};

/// Operand 0 with every index of an axis `times` times in a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Repeat {
    pub axis: usize,
    pub times: usize,
}

impl Rules for Repeat {
    fn name(&self) -> &'static str {
        "repeat"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        let mut output = shape(reads, 0)?.to_vec();
        let Some(axis) = output.get_mut(self.axis) else {
            return Err(format!("{output:?} has no axis {}", self.axis));
        };
        *axis = axis.saturating_mul(self.times);
        Ok(vec![output])
    }

    fn along(&self, _: usize, axis: usize, _: &Shapes) -> Along {
        if axis == self.axis { Along::Whole } else { Along::Independent(axis) }
    }
}
