use super::{Call, Computed, Real, reshaped, whole};
use crate::layer::{AveragePooling1d, Conv1d, MaxPooling1d, Padding};
use ndarray::{Array3, ArrayD, ArrayView1, ArrayView2, Axis, Ix2, Ix3, s};

/// The timesteps that a window reads: the first, how many, and how far apart; those outside the
/// sequence are no part.
#[derive(Clone, Copy)]
struct Windows {
    padding: Padding,
    /// Timesteps of a window.
    size: usize,
    /// From one timestep of a window to the next.
    dilation: usize,
    strides: usize,
    /// Of the sequence.
    timesteps: usize,
}

impl Windows {
    /// The elements of the window for an output timestep that lie in the sequence, with their
    /// timesteps.
    fn elements(self, output: usize) -> impl Iterator<Item = (usize, usize)> {
        let span = (self.size - 1) * self.dilation + 1;
        let before = self.padding.before(self.timesteps, span, self.strides);
        let timestep = move |element: usize| {
            (output * self.strides + element * self.dilation).checked_sub(before)
        };
        let elements =
            (0..self.size).filter_map(move |element| Some((element, timestep(element)?)));
        elements.filter(move |&(_, timestep)| timestep < self.timesteps)
    }
}

/// `activation(Σ x[window] · kernel + bias)`; with groups each part of the features reaches its
/// part of the filters.
pub(super) fn convolution<F: Real>(layer: &Conv1d, call: &Call<F>) -> Computed<F> {
    let x = call.input().view().into_dimensionality::<Ix3>()?;
    let kernel = call.weights[0].view().into_dimensionality::<Ix3>()?;
    let (_, features, filters) = kernel.dim();
    let filters = filters / layer.groups;
    let windows = Windows {
        padding: layer.padding,
        size: layer.kernel_size,
        dilation: layer.dilation_rate,
        strides: layer.strides,
        timesteps: x.len_of(Axis(1)),
    };
    // Of all filters; what the activation makes of them may be fewer.
    let mut output = Array3::zeros((x.len_of(Axis(0)), call.shape[1], layer.filters));
    for (t, mut sums) in output.axis_iter_mut(Axis(1)).enumerate() {
        for (element, timestep) in windows.elements(t) {
            for group in 0..layer.groups {
                let columns = group * filters..(group + 1) * filters;
                let x = x.slice(s![.., timestep, group * features..(group + 1) * features]);
                let product = x.dot(&kernel.slice(s![element, .., columns.clone()]));
                let mut sums = sums.slice_mut(s![.., columns]);
                sums += &product;
            }
        }
    }
    let mut output = output.into_dyn();
    if layer.use_bias {
        output += &call.weights[1];
    }
    super::super::activation::activate_rows(layer.activation, &mut output);
    Ok(output)
}

/// The largest value of each window; NaN where it holds one.
pub(super) fn max_pooling<F: Real>(layer: &MaxPooling1d, call: &Call<F>) -> Computed<F> {
    pooling(layer.pool_size, layer.strides, layer.padding, call, |window| {
        window.fold(F::neg_infinity(), |max, &x| if x > max || x.is_nan() { x } else { max })
    })
}

/// The mean of each window, of the timesteps that there are.
pub(super) fn average_pooling<F: Real>(layer: &AveragePooling1d, call: &Call<F>) -> Computed<F> {
    pooling(layer.pool_size, layer.strides, layer.padding, call, |window| {
        window.sum() / whole(window.len())
    })
}

fn pooling<F: Real>(
    size: usize,
    strides: Option<usize>,
    padding: Padding,
    call: &Call<F>,
    reduce: impl Fn(ArrayView1<F>) -> F,
) -> Computed<F> {
    let x = call.input().view().into_dimensionality::<Ix3>()?;
    let strides = strides.unwrap_or(size);
    let windows = Windows { padding, size, dilation: 1, strides, timesteps: x.len_of(Axis(1)) };
    let mut output: Array3<F> = ArrayD::zeros(call.shape.clone()).into_dimensionality()?;
    for (t, mut reduced) in output.axis_iter_mut(Axis(1)).enumerate() {
        let timesteps: Vec<usize> = windows.elements(t).map(|(_, timestep)| timestep).collect();
        let window = x.select(Axis(1), &timesteps);
        reduced.assign(&window.map_axis(Axis(1), &reduce));
    }
    Ok(output.into_dyn())
}

/// The largest value over time.
pub(super) fn global_max_pooling<F: Real>(call: &Call<F>) -> Computed<F> {
    let max = |lane: ArrayView1<F>| {
        lane.fold(F::neg_infinity(), |max, &x| if x > max || x.is_nan() { x } else { max })
    };
    reshaped(call.input().map_axis(Axis(1), max), &call.shape)
}

/// The mean over time, of the timesteps that are not masked; NaN where all are, as in Keras.
pub(super) fn global_average_pooling<F: Real>(call: &Call<F>) -> Computed<F> {
    let mut x = call.input().clone();
    let timesteps: F = whole(x.len_of(Axis(1)));
    let Some(mask) = call.mask(0) else {
        return reshaped(x.sum_axis(Axis(1)) / timesteps, &call.shape);
    };
    let mask: ArrayView2<bool> = mask.view().into_dimensionality::<Ix2>()?;
    for ((row, timestep), _) in mask.indexed_iter().filter(|&(_, &kept)| !kept) {
        x.index_axis_mut(Axis(0), row).index_axis_mut(Axis(0), timestep).fill(F::zero());
    }
    let count = mask.map_axis(Axis(1), |row| whole::<F>(row.iter().filter(|&&kept| kept).count()));
    reshaped(x.sum_axis(Axis(1)) / count.insert_axis(Axis(1)), &call.shape)
}
