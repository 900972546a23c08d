use super::rules::{Along, Rules, Shapes, shape};

/// A part of operand 0: `length` indices of an axis, `start`, `start + step`, `start + 2 · step`…,
/// backward where `step` is below zero.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slice {
    pub axis: usize,
    pub start: usize,
    pub step: isize,
    pub length: usize,
}

impl Slice {
    /// The last index that it takes, of an axis so long; `None` where it isn't one.
    fn last(&self, axis: usize) -> Option<usize> {
        let steps = isize::try_from(self.length - 1).ok()?;
        let last = self.start.checked_add_signed(steps.checked_mul(self.step)?)?;
        (last < axis && self.start < axis).then_some(last)
    }
}

impl Rules for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        let mut output = shape(reads, 0)?.to_vec();
        match output.get_mut(self.axis) {
            Some(axis) if self.length == 0 || self.last(*axis).is_some() => {
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
