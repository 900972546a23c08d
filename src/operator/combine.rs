use super::rules::{Along, Rules, Shapes, shape};

/// The product, the largest or the smallest value of several arrays of which some are masked.
///
/// Its operands are `count` arrays of the same rank, of which those with an axis of length one are
/// repeated along it, and then for each of them its mask or none, which has all of its axes but
/// the last. It writes the longest length of each axis.
///
/// In a product a masked value is one, and what is masked in all arrays is zero. Of a largest or
/// smallest value, of one that is masked and one that isn't the latter is taken. Without masks it
/// is a [`Binary`](super::Binary) of two arrays after the other.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Combine {
    pub operation: Combination,
    /// How many arrays.
    pub count: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Combination {
    Product,
    Largest,
    Smallest,
}

impl Rules for Combine {
    fn name(&self) -> &'static str {
        "combine"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        let mut output = shape(reads, 0)?.to_vec();
        for operand in 1..self.count {
            let other = shape(reads, operand)?;
            if other.len() != output.len() {
                return Err(format!("{output:?} and {other:?} differ in rank"));
            }
            for (axis, &length) in output.iter_mut().zip(other) {
                *axis = match (*axis, length) {
                    (1, length) | (length, 1) => length,
                    (a, b) if a == b => a,
                    (a, b) => return Err(format!("axes of length {a} and {b} are combined")),
                };
            }
        }
        Ok(vec![output])
    }

    fn along(&self, _: usize, axis: usize, _: &Shapes) -> Along {
        Along::Independent(axis)
    }
}
