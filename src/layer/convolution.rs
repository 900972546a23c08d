//! Convolution and pooling over time.

use super::core::size;
use super::feedforward::{Definition, Dims, MaskRule, WeightSpec, Wrong, arguments, sequence};
use super::{Activation, Initializer};

/// What stands before the first and after the last timestep for a window that reaches over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Padding {
    /// Nothing: only whole windows are taken.
    #[default]
    Valid,
    /// As much as gives `timesteps / strides` outputs, half of it (rounded down) before.
    Same,
    /// All of it before, so that no output reads a later timestep.
    Causal,
}

impl Padding {
    /// The padding that Keras calls by this name.
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
    /// Keras's `Conv1D`: a matmul with each window of timesteps.
    Conv1d(filters: usize, kernel_size: usize) {
        /// Timesteps from one window to the next (default 1).
        strides: usize = 1,
        /// What stands around the sequence (default valid).
        padding: Padding = Padding::Valid,
        /// Timesteps from one element of the window to the next (default 1).
        dilation_rate: usize = 1,
        /// Groups of features that only reach groups of filters (default 1).
        groups: usize = 1,
        /// Applied to the sums (default linear); softmax goes over the filters, and glu halves
        /// them.
        activation: Activation = Activation::Linear,
        /// Add a bias (default true).
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
}

macro_rules! pooling {
    ($(#[$doc:meta])* $layer:ident, $class_name:literal) => {
        arguments! {
            $(#[$doc])*
            $layer() {
                /// Timesteps of a window (default 2).
                pool_size: usize = 2,
                /// Timesteps from one window to the next (default `pool_size`).
                strides: Option<usize> = None,
                /// What stands around the sequence (default valid); it counts neither for the
                /// maximum nor the mean.
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

            fn masking(&self) -> MaskRule {
                MaskRule::Drop
            }
        }
    };
}
pooling! {
    /// Keras's `MaxPooling1D`: the largest value of each window.
    MaxPooling1d, "MaxPooling1D"
}
pooling! {
    /// Keras's `AveragePooling1D`: the mean of each window.
    AveragePooling1d, "AveragePooling1D"
}

macro_rules! global_pooling {
    ($(#[$doc:meta])* $layer:ident, $class_name:literal) => {
        arguments! {
            $(#[$doc])*
            $layer() {
                /// Keep the axis of time, with length one (default false).
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

            fn masking(&self) -> MaskRule {
                MaskRule::Drop
            }
        }
    };
}
global_pooling! {
    /// Keras's `GlobalMaxPooling1D`: the largest value over time. It doesn't look at the mask.
    GlobalMaxPooling1d, "GlobalMaxPooling1D"
}
global_pooling! {
    /// Keras's `GlobalAveragePooling1D`: the mean over time, of the timesteps that are not masked.
    GlobalAveragePooling1d, "GlobalAveragePooling1D"
}
