use super::rules::{Along, Rules, Shapes, expect, product, shape};

/// An array with other values in some of its rows.
///
/// | operand | shape | |
/// |---|---|---|
/// | 0 | `[rows…, values…]` | x, of which the first `axes` axes count rows |
/// | 1 | `[n]` | the rows' numbers, each once; nothing is written to rows that there aren't |
/// | 2 | `[n, values…]` | the rows' values |
///
/// It writes the shape of x.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scatter {
    /// How many axes count rows, in C order.
    pub axes: usize,
}

impl Scatter {
    /// The rows of an array of this shape, and the values of a row.
    pub fn rows(&self, x: &[usize]) -> (usize, usize) {
        let (rows, values) = x.split_at(self.axes);
        (product(rows), product(values))
    }
}

impl Rules for Scatter {
    fn name(&self) -> &'static str {
        "scatter"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        let (x, rows) = (shape(reads, 0)?, shape(reads, 1)?);
        let Some(values) = x.get(self.axes..) else {
            return Err(format!("{x:?} has no {} axes of rows", self.axes));
        };
        let &[count] = rows else { return Err(format!("its rows are {rows:?}, not a list")) };
        shape(reads, 2)?;
        expect(reads, 2, &[&[count], values].concat())?;
        Ok(vec![x.to_vec()])
    }

    fn along(&self, _: usize, _: usize, _: &Shapes) -> Along {
        Along::Whole
    }
}
