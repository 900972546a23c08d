use super::rules::{Along, Rules, Shapes, shape};

/// One value of all along some axes of operand 0. It writes the shape without these axes, or with
/// length one along them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reduce {
    /// In ascending order.
    pub axes: Vec<usize>,
    pub function: ReduceFunction,
    /// Whether the axes stay, with length one.
    pub keep_axes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReduceFunction {
    Sum,
    Mean,
    Product,
    /// NaN where a value is.
    Maximum,
    /// NaN where a value is.
    Minimum,
    /// The sum of the squares.
    SumOfSquares,
    /// The sum of the absolute values.
    SumOfAbsolutes,
    /// The index of the largest value along one axis, the first where there are several. NaN is
    /// larger than all.
    IndexOfMaximum,
    /// The index of the smallest value along one axis, the first where there are several. NaN is
    /// smaller than all.
    IndexOfMinimum,
}

impl ReduceFunction {
    #[cfg(test)]
    #[allow(dead_code)] // the tests that use it need the GPU path
    pub const ALL: [ReduceFunction; 9] = [
        ReduceFunction::Sum,
        ReduceFunction::Mean,
        ReduceFunction::Product,
        ReduceFunction::Maximum,
        ReduceFunction::Minimum,
        ReduceFunction::SumOfSquares,
        ReduceFunction::SumOfAbsolutes,
        ReduceFunction::IndexOfMaximum,
        ReduceFunction::IndexOfMinimum,
    ];

    pub fn is_index(self) -> bool {
        matches!(self, ReduceFunction::IndexOfMaximum | ReduceFunction::IndexOfMinimum)
    }

    /// Whether there is a value of it where there is nothing to reduce.
    fn of_nothing(self) -> bool {
        use ReduceFunction::{Mean, Product, Sum, SumOfAbsolutes, SumOfSquares};
        matches!(self, Sum | Mean | Product | SumOfSquares | SumOfAbsolutes)
    }
}

impl Rules for Reduce {
    fn name(&self) -> &'static str {
        "reduce"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        let x = shape(reads, 0)?;
        if !self.axes.is_sorted_by(|a, b| a < b) || self.axes.last() >= Some(&x.len()) {
            return Err(format!("{:?} are no ascending axes of {x:?}", self.axes));
        }
        if self.function.is_index() && self.axes.len() != 1 {
            return Err(format!("{:?} is along one axis, not {:?}", self.function, self.axes));
        }
        if !self.function.of_nothing() && self.axes.iter().any(|&axis| x[axis] == 0) {
            return Err(format!("there is no {:?} along {:?} of {x:?}", self.function, self.axes));
        }
        let kept = |(axis, &length): (usize, &usize)| match self.axes.contains(&axis) {
            true => self.keep_axes.then_some(1),
            false => Some(length),
        };
        Ok(vec![x.iter().enumerate().filter_map(kept).collect()])
    }

    fn along(&self, _: usize, axis: usize, _: &Shapes) -> Along {
        let before = self.axes.iter().filter(|&&reduced| reduced < axis).count();
        match self.axes.contains(&axis) {
            true => Along::Whole,
            false if self.keep_axes => Along::Independent(axis),
            false => Along::Independent(axis - before),
        }
    }
}
