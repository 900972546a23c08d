use super::{Call, Computed, Real, reshaped};
use crate::layer::{Cropping1d, Permute, UpSampling1d, ZeroPadding1d};
use ndarray::{ArrayD, Axis, ErrorKind, IxDyn, ShapeError, Slice};

pub(super) fn permute<F: Real>(layer: &Permute, call: &Call<F>) -> ArrayD<F> {
    let axes: Vec<usize> = std::iter::once(0).chain(layer.dims.iter().copied()).collect();
    call.input().view().permuted_axes(IxDyn(&axes)).as_standard_layout().into_owned()
}

pub(super) fn repeat_vector<F: Real>(call: &Call<F>) -> Computed<F> {
    repeated(call.input(), 1, &call.shape, call.shape[1])
}

pub(super) fn cropping<F: Real>(layer: &Cropping1d, call: &Call<F>) -> ArrayD<F> {
    let (start, kept) = (layer.cropping.0, call.shape[1]);
    call.input().slice_axis(Axis(1), Slice::from(start..start + kept)).to_owned()
}

pub(super) fn zero_padding<F: Real>(layer: &ZeroPadding1d, call: &Call<F>) -> ArrayD<F> {
    let mut output = ArrayD::zeros(call.shape.clone());
    let start = layer.padding.0;
    let within = Slice::from(start..start + call.input().len_of(Axis(1)));
    output.slice_axis_mut(Axis(1), within).assign(call.input());
    output
}

pub(super) fn up_sampling<F: Real>(layer: &UpSampling1d, call: &Call<F>) -> Computed<F> {
    repeated(call.input(), 2, &call.shape, layer.size)
}

/// The values before `axis` so many times each.
fn repeated<F: Real>(input: &ArrayD<F>, axis: usize, shape: &[usize], times: usize) -> Computed<F> {
    let input = input.view().insert_axis(Axis(axis));
    let mut repeated = input.shape().to_vec();
    repeated[axis] = times;
    let view = input
        .broadcast(repeated)
        .ok_or_else(|| ShapeError::from_kind(ErrorKind::IncompatibleShape))?;
    reshaped(view.to_owned(), shape)
}
