use super::Recurrent;
use crate::error::{Error, Result};
use ndarray::{Array1, Array2, ArrayD, Axis, stack};

/// The weights of one direction of a recurrent layer, laid out as in Keras:
/// gates side by side along the columns, `i f c o` for LSTM and `z r h` for GRU.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    pub(crate) kernel: Array2<f32>,
    pub(crate) recurrent_kernel: Array2<f32>,
    /// `[gates · units]`; zeros where the layer has `use_bias` false.
    pub(crate) bias: Array1<f32>,
    /// `[gates · units]`: the second row of the bias of a GRU with `reset_after`, otherwise zeros.
    pub(crate) recurrent_bias: Array1<f32>,
}

impl Weights {
    /// `kernel`: `[features, gates · units]`.
    pub fn kernel(&self) -> &Array2<f32> {
        &self.kernel
    }

    /// `recurrent_kernel`: `[units, gates · units]`.
    pub fn recurrent_kernel(&self) -> &Array2<f32> {
        &self.recurrent_kernel
    }

    /// From arrays in Keras's order, checked against the layer's arguments.
    pub(super) fn new(name: &str, layer: &Recurrent, features: usize, arrays: &[ArrayD<f32>]) -> Result<Weights> {
        let columns = layer.cell().gates() * layer.units();
        let mut matrices = Vec::new();
        for ((weight, expected), array) in layer.weight_shapes(features).iter().zip(arrays) {
            check(name, weight, expected, array)?;
            let rows = expected.iter().product::<usize>() / columns;
            matrices.push(Array2::from_shape_fn((rows, columns), |(i, j)| {
                if expected.len() == 1 { array[[j]] } else { array[[i, j]] }
            }));
        }
        let mut matrices = matrices.into_iter();
        let (Some(kernel), Some(recurrent_kernel)) = (matrices.next(), matrices.next()) else {
            return Err(Error::MissingWeights { layer: name.to_string() });
        };
        let bias = matrices.next();
        let bias_row = |row: usize| match &bias {
            Some(bias) if row < bias.nrows() => bias.row(row).to_owned(),
            _ => Array1::zeros(columns),
        };
        Ok(Weights { kernel, recurrent_kernel, bias: bias_row(0), recurrent_bias: bias_row(1) })
    }

    /// The arrays in Keras's order.
    pub(super) fn arrays(&self, layer: &Recurrent) -> Vec<ArrayD<f32>> {
        let mut arrays = vec![self.kernel.clone().into_dyn(), self.recurrent_kernel.clone().into_dyn()];
        if layer.use_bias() && layer.cell().bias_rows() == 2 {
            arrays.extend(stack(Axis(0), &[self.bias.view(), self.recurrent_bias.view()]).map(|b| b.into_dyn()));
        } else if layer.use_bias() {
            arrays.push(self.bias.clone().into_dyn());
        }
        arrays
    }
}

fn check(layer: &str, weight: &str, expected: &[usize], array: &ArrayD<f32>) -> Result<()> {
    if array.shape() != expected {
        return Err(Error::WeightShape {
            layer: layer.to_string(),
            weight: weight.to_string(),
            found: array.shape().to_vec(),
            expected: expected.to_vec(),
        });
    }
    match array.indexed_iter().find(|(_, v)| !v.is_finite()) {
        None => Ok(()),
        Some((index, value)) => Err(Error::NonFiniteWeight {
            layer: layer.to_string(),
            weight: weight.to_string(),
            value: *value,
            index: ndarray::Dimension::slice(&index).to_vec(),
        }),
    }
}
