//! Convolutions over time, over images and over volumes.

use super::definition::{Definition, MaskRule, WeightSpec, Wrong, arguments, size};
use super::dims::Dims;
use super::initializer::Initializer;
use super::lowering::Lowering;
use super::padding::Padding;
use super::volume;
use super::windows::{Along, Sliding};
use crate::error::Error;
use crate::graph::{ArrayId, Constant};
use crate::operator::{Convolution, MatMul};
use birnn_cell::Activation;
use ndarray::{ArrayD, Axis};

/// That the arguments of a convolution fit each other.
fn check(
    sliding: &Sliding,
    filters: usize,
    groups: usize,
    activation: Activation,
) -> Result<(), Wrong> {
    sliding.check()?;
    size("filters", filters)?;
    size("groups", groups)?;
    if sliding.strides.iter().any(|&n| n > 1) && sliding.dilation.iter().any(|&n| n > 1) {
        return Err(("strides", "Keras takes no strides with a dilation_rate".to_string()));
    }
    activation.output_features(Some(filters)).map_err(|reason| ("activation", reason))?;
    match filters % groups {
        0 => Ok(()),
        _ => Err(("groups", format!("{filters} filters can't be split into {groups} groups"))),
    }
}

fn features_of(input: &Dims) -> usize {
    input.last().copied().flatten().unwrap_or(0)
}

/// The weights of these names and shapes, and a bias.
fn weights(kernels: Vec<(&'static str, Vec<usize>)>, bias: Option<usize>) -> Vec<WeightSpec> {
    let kernels = kernels
        .into_iter()
        .map(|(name, shape)| WeightSpec::new(name, shape, Initializer::GlorotUniform));
    let bias = bias.map(|filters| WeightSpec::new("bias", [filters], Initializer::Zeros));
    kernels.chain(bias).collect()
}

/// A weight in another shape.
fn reshaped(weight: &ArrayD<f32>, shape: Vec<usize>) -> Constant<'_> {
    match weight.view().into_shape_with_order(shape) {
        Ok(view) => Constant::Weight(view),
        Err(_) => Constant::weight(weight.view()), // the graph says that its shape is another
    }
}

macro_rules! convolution {
    ($(#[$doc:meta])* $layer:ident, $class_name:literal, $Along:ty, $one:expr) => {
        arguments! {
            $(#[$doc])*
            $layer(
                filters: usize,
                /// How many indices of each axis a window has.
                kernel_size: $Along
            ) {
                /// From one window to the next (default: 1).
                strides: $Along = $one,
                /// How the input is padded (default: [`Padding::Valid`]). Padding is zeros.
                padding: Padding = Padding::Valid,
                /// From one element of a window to the next (default: 1). It can't be above 1
                /// together with `strides`.
                dilation_rate: $Along = $one,
                /// Into how many groups features and filters are split, each filter reading only
                /// the features of its group (default: 1).
                groups: usize = 1,
                /// The activation of the sums (default: linear). Softmax and its kin go over the
                /// filters, and glu halves their number.
                activation: Activation = Activation::Linear,
                /// Whether it has a bias (default: true).
                use_bias: bool = true,
            }
        }

        impl $layer {
            fn sliding(&self) -> Sliding {
                Sliding::new(self.kernel_size, self.strides, self.dilation_rate, self.padding)
            }

            fn kernel(&self, features: usize) -> Vec<usize> {
                [&self.sliding().size[..], &[features / self.groups, self.filters]].concat()
            }
        }

        impl Definition for $layer {
            fn class_name(&self) -> &'static str {
                $class_name
            }

            fn check(&self) -> Result<(), Wrong> {
                volume::check(&self.sliding().size)?;
                check(&self.sliding(), self.filters, self.groups, self.activation)
            }

            fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
                let (mut output, features) = self.sliding().output(&inputs[0])?;
                match features {
                    None => Err("the last axis of its input has no fixed length".to_string()),
                    Some(n) if n % self.groups != 0 => {
                        Err(format!("{n} features can't be split into {} groups", self.groups))
                    }
                    Some(_) => {
                        output.push(self.activation.output_features(Some(self.filters))?);
                        Ok(output)
                    }
                }
            }

            fn weights(&self, inputs: &[Dims]) -> Vec<WeightSpec> {
                let kernel = self.kernel(features_of(&inputs[0]));
                weights(vec![("kernel", kernel)], self.use_bias.then_some(self.filters))
            }

            fn constants<'w>(&self, weights: &'w [ArrayD<f32>], _: &[Dims]) -> Vec<Constant<'w>> {
                let kernel = weights.iter().take(1).map(volume::kernel);
                kernel.chain(weights.iter().skip(1).map(|w| Constant::weight(w.view()))).collect()
            }

            fn masking(&self) -> MaskRule {
                MaskRule::Drop
            }

            fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
                let x = call.input(0);
                let kernel = volume::kernel_shape(self.kernel(call.features(x)));
                let kernel = call.constant(0, kernel);
                let bias = self.use_bias.then(|| call.constant(1, [self.filters]));
                let windows = self.sliding().windows(&call.shape(x));
                let &$layer { groups, activation, .. } = self;
                volume::convolve(
                    call,
                    Convolution { windows, groups, activation },
                    [Some(x), Some(kernel), bias],
                )
            }
        }
    };
}
convolution! {
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
    Conv1d, "Conv1D", usize, 1
}
convolution! {
    /// Keras's `Conv2D`: the product of each window of `kernel_size` rows and columns of an image
    /// with `filters` filters. It reads `[batch, rows, columns, features]` and returns
    /// `[batch, output rows, output columns, filters]`; [`Padding`] says how many that are along
    /// each axis. It doesn't hand a mask on.
    ///
    /// Its weights are `kernel`, `[kernel rows, kernel columns, features / groups, filters]`, and
    /// `bias`, `[filters]`.
    ///
    /// ```
    /// use birnn::layer::{Conv2d, Flatten, MaxPooling2d, TimeDistributed};
    /// use birnn::{Graph, Lstm};
    /// let mut graph = Graph::new();
    /// // Images one after another in time.
    /// let video = graph.input("video", &[None, Some(8), Some(8), Some(3)])?;
    /// let seen = graph.add(TimeDistributed::new(Conv2d::new(4, (3, 3))), video)?[0];
    /// let pooled = graph.add(TimeDistributed::new(MaxPooling2d::new()), seen)?[0];
    /// let flat = graph.add(TimeDistributed::new(Flatten::new()), pooled)?[0];
    /// let outputs = graph.add(Lstm::new(5), flat)?;
    /// let model = graph.build(outputs)?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    Conv2d, "Conv2D", (usize, usize), (1, 1)
}
convolution! {
    /// Keras's `Conv3D`: the product of each window of a volume, such as of a video's frames, rows
    /// and columns, with `filters` filters. It reads `[batch, depth, rows, columns, features]` and
    /// returns `[batch, output depth, output rows, output columns, filters]`; [`Padding`] says how
    /// many that are along each axis. It doesn't hand a mask on.
    ///
    /// It is computed as a convolution of images, whose features are those of all slices that a
    /// window holds. So a call needs memory for its input as often again as a window is deep.
    ///
    /// Its weights are `kernel`,
    /// `[kernel depth, kernel rows, kernel columns, features / groups, filters]`, and `bias`,
    /// `[filters]`.
    ///
    /// ```
    /// use birnn::layer::{Conv3d, ConvLstm2d, Padding};
    /// use birnn::{Activation, Graph};
    /// let mut graph = Graph::new();
    /// // The next frame after each one of a video.
    /// let video = graph.input("video", &[None, Some(8), Some(8), Some(1)])?;
    /// let seen = ConvLstm2d::new(4, (3, 3)).padding(Padding::Same).return_sequences(true);
    /// let seen = graph.add(seen, video)?[0];
    /// let next = Conv3d::new(1, (3, 3, 3)).padding(Padding::Same);
    /// let outputs = graph.add(next.activation(Activation::Sigmoid), seen)?;
    /// let model = graph.build(outputs)?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    Conv3d, "Conv3D", (usize, usize, usize), (1, 1, 1)
}

macro_rules! depthwise {
    ($(#[$doc:meta])* $layer:ident, $class_name:literal, $Along:ty, $one:expr) => {
        arguments! {
            $(#[$doc])*
            $layer(
                /// How many indices of each axis a window has.
                kernel_size: $Along
            ) {
                /// From one window to the next (default: 1).
                strides: $Along = $one,
                /// How the input is padded (default: [`Padding::Valid`]; `Causal` is an error).
                /// Padding is zeros.
                padding: Padding = Padding::Valid,
                /// How many filters each feature has (default: 1).
                depth_multiplier: usize = 1,
                /// From one element of a window to the next (default: 1).
                dilation_rate: $Along = $one,
                /// The activation of the sums (default: linear). Softmax and its kin go over the
                /// last axis, and glu halves it.
                activation: Activation = Activation::Linear,
                /// Whether it has a bias (default: true).
                use_bias: bool = true,
            }
        }

        impl $layer {
            fn sliding(&self) -> Sliding {
                Sliding::new(self.kernel_size, self.strides, self.dilation_rate, self.padding)
            }
        }

        impl Definition for $layer {
            fn class_name(&self) -> &'static str {
                $class_name
            }

            fn check(&self) -> Result<(), Wrong> {
                self.sliding().check()?;
                size("depth_multiplier", self.depth_multiplier)?;
                self.sliding().not_causal()
            }

            fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
                let (mut output, features) = self.sliding().output(&inputs[0])?;
                let Some(features) = features else {
                    return Err("the last axis of its input has no fixed length".to_string());
                };
                let filters = features.saturating_mul(self.depth_multiplier);
                output.push(self.activation.output_features(Some(filters))?);
                Ok(output)
            }

            fn weights(&self, inputs: &[Dims]) -> Vec<WeightSpec> {
                let features = features_of(&inputs[0]);
                let multiplier = self.depth_multiplier;
                let kernel = [&self.sliding().size[..], &[features, multiplier]].concat();
                let bias = self.use_bias.then_some(features.saturating_mul(multiplier));
                weights(vec![("kernel", kernel)], bias)
            }

            /// The kernel as that of as many groups as there are features.
            fn constants<'w>(
                &self,
                weights: &'w [ArrayD<f32>],
                inputs: &[Dims],
            ) -> Vec<Constant<'w>> {
                let filters = features_of(&inputs[0]) * self.depth_multiplier;
                let shape = [&self.sliding().size[..], &[1, filters]].concat();
                let kernel = weights.iter().take(1).map(|kernel| reshaped(kernel, shape.clone()));
                kernel.chain(weights.iter().skip(1).map(|w| Constant::weight(w.view()))).collect()
            }

            fn masking(&self) -> MaskRule {
                MaskRule::Drop
            }

            fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
                let x = call.input(0);
                let groups = call.features(x);
                let filters = groups * self.depth_multiplier;
                let sliding = self.sliding();
                let kernel = call.constant(0, [&sliding.size[..], &[1, filters]].concat());
                let bias = self.use_bias.then(|| call.constant(1, [filters]));
                let windows = sliding.windows(&call.shape(x));
                let activation = self.activation;
                call.add(Convolution { windows, groups, activation }, [Some(x), Some(kernel), bias])
            }
        }
    };
}
depthwise! {
    /// Keras's `DepthwiseConv1D`: a convolution of each feature by itself. It reads
    /// `[batch, timesteps, features]` and returns
    /// `[batch, output timesteps, features · depth_multiplier]`; [`Padding`] says how many
    /// timesteps that are. It doesn't hand a mask on.
    ///
    /// Its weights are `kernel`, `[kernel_size, features, depth_multiplier]`, and `bias`,
    /// `[features · depth_multiplier]`.
    ///
    /// ```
    /// use birnn::{Model, layer::DepthwiseConv1d};
    /// let model = Model::sequential(6, [DepthwiseConv1d::new(3).depth_multiplier(2)])?;
    /// assert_eq!(model.weight_specs("depthwise_conv1d")?[0].shape, [3, 6, 2]);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    DepthwiseConv1d, "DepthwiseConv1D", usize, 1
}
depthwise! {
    /// Keras's `DepthwiseConv2D`: a convolution of each feature of an image by itself. It reads
    /// `[batch, rows, columns, features]` and returns
    /// `[batch, output rows, output columns, features · depth_multiplier]`; [`Padding`] says how
    /// many that are along each axis. It doesn't hand a mask on.
    ///
    /// Its weights are `kernel`, `[kernel rows, kernel columns, features, depth_multiplier]`, and
    /// `bias`, `[features · depth_multiplier]`.
    ///
    /// ```
    /// use birnn::{Graph, layer::DepthwiseConv2d};
    /// let mut graph = Graph::new();
    /// let image = graph.input("image", &[Some(8), Some(8), Some(3)])?;
    /// let seen = graph.add(DepthwiseConv2d::new((3, 3)), image)?;
    /// let model = graph.build(seen)?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    DepthwiseConv2d, "DepthwiseConv2D", (usize, usize), (1, 1)
}

macro_rules! separable {
    ($(#[$doc:meta])* $layer:ident, $class_name:literal, $Along:ty, $one:expr) => {
        arguments! {
            $(#[$doc])*
            $layer(
                filters: usize,
                /// How many indices of each axis a window has.
                kernel_size: $Along
            ) {
                /// From one window to the next (default: 1).
                strides: $Along = $one,
                /// How the input is padded (default: [`Padding::Valid`]). Padding is zeros.
                padding: Padding = Padding::Valid,
                /// From one element of a window to the next (default: 1).
                dilation_rate: $Along = $one,
                /// How many values of each feature the filters read (default: 1).
                depth_multiplier: usize = 1,
                /// The activation of the sums (default: linear). Softmax and its kin go over the
                /// filters, and glu halves their number.
                activation: Activation = Activation::Linear,
                /// Whether it has a bias (default: true).
                use_bias: bool = true,
            }
        }

        impl $layer {
            fn sliding(&self) -> Sliding {
                Sliding::new(self.kernel_size, self.strides, self.dilation_rate, self.padding)
            }

            /// What of each feature lies between the two products.
            fn between(&self, features: usize) -> usize {
                features.saturating_mul(self.depth_multiplier)
            }
        }

        impl Definition for $layer {
            fn class_name(&self) -> &'static str {
                $class_name
            }

            fn check(&self) -> Result<(), Wrong> {
                self.sliding().check()?;
                size("filters", self.filters)?;
                size("depth_multiplier", self.depth_multiplier)?;
                let features = self.activation.output_features(Some(self.filters));
                features.map(|_| ()).map_err(|reason| ("activation", reason))
            }

            fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
                let (mut output, features) = self.sliding().output(&inputs[0])?;
                if features.is_none() {
                    return Err("the last axis of its input has no fixed length".to_string());
                }
                output.push(self.activation.output_features(Some(self.filters))?);
                Ok(output)
            }

            fn weights(&self, inputs: &[Dims]) -> Vec<WeightSpec> {
                let (sliding, features) = (self.sliding(), features_of(&inputs[0]));
                let depthwise = [&sliding.size[..], &[features, self.depth_multiplier]].concat();
                let ones = vec![1; sliding.size.len()];
                let pointwise = [&ones[..], &[self.between(features), self.filters]].concat();
                let kernels =
                    vec![("depthwise_kernel", depthwise), ("pointwise_kernel", pointwise)];
                weights(kernels, self.use_bias.then_some(self.filters))
            }

            /// The first kernel as that of as many groups as there are features, the second as a
            /// matrix.
            fn constants<'w>(
                &self,
                weights: &'w [ArrayD<f32>],
                inputs: &[Dims],
            ) -> Vec<Constant<'w>> {
                let between = self.between(features_of(&inputs[0]));
                let shapes = [
                    [&self.sliding().size[..], &[1, between]].concat(),
                    vec![between, self.filters],
                ];
                let kernels = weights.iter().zip(shapes);
                let kernels = kernels.map(|(kernel, shape)| reshaped(kernel, shape));
                kernels.chain(weights.iter().skip(2).map(|w| Constant::weight(w.view()))).collect()
            }

            fn masking(&self) -> MaskRule {
                MaskRule::Drop
            }

            fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
                let (x, sliding) = (call.input(0), self.sliding());
                let groups = call.features(x);
                let between = self.between(groups);
                let depthwise = call.constant(0, [&sliding.size[..], &[1, between]].concat());
                let windows = sliding.windows(&call.shape(x));
                let of_each = Convolution { windows, groups, activation: Activation::Linear };
                let of_each = call.add(of_each, [Some(x), Some(depthwise)])?;
                let pointwise = call.constant(1, [between, self.filters]);
                let bias = self.use_bias.then(|| call.constant(2, [self.filters]));
                let activation = self.activation;
                call.add(MatMul { activation }, [Some(of_each), Some(pointwise), bias])
            }
        }
    };
}
separable! {
    /// Keras's `SeparableConv1D`: a convolution of each feature by itself, and then the product of
    /// each timestep with `filters` filters. It reads `[batch, timesteps, features]` and returns
    /// `[batch, output timesteps, filters]`; [`Padding`] says how many timesteps that are. It
    /// doesn't hand a mask on.
    ///
    /// Its weights are `depthwise_kernel`, `[kernel_size, features, depth_multiplier]`,
    /// `pointwise_kernel`, `[1, features · depth_multiplier, filters]`, and `bias`, `[filters]`.
    ///
    /// ```
    /// use birnn::{Model, layer::SeparableConv1d};
    /// let model = Model::sequential(6, [SeparableConv1d::new(4, 3)])?;
    /// assert_eq!(model.weight_specs("separable_conv1d")?[1].shape, [1, 6, 4]);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    SeparableConv1d, "SeparableConv1D", usize, 1
}
separable! {
    /// Keras's `SeparableConv2D`: a convolution of each feature of an image by itself, and then the
    /// product of each place with `filters` filters. It reads `[batch, rows, columns, features]`
    /// and returns `[batch, output rows, output columns, filters]`; [`Padding`] says how many that
    /// are along each axis. It doesn't hand a mask on.
    ///
    /// Its weights are `depthwise_kernel`,
    /// `[kernel rows, kernel columns, features, depth_multiplier]`, `pointwise_kernel`,
    /// `[1, 1, features · depth_multiplier, filters]`, and `bias`, `[filters]`.
    ///
    /// ```
    /// use birnn::{Graph, layer::SeparableConv2d};
    /// let mut graph = Graph::new();
    /// let image = graph.input("image", &[Some(8), Some(8), Some(3)])?;
    /// let seen = graph.add(SeparableConv2d::new(4, (3, 3)), image)?;
    /// let model = graph.build(seen)?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    SeparableConv2d, "SeparableConv2D", (usize, usize), (1, 1)
}

macro_rules! transposed {
    ($(#[$doc:meta])* $layer:ident, $class_name:literal, $Along:ty, $one:expr) => {
        arguments! {
            $(#[$doc])*
            $layer(
                filters: usize,
                /// How many indices of each axis of the output a value is added to.
                kernel_size: $Along
            ) {
                /// From one value's window of the output to the next (default: 1).
                strides: $Along = $one,
                /// What is cut off the output (default: [`Padding::Valid`]; `Causal` is an error):
                /// with `Valid` nothing, and with `Same` it is `strides` times as long as the
                /// input.
                padding: Padding = Padding::Valid,
                /// How much longer the output is than it has to be (default: `None`, which is what
                /// Keras chooses for the padding).
                output_padding: Option<$Along> = None,
                /// From one element of a window to the next (default: 1). It can't be above 1
                /// together with `strides`.
                dilation_rate: $Along = $one,
                /// The activation of the sums (default: linear). Softmax and its kin go over the
                /// filters, and glu halves their number.
                activation: Activation = Activation::Linear,
                /// Whether it has a bias (default: true).
                use_bias: bool = true,
            }
        }

        impl $layer {
            fn sliding(&self) -> Sliding {
                Sliding::new(self.kernel_size, self.strides, self.dilation_rate, self.padding)
            }

            fn more(&self) -> Option<Vec<usize>> {
                self.output_padding.map(Along::along)
            }
        }

        impl Definition for $layer {
            fn class_name(&self) -> &'static str {
                $class_name
            }

            fn check(&self) -> Result<(), Wrong> {
                check(&self.sliding(), self.filters, 1, self.activation)?;
                self.sliding().check_transposed(self.more().as_deref())
            }

            fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
                let more = self.more();
                let (mut output, features) =
                    self.sliding().transposed_output(&inputs[0], more.as_deref())?;
                if features.is_none() {
                    return Err("the last axis of its input has no fixed length".to_string());
                }
                output.push(self.activation.output_features(Some(self.filters))?);
                Ok(output)
            }

            fn weights(&self, inputs: &[Dims]) -> Vec<WeightSpec> {
                let features = features_of(&inputs[0]);
                let kernel = [&self.sliding().size[..], &[self.filters, features]].concat();
                weights(vec![("kernel", kernel)], self.use_bias.then_some(self.filters))
            }

            /// The kernel turned round, with features before filters.
            fn constants<'w>(&self, weights: &'w [ArrayD<f32>], _: &[Dims]) -> Vec<Constant<'w>> {
                let axes = self.sliding().size.len();
                let turned = weights.iter().take(1).map(|kernel| {
                    let mut kernel = kernel.view();
                    kernel.swap_axes(axes, axes + 1);
                    (0..axes).for_each(|axis| kernel.invert_axis(Axis(axis)));
                    Constant::Derived(kernel.mapv(f64::from).as_standard_layout().into_owned())
                });
                turned.chain(weights.iter().skip(1).map(|w| Constant::weight(w.view()))).collect()
            }

            fn masking(&self) -> MaskRule {
                MaskRule::Drop
            }

            fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
                let (x, sliding) = (call.input(0), self.sliding());
                let kernel = [&sliding.size[..], &[call.features(x), self.filters]].concat();
                let kernel = call.constant(0, kernel);
                let bias = self.use_bias.then(|| call.constant(1, [self.filters]));
                let windows = sliding.transposed(&call.shape(x), self.more().as_deref());
                let (groups, activation) = (1, self.activation);
                call.add(Convolution { windows, groups, activation }, [Some(x), Some(kernel), bias])
            }
        }
    };
}
transposed! {
    /// Keras's `Conv1DTranspose`: each timestep times `filters` filters is added to a window of
    /// `kernel_size` timesteps of the output. It reads `[batch, timesteps, features]` and returns
    /// `[batch, output timesteps, filters]`. It doesn't hand a mask on.
    ///
    /// Its weights are `kernel`, `[kernel_size, filters, features]`, and `bias`, `[filters]`.
    ///
    /// ```
    /// use birnn::{Device, Model, layer::{Conv1dTranspose, Padding}};
    /// let longer = Conv1dTranspose::new(4, 3).strides(2).padding(Padding::Same);
    /// let model = Model::sequential(6, [longer])?.initialize(1)?;
    /// let x = ndarray::Array3::<f32>::ones((1, 5, 6));
    /// let outputs = Device::cpu().compile(&model)?.run(x.view())?;
    /// assert_eq!(outputs.output().shape(), [1, 10, 4]);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    Conv1dTranspose, "Conv1DTranspose", usize, 1
}
transposed! {
    /// Keras's `Conv2DTranspose`: each place of an image times `filters` filters is added to a
    /// window of `kernel_size` rows and columns of the output. It reads
    /// `[batch, rows, columns, features]` and returns
    /// `[batch, output rows, output columns, filters]`. It doesn't hand a mask on.
    ///
    /// Its weights are `kernel`, `[kernel rows, kernel columns, filters, features]`, and `bias`,
    /// `[filters]`.
    ///
    /// ```
    /// use birnn::{Graph, layer::Conv2dTranspose};
    /// let mut graph = Graph::new();
    /// let image = graph.input("image", &[Some(8), Some(8), Some(3)])?;
    /// let larger = graph.add(Conv2dTranspose::new(4, (3, 3)).strides((2, 2)), image)?;
    /// let model = graph.build(larger)?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    Conv2dTranspose, "Conv2DTranspose", (usize, usize), (1, 1)
}
