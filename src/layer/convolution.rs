//! Convolution and pooling over time.

use super::definition::{Definition, MaskRule, WeightSpec, Wrong, arguments, size};
use super::dims::{Dims, sequence};
use super::initializer::Initializer;
use super::lowering::Lowering;
use crate::error::Error;
use crate::graph::ArrayId;
use crate::operator::{Convolution, Pool, Reduction, Windows};
use birnn_cell::Activation;

/// What a window of a convolution or pooling reads where it reaches beyond the first or the last
/// timestep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Padding {
    /// Windows don't reach beyond the sequence: the output has `(timesteps - window + 1) / strides`
    /// timesteps, rounded up, where `window` is how many timesteps a window spans. This is the
    /// default.
    #[default]
    Valid,
    /// The sequence is padded so that the output has `timesteps / strides` timesteps, rounded up.
    /// Half of the padding, rounded down, is before the first timestep, the rest after the last.
    Same,
    /// The sequence is padded before the first timestep only, so that no output depends on a later
    /// timestep. The output has `timesteps / strides` timesteps, rounded up. Only [`Conv1d`] can
    /// have it.
    Causal,
}

impl Padding {
    /// The padding that Keras calls by this name, or `None` where there is none.
    pub fn from_keras_name(name: &str) -> Option<Padding> {
        match name {
            "valid" => Some(Padding::Valid),
            "same" => Some(Padding::Same),
            "causal" => Some(Padding::Causal),
            _ => None,
        }
    }

    /// The timesteps of the output of a window that spans `window` timesteps; zero where it never
    /// fits.
    pub(crate) fn outputs(self, timesteps: usize, window: usize, strides: usize) -> usize {
        match self {
            Padding::Valid => timesteps.saturating_add(1).saturating_sub(window).div_ceil(strides),
            Padding::Same | Padding::Causal => timesteps.div_ceil(strides),
        }
    }

    /// The timesteps missing before the first, of a window that spans `window` timesteps.
    pub(crate) fn before(self, timesteps: usize, window: usize, strides: usize) -> usize {
        match self {
            Padding::Valid => 0,
            Padding::Causal => window - 1,
            Padding::Same => {
                let outputs = timesteps.div_ceil(strides);
                ((outputs.max(1) - 1) * strides + window).saturating_sub(timesteps) / 2
            }
        }
    }

    /// The windows of `size` elements, each `dilation` timesteps after the one before.
    fn windows(self, timesteps: usize, size: usize, dilation: usize, strides: usize) -> Windows {
        let window = (size - 1) * dilation + 1;
        let outputs = self.outputs(timesteps, window, strides);
        let before = self.before(timesteps, window, strides) as isize;
        Windows { outputs, size, strides, dilation, spread: 1, before }
    }

    fn output(
        self,
        timesteps: Option<usize>,
        window: usize,
        strides: usize,
    ) -> Result<Option<usize>, String> {
        match timesteps.map(|t| (t, self.outputs(t, window, strides))) {
            Some((t, 0)) => Err(format!("its window spans {window} timesteps, and there are {t}")),
            outputs => Ok(outputs.map(|(_, n)| n)),
        }
    }
}

arguments! {
    /// Keras's `Conv1D`: the product of each window of `kernel_size` timesteps with `filters`
    /// filters. It reads `[batch, timesteps, features]` and returns
    /// `[batch, output timesteps, filters]`; [`Padding`] says how many timesteps that are. It
    /// doesn't hand a mask on.
    ///
    /// Its weights are `kernel`, `[kernel_size, features / groups, filters]`, and `bias`,
    /// `[filters]`.
    ///
    /// ```
    /// use birnn::layer::{Conv1d, Padding};
    /// use birnn::{Gru, Layer, Model};
    /// let convolution = Conv1d::new(8, 3).padding(Padding::Same); // 8 filters of 3 timesteps
    /// let layers: [Layer; 2] = [convolution.into(), Gru::new(4).into()];
    /// let model = Model::sequential(2, layers)?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    Conv1d(filters: usize, kernel_size: usize) {
        /// The number of timesteps from one window to the next (default: 1).
        strides: usize = 1,
        /// How the sequence is padded (default: [`Padding::Valid`]). Padding is zeros.
        padding: Padding = Padding::Valid,
        /// The number of timesteps from one element of a window to the next (default: 1). It can't
        /// be above 1 together with `strides`.
        dilation_rate: usize = 1,
        /// Into how many groups features and filters are split, each filter reading only the
        /// features of its group (default: 1).
        groups: usize = 1,
        /// The activation of the sums (default: linear). Softmax and its kin go over the filters,
        /// and glu halves their number.
        activation: Activation = Activation::Linear,
        /// Whether it has a bias (default: true).
        use_bias: bool = true,
    }
}

impl Conv1d {
    /// The timesteps that a window spans.
    pub(crate) fn window(&self) -> usize {
        (self.kernel_size - 1) * self.dilation_rate + 1
    }
}

impl Definition for Conv1d {
    fn class_name(&self) -> &'static str {
        "Conv1D"
    }

    fn check(&self) -> Result<(), Wrong> {
        size("filters", self.filters)?;
        size("kernel_size", self.kernel_size)?;
        size("strides", self.strides)?;
        size("dilation_rate", self.dilation_rate)?;
        size("groups", self.groups)?;
        if self.strides > 1 && self.dilation_rate > 1 {
            return Err(("strides", "Keras takes no strides with a dilation_rate".to_string()));
        }
        self.activation
            .output_features(Some(self.filters))
            .map_err(|reason| ("activation", reason))?;
        match self.filters % self.groups {
            0 => Ok(()),
            _ => Err((
                "groups",
                format!("{} filters can't be split into {} groups", self.filters, self.groups),
            )),
        }
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let (timesteps, features) = sequence(&inputs[0])?;
        match features {
            None => Err("the last axis of its input has no fixed length".to_string()),
            Some(n) if n % self.groups != 0 => {
                Err(format!("{n} features can't be split into {} groups", self.groups))
            }
            Some(_) => {
                let filters = self.activation.output_features(Some(self.filters))?;
                Ok(vec![self.padding.output(timesteps, self.window(), self.strides)?, filters])
            }
        }
    }

    fn weights(&self, inputs: &[Dims]) -> Vec<WeightSpec> {
        let features = inputs[0].last().copied().flatten().unwrap_or(0) / self.groups;
        let shape = [self.kernel_size, features, self.filters];
        let mut weights = vec![WeightSpec::new("kernel", shape, Initializer::GlorotUniform)];
        weights.extend(
            self.use_bias.then(|| WeightSpec::new("bias", [self.filters], Initializer::Zeros)),
        );
        weights
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Drop
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let x = call.input(0);
        let of_group = call.features(x) / self.groups;
        let kernel = call.constant(0, [self.kernel_size, of_group, self.filters]);
        let bias = self.use_bias.then(|| call.constant(1, [self.filters]));
        let (size, timesteps) = (self.kernel_size, call.shape(x)[1]);
        let windows = self.padding.windows(timesteps, size, self.dilation_rate, self.strides);
        let windows = vec![windows];
        let &Conv1d { groups, activation, .. } = self;
        call.add(Convolution { windows, groups, activation }, [Some(x), Some(kernel), bias])
    }
}

macro_rules! pooling {
    ($(#[$doc:meta])* $layer:ident, $class_name:literal, $reduction:ident) => {
        arguments! {
            $(#[$doc])*
            $layer() {
                /// The number of timesteps of a window (default: 2).
                pool_size: usize = 2,
                /// The number of timesteps from one window to the next (default: `None`, which is
                /// `pool_size`).
                strides: Option<usize> = None,
                /// How the sequence is padded (default: [`Padding::Valid`]; `Causal` is an error).
                /// Padding is no part of the maximum or the mean.
                padding: Padding = Padding::Valid,
            }
        }

        impl Definition for $layer {
            fn class_name(&self) -> &'static str {
                $class_name
            }

            fn check(&self) -> Result<(), Wrong> {
                size("pool_size", self.pool_size)?;
                size("strides", self.strides.unwrap_or(1))?;
                match self.padding {
                    Padding::Causal => Err(("padding", "pooling knows valid and same".to_string())),
                    _ => Ok(()),
                }
            }

            fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
                let (timesteps, features) = sequence(&inputs[0])?;
                let strides = self.strides.unwrap_or(self.pool_size);
                Ok(vec![self.padding.output(timesteps, self.pool_size, strides)?, features])
            }

            fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
                let x = call.input(0);
                let (timesteps, size) = (call.shape(x)[1], self.pool_size);
                let windows =
                    self.padding.windows(timesteps, size, 1, self.strides.unwrap_or(size));
                let windows = vec![windows];
                call.apply(Pool { windows, reduction: Reduction::$reduction }, x)
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
    MaxPooling1d, "MaxPooling1D", Maximum
}
pooling! {
    /// Keras's `AveragePooling1D`: the mean of each feature in each window of timesteps. It reads
    /// `[batch, timesteps, features]` and returns `[batch, output timesteps, features]`;
    /// [`Padding`] says how many timesteps that are. It doesn't hand a mask on.
    AveragePooling1d, "AveragePooling1D", Mean
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
                let (_, features) = sequence(&inputs[0])?;
                Ok(if self.keepdims { vec![Some(1), features] } else { vec![features] })
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
