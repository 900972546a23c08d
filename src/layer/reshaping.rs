//! Layers that only move values.

use super::definition::{Definition, MaskRule, Wrong, arguments, size};
use super::dims::{Dims, describe, sequence};
use super::lowering::Lowering;
use crate::error::Error;
use crate::graph::{ArrayId, Constant};
use crate::operator::{Convolution, Expand, Filling, Pad, Slice, Transpose, Windows};
use birnn_cell::Activation;
use ndarray::{ArrayD, IxDyn};
use serde::{Deserialize, Serialize};

/// The product of the axes, where all are known.
fn count(dims: &Dims) -> Option<usize> {
    dims.iter().try_fold(1usize, |product, axis| axis.map(|n| product.saturating_mul(n)))
}

arguments! {
    /// Keras's `Flatten`: joins all axes but the batch into one, so that
    /// `[batch, timesteps, features]` becomes `[batch, timesteps · features]`. It doesn't hand a
    /// mask on.
    Flatten() {}
}

impl Definition for Flatten {
    fn class_name(&self) -> &'static str {
        "Flatten"
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        Ok(vec![count(&inputs[0])])
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Drop
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let x = call.input(0);
        let shape = call.shape(x);
        call.reshaped(x, vec![shape[0], shape[1..].iter().product()])
    }

    fn reads_numbers(&self) -> bool {
        true
    }
}

arguments! {
    /// Keras's `Reshape`: the same values in the same order, in another shape. It reads an array of
    /// any shape and returns `[batch, target_shape…]`.
    ///
    /// `target_shape` holds the lengths of the axes after the batch. At most one of them is `None`,
    /// Keras's -1: its length follows from the number of values. It doesn't hand a mask on.
    ///
    /// ```
    /// let layer = birnn::layer::Reshape::new(vec![None, Some(4)]); // [batch, 8] to [batch, 2, 4]
    /// ```
    Reshape(
        /// The axes but the batch; `None` (Keras's -1, at most one) is what the others leave.
        target_shape: Vec<Option<usize>>
    ) {}
}

impl Definition for Reshape {
    fn class_name(&self) -> &'static str {
        "Reshape"
    }

    fn check(&self) -> Result<(), Wrong> {
        if self.target_shape.iter().filter(|axis| axis.is_none()).count() > 1 {
            return Err(("target_shape", "more than one axis is -1".to_string()));
        }
        self.target_shape.iter().flatten().try_for_each(|&n| size("target_shape", n))
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let Some(count) = count(&inputs[0]) else { return Ok(self.target_shape.clone()) };
        let known = self
            .target_shape
            .iter()
            .flatten()
            .fold(1usize, |product, &n| product.saturating_mul(n));
        let open = self.target_shape.iter().any(Option::is_none);
        if (open && count % known != 0) || (!open && count != known) {
            return Err(format!(
                "{count} values of {} don't fit {}",
                describe(&inputs[0]),
                describe(&self.target_shape)
            ));
        }
        Ok(self.target_shape.iter().map(|axis| axis.or(Some(count / known))).collect())
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Drop
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let x = call.input(0);
        let shape = call.shape(x);
        let known: usize = self.target_shape.iter().flatten().product();
        let open = shape[1..].iter().product::<usize>() / known;
        let target = self.target_shape.iter().map(|axis| axis.unwrap_or(open));
        call.reshaped(x, [shape[0]].into_iter().chain(target).collect())
    }

    fn reads_numbers(&self) -> bool {
        true
    }
}

arguments! {
    /// Keras's `Permute`: puts the axes after the batch in another order. `dims` names, for each
    /// axis of the output, the axis of the input that it is, counted from 1 for the first after the
    /// batch. It doesn't hand a mask on.
    ///
    /// ```
    /// // [batch, timesteps, features] to [batch, features, timesteps]
    /// let layer = birnn::layer::Permute::new(vec![2, 1]);
    /// ```
    Permute(
        /// The axes in their new order, in Keras's count: 1 is the first after the batch.
        dims: Vec<usize>
    ) {}
}

impl Definition for Permute {
    fn class_name(&self) -> &'static str {
        "Permute"
    }

    fn check(&self) -> Result<(), Wrong> {
        let mut sorted = self.dims.clone();
        sorted.sort_unstable();
        match sorted.iter().copied().eq(1..=self.dims.len()) {
            true => Ok(()),
            false => {
                Err(("dims", format!("{:?} is no order of 1 to {}", self.dims, self.dims.len())))
            }
        }
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        match inputs[0].len() == self.dims.len() {
            true => Ok(self.dims.iter().map(|&axis| inputs[0][axis - 1]).collect()),
            false => Err(format!(
                "it orders {} axes, and its input is {}",
                self.dims.len(),
                describe(&inputs[0])
            )),
        }
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Drop
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let order = [0].into_iter().chain(self.dims.iter().copied()).collect();
        call.apply(Transpose { order }, call.input(0))
    }
}

arguments! {
    /// Keras's `RepeatVector`: repeats a vector for `n` timesteps. It reads `[batch, features]` and
    /// returns `[batch, n, features]`.
    RepeatVector(n: usize) {}
}

impl Definition for RepeatVector {
    fn class_name(&self) -> &'static str {
        "RepeatVector"
    }

    fn check(&self) -> Result<(), Wrong> {
        size("n", self.n)
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        match inputs[0][..] {
            [features] => Ok(vec![Some(self.n), features]),
            _ => Err(format!(
                "it reads [batch, features], and its input is {}",
                describe(&inputs[0])
            )),
        }
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Drop
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let x = call.input(0);
        let shape = call.shape(x);
        let vector = call.reshaped(x, vec![shape[0], 1, shape[1]])?;
        call.apply(Expand { shape: vec![shape[0], self.n, shape[1]] }, vector)
    }
}

arguments! {
    /// Keras's `Cropping1D`: leaves out the first `cropping.0` and the last `cropping.1` timesteps.
    /// It reads `[batch, timesteps, features]` and returns
    /// `[batch, timesteps - cropping.0 - cropping.1, features]`. It doesn't hand a mask on.
    Cropping1d(
        /// How many at the start and at the end.
        cropping: (usize, usize)
    ) {}
}

impl Definition for Cropping1d {
    fn class_name(&self) -> &'static str {
        "Cropping1D"
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let (timesteps, features) = sequence(&inputs[0])?;
        let away = self.cropping.0.saturating_add(self.cropping.1);
        match timesteps {
            Some(t) if t <= away => {
                Err(format!("it takes {away} timesteps away, and there are {t}"))
            }
            _ => Ok(vec![timesteps.map(|t| t - away), features]),
        }
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Drop
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let x = call.input(0);
        let (start, end) = self.cropping;
        let length = call.shape(x)[1] - start - end;
        call.apply(Slice { axis: 1, start, step: 1, length }, x)
    }
}

arguments! {
    /// Keras's `ZeroPadding1D`: adds `padding.0` timesteps of zeros before the first one and
    /// `padding.1` after the last. It reads `[batch, timesteps, features]` and returns
    /// `[batch, timesteps + padding.0 + padding.1, features]`. It doesn't hand a mask on.
    ZeroPadding1d(
        /// How many at the start and at the end.
        padding: (usize, usize)
    ) {}
}

impl Definition for ZeroPadding1d {
    fn class_name(&self) -> &'static str {
        "ZeroPadding1D"
    }

    fn check(&self) -> Result<(), Wrong> {
        match self.padding.0.max(self.padding.1) {
            0..0x100_0000 => Ok(()),
            padding => Err(("padding", format!("{padding} is not below 2^24"))),
        }
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let (timesteps, features) = sequence(&inputs[0])?;
        Ok(vec![timesteps.map(|t| t.saturating_add(self.padding.0 + self.padding.1)), features])
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Drop
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let (before, after) = self.padding;
        let filling = Filling::Constant(0.0);
        call.apply(Pad { axis: 1, before, after, filling }, call.input(0))
    }
}

arguments! {
    /// Keras's `UpSampling1D`: repeats every timestep `size` times in a row. It reads
    /// `[batch, timesteps, features]` and returns `[batch, size · timesteps, features]`. It doesn't
    /// hand a mask on.
    UpSampling1d() {
        /// How often each timestep is repeated (default: 2).
        size: usize = 2,
    }
}

impl Definition for UpSampling1d {
    fn class_name(&self) -> &'static str {
        "UpSampling1D"
    }

    fn check(&self) -> Result<(), Wrong> {
        size("size", self.size)
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let (timesteps, features) = sequence(&inputs[0])?;
        Ok(vec![timesteps.map(|t| t.saturating_mul(self.size)), features])
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Drop
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let x = call.input(0);
        let [batch, timesteps, features] = call.shape(x)[..] else { return Ok(x) };
        let each = call.reshaped(x, vec![batch, timesteps, 1, features])?;
        let repeated =
            call.apply(Expand { shape: vec![batch, timesteps, self.size, features] }, each)?;
        call.reshaped(repeated, vec![batch, timesteps.saturating_mul(self.size), features])
    }
}

/// The rows, columns and features of an input `[batch, rows, columns, features]`.
fn image(dims: &Dims) -> Result<[Option<usize>; 3], String> {
    dims[..].try_into().map_err(|_| {
        let found = describe(dims);
        format!("it reads [batch, rows, columns, features], and its input is {found}")
    })
}

arguments! {
    /// Keras's `Cropping2D`: leaves out the first and the last rows and columns of an image. It
    /// reads `[batch, rows, columns, features]` and returns the same with fewer rows and columns.
    /// It doesn't hand a mask on.
    ///
    /// ```
    /// // The first row, and a column on either side.
    /// let layer = birnn::layer::Cropping2d::new(((1, 0), (1, 1)));
    /// ```
    Cropping2d(
        /// How many rows at the start and at the end, and how many columns.
        cropping: ((usize, usize), (usize, usize))
    ) {}
}

impl Definition for Cropping2d {
    fn class_name(&self) -> &'static str {
        "Cropping2D"
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let [rows, columns, features] = image(&inputs[0])?;
        let less = |length: Option<usize>, (start, end): (usize, usize)| match length {
            Some(n) if n <= start.saturating_add(end) => {
                Err(format!("it takes {start} and {end} indices of {n} away"))
            }
            length => Ok(length.map(|n| n - start - end)),
        };
        Ok(vec![less(rows, self.cropping.0)?, less(columns, self.cropping.1)?, features])
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Drop
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let mut x = call.input(0);
        for (axis, (start, end)) in [(1, self.cropping.0), (2, self.cropping.1)] {
            if start + end > 0 {
                let length = call.shape(x)[axis] - start - end;
                x = call.apply(Slice { axis, start, step: 1, length }, x)?;
            }
        }
        Ok(x)
    }
}

arguments! {
    /// Keras's `ZeroPadding2D`: adds rows and columns of zeros around an image. It reads
    /// `[batch, rows, columns, features]` and returns the same with more rows and columns. It
    /// doesn't hand a mask on.
    ///
    /// ```
    /// // A row above, and a column on either side.
    /// let layer = birnn::layer::ZeroPadding2d::new(((1, 0), (1, 1)));
    /// ```
    ZeroPadding2d(
        /// How many rows at the start and at the end, and how many columns.
        padding: ((usize, usize), (usize, usize))
    ) {}
}

impl Definition for ZeroPadding2d {
    fn class_name(&self) -> &'static str {
        "ZeroPadding2D"
    }

    fn check(&self) -> Result<(), Wrong> {
        let ((top, bottom), (left, right)) = self.padding;
        match top.max(bottom).max(left).max(right) {
            0..0x100_0000 => Ok(()),
            padding => Err(("padding", format!("{padding} is not below 2^24"))),
        }
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let [rows, columns, features] = image(&inputs[0])?;
        let more = |length: Option<usize>, (start, end): (usize, usize)| {
            length.map(|n| n.saturating_add(start + end))
        };
        Ok(vec![more(rows, self.padding.0), more(columns, self.padding.1), features])
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Drop
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let mut x = call.input(0);
        for (axis, (before, after)) in [(1, self.padding.0), (2, self.padding.1)] {
            if before + after > 0 {
                let filling = Filling::Constant(0.0);
                x = call.apply(Pad { axis, before, after, filling }, x)?;
            }
        }
        Ok(x)
    }
}

arguments! {
    /// Keras's `UpSampling2D`: repeats every row and every column of an image, or draws lines
    /// between them. It reads `[batch, rows, columns, features]` and returns
    /// `[batch, size.0 · rows, size.1 · columns, features]`. It doesn't hand a mask on.
    ///
    /// ```
    /// let layer = birnn::layer::UpSampling2d::new().size((2, 1)); // every row twice
    /// ```
    UpSampling2d() {
        /// How often each row and each column is repeated (default: 2).
        size: (usize, usize) = (2, 2),
        /// What stands between two rows and two columns (default: [`Interpolation::Nearest`]).
        interpolation: Interpolation = Interpolation::Nearest,
    }
}

impl Definition for UpSampling2d {
    fn class_name(&self) -> &'static str {
        "UpSampling2D"
    }

    fn check(&self) -> Result<(), Wrong> {
        size("size", self.size.0)?;
        size("size", self.size.1)?;
        let most = self.size.0.max(self.size.1);
        match self.interpolation {
            Interpolation::Bilinear if most > MOST_BILINEAR => {
                Err(("size", format!("{most} is above {MOST_BILINEAR}, the most for bilinear")))
            }
            _ => Ok(()),
        }
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let [rows, columns, features] = image(&inputs[0])?;
        if self.interpolation == Interpolation::Bilinear && features.is_none() {
            return Err("the last axis of its input has no fixed length".to_string());
        }
        let times = |length: Option<usize>, times: usize| length.map(|n| n.saturating_mul(times));
        Ok(vec![times(rows, self.size.0), times(columns, self.size.1), features])
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Drop
    }

    /// Of bilinear interpolation the weights of what is near, for each feature by itself.
    fn constants<'w>(&self, _: &'w [ArrayD<f32>], inputs: &[Dims]) -> Vec<Constant<'w>> {
        if self.interpolation == Interpolation::Nearest {
            return Vec::new();
        }
        let features = inputs[0].last().copied().flatten().unwrap_or(0);
        let (down, across) = (tent(self.size.0), tent(self.size.1));
        let kernel = ArrayD::from_shape_fn(IxDyn(&[down.len(), across.len(), 1, features]), |at| {
            down[at[0]] * across[at[1]]
        });
        vec![Constant::Derived(kernel)]
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let x = call.input(0);
        let [batch, rows, columns, features] = call.shape(x)[..] else { return Ok(x) };
        let (down, across) = self.size;
        if self.interpolation == Interpolation::Bilinear {
            return self.bilinear(call, x);
        }
        let each = call.reshaped(x, vec![batch, rows, 1, columns, 1, features])?;
        let shape = vec![batch, rows, down, columns, across, features];
        let repeated = call.apply(Expand { shape }, each)?;
        let (rows, columns) = (rows.saturating_mul(down), columns.saturating_mul(across));
        call.reshaped(repeated, vec![batch, rows, columns, features])
    }
}

/// What stands between two rows and two columns of an [`UpSampling2d`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Interpolation {
    /// The nearest of the two. This is the default.
    #[default]
    Nearest,
    /// What lies on a line between the two, where each row and each column stands in the middle of
    /// those that it becomes; at the edges the outermost one.
    Bilinear,
}

/// The most that [`Interpolation::Bilinear`] enlarges by: the weights of what is near are a kernel,
/// `[2 · size, 2 · size, features]`.
const MOST_BILINEAR: usize = 32;

/// The weights of a value that stands in the middle of `size` others, from the first of them that
/// it has a part in: those of a line that falls to zero at its neighbours.
fn tent(size: usize) -> Vec<f64> {
    if size == 1 {
        return vec![1.0];
    }
    let (times, before) = (size as f64, tent_before(size) as f64);
    let weight = |element: usize| {
        let from_it = (0.5 + before - element as f64) / times + 0.5;
        1.0 - from_it.abs()
    };
    (0..2 * size - size % 2).map(weight).collect()
}

/// How far before a value the first window begins that it is in.
fn tent_before(size: usize) -> usize {
    (size - 1).div_ceil(2).saturating_sub(1)
}

impl UpSampling2d {
    /// A convolution of values that stand apart, each repeated once at the edges.
    fn bilinear(&self, call: &mut Lowering, x: ArrayId) -> Result<ArrayId, Error> {
        let features = call.features(x);
        let (mut padded, mut windows) = (x, Vec::new());
        for (axis, times) in [(1, self.size.0), (2, self.size.1)] {
            let length = call.shape(x)[axis];
            if times > 1 {
                let filling = Filling::Edge;
                padded = call.apply(Pad { axis, before: 1, after: 1, filling }, padded)?;
            }
            windows.push(Windows {
                outputs: length.saturating_mul(times),
                size: tent(times).len(),
                strides: 1,
                dilation: 1,
                spread: times,
                before: tent_before(times) as isize,
            });
        }
        let kernel = [windows[0].size, windows[1].size, 1, features];
        let kernel = call.constant(0, kernel);
        let (groups, activation) = (features, Activation::Linear);
        call.add(Convolution { windows, groups, activation }, [Some(padded), Some(kernel)])
    }
}

/// The depth, rows, columns and features of an input `[batch, depth, rows, columns, features]`.
fn volume(dims: &Dims) -> Result<[Option<usize>; 4], String> {
    dims[..].try_into().map_err(|_| {
        let found = describe(dims);
        format!("it reads [batch, depth, rows, columns, features], and its input is {found}")
    })
}

/// How many at the start and at the end of each axis of a volume.
type Ends = ((usize, usize), (usize, usize), (usize, usize));

/// The same, axis by axis.
fn listed(ends: Ends) -> [(usize, usize); 3] {
    [ends.0, ends.1, ends.2]
}

arguments! {
    /// Keras's `Cropping3D`: leaves out the first and the last slices, rows and columns of a
    /// volume. It reads `[batch, depth, rows, columns, features]` and returns the same with fewer
    /// of them. It doesn't hand a mask on.
    ///
    /// ```
    /// // The first slice, and a column on either side.
    /// let layer = birnn::layer::Cropping3d::new(((1, 0), (0, 0), (1, 1)));
    /// ```
    Cropping3d(
        /// How many slices at the start and at the end, how many rows, and how many columns.
        cropping: ((usize, usize), (usize, usize), (usize, usize))
    ) {}
}

impl Definition for Cropping3d {
    fn class_name(&self) -> &'static str {
        "Cropping3D"
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let mut output = volume(&inputs[0])?.to_vec();
        for (length, (start, end)) in output.iter_mut().zip(listed(self.cropping)) {
            if let Some(n) = length {
                if *n <= start.saturating_add(end) {
                    return Err(format!("it takes {start} and {end} indices of {n} away"));
                }
                *n -= start + end;
            }
        }
        Ok(output)
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Drop
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let mut x = call.input(0);
        for (axis, (start, end)) in (1..).zip(listed(self.cropping)) {
            if start + end > 0 {
                let length = call.shape(x)[axis] - start - end;
                x = call.apply(Slice { axis, start, step: 1, length }, x)?;
            }
        }
        Ok(x)
    }
}

arguments! {
    /// Keras's `ZeroPadding3D`: adds slices, rows and columns of zeros around a volume. It reads
    /// `[batch, depth, rows, columns, features]` and returns the same with more of them. It doesn't
    /// hand a mask on.
    ///
    /// ```
    /// // A slice before the first one, and a column on either side.
    /// let layer = birnn::layer::ZeroPadding3d::new(((1, 0), (0, 0), (1, 1)));
    /// ```
    ZeroPadding3d(
        /// How many slices at the start and at the end, how many rows, and how many columns.
        padding: ((usize, usize), (usize, usize), (usize, usize))
    ) {}
}

impl Definition for ZeroPadding3d {
    fn class_name(&self) -> &'static str {
        "ZeroPadding3D"
    }

    fn check(&self) -> Result<(), Wrong> {
        for (start, end) in listed(self.padding) {
            let padding = start.max(end);
            if padding >= 0x100_0000 {
                return Err(("padding", format!("{padding} is not below 2^24")));
            }
        }
        Ok(())
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let mut output = volume(&inputs[0])?.to_vec();
        for (length, (start, end)) in output.iter_mut().zip(listed(self.padding)) {
            *length = length.map(|n| n.saturating_add(start + end));
        }
        Ok(output)
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Drop
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let mut x = call.input(0);
        for (axis, (before, after)) in (1..).zip(listed(self.padding)) {
            if before + after > 0 {
                let filling = Filling::Constant(0.0);
                x = call.apply(Pad { axis, before, after, filling }, x)?;
            }
        }
        Ok(x)
    }
}

arguments! {
    /// Keras's `UpSampling3D`: repeats every slice, every row and every column of a volume. It
    /// reads `[batch, depth, rows, columns, features]` and returns
    /// `[batch, size.0 · depth, size.1 · rows, size.2 · columns, features]`. It doesn't hand a mask
    /// on.
    ///
    /// ```
    /// let layer = birnn::layer::UpSampling3d::new().size((2, 1, 1)); // every slice twice
    /// ```
    UpSampling3d() {
        /// How often each slice, each row and each column is repeated (default: 2).
        size: (usize, usize, usize) = (2, 2, 2),
    }
}

impl Definition for UpSampling3d {
    fn class_name(&self) -> &'static str {
        "UpSampling3D"
    }

    fn check(&self) -> Result<(), Wrong> {
        [self.size.0, self.size.1, self.size.2].into_iter().try_for_each(|n| size("size", n))
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let mut output = volume(&inputs[0])?.to_vec();
        for (length, times) in output.iter_mut().zip([self.size.0, self.size.1, self.size.2]) {
            *length = length.map(|n| n.saturating_mul(times));
        }
        Ok(output)
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Drop
    }

    /// One axis after another: arrays of more axes than a GPU's kernels go along aren't needed.
    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let mut x = call.input(0);
        for (axis, times) in (1..).zip([self.size.0, self.size.1, self.size.2]) {
            if times == 1 {
                continue;
            }
            let mut shape = call.shape(x);
            let (before, length) = (shape[..axis].iter().product::<usize>(), shape[axis]);
            let behind: usize = shape[axis + 1..].iter().product();
            let each = call.reshaped(x, vec![before * length, 1, behind])?;
            let shape_of_each = vec![before * length, times, behind];
            let repeated = call.apply(Expand { shape: shape_of_each }, each)?;
            shape[axis] = length.saturating_mul(times);
            x = call.reshaped(repeated, shape)?;
        }
        Ok(x)
    }
}
