use super::rules::{Along, Rules, Shapes, shape};

/// Operand 0 with zeros before and after it along an axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pad {
    pub axis: usize,
    pub before: usize,
    pub after: usize,
}

impl Rules for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        let mut output = shape(reads, 0)?.to_vec();
        let Some(axis) = output.get_mut(self.axis) else {
            return Err(format!("{output:?} has no axis {}", self.axis));
        };
        *axis = axis.saturating_add(self.before).saturating_add(self.after);
        Ok(vec![output])
    }

    fn along(&self, _: usize, axis: usize, _: &Shapes) -> Along {
        if axis == self.axis { Along::Whole } else { Along::Independent(axis) }
    }
}
