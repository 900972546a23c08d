use super::rules::{Along, Rules, Shapes, broadcast, shape};

/// Operand 0 as numpy broadcasts it to a shape: its axes lie along the last ones, and those of
/// length one are repeated. With a [`Reshape`](super::Reshape) before and after it, it repeats an
/// axis: `[n]`, `[n, 1]`, `[n, times]`, `[n · times]` each index so many times in a row, and with
/// `[1, n]` and `[times, n]` all of them after one another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expand {
    pub shape: Vec<usize>,
}

impl Rules for Expand {
    fn name(&self) -> &'static str {
        "expand"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        let x = shape(reads, 0)?;
        match broadcast(&[Some(x), Some(&self.shape)])? == self.shape {
            true => Ok(vec![self.shape.clone()]),
            false => Err(format!("{x:?} can't be repeated to {:?}", self.shape)),
        }
    }

    fn along(&self, _: usize, axis: usize, reads: &Shapes) -> Along {
        let Ok(x) = shape(reads, 0) else { return Along::Whole };
        let place = self.shape.len() - x.len() + axis;
        if x[axis] == self.shape[place] { Along::Independent(place) } else { Along::Whole }
    }
}
