use super::rules::{Along, Rules, Shapes, axes, expect, shape, vector_by_vector};
use birnn_cell::Activation;

/// `activation(x · kernel + bias)` over the last axis of x.
///
/// | operand | shape | |
/// |---|---|---|
/// | 0 | `[…, features]` | x |
/// | 1 | `[features, columns]` | the kernel |
/// | 2 | `[columns]` | the bias, or none |
///
/// It writes `[…, columns]`; glu halves the columns.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MatMul {
    pub activation: Activation,
}

impl Rules for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        let [features, columns] = axes(reads, 1)?;
        expect(reads, 2, &[columns])?;
        let mut output = shape(reads, 0)?.to_vec();
        if output.pop() != Some(features) {
            return Err(format!("it multiplies {:?} with a kernel of {features} rows", reads[0]));
        }
        output.extend(self.activation.output_features(Some(columns))?);
        Ok(vec![output])
    }

    fn along(&self, operand: usize, axis: usize, reads: &Shapes) -> Along {
        if operand == 0 { vector_by_vector(axis, reads) } else { Along::Whole }
    }
}
