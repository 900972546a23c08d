use super::rules::{Along, Rules, Shapes, axes, shape};

/// The row of a table for each id.
///
/// | operand | shape | |
/// |---|---|---|
/// | 0 | `[…]` | ids: numbers, of which the nearest row is taken where there is none for an id |
/// | 1 | `[rows, features]` | the table |
///
/// It writes `[…, features]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gather;

impl Rules for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        let [_, features] = axes(reads, 1)?;
        Ok(vec![shape(reads, 0)?.iter().copied().chain([features]).collect()])
    }

    fn along(&self, _: usize, axis: usize, _: &Shapes) -> Along {
        Along::Independent(axis)
    }
}
