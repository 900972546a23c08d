//! The weights of `CuDNNLSTM` and `CuDNNGRU`, which files also hold for layers `LSTM` and `GRU`
//! that were trained as the former: the same numbers in the layout that cuDNN reads.
//!
//! Source: `_convert_rnn_weights` in Keras 2's `saving/legacy/hdf5_format.py`.

use super::hdf5::Hdf5;
use super::slot::Slot;
use crate::Result;
use ndarray::{Array2, ArrayD, Axis, Ix2, Slice};
use std::ops::Range;

/// The places of the three arrays of each direction whose weights are laid out for cuDNN, which its
/// bias tells: both biases of all gates stand in one row. Takes that shape for the one to be read.
pub(super) fn directions(
    weights: &Hdf5,
    paths: &[String],
    slots: &mut [Slot],
) -> Result<Vec<Range<usize>>> {
    let mut found = Vec::new();
    for first in 0..slots.len().saturating_sub(2) {
        let arrays = first..first + 3;
        if !slots[arrays.clone()].iter().map(|slot| slot.name).eq(NAMES) {
            continue;
        }
        let (units, columns) = match slots[first + 1].wanted.shape[..] {
            [units, columns] => (units, columns),
            _ => continue,
        };
        let bias = &mut slots[first + 2].wanted.shape;
        // An LSTM's, or that of a GRU with reset_after.
        let has_counterpart = *bias == [4 * units] || *bias == [2, 3 * units];
        let for_cudnn = vec![2 * columns];
        if has_counterpart && weights.shape(&paths[first + 2])? == Some(for_cudnn.clone()) {
            *bias = for_cudnn;
            found.push(arrays);
        }
    }
    Ok(found)
}

const NAMES: [&str; 3] = ["kernel", "recurrent_kernel", "bias"];

/// Brings a direction's kernel, recurrent kernel and bias into Keras's layout.
pub(super) fn convert(arrays: &mut [ArrayD<f32>]) -> Result<(), ndarray::ShapeError> {
    let [kernel, recurrent_kernel, bias] = arrays else { return Ok(()) };
    let units = recurrent_kernel.len_of(Axis(0));
    for kernel in [kernel, recurrent_kernel] {
        *kernel = transposed(kernel.view().into_dimensionality::<Ix2>()?.to_owned(), units)?;
    }
    let rows = bias.to_shape((2, bias.len() / 2))?.to_owned();
    let gates = rows.ncols() / units;
    // A GRU keeps the biases of the input and of the state apart, an LSTM adds them up.
    *bias = if gates == 3 { rows.into_dyn() } else { (&rows.row(0) + &rows.row(1)).into_dyn() };
    Ok(())
}

/// Each gate's kernel, `[rows, units]`, from the values of its transpose.
fn transposed(mut kernel: Array2<f32>, units: usize) -> Result<ArrayD<f32>, ndarray::ShapeError> {
    let rows = kernel.nrows();
    for gate in 0..kernel.ncols() / units {
        let columns = Slice::from(gate * units..(gate + 1) * units);
        let values = kernel.slice_axis(Axis(1), columns).iter().copied().collect();
        let transpose = Array2::from_shape_vec((units, rows), values)?;
        kernel.slice_axis_mut(Axis(1), columns).assign(&transpose.t());
    }
    Ok(kernel.into_dyn())
}

#[cfg(test)]
mod tests {
    use super::convert;
    use ndarray::{ArrayD, arr1, arr2};

    #[test]
    fn gates_are_transposed_one_by_one() {
        // Two features, three units, one gate of four with other values.
        let gate = |start: f32| -> Vec<f32> { (0..6).map(|i| start + i as f32).collect() };
        let kernel = ArrayD::from_shape_fn(vec![2, 12], |index| {
            gate(10.0 * (index[1] / 3) as f32)[index[0] * 3 + index[1] % 3]
        });
        let recurrent = ArrayD::from_shape_fn(vec![3, 12], |i| (100 * i[0] + i[1]) as f32);
        let bias = ArrayD::from_shape_fn(vec![24], |i| i[0] as f32);
        let mut arrays = [kernel, recurrent, bias];
        convert(&mut arrays).unwrap();
        let first = arr2(&[[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]]);
        let kernel = arrays[0].clone().into_dimensionality::<ndarray::Ix2>().unwrap();
        assert_eq!(kernel.slice(ndarray::s![.., ..3]), first);
        assert_eq!(kernel.slice(ndarray::s![.., 9..]), first + 30.0);
        assert_eq!(arrays[1][[0, 4]], 103.0, "unit 1 of gate 1, from unit 0");
        assert_eq!(arrays[1][[1, 3]], 4.0);
        assert_eq!(
            arrays[2],
            arr1(&std::array::from_fn::<f32, 12, _>(|i| (2 * i + 12) as f32)).into_dyn()
        );
    }
}
