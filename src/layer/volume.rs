//! Windows over volumes, `[batch, depth, rows, columns, features]`, as windows over images: no
//! operator is needed for three axes.

use super::definition::Wrong;
use super::lowering::Lowering;
use crate::error::Error;
use crate::graph::{ArrayId, Constant};
use crate::operator::{Concat, Convolution, Filling, Pad, Pool, Reduction, Slice, Windows};
use ndarray::{ArrayD, IxDyn};

/// How deep a kernel can be: each slice of a window is a step of the graph.
const MOST_DEPTH: usize = 1024;

/// That a kernel of this size can be computed so.
pub(super) fn check(size: &[usize]) -> Result<(), Wrong> {
    match size {
        [depth, _, _] if *depth > MOST_DEPTH => {
            Err(("kernel_size", format!("a window is {depth} deep; at most {MOST_DEPTH} are run")))
        }
        _ => Ok(()),
    }
}

/// The shape of a kernel as [`convolve`] reads it: one of a volume as that of images whose features
/// are those of all slices of a window.
pub(super) fn kernel_shape(kernel: Vec<usize>) -> Vec<usize> {
    match kernel[..] {
        [depth, rows, columns, features, filters] => {
            vec![rows, columns, depth.saturating_mul(features), filters]
        }
        _ => kernel,
    }
}

/// A kernel as [`convolve`] reads it.
pub(super) fn kernel(weight: &ArrayD<f32>) -> Constant<'_> {
    if weight.ndim() != 5 {
        return Constant::weight(weight.view());
    }
    let shape = kernel_shape(weight.shape().to_vec());
    let turned = weight.view().permuted_axes(IxDyn(&[1, 2, 0, 3, 4]));
    match turned.as_standard_layout().mapv(f64::from).into_shape_with_order(shape) {
        Ok(turned) => Constant::Derived(turned),
        Err(_) => Constant::weight(weight.view()), // the graph says that its shape is another
    }
}

/// A convolution over time, images or volumes. `reads`: the input, the kernel and the bias.
pub(super) fn convolve(
    call: &mut Lowering,
    mut operator: Convolution,
    [x, kernel, bias]: [Option<ArrayId>; 3],
) -> Result<ArrayId, Error> {
    let (3, Some(volume)) = (operator.windows.len(), x) else {
        return call.add(operator, [x, kernel, bias]);
    };
    let (batch, depth) = (call.shape(volume)[0], operator.windows.remove(0));
    let images = windows_as_images(call, volume, depth, operator.groups)?;
    let images = call.add(operator, [Some(images), kernel, bias])?;
    let shape = [&[batch, depth.outputs], &call.shape(images)[1..]].concat();
    call.reshaped(images, shape)
}

/// An image for each window along the depth: `[batch · windows, rows, columns, features]`, with the
/// features of all slices of the window, those of a group beside each other.
fn windows_as_images(
    call: &mut Lowering,
    volume: ArrayId,
    depth: Windows,
    groups: usize,
) -> Result<ArrayId, Error> {
    let (before, last) = (depth.before.unsigned_abs(), depth.outputs.saturating_sub(1));
    let end = last * depth.strides + (depth.size - 1) * depth.dilation + 1;
    let after = end.saturating_sub(before + call.shape(volume)[1]);
    let mut padded = volume;
    if before + after > 0 {
        let filling = Filling::Constant(0.0);
        padded = call.apply(Pad { axis: 1, before, after, filling }, volume)?;
    }
    let shape = call.shape(volume);
    let (batch, [rows, columns, features]) = (shape[0], [shape[2], shape[3], shape[4]]);
    let images = batch * depth.outputs;
    let of_group = features / groups.max(1);
    let (step, length) = (depth.strides as isize, depth.outputs);
    let mut slices = Vec::with_capacity(depth.size);
    for element in 0..depth.size {
        let slice = Slice { axis: 1, start: element * depth.dilation, step, length };
        let slice = call.apply(slice, padded)?;
        slices.push(Some(call.reshaped(slice, vec![images, rows, columns, groups, of_group])?));
    }
    let joined = match slices[..] {
        [Some(only)] => only,
        _ => call.add(Concat { axis: 4 }, slices)?,
    };
    call.reshaped(joined, vec![images, rows, columns, depth.size * features])
}

/// A pooling over time, images or volumes. Of a volume images are pooled, and then the depth: the
/// largest of the largest values, and the mean of means of windows that are cut off at the same
/// places for all of a slice.
pub(super) fn pool(
    call: &mut Lowering,
    mut windows: Vec<Windows>,
    reduction: Reduction,
    x: ArrayId,
) -> Result<ArrayId, Error> {
    let [batch, length, rows, columns, features] = call.shape(x)[..] else {
        return call.apply(Pool { windows, reduction }, x);
    };
    let depth = windows.remove(0);
    let images = call.reshaped(x, vec![batch * length, rows, columns, features])?;
    let images = call.apply(Pool { windows, reduction }, images)?;
    let [_, rows, columns, _] = call.shape(images)[..] else { return Ok(images) };
    let slices = call.reshaped(images, vec![batch, length, rows * columns * features])?;
    let slices = call.apply(Pool { windows: vec![depth], reduction }, slices)?;
    call.reshaped(slices, vec![batch, depth.outputs, rows, columns, features])
}
