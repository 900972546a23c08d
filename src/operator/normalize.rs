use super::rules::{Along, Rules, Shapes, expect, shape};

/// A normalization over some axes.
///
/// | operand | shape | |
/// |---|---|---|
/// | 0 | any | x |
/// | 1 | the lengths of `axes` | gamma, with which normalized values are multiplied, or none |
/// | 2 | the lengths of `axes` | beta, which is then added, or none |
///
/// It writes the shape of x.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Normalize {
    /// In ascending order.
    pub axes: Vec<usize>,
    pub normalization: Normalization,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Normalization {
    /// `exp(x) / Σ exp(x)`
    Softmax,
    /// `x - ln Σ exp(x)`
    LogSoftmax,
    /// `(x - mean) / √(variance + epsilon)`
    Moments { epsilon: f64 },
    /// `x / √(mean(x²) + epsilon)`
    RootMeanSquare { epsilon: f64 },
    /// `x / max(‖x‖, 1e-12)`
    Unit,
}

impl Normalization {
    /// Of those that go by moments: what `count` values less their mean are multiplied by, whose
    /// squares have this sum.
    pub fn factor(self, squares: f64, count: usize) -> f64 {
        match self {
            Normalization::Moments { epsilon } | Normalization::RootMeanSquare { epsilon } => {
                (squares / count as f64 + epsilon).sqrt().recip()
            }
            // Of a norm of at least 1e-12; NaN stays NaN.
            _ if squares.sqrt() < 1e-12 => 1e12,
            _ => squares.sqrt().recip(),
        }
    }
}

impl Rules for Normalize {
    fn name(&self) -> &'static str {
        "normalize"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        let x = shape(reads, 0)?;
        let lengths =
            self.axes.iter().map(|&axis| x.get(axis).copied()).collect::<Option<Vec<_>>>();
        let lengths = lengths.ok_or_else(|| format!("{x:?} has no axes {:?}", self.axes))?;
        expect(reads, 1, &lengths)?;
        expect(reads, 2, &lengths)?;
        Ok(vec![x.to_vec()])
    }

    fn along(&self, operand: usize, axis: usize, _: &Shapes) -> Along {
        match operand == 0 && !self.axes.contains(&axis) {
            true => Along::Independent(axis),
            false => Along::Whole,
        }
    }
}
