use super::rules::{Along, Rules, Shapes, product, shape};

/// The values of operand 0 in the same order, in another shape.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reshape {
    pub shape: Vec<usize>,
}

impl Rules for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        let x = shape(reads, 0)?;
        match product(x) == product(&self.shape) {
            true => Ok(vec![self.shape.clone()]),
            false => Err(format!("the values of {x:?} don't fit {:?}", self.shape)),
        }
    }

    /// The first axis stays the first, though rows may be joined or cut: parts of it are parts of
    /// the values. Another axis comes out where it has the same length and as many values before
    /// it.
    fn along(&self, _: usize, axis: usize, reads: &Shapes) -> Along {
        if axis == 0 {
            return Along::Independent(0);
        }
        let x = reads.first().copied().flatten().unwrap_or_default();
        let before = |shape: &[usize], axis: usize| shape[..axis].iter().product::<usize>();
        let same = |&out: &usize| {
            self.shape[out] == x[axis] && before(&self.shape, out) == before(x, axis)
        };
        (0..self.shape.len()).find(same).map_or(Along::Whole, Along::Independent)
    }
}
