//! From arguments to the layers that keep no state.

use super::arguments::Arguments;
use super::class;
use crate::layer::{
    AdditiveAttention, Attention, AveragePooling1d, BatchNormalization, Concatenate, Conv1d,
    Cropping1d, Dense, Embedding, Flatten, GlobalAveragePooling1d, GlobalMaxPooling1d, Identity,
    Layer, LayerNormalization, Masking, MaxPooling1d, Merge, MultiHeadAttention, PRelu, Padding,
    Permute, ReluLayer, RepeatVector, Rescaling, Reshape, RmsNormalization, ScoreMode,
    SoftmaxLayer, UnitNormalization, UpSampling1d, ZeroPadding1d,
};
use crate::{Error, Result};
use serde_json::Value;

/// The layer of one of [`class::STATELESS`], without its name; `causal` is how it is called.
pub(super) fn layer(class_name: &str, arguments: &Arguments, causal: bool) -> Result<Layer> {
    if let Some(identity) = Identity::of_class(class_name) {
        arguments.check_others(&["rate", "noise_shape", "stddev", "l1", "l2"])?;
        return Ok(identity.into());
    }
    match class_name {
        "Dense" => dense(arguments),
        "Embedding" => embedding(arguments),
        "Masking" => masking(arguments),
        "Activation" => activation(arguments),
        "ReLU" => relu(arguments),
        "LeakyReLU" => arguments.leaky_relu().map(Layer::from),
        "ELU" => arguments.elu().map(Layer::from),
        "PReLU" => prelu(arguments),
        "Softmax" => softmax(arguments),
        "Rescaling" => rescaling(arguments),
        "LayerNormalization" => layer_normalization(arguments),
        "RMSNormalization" => rms_normalization(arguments),
        "BatchNormalization"
        | "BatchNormalizationV1"
        | "BatchNormalizationV2"
        | "SyncBatchNormalization" => batch_normalization(arguments),
        "UnitNormalization" => unit_normalization(arguments),
        "Conv1D" => conv1d(arguments),
        "MaxPooling1D" => {
            let (size, strides, padding) = pooling(arguments)?;
            Ok(MaxPooling1d::new().pool_size(size).strides(strides).padding(padding).into())
        }
        "AveragePooling1D" => {
            let (size, strides, padding) = pooling(arguments)?;
            Ok(AveragePooling1d::new().pool_size(size).strides(strides).padding(padding).into())
        }
        "GlobalMaxPooling1D" => Ok(GlobalMaxPooling1d::new().keepdims(keepdims(arguments)?).into()),
        "GlobalAveragePooling1D" => {
            Ok(GlobalAveragePooling1d::new().keepdims(keepdims(arguments)?).into())
        }
        "Concatenate" => concatenate(arguments),
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
        "ZeroPadding1D" => zero_padding(arguments),
        "UpSampling1D" => up_sampling(arguments),
        "Attention" => attention(arguments, causal),
        "AdditiveAttention" => additive_attention(arguments, causal),
        "MultiHeadAttention" => multi_head_attention(arguments, causal),
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

fn conv1d(arguments: &Arguments) -> Result<Layer> {
    let sizes = ["filters", "kernel_size", "strides", "dilation_rate", "groups"];
    arguments.check_others(&[&sizes[..], &["padding", "activation", "use_bias"]].concat())?;
    let Some(kernel_size) = arguments.time_size("kernel_size")? else {
        return arguments.wrong("kernel_size", "is missing".into());
    };
    let layer = Conv1d::new(arguments.size("filters")?, kernel_size)
        .strides(arguments.time_size("strides")?.unwrap_or(1))
        .dilation_rate(arguments.time_size("dilation_rate")?.unwrap_or(1))
        .groups(arguments.optional_size("groups")?.unwrap_or(1))
        .padding(padding(arguments)?);
    Ok(layer
        .activation(arguments.activation("activation")?)
        .use_bias(arguments.flag("use_bias", true)?)
        .into())
}

fn pooling(arguments: &Arguments) -> Result<(usize, Option<usize>, Padding)> {
    arguments.check_others(&["pool_size", "strides", "padding"])?;
    let size = arguments.time_size("pool_size")?.unwrap_or(2);
    Ok((size, arguments.time_size("strides")?, padding(arguments)?))
}

fn keepdims(arguments: &Arguments) -> Result<bool> {
    arguments.check_others(&["keepdims"])?;
    arguments.flag("keepdims", false)
}

fn concatenate(arguments: &Arguments) -> Result<Layer> {
    arguments.check_others(&["axis"])?;
    Ok(Concatenate::new().axis(arguments.axis("axis")?).into())
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

fn attention(arguments: &Arguments, causal: bool) -> Result<Layer> {
    arguments.check_others(&["use_scale", "score_mode", "causal"])?;
    let causal = causal || arguments.flag("causal", false)?; // the argument of old Keras 2
    let mode = match (arguments.text("score_mode"), arguments.get("score_mode")) {
        (_, None) | (Some("dot"), _) => ScoreMode::Dot,
        (Some("concat"), _) => ScoreMode::Concat,
        (_, Some(value)) => {
            return arguments.unsupported("score_mode", value, "use \"dot\" or \"concat\"");
        }
    };
    let use_scale = arguments.flag("use_scale", false)?;
    Ok(Attention::new().use_scale(use_scale).score_mode(mode).use_causal_mask(causal).into())
}

fn additive_attention(arguments: &Arguments, causal: bool) -> Result<Layer> {
    arguments.check_others(&["use_scale", "causal"])?;
    let causal = causal || arguments.flag("causal", false)?;
    let use_scale = arguments.flag("use_scale", true)?;
    Ok(AdditiveAttention::new().use_scale(use_scale).use_causal_mask(causal).into())
}

fn multi_head_attention(arguments: &Arguments, causal: bool) -> Result<Layer> {
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
    Ok(layer.use_bias(arguments.flag("use_bias", true)?).use_causal_mask(causal).into())
}
