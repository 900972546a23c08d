//! Pooling over time, over images and over volumes.

use super::definition::{Definition, MaskRule, Wrong, arguments, size};
use super::dims::{Dims, describe};
use super::lowering::Lowering;
use super::padding::Padding;
use super::volume;
use super::windows::{Along, Sliding, axes_named};
use crate::error::Error;
use crate::graph::ArrayId;
use crate::operator::{Pool, Reduce, ReduceFunction, Reduction, Windows};

macro_rules! pooling {
    (
        $(#[$doc:meta])*
        $layer:ident, $class_name:literal, $reduction:ident, $Along:ty, $two:expr
    ) => {
        arguments! {
            $(#[$doc])*
            $layer() {
                /// How many indices of each axis a window has (default: 2).
                pool_size: $Along = $two,
                /// From one window to the next (default: `None`, which is `pool_size`).
                strides: Option<$Along> = None,
                /// How the input is padded (default: [`Padding::Valid`]; `Causal` is an error).
                /// Padding is no part of the maximum or the mean.
                padding: Padding = Padding::Valid,
            }
        }

        impl $layer {
            fn sliding(&self) -> Sliding {
                let strides = self.strides.unwrap_or(self.pool_size);
                Sliding::pooling(self.pool_size, strides, self.padding)
            }
        }

        impl Definition for $layer {
            fn class_name(&self) -> &'static str {
                $class_name
            }

            fn check(&self) -> Result<(), Wrong> {
                let strides = self.strides.unwrap_or(self.pool_size);
                self.pool_size.along().into_iter().try_for_each(|n| size("pool_size", n))?;
                strides.along().into_iter().try_for_each(|n| size("strides", n))?;
                self.sliding().not_causal()
            }

            fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
                let (mut output, features) = self.sliding().output(&inputs[0])?;
                output.push(features);
                Ok(output)
            }

            fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
                let x = call.input(0);
                let windows = self.sliding().windows(&call.shape(x));
                volume::pool(call, windows, Reduction::$reduction, x)
            }

            fn masking(&self) -> MaskRule {
                MaskRule::Drop
            }
        }
    };
}
pooling! {
    /// Keras's `MaxPooling1D`: the largest value of each feature in each window of timesteps. It
    /// reads `[batch, timesteps, features]` and returns `[batch, output timesteps, features]`;
    /// [`Padding`] says how many timesteps that are. It doesn't hand a mask on.
    MaxPooling1d, "MaxPooling1D", Maximum, usize, 2
}
pooling! {
    /// Keras's `AveragePooling1D`: the mean of each feature in each window of timesteps. It reads
    /// `[batch, timesteps, features]` and returns `[batch, output timesteps, features]`;
    /// [`Padding`] says how many timesteps that are. It doesn't hand a mask on.
    AveragePooling1d, "AveragePooling1D", Mean, usize, 2
}
pooling! {
    /// Keras's `MaxPooling2D`: the largest value of each feature in each window of an image. It
    /// reads `[batch, rows, columns, features]` and returns
    /// `[batch, output rows, output columns, features]`; [`Padding`] says how many that are along
    /// each axis. It doesn't hand a mask on.
    ///
    /// ```
    /// use birnn::{Device, Graph, layer::MaxPooling2d};
    /// let mut graph = Graph::new();
    /// let image = graph.input("image", &[Some(2), Some(2), Some(1)])?;
    /// let outputs = graph.add(MaxPooling2d::new(), image)?;
    /// let model = graph.build(outputs)?;
    /// let image = ndarray::arr3(&[[[1.0f32], [2.0]], [[4.0], [3.0]]]);
    /// let image = image.insert_axis(ndarray::Axis(0));
    /// let outputs = Device::cpu().compile(&model)?.run(image.into_dyn().view())?;
    /// assert_eq!(outputs.output().as_slice(), Some(&[4.0][..]));
    /// # Ok::<(), birnn::Error>(())
    /// ```
    MaxPooling2d, "MaxPooling2D", Maximum, (usize, usize), (2, 2)
}
pooling! {
    /// Keras's `AveragePooling2D`: the mean of each feature in each window of an image. It reads
    /// `[batch, rows, columns, features]` and returns
    /// `[batch, output rows, output columns, features]`; [`Padding`] says how many that are along
    /// each axis. It doesn't hand a mask on.
    AveragePooling2d, "AveragePooling2D", Mean, (usize, usize), (2, 2)
}
pooling! {
    /// Keras's `MaxPooling3D`: the largest value of each feature in each window of a volume. It
    /// reads `[batch, depth, rows, columns, features]` and returns
    /// `[batch, output depth, output rows, output columns, features]`; [`Padding`] says how many
    /// that are along each axis. It doesn't hand a mask on.
    ///
    /// ```
    /// use birnn::{Graph, layer::MaxPooling3d};
    /// let mut graph = Graph::new();
    /// let video = graph.input("video", &[Some(6), Some(8), Some(8), Some(3)])?;
    /// // Every frame by itself.
    /// let outputs = graph.add(MaxPooling3d::new().pool_size((1, 2, 2)), video)?;
    /// let model = graph.build(outputs)?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    MaxPooling3d, "MaxPooling3D", Maximum, (usize, usize, usize), (2, 2, 2)
}
pooling! {
    /// Keras's `AveragePooling3D`: the mean of each feature in each window of a volume. It reads
    /// `[batch, depth, rows, columns, features]` and returns
    /// `[batch, output depth, output rows, output columns, features]`; [`Padding`] says how many
    /// that are along each axis. It doesn't hand a mask on.
    AveragePooling3d, "AveragePooling3D", Mean, (usize, usize, usize), (2, 2, 2)
}

/// Pooling over all of so many axes: the dimensions of the output.
fn pooled(input: &Dims, axes: usize, keepdims: bool) -> Result<Dims, String> {
    match input.split_last() {
        Some((&features, others)) if others.len() == axes => Ok(match keepdims {
            true => others.iter().map(|_| Some(1)).chain([features]).collect(),
            false => vec![features],
        }),
        _ => {
            let axes = axes_named(axes);
            Err(format!("it reads [batch, {axes}, features], and its input is {}", describe(input)))
        }
    }
}

macro_rules! global_pooling {
    ($(#[$doc:meta])* $layer:ident, $class_name:literal, $reduction:ident, $masked:literal) => {
        arguments! {
            $(#[$doc])*
            $layer() {
                /// Whether the output keeps the axis of time with length one, so that it is
                /// `[batch, 1, features]` (default: false).
                keepdims: bool = false,
            }
        }

        impl Definition for $layer {
            fn class_name(&self) -> &'static str {
                $class_name
            }

            fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
                pooled(&inputs[0], 1, self.keepdims)
            }

            fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
                let (x, mask) = (call.input(0), call.mask(0));
                let shape = call.shape(x);
                let windows = vec![Windows::whole(shape[1])];
                let reads = [Some(x), mask];
                let pooled =
                    call.add(Pool { windows, reduction: Reduction::$reduction }, reads)?;
                match self.keepdims {
                    true => Ok(pooled),
                    false => call.reshaped(pooled, vec![shape[0], shape[2]]),
                }
            }

            fn computes_with_masks(&self) -> bool {
                $masked
            }

            fn reads_mask(&self, mask_axes: usize, _: usize) -> bool {
                !$masked || mask_axes == 1
            }

            fn has_mask_argument(&self) -> bool {
                $masked
            }

            fn masking(&self) -> MaskRule {
                MaskRule::Drop
            }
        }
    };
}
global_pooling! {
    /// Keras's `GlobalMaxPooling1D`: the largest value of each feature over all timesteps, masked
    /// ones included. It reads `[batch, timesteps, features]` and returns `[batch, features]`.
    GlobalMaxPooling1d, "GlobalMaxPooling1D", Maximum, false
}
global_pooling! {
    /// Keras's `GlobalAveragePooling1D`: the mean of each feature over the timesteps that are not
    /// masked. It reads `[batch, timesteps, features]` and returns `[batch, features]`, with NaN
    /// where all timesteps of a row are masked.
    GlobalAveragePooling1d, "GlobalAveragePooling1D", Mean, true
}
macro_rules! global_image_pooling {
    ($(#[$doc:meta])* $layer:ident, $class_name:literal, $function:ident, $axes:literal) => {
        arguments! {
            $(#[$doc])*
            $layer() {
                /// Whether the output keeps the axes over which it pools with length one, as in
                /// `[batch, 1, 1, features]` (default: false).
                keepdims: bool = false,
            }
        }

        impl Definition for $layer {
            fn class_name(&self) -> &'static str {
                $class_name
            }

            fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
                pooled(&inputs[0], $axes, self.keepdims)
            }

            fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
                let function = ReduceFunction::$function;
                let axes = (1..=$axes).collect();
                let reduce = Reduce { axes, function, keep_axes: self.keepdims };
                call.apply(reduce, call.input(0))
            }

            fn masking(&self) -> MaskRule {
                MaskRule::Drop
            }
        }
    };
}
global_image_pooling! {
    /// Keras's `GlobalMaxPooling2D`: the largest value of each feature over all of an image. It
    /// reads `[batch, rows, columns, features]` and returns `[batch, features]`.
    GlobalMaxPooling2d, "GlobalMaxPooling2D", Maximum, 2
}
global_image_pooling! {
    /// Keras's `GlobalAveragePooling2D`: the mean of each feature over all of an image. It reads
    /// `[batch, rows, columns, features]` and returns `[batch, features]`.
    GlobalAveragePooling2d, "GlobalAveragePooling2D", Mean, 2
}
global_image_pooling! {
    /// Keras's `GlobalMaxPooling3D`: the largest value of each feature over all of a volume. It
    /// reads `[batch, depth, rows, columns, features]` and returns `[batch, features]`.
    GlobalMaxPooling3d, "GlobalMaxPooling3D", Maximum, 3
}
global_image_pooling! {
    /// Keras's `GlobalAveragePooling3D`: the mean of each feature over all of a volume. It reads
    /// `[batch, depth, rows, columns, features]` and returns `[batch, features]`.
    GlobalAveragePooling3d, "GlobalAveragePooling3D", Mean, 3
}
