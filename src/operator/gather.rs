use super::rules::{Along, Rules, Shapes, shape};

/// For each id the index of an axis of x: the rows of a table, for example.
///
/// | operand | shape | |
/// |---|---|---|
/// | 0 | `[before…, length, behind…]` | x |
/// | 1 | `[…]` | ids: numbers from 0 on, without their part behind the point; of one outside of the
/// axis its nearest index, and of NaN the first |
///
/// It writes `[before…, …, behind…]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gather {
    pub axis: usize,
    /// Whether ids below zero count from the end: -1 is the last.
    pub from_end: bool,
}

impl Rules for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        let (x, ids) = (shape(reads, 0)?, shape(reads, 1)?);
        match x.get(self.axis) {
            None => Err(format!("{x:?} has no axis {}", self.axis)),
            Some(0) if !ids.contains(&0) => {
                Err(format!("its axis {} of {x:?} is empty", self.axis))
            }
            Some(_) => Ok(vec![[&x[..self.axis], ids, &x[self.axis + 1..]].concat()]),
        }
    }

    fn along(&self, operand: usize, axis: usize, reads: &Shapes) -> Along {
        let ids = reads.get(1).copied().flatten().map_or(0, <[usize]>::len);
        match operand {
            0 if axis == self.axis => Along::Whole,
            0 if axis > self.axis => Along::Independent(axis - 1 + ids),
            0 => Along::Independent(axis),
            _ => Along::Independent(self.axis + axis),
        }
    }
}
