use super::rules::{Along, Rules, Shapes, shape};

/// Arrays, its operands, one after another along an axis. They are equally long along all others.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Concat {
    pub axis: usize,
}

impl Rules for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        let mut output = shape(reads, 0)?.to_vec();
        for operand in 1..reads.len() {
            let other = shape(reads, operand)?;
            let fits = other.len() == output.len()
                && (0..other.len()).all(|axis| axis == self.axis || other[axis] == output[axis]);
            if !fits || self.axis >= output.len() {
                return Err(format!("{output:?} and {other:?} differ beside axis {}", self.axis));
            }
            output[self.axis] = output[self.axis].saturating_add(other[self.axis]);
        }
        Ok(vec![output])
    }

    fn along(&self, _: usize, axis: usize, _: &Shapes) -> Along {
        if axis == self.axis { Along::Whole } else { Along::Independent(axis) }
    }
}
