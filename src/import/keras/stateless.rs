//! From arguments to the layers that keep no state.

use super::arguments::Arguments;
use super::class;
use super::version::Version;
use crate::layer::{
    Activation, AdditiveAttention, Attention, AveragePooling1d, AveragePooling2d, AveragePooling3d,
    BatchNormalization, CategoryEncoding, ChannelsFirst, Concatenate, Conv1d, Conv1dTranspose,
    Conv2d, Conv2dTranspose, Conv3d, Cropping1d, Cropping2d, Cropping3d, Dense, DepthwiseConv1d,
    DepthwiseConv2d, Discretization, Dot, EinsumDense, Embedding, EncodingMode, Flatten,
    GlobalAveragePooling1d, GlobalAveragePooling2d, GlobalAveragePooling3d, GlobalMaxPooling1d,
    GlobalMaxPooling2d, GlobalMaxPooling3d, GroupNormalization, Identity, Interpolation, Layer,
    LayerNormalization, Masking, MaxPooling1d, MaxPooling2d, MaxPooling3d, Merge,
    MultiHeadAttention, Normalization, PRelu, Padding, Permute, ReluLayer, RepeatVector, Rescaling,
    Reshape, RmsNormalization, ScoreMode, SeparableConv1d, SeparableConv2d, SoftmaxLayer,
    UnitNormalization, UpSampling1d, UpSampling2d, UpSampling3d, ZeroPadding1d, ZeroPadding2d,
    ZeroPadding3d,
};
use crate::{Error, Result};
use ndarray::{ArrayD, arr0, arr1};
use serde_json::Value;

/// How a layer is called: arguments of Keras's calls that are those of the layer here.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Calling {
    pub use_causal_mask: bool,
    pub return_attention_scores: bool,
}

/// The layer of one of [`class::STATELESS`], without its name.
pub(super) fn layer(class_name: &str, arguments: &Arguments, calling: Calling) -> Result<Layer> {
    if let Some(identity) = Identity::of_class(class_name) {
        // Of what changes images in training no argument has an effect.
        if !class::changes_images(class_name) {
            arguments.check_others(&["rate", "noise_shape", "stddev", "l1", "l2"])?;
        }
        return Ok(identity.into());
    }
    let layer = channels_last(class_name, arguments, calling)?;
    match arguments.text("data_format") {
        Some("channels_first")
            if arguments.has("activation")
                && !arguments.activation("activation")?.is_elementwise() =>
        {
            let value = arguments.get("activation").unwrap_or(&Value::Null);
            let reason = "with channels_first Keras takes it along the last axis, which isn't \
                          that of the features: put it behind the layer as a layer of its own";
            arguments.unsupported("activation", value, reason)
        }
        // The weights are laid out as without it.
        Some("channels_first") => Ok(ChannelsFirst::new(layer).into()),
        _ => Ok(layer),
    }
}

/// The layer, of arrays whose last axis are the features.
fn channels_last(class_name: &str, arguments: &Arguments, calling: Calling) -> Result<Layer> {
    match class_name {
        "Dense" => dense(arguments),
        "EinsumDense" => einsum_dense(arguments),
        "Embedding" => embedding(arguments),
        "Masking" => masking(arguments),
        "Activation" => activation(arguments),
        "ReLU" => relu(arguments),
        "LeakyReLU" => arguments.leaky_relu().map(Layer::from),
        "ELU" => arguments.elu().map(Layer::from),
        "ThresholdedReLU" => thresholded_relu(arguments),
        "PReLU" => prelu(arguments),
        "Softmax" => softmax(arguments),
        "Rescaling" => rescaling(arguments),
        "CategoryEncoding" => category_encoding(arguments),
        "Discretization" => discretization(arguments),
        "LayerNormalization" => layer_normalization(arguments),
        "RMSNormalization" => rms_normalization(arguments),
        "BatchNormalization"
        | "BatchNormalizationV1"
        | "BatchNormalizationV2"
        | "SyncBatchNormalization" => batch_normalization(arguments),
        "UnitNormalization" => unit_normalization(arguments),
        "GroupNormalization" => group_normalization(arguments),
        "Normalization" => normalization(arguments),
        "Conv1D" => conv1d(arguments),
        "Conv2D" => conv2d(arguments),
        "Conv3D" => conv3d(arguments),
        "DepthwiseConv1D" => depthwise_conv1d(arguments),
        "DepthwiseConv2D" => depthwise_conv2d(arguments),
        "SeparableConv1D" => separable_conv1d(arguments),
        "SeparableConv2D" => separable_conv2d(arguments),
        "Conv1DTranspose" => conv1d_transpose(arguments),
        "Conv2DTranspose" => conv2d_transpose(arguments),
        "MaxPooling1D" => {
            let Pooling { size, strides, padding } = pooling(arguments, Arguments::time_size)?;
            let layer = MaxPooling1d::new().pool_size(size.unwrap_or(2));
            Ok(layer.strides(strides).padding(padding).into())
        }
        "AveragePooling1D" => {
            let Pooling { size, strides, padding } = pooling(arguments, Arguments::time_size)?;
            let layer = AveragePooling1d::new().pool_size(size.unwrap_or(2));
            Ok(layer.strides(strides).padding(padding).into())
        }
        "MaxPooling2D" => {
            let Pooling { size, strides, padding } = pooling(arguments, Arguments::image_size)?;
            let layer = MaxPooling2d::new().pool_size(size.unwrap_or((2, 2)));
            Ok(layer.strides(strides).padding(padding).into())
        }
        "AveragePooling2D" => {
            let Pooling { size, strides, padding } = pooling(arguments, Arguments::image_size)?;
            let layer = AveragePooling2d::new().pool_size(size.unwrap_or((2, 2)));
            Ok(layer.strides(strides).padding(padding).into())
        }
        "MaxPooling3D" => {
            let Pooling { size, strides, padding } = pooling(arguments, Arguments::volume_size)?;
            let layer = MaxPooling3d::new().pool_size(size.unwrap_or((2, 2, 2)));
            Ok(layer.strides(strides).padding(padding).into())
        }
        "AveragePooling3D" => {
            let Pooling { size, strides, padding } = pooling(arguments, Arguments::volume_size)?;
            let layer = AveragePooling3d::new().pool_size(size.unwrap_or((2, 2, 2)));
            Ok(layer.strides(strides).padding(padding).into())
        }
        "GlobalMaxPooling3D" => Ok(GlobalMaxPooling3d::new().keepdims(keepdims(arguments)?).into()),
        "GlobalAveragePooling3D" => {
            Ok(GlobalAveragePooling3d::new().keepdims(keepdims(arguments)?).into())
        }
        "GlobalMaxPooling2D" => Ok(GlobalMaxPooling2d::new().keepdims(keepdims(arguments)?).into()),
        "GlobalAveragePooling2D" => {
            Ok(GlobalAveragePooling2d::new().keepdims(keepdims(arguments)?).into())
        }
        "GlobalMaxPooling1D" => Ok(GlobalMaxPooling1d::new().keepdims(keepdims(arguments)?).into()),
        "GlobalAveragePooling1D" => {
            Ok(GlobalAveragePooling1d::new().keepdims(keepdims(arguments)?).into())
        }
        "Concatenate" => concatenate(arguments),
        "Dot" => dot(arguments),
        "Add" => merge(Merge::add(), arguments),
        "Subtract" => merge(Merge::subtract(), arguments),
        "Multiply" => merge(Merge::multiply(), arguments),
        "Average" => merge(Merge::average(), arguments),
        "Maximum" => merge(Merge::maximum(), arguments),
        "Minimum" => merge(Merge::minimum(), arguments),
        "Flatten" => arguments.check_others(&[]).map(|()| Flatten::new().into()),
        "Reshape" => reshape(arguments),
        "Permute" => permute(arguments),
        "RepeatVector" => repeat_vector(arguments),
        "Cropping1D" => cropping(arguments),
        "Cropping2D" => image_cropping(arguments),
        "Cropping3D" => volume_cropping(arguments),
        "ZeroPadding1D" => zero_padding(arguments),
        "ZeroPadding2D" => image_padding(arguments),
        "ZeroPadding3D" => volume_padding(arguments),
        "UpSampling1D" => up_sampling(arguments),
        "UpSampling2D" => image_up_sampling(arguments),
        "UpSampling3D" => volume_up_sampling(arguments),
        "Attention" => attention(arguments, calling),
        "AdditiveAttention" => additive_attention(arguments, calling),
        "MultiHeadAttention" => multi_head_attention(arguments, calling),
        _ => Err(Error::UnsupportedLayer {
            layer: arguments.layer().to_string(),
            class_name: class_name.to_string(),
            supported: class::SUPPORTED,
        }),
    }
}

fn dense(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["units", "activation", "use_bias"])?;
    let dense =
        Dense::new(arguments.size("units")?).activation(arguments.activation("activation")?);
    Ok(dense.use_bias(arguments.flag("use_bias", true)?).into())
}

fn einsum_dense(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["equation", "output_shape", "activation", "bias_axes"])?;
    let Some(equation) = arguments.text("equation") else {
        return arguments.wrong("equation", "is missing".into());
    };
    let length = |value: &Value| match value {
        Value::Null => Some(None),
        value => value.as_u64().and_then(|n| usize::try_from(n).ok()).map(Some),
    };
    let shape = arguments.get("output_shape");
    let listed = match shape {
        Some(Value::Array(items)) => items.iter().map(length).collect(),
        Some(value) => length(value).map(|length| vec![length]),
        None => Some(vec![None]),
    };
    let Some(listed) = listed else {
        return arguments.wrong("output_shape", "isn't lengths of axes".into());
    };
    let bias_axes = arguments.text("bias_axes").map(str::to_string);
    let layer = EinsumDense::new(equation.to_string(), listed).bias_axes(bias_axes);
    Ok(layer.activation(arguments.activation("activation")?).into())
}

fn embedding(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["input_dim", "output_dim", "mask_zero"])?;
    let embedding = Embedding::new(arguments.size("input_dim")?, arguments.size("output_dim")?);
    Ok(embedding.mask_zero(arguments.flag("mask_zero", false)?).into())
}

fn masking(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["mask_value"])?;
    Ok(Masking::new().mask_value(arguments.any_number("mask_value")?.unwrap_or(0.0)).into())
}

fn activation(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["activation"])?;
    arguments.activation("activation").map(Layer::from)
}

fn relu(arguments: &Arguments) -> Result<Layer> {
    let (max_value, slope, threshold) = arguments.relu()?;
    Ok(ReluLayer::new().max_value(max_value).negative_slope(slope).threshold(threshold).into())
}

/// Keras 2's: `x` above theta, otherwise 0.
fn thresholded_relu(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["theta"])?;
    Ok(Activation::ThresholdedRelu(arguments.number("theta", 1.0)?.into()).into())
}

fn prelu(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["shared_axes"])?;
    Ok(PRelu::new().shared_axes(arguments.naturals("shared_axes")?).into())
}

fn softmax(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["axis"])?;
    Ok(SoftmaxLayer::new().axis(arguments.axis("axis")?).into())
}

fn rescaling(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["scale", "offset"])?;
    let number = |name| match arguments.get(name) {
        None => arguments.wrong(name, "is missing".into()),
        Some(value) if value.is_array() || value.is_object() => {
            arguments.unsupported(name, value, "only one number for all values is supported")
        }
        Some(_) => arguments.exact_number(name, 0.0),
    };
    Ok(Rescaling::new(number("scale")?).offset(number("offset")?).into())
}

fn category_encoding(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["num_tokens", "output_mode"])?;
    let mode = match arguments.get("output_mode") {
        None => EncodingMode::default(),
        Some(value) => match value.as_str().and_then(EncodingMode::from_keras_name) {
            Some(mode) => mode,
            None => {
                let reason = "use \"one_hot\", \"multi_hot\" or \"count\"";
                return arguments.unsupported("output_mode", value, reason);
            }
        },
    };
    Ok(CategoryEncoding::new(arguments.size("num_tokens")?).output_mode(mode).into())
}

fn discretization(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["bin_boundaries", "num_bins", "epsilon", "output_mode"])?;
    if let Some(value) = arguments.get("output_mode").filter(|value| *value != "int") {
        let reason = "use \"int\", and a CategoryEncoding behind it";
        return arguments.unsupported("output_mode", value, reason);
    }
    let number = |value: &Value| value.as_f64().map(|number| number as f32);
    let boundaries = arguments.get("bin_boundaries").and_then(Value::as_array);
    match boundaries.and_then(|items| items.iter().map(number).collect()) {
        Some(boundaries) => Ok(Discretization::new(boundaries).into()),
        None => arguments.wrong(
            "bin_boundaries",
            "is no list of numbers: adapt the layer before the model is saved".into(),
        ),
    }
}

fn layer_normalization(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["axis", "epsilon", "center", "scale"])?;
    let layer = LayerNormalization::new()
        .axis(arguments.axes("axis")?)
        .epsilon(arguments.exact_number("epsilon", 1e-3)?);
    Ok(layer.center(arguments.flag("center", true)?).scale(arguments.flag("scale", true)?).into())
}

fn rms_normalization(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["axis", "epsilon"])?;
    let layer = RmsNormalization::new().axis(arguments.axes("axis")?);
    Ok(layer.epsilon(arguments.exact_number("epsilon", 1e-6)?).into())
}

fn batch_normalization(arguments: &Arguments) -> Result<Layer> {
    let training = [
        "momentum",
        "synchronized",
        "renorm_clipping",
        "renorm_momentum",
        "fused",
        "virtual_batch_size",
    ];
    let read = ["axis", "epsilon", "center", "scale"];
    arguments.check_others(&[&read[..], &training[..]].concat())?;
    let layer = BatchNormalization::new()
        .axis(arguments.axis("axis")?)
        .epsilon(arguments.exact_number("epsilon", 1e-3)?);
    Ok(layer.center(arguments.flag("center", true)?).scale(arguments.flag("scale", true)?).into())
}

fn group_normalization(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["groups", "axis", "epsilon", "center", "scale"])?;
    let groups = arguments.get("groups").map_or(Some(32), Value::as_i64);
    let Some(groups) = groups.and_then(|groups| isize::try_from(groups).ok()) else {
        return arguments.wrong("groups", "is no whole number".into());
    };
    let layer = GroupNormalization::new()
        .groups(groups)
        .axis(arguments.axis("axis")?)
        .epsilon(arguments.exact_number("epsilon", 1e-3)?);
    Ok(layer.center(arguments.flag("center", true)?).scale(arguments.flag("scale", true)?).into())
}

fn normalization(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["axis", "mean", "variance", "invert"])?;
    let axis = match (arguments.has("axis"), arguments.get("axis")) {
        (true, None) => Vec::new(), // None: one mean for all values
        (_, Some(Value::Array(items))) if items.is_empty() => Vec::new(),
        _ => arguments.axes("axis")?,
    };
    let statistics = match (arguments.get("mean"), arguments.get("variance")) {
        (None, None) => None,
        (Some(mean), Some(variance)) => {
            Some((statistic(arguments, "mean", mean)?, statistic(arguments, "variance", variance)?))
        }
        _ => return arguments.wrong("mean", "comes with a variance, or without one".into()),
    };
    let invert = arguments.flag("invert", false)?;
    Ok(Normalization::new().axis(axis).statistics(statistics).invert(invert).into())
}

/// A number or a list of numbers.
fn statistic(arguments: &Arguments, name: &str, value: &Value) -> Result<ArrayD<f64>> {
    let number = |value: &Value| value.as_f64().filter(|number| number.is_finite());
    let found = match value.as_array() {
        None => number(value).map(|number| arr0(number).into_dyn()),
        Some(items) => {
            let numbers: Option<Vec<_>> = items.iter().map(number).collect();
            numbers.map(|numbers| arr1(&numbers).into_dyn())
        }
    };
    match found {
        Some(statistic) => Ok(statistic),
        None => {
            arguments.unsupported(name, value, "only a number or a list of numbers is supported")
        }
    }
}

fn unit_normalization(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["axis"])?;
    Ok(UnitNormalization::new().axis(arguments.axes("axis")?).into())
}

fn padding(arguments: &Arguments) -> Result<Padding> {
    let Some(value) = arguments.get("padding") else { return Ok(Padding::Valid) };
    match value.as_str().and_then(Padding::from_keras_name) {
        Some(padding) => Ok(padding),
        None => arguments.unsupported("padding", value, "use \"valid\", \"same\" or \"causal\""),
    }
}

/// What the convolutions have in common.
struct Convolving<A> {
    kernel_size: A,
    strides: A,
    dilation_rate: A,
    padding: Padding,
    activation: Activation,
    use_bias: bool,
}

/// The arguments that [`convolving`] reads.
const CONVOLVING: [&str; 6] =
    ["kernel_size", "strides", "dilation_rate", "padding", "activation", "use_bias"];

/// `others`: the arguments that the class has beside these; `along`: how a number for each axis is
/// read, and `one`, which is 1 for each.
fn convolving<'a, A: Copy>(
    arguments: &Arguments<'a>,
    others: &[&str],
    along: impl Fn(&Arguments<'a>, &str) -> Result<Option<A>>,
    one: A,
) -> Result<Convolving<A>> {
    arguments.check_others(&[&CONVOLVING[..], others].concat())?;
    let Some(kernel_size) = along(arguments, "kernel_size")? else {
        return arguments.wrong("kernel_size", "is missing".into());
    };
    Ok(Convolving {
        kernel_size,
        strides: along(arguments, "strides")?.unwrap_or(one),
        dilation_rate: along(arguments, "dilation_rate")?.unwrap_or(one),
        padding: padding(arguments)?,
        activation: arguments.activation("activation")?,
        use_bias: arguments.flag("use_bias", true)?,
    })
}

fn over_time(arguments: &Arguments, others: &[&str]) -> Result<Convolving<usize>> {
    convolving(arguments, others, Arguments::time_size, 1)
}

fn over_images(arguments: &Arguments, others: &[&str]) -> Result<Convolving<(usize, usize)>> {
    convolving(arguments, others, Arguments::image_size, (1, 1))
}

macro_rules! with {
    ($layer:expr, $read:ident) => {
        $layer
            .strides($read.strides)
            .dilation_rate($read.dilation_rate)
            .padding($read.padding)
            .activation($read.activation)
            .use_bias($read.use_bias)
    };
}

fn conv1d(arguments: &Arguments) -> Result<Layer> {
    let read = over_time(arguments, &["filters", "groups"])?;
    let layer = Conv1d::new(arguments.size("filters")?, read.kernel_size);
    Ok(with!(layer, read).groups(arguments.optional_size("groups")?.unwrap_or(1)).into())
}

fn conv2d(arguments: &Arguments) -> Result<Layer> {
    let read = over_images(arguments, &["filters", "groups"])?;
    let layer = Conv2d::new(arguments.size("filters")?, read.kernel_size);
    Ok(with!(layer, read).groups(arguments.optional_size("groups")?.unwrap_or(1)).into())
}

fn conv3d(arguments: &Arguments) -> Result<Layer> {
    let others = ["filters", "groups"];
    let read = convolving(arguments, &others, Arguments::volume_size, (1, 1, 1))?;
    let layer = Conv3d::new(arguments.size("filters")?, read.kernel_size);
    Ok(with!(layer, read).groups(arguments.optional_size("groups")?.unwrap_or(1)).into())
}

/// Keras 2 writes arguments of a Conv that a DepthwiseConv doesn't have.
const DEPTHWISE: [&str; 3] = ["depth_multiplier", "filters", "groups"];

fn depth_multiplier(arguments: &Arguments) -> Result<usize> {
    Ok(arguments.optional_size("depth_multiplier")?.unwrap_or(1))
}

fn depthwise_conv1d(arguments: &Arguments) -> Result<Layer> {
    let read = over_time(arguments, &DEPTHWISE)?;
    let layer = DepthwiseConv1d::new(read.kernel_size);
    Ok(with!(layer, read).depth_multiplier(depth_multiplier(arguments)?).into())
}

fn depthwise_conv2d(arguments: &Arguments) -> Result<Layer> {
    let read = over_images(arguments, &DEPTHWISE)?;
    let layer = DepthwiseConv2d::new(read.kernel_size);
    Ok(with!(layer, read).depth_multiplier(depth_multiplier(arguments)?).into())
}

fn separable_conv1d(arguments: &Arguments) -> Result<Layer> {
    let read = over_time(arguments, &DEPTHWISE)?;
    let layer = SeparableConv1d::new(arguments.size("filters")?, read.kernel_size);
    Ok(with!(layer, read).depth_multiplier(depth_multiplier(arguments)?).into())
}

fn separable_conv2d(arguments: &Arguments) -> Result<Layer> {
    let read = over_images(arguments, &DEPTHWISE)?;
    let layer = SeparableConv2d::new(arguments.size("filters")?, read.kernel_size);
    Ok(with!(layer, read).depth_multiplier(depth_multiplier(arguments)?).into())
}

/// The `output_padding` of each axis; unlike sizes it can be 0.
fn output_padding(arguments: &Arguments, axes: usize) -> Result<Option<Vec<usize>>> {
    let name = "output_padding";
    let Some(value) = arguments.get(name) else { return Ok(None) };
    let natural = |value: &Value| value.as_u64().and_then(|n| usize::try_from(n).ok());
    let numbers = match value.as_array() {
        Some(items) => items.iter().map(natural).collect::<Option<Vec<_>>>(),
        None => natural(value).map(|number| vec![number; axes]),
    };
    match numbers.filter(|numbers| numbers.len() == axes) {
        Some(numbers) => Ok(Some(numbers)),
        None => arguments.wrong(name, format!("{value} is no whole number for each axis")),
    }
}

fn conv1d_transpose(arguments: &Arguments) -> Result<Layer> {
    let read = over_time(arguments, &["filters", "groups", "output_padding"])?;
    let layer = Conv1dTranspose::new(arguments.size("filters")?, read.kernel_size);
    let more = output_padding(arguments, 1)?.map(|more| more[0]);
    Ok(with!(layer, read).output_padding(more).into())
}

fn conv2d_transpose(arguments: &Arguments) -> Result<Layer> {
    let read = over_images(arguments, &["filters", "groups", "output_padding"])?;
    let layer = Conv2dTranspose::new(arguments.size("filters")?, read.kernel_size);
    let more = output_padding(arguments, 2)?.map(|more| (more[0], more[1]));
    Ok(with!(layer, read).output_padding(more).into())
}

/// What the poolings over windows have in common.
struct Pooling<A> {
    size: Option<A>,
    strides: Option<A>,
    padding: Padding,
}

/// `along`: how a number for each axis is read.
fn pooling<'a, A>(
    arguments: &Arguments<'a>,
    along: impl Fn(&Arguments<'a>, &str) -> Result<Option<A>>,
) -> Result<Pooling<A>> {
    arguments.check_others(&["pool_size", "strides", "padding"])?;
    let (size, strides) = (along(arguments, "pool_size")?, along(arguments, "strides")?);
    Ok(Pooling { size, strides, padding: padding(arguments)? })
}

fn keepdims(arguments: &Arguments) -> Result<bool> {
    arguments.check_others(&["keepdims"])?;
    arguments.flag("keepdims", false)
}

fn concatenate(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["axis"])?;
    Ok(Concatenate::new().axis(arguments.axis("axis")?).into())
}

/// One axis of both arrays, or a list of one for each.
fn dot(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["axes", "normalize"])?;
    if arguments.get("axes").is_none() {
        return arguments.wrong("axes", "is missing".into());
    }
    let axes = match arguments.axes("axes")?[..] {
        [both] => (both, both),
        [one, other] => (one, other),
        _ => return arguments.wrong("axes", "are more than two".into()),
    };
    Ok(Dot::new(axes).normalize(arguments.flag("normalize", false)?).into())
}

fn merge(merge: Merge, arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&[])?;
    Ok(merge.into())
}

fn reshape(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["target_shape"])?;
    let value = arguments.get("target_shape").unwrap_or(&Value::Null);
    let axis = |value: &Value| match value.as_i64() {
        Some(-1) => Some(None),
        // None where there is no axis of that length; how many -1 there can be is the layer's own
        // check.
        Some(n) => usize::try_from(n).ok().map(Some),
        None => None,
    };
    let axes = value.as_array().filter(|axes| !axes.is_empty() && axes.len() <= 16);
    match axes.and_then(|axes| axes.iter().map(axis).collect()) {
        Some(target_shape) => Ok(Reshape::new(target_shape).into()),
        None => arguments.wrong("target_shape", format!("{value} is no shape of one to 16 axes")),
    }
}

fn permute(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["dims"])?;
    Ok(Permute::new(arguments.naturals("dims")?).into())
}

fn repeat_vector(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["n"])?;
    Ok(RepeatVector::new(arguments.size("n")?).into())
}

fn cropping(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["cropping"])?;
    Ok(Cropping1d::new(arguments.both_ends("cropping")?).into())
}

fn zero_padding(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["padding"])?;
    Ok(ZeroPadding1d::new(arguments.both_ends("padding")?).into())
}

fn up_sampling(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["size"])?;
    Ok(UpSampling1d::new().size(arguments.time_size("size")?.unwrap_or(2)).into())
}

fn image_cropping(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["cropping"])?;
    Ok(Cropping2d::new(arguments.all_ends("cropping")?).into())
}

fn image_padding(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["padding"])?;
    Ok(ZeroPadding2d::new(arguments.all_ends("padding")?).into())
}

fn volume_cropping(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["cropping"])?;
    let [depth, rows, columns] = arguments.volume_ends("cropping")?;
    Ok(Cropping3d::new((depth, rows, columns)).into())
}

fn volume_padding(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["padding"])?;
    let [depth, rows, columns] = arguments.volume_ends("padding")?;
    Ok(ZeroPadding3d::new((depth, rows, columns)).into())
}

fn volume_up_sampling(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["size"])?;
    Ok(UpSampling3d::new().size(arguments.volume_size("size")?.unwrap_or((2, 2, 2))).into())
}

fn image_up_sampling(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["size", "interpolation"])?;
    let interpolation = match arguments.get("interpolation") {
        None => Interpolation::Nearest,
        Some(value) if value == "nearest" => Interpolation::Nearest,
        Some(value) if value == "bilinear" => Interpolation::Bilinear,
        Some(value) => {
            let reason = "only \"nearest\" and \"bilinear\" are supported";
            return arguments.unsupported("interpolation", value, reason);
        }
    };
    let size = arguments.image_size("size")?.unwrap_or((2, 2));
    Ok(UpSampling2d::new().size(size).interpolation(interpolation).into())
}

fn attention(arguments: &Arguments, calling: Calling) -> Result<Layer> {
    arguments.check_others(&["use_scale", "score_mode", "causal"])?;
    // The argument of old Keras 2.
    let causal = calling.use_causal_mask || arguments.flag("causal", false)?;
    let mode = match (arguments.text("score_mode"), arguments.get("score_mode")) {
        (_, None) | (Some("dot"), _) => ScoreMode::Dot,
        (Some("concat"), _) => ScoreMode::Concat,
        (_, Some(value)) => {
            return arguments.unsupported("score_mode", value, "use \"dot\" or \"concat\"");
        }
    };
    let use_scale = arguments.flag("use_scale", false)?;
    let layer = Attention::new().use_scale(use_scale).score_mode(mode).use_causal_mask(causal);
    Ok(layer.return_attention_scores(calling.return_attention_scores).into())
}

fn additive_attention(arguments: &Arguments, calling: Calling) -> Result<Layer> {
    arguments.check_others(&["use_scale", "causal"])?;
    let causal = calling.use_causal_mask || arguments.flag("causal", false)?;
    let use_scale = arguments.flag("use_scale", true)?;
    let layer = AdditiveAttention::new().use_scale(use_scale).use_causal_mask(causal);
    Ok(layer.return_attention_scores(calling.return_attention_scores).into())
}

fn multi_head_attention(arguments: &Arguments, calling: Calling) -> Result<Layer> {
    // Keras 2 writes the shapes that it was built for; here they come from the call.
    let shapes = ["query_shape", "key_shape", "value_shape"];
    let sizes = ["num_heads", "key_dim", "value_dim", "use_bias", "output_shape", "attention_axes"];
    let others = ["dropout", "sliding_window"];
    arguments.check_others(&[&sizes[..], &shapes, &others].concat())?;
    if let Some(axes) =
        arguments.get("attention_axes").filter(|axes| axes.as_array() != Some(&vec![1.into()]))
    {
        return arguments.unsupported(
            "attention_axes",
            axes,
            "only attention over time is supported: leave it None",
        );
    }
    if let Some(window) = arguments.get("sliding_window") {
        return arguments.unsupported(
            "sliding_window",
            window,
            "every query sees all values here: leave it None",
        );
    }
    if let Some(shape) =
        arguments.get("output_shape").filter(|shape| shape.as_array().is_some_and(|s| s.len() != 1))
    {
        return arguments.unsupported(
            "output_shape",
            shape,
            "only one axis is supported; put a Reshape behind the layer",
        );
    }
    let layer = MultiHeadAttention::new(arguments.size("num_heads")?, arguments.size("key_dim")?)
        .value_dim(arguments.optional_size("value_dim")?)
        .output_features(arguments.time_size("output_shape")?);
    let layer = layer.dropout(arguments.number("dropout", 0.0)?);
    let layer = layer.use_bias(arguments.flag("use_bias", true)?);
    let layer = layer.use_causal_mask(calling.use_causal_mask);
    let layer = layer.uniform_where_masked(arguments.version() == Version::Keras2);
    Ok(layer.return_attention_scores(calling.return_attention_scores).into())
}
