//! Functions of each value by itself, or of each vector.

use super::rules::{Along, Rules, Shapes, shape, vector_by_vector};
use birnn_cell::Activation;

/// An activation of operand 0, x. It writes the shape of x, of which glu halves the last axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Activate {
    pub activation: Activation,
}

impl Rules for Activate {
    fn name(&self) -> &'static str {
        "activate"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        let mut output = shape(reads, 0)?.to_vec();
        if let Some(last) = output.pop() {
            output.extend(self.activation.output_features(Some(last))?);
        }
        Ok(vec![output])
    }

    fn along(&self, _: usize, axis: usize, reads: &Shapes) -> Along {
        match self.activation.is_elementwise() {
            true => Along::Independent(axis),
            false => vector_by_vector(axis, reads),
        }
    }
}

/// `min(x, max_value)` above `threshold` and `negative_slope · (x - threshold)` elsewhere, of
/// operand 0, x. It writes the shape of x.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Relu {
    /// `None`: no limit.
    pub max_value: Option<f32>,
    pub negative_slope: f32,
    pub threshold: f32,
}

impl Rules for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        Ok(vec![shape(reads, 0)?.to_vec()])
    }

    fn along(&self, _: usize, axis: usize, _: &Shapes) -> Along {
        Along::Independent(axis)
    }
}

/// A function of each value of operand 0. It writes the shape of the operand.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unary {
    pub function: UnaryFunction,
}

/// Functions that aren't activations. Those of logic give 1 for true and 0 for false.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum UnaryFunction {
    DividedBy(f32),
    Negate,
    Absolute,
    Reciprocal,
    Sqrt,
    /// The natural logarithm.
    Log,
    /// The error function, `2/√π ∫₀ˣ exp(-t²) dt`.
    Erf,
    Sin,
    Cos,
    Floor,
    Ceil,
    /// To the nearest whole number, of two the even one.
    Round,
    /// To the next whole number towards zero.
    Truncate,
    /// -1, 0 or 1
    Sign,
    /// 1 where the value is 0.
    Not,
    IsNan,
}

impl UnaryFunction {
    #[cfg(test)]
    #[allow(dead_code)] // the tests that use it need the GPU path
    pub const ALL: [UnaryFunction; 16] = [
        UnaryFunction::DividedBy(3.0),
        UnaryFunction::Negate,
        UnaryFunction::Absolute,
        UnaryFunction::Reciprocal,
        UnaryFunction::Sqrt,
        UnaryFunction::Log,
        UnaryFunction::Erf,
        UnaryFunction::Sin,
        UnaryFunction::Cos,
        UnaryFunction::Floor,
        UnaryFunction::Ceil,
        UnaryFunction::Round,
        UnaryFunction::Truncate,
        UnaryFunction::Sign,
        UnaryFunction::Not,
        UnaryFunction::IsNan,
    ];

    /// Its value at `x`. The reference and the folding of what is known before a call both go by
    /// it, so that it makes no difference which of them computes a value.
    pub fn at(self, x: f64) -> f64 {
        match self {
            UnaryFunction::DividedBy(number) => x / f64::from(number),
            UnaryFunction::Negate => -x,
            UnaryFunction::Absolute => x.abs(),
            UnaryFunction::Reciprocal => x.recip(),
            UnaryFunction::Sqrt => x.sqrt(),
            UnaryFunction::Log => x.ln(),
            UnaryFunction::Erf => libm::erf(x),
            UnaryFunction::Sin => x.sin(),
            UnaryFunction::Cos => x.cos(),
            UnaryFunction::Floor => x.floor(),
            UnaryFunction::Ceil => x.ceil(),
            UnaryFunction::Round => x.round_ties_even(),
            UnaryFunction::Truncate => x.trunc(),
            UnaryFunction::Sign if x == 0.0 => x, // `f64::signum` of 0 is 1
            UnaryFunction::Sign => x.signum(),
            UnaryFunction::Not => f64::from(u8::from(x == 0.0)),
            UnaryFunction::IsNan => f64::from(u8::from(x.is_nan())),
        }
    }
}

impl Rules for Unary {
    fn name(&self) -> &'static str {
        "unary"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        Ok(vec![shape(reads, 0)?.to_vec()])
    }

    fn along(&self, _: usize, axis: usize, _: &Shapes) -> Along {
        Along::Independent(axis)
    }
}
