use crate::error::{Error, Result};
use crate::order::to_standard;
use birnn_cell::{Cell, CellWeights, Real, UnitWeight, WeightRole};
use ndarray::{Array1, Array2, ArrayD, ArrayView1, Axis, Slice, stack};

/// The weights of one direction of a recurrent layer, laid out as in Keras. The gates are side by
/// side along the columns, `units` columns each, in the order of
/// [`Cell::gates`](crate::Cell::gates): `i f c o` for an LSTM (input gate, forget gate, candidate,
/// output gate), `z r h` for a GRU (update gate, reset gate, candidate).
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    pub(crate) kernel: Array2<f32>,
    pub(crate) recurrent_kernel: Array2<f32>,
    /// `[gates · units]`; zeros where the layer has `use_bias` false.
    pub(crate) bias: Array1<f32>,
    /// `[gates · units]`: the second row of the bias of a GRU with `reset_after`, otherwise zeros.
    pub(crate) recurrent_bias: Array1<f32>,
    /// `[gates that have one, units]`; without rows where the cell has none.
    pub(crate) peepholes: Array2<f32>,
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

    /// The `peepholes`, `[3, units]` for an LSTM that has them, which multiply the cell state: of
    /// the input gate, the forget gate and the output gate. Without rows where the cell has none.
    pub fn peepholes(&self) -> &Array2<f32> {
        &self.peepholes
    }

    /// Of a layer of this name, from arrays whose roles, number and shapes are checked.
    pub(super) fn new(name: &str, roles: &[WeightRole], arrays: &[ArrayD<f32>]) -> Result<Weights> {
        let matrix = |role: WeightRole| {
            let place = roles.iter().position(|&other| other == role)?;
            let array = arrays.get(place)?;
            let columns = array.shape().last().map_or(1, |&columns| columns.max(1));
            let shape = (array.len() / columns, columns);
            to_standard(&array.view()).into_shape_with_order(shape).ok()
        };
        let matrices = (matrix(WeightRole::Kernel), matrix(WeightRole::RecurrentKernel));
        let (Some(kernel), Some(recurrent_kernel)) = matrices else {
            return Err(Error::MissingWeights { layer: name.to_string() });
        };
        let (units, columns) = recurrent_kernel.dim();
        let bias = matrix(WeightRole::Bias);
        let bias_row = |row: usize| match &bias {
            Some(bias) if row < bias.nrows() => bias.row(row).to_owned(),
            _ => Array1::zeros(columns),
        };
        Ok(Weights {
            bias: bias_row(0),
            recurrent_bias: bias_row(1),
            peepholes: matrix(WeightRole::Peepholes).unwrap_or_else(|| Array2::zeros((0, units))),
            kernel,
            recurrent_kernel,
        })
    }

    /// The arrays of these roles, of a cell whose bias has so many rows.
    pub(super) fn arrays(&self, roles: &[WeightRole], bias_rows: usize) -> Vec<ArrayD<f32>> {
        let rows = [self.bias.view(), self.recurrent_bias.view()];
        let array = |role: &WeightRole| match role {
            WeightRole::Kernel => Some(self.kernel.clone().into_dyn()),
            WeightRole::RecurrentKernel => Some(self.recurrent_kernel.clone().into_dyn()),
            WeightRole::Bias if bias_rows == 1 => Some(self.bias.clone().into_dyn()),
            WeightRole::Bias => stack(Axis(0), &rows).map(|bias| bias.into_dyn()).ok(),
            WeightRole::Peepholes => Some(self.peepholes.clone().into_dyn()),
        };
        roles.iter().filter_map(array).collect()
    }

    /// In the precision of the formulas.
    pub(crate) fn of_cell<F: Real>(&self) -> CellWeights<F> {
        let real = |value: f32| F::nearest(value.into());
        CellWeights {
            kernel: self.kernel.mapv(real),
            recurrent_kernel: self.recurrent_kernel.mapv(real),
            bias: self.bias.mapv(real),
            recurrent_bias: self.recurrent_bias.mapv(real),
            peepholes: self.peepholes.mapv(real),
        }
    }

    /// A value of each unit.
    pub(crate) fn of_units(&self, weight: UnitWeight) -> ArrayView1<'_, f32> {
        match weight {
            UnitWeight::Peephole(row) => self.peepholes.row(row),
            UnitWeight::RecurrentBias(gate) => {
                self.recurrent_bias.slice_axis(Axis(0), self.place(gate))
            }
        }
    }

    /// The bias of the input's product: what is only ever added to it, as the recurrent bias of
    /// most gates is, is added here.
    pub(crate) fn projection_bias(&self, cell: Cell) -> Array1<f32> {
        let mut bias = &self.bias + &self.recurrent_bias;
        for weight in cell.unit_weights() {
            if let UnitWeight::RecurrentBias(gate) = weight {
                let place = self.place(gate);
                let own = self.bias.slice_axis(Axis(0), place);
                bias.slice_axis_mut(Axis(0), place).assign(&own);
            }
        }
        bias
    }

    /// A gate's values of a bias.
    fn place(&self, gate: usize) -> Slice {
        let units = self.recurrent_kernel.nrows();
        Slice::from(gate * units..(gate + 1) * units)
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
    // An index for each value takes longer than all else that a model's weights are put through.
    if array.iter().all(|v| v.is_finite()) {
        return Ok(());
    }
    match array.indexed_iter().find(|&(_, &v)| !v.is_finite() && !infinite_variance(v)) {
        None => Ok(()),
        Some((index, &value)) => {
            let index = ndarray::Dimension::slice(&index).to_vec();
            Err(Error::NonFiniteWeight { layer, weight, value, index })
        }
    }
}
