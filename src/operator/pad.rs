use super::rules::{Along, Rules, Shapes, shape};

/// Operand 0 with more before and after it along an axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pad {
    pub axis: usize,
    pub before: usize,
    pub after: usize,
    pub filling: Filling,
}

/// What an array is padded with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Filling {
    /// With a number.
    Constant(f32),
    /// With what is next to the edge, mirrored at it: `c b | a b c | b a`.
    Reflect,
    /// With the first and the last index: `a a | a b c | c c`.
    Edge,
    /// With the other end: `b c | a b c | a b`.
    Wrap,
}

impl Filling {
    /// Of an axis so long, how many indices it can be padded with on one side.
    fn most(self, length: usize) -> usize {
        match self {
            Filling::Constant(_) => usize::MAX,
            Filling::Reflect => length.saturating_sub(1),
            Filling::Edge if length > 0 => usize::MAX,
            Filling::Edge | Filling::Wrap => length,
        }
    }
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
        if self.before.max(self.after) > self.filling.most(*axis) {
            return Err(format!("{self:?} of an axis of length {axis}"));
        }
        *axis = axis.saturating_add(self.before).saturating_add(self.after);
        Ok(vec![output])
    }

    fn along(&self, _: usize, axis: usize, _: &Shapes) -> Along {
        if axis == self.axis { Along::Whole } else { Along::Independent(axis) }
    }
}
