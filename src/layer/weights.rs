use crate::error::{Error, Result};
use ndarray::{Array1, Array2, ArrayD, Axis, stack};

/// The weights of one direction of a recurrent layer, laid out as in Keras. The gates are side by
/// side along the columns, `units` columns each: `i f c o` for an LSTM (input gate, forget gate,
/// candidate, output gate), `z r h` for a GRU (update gate, reset gate, candidate).
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
    /// The `kernel`, `[features, gates · units]`, which multiplies the input.
    pub fn kernel(&self) -> &Array2<f32> {
        &self.kernel
    }

    /// The `recurrent_kernel`, `[units, gates · units]`, which multiplies the hidden state.
    pub fn recurrent_kernel(&self) -> &Array2<f32> {
        &self.recurrent_kernel
    }

    /// Of a layer of this name, from arrays in Keras's order, whose number and shapes are checked.
    pub(super) fn new(name: &str, arrays: &[ArrayD<f32>]) -> Result<Weights> {
        let columns = arrays.first().and_then(|kernel| kernel.shape().last()).map_or(0, |&n| n);
        let mut matrices = arrays.iter().map(|array| {
            let rows = array.len() / columns.max(1);
            Array2::from_shape_fn((rows, columns), |(i, j)| {
                if array.ndim() == 1 { array[[j]] } else { array[[i, j]] }
            })
        });
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

    /// The arrays in Keras's order, of a layer whose bias has so many rows.
    pub(super) fn arrays(&self, bias_rows: usize) -> Vec<ArrayD<f32>> {
        let mut arrays =
            vec![self.kernel.clone().into_dyn(), self.recurrent_kernel.clone().into_dyn()];
        match bias_rows {
            0 => {}
            1 => arrays.push(self.bias.clone().into_dyn()),
            _ => arrays.extend(
                stack(Axis(0), &[self.bias.view(), self.recurrent_bias.view()])
                    .map(|bias| bias.into_dyn()),
            ),
        }
        arrays
    }
}

/// That an array is what the layer's arguments ask for, and finite. A moving variance may be
/// infinite, as training on a diverged batch leaves it: the layer then returns its beta, in Keras
/// and here.
pub(super) fn check(
    layer: &str,
    weight: &str,
    expected: &[usize],
    array: &ArrayD<f32>,
) -> Result<()> {
    let (layer, weight) = (layer.to_string(), weight.to_string());
    if array.shape() != expected {
        let (found, expected) = (array.shape().to_vec(), expected.to_vec());
        return Err(Error::WeightShape { layer, weight, found, expected });
    }
    let infinite_variance = |v: f32| weight == "moving_variance" && v == f32::INFINITY;
    match array.indexed_iter().find(|&(_, &v)| !v.is_finite() && !infinite_variance(v)) {
        None => Ok(()),
        Some((index, &value)) => {
            let index = ndarray::Dimension::slice(&index).to_vec();
            Err(Error::NonFiniteWeight { layer, weight, value, index })
        }
    }
}
