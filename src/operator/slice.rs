use super::rules::{Along, Rules, Shapes, shape};

/// A part of operand 0: `length` indices of an axis, from `start` on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slice {
    pub axis: usize,
    pub start: usize,
    pub length: usize,
}

impl Rules for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        let mut output = shape(reads, 0)?.to_vec();
        match output.get_mut(self.axis) {
            Some(axis) if self.start.saturating_add(self.length) <= *axis => {
                *axis = self.length;
                Ok(vec![output])
            }
            _ => Err(format!("{self:?} of {output:?}")),
        }
    }

    fn along(&self, _: usize, axis: usize, _: &Shapes) -> Along {
        if axis == self.axis { Along::Whole } else { Along::Independent(axis) }
    }
}
