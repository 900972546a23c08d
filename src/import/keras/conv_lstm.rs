//! From arguments to the layers `ConvLSTM1D` and `ConvLSTM2D`.

use super::arguments::Arguments;
use super::class::{self, Class};
use crate::layer::{
    BidirectionalConvLstm1d, BidirectionalConvLstm2d, ConvLstm1d, ConvLstm2d, Padding,
};
use crate::{Activation, Layer, MergeMode, Result};
use serde_json::Value;

const READ: [&str; 15] = [
    "filters",
    "kernel_size",
    "strides",
    "padding",
    "data_format",
    "dilation_rate",
    "activation",
    "recurrent_activation",
    "use_bias",
    "go_backwards",
    "return_sequences",
    "return_state",
    "stateful",
    "zero_output_for_mask",
    "unroll",
];

/// A ConvLSTM of one axis or of two.
pub(super) fn layer(arguments: &Arguments, axes: usize) -> Result<Layer> {
    match axes {
        1 => one_axis(arguments).map(Layer::from),
        _ => two_axes(arguments).map(Layer::from),
    }
}

/// `Bidirectional` of one, which is `value`.
pub(super) fn bidirectional(
    arguments: &Arguments,
    value: &Value,
    axes: usize,
    merge_mode: MergeMode,
) -> Result<Layer> {
    let forward = arguments.of("layer", value)?;
    let backward = match arguments.get("backward_layer") {
        None => None,
        Some(own) if class::of(own) == Ok(Class::ConvLstm(axes)) => {
            Some(arguments.of("backward_layer", own)?)
        }
        Some(own) => {
            let class_name = own.get("class_name").unwrap_or(&Value::Null);
            let reason = "its forward layer is a ConvLSTM; use the same class on both sides";
            return arguments.unsupported("backward_layer", class_name, reason);
        }
    };
    let goes_back = forward.flag("go_backwards", false)?;
    let goes_forward = backward.as_ref().map(|layer| layer.flag("go_backwards", false));
    if goes_back || goes_forward.transpose()? == Some(false) {
        let reason = "of a ConvLSTM the forward layer has to read forward and the backward layer \
                      backward";
        return arguments.unsupported("layer.go_backwards", &Value::Bool(goes_back), reason);
    }
    macro_rules! build {
        ($both:ident, $read:ident) => {{
            let mut both = $both::new($read(&forward)?).merge_mode(merge_mode);
            if let Some(backward) = &backward {
                both = both.backward_layer($read(backward)?);
            }
            both.into()
        }};
    }
    Ok(match axes {
        1 => build!(BidirectionalConvLstm1d, one_axis),
        _ => build!(BidirectionalConvLstm2d, two_axes),
    })
}

macro_rules! read {
    ($read:ident, $layer:ident, $along:ident, $one:expr) => {
        fn $read(arguments: &Arguments) -> Result<$layer> {
            arguments.check_others(&READ)?;
            let padding = arguments.text("padding").and_then(Padding::from_keras_name);
            let Some(padding) = padding.filter(|padding| *padding != Padding::Causal) else {
                return arguments.wrong("padding", "is neither \"valid\" nor \"same\"".into());
            };
            let channels_first = match arguments.text("data_format") {
                None | Some("channels_last") => false,
                Some("channels_first") => true,
                Some(other) => {
                    return arguments.wrong("data_format", format!("there is no {other:?}"));
                }
            };
            let Some(kernel_size) = arguments.$along("kernel_size")? else {
                return arguments.wrong("kernel_size", "is missing".into());
            };
            let flag = |name| arguments.flag(name, false);
            Ok($layer::new(arguments.size("filters")?, kernel_size)
                .strides(arguments.$along("strides")?.unwrap_or($one))
                .dilation_rate(arguments.$along("dilation_rate")?.unwrap_or($one))
                .padding(padding)
                .channels_first(channels_first)
                .activation(elementwise(arguments, "activation")?)
                .recurrent_activation(elementwise(arguments, "recurrent_activation")?)
                .use_bias(arguments.flag("use_bias", true)?)
                .go_backwards(flag("go_backwards")?)
                .return_sequences(flag("return_sequences")?)
                .return_state(flag("return_state")?)
                .stateful(flag("stateful")?)
                .zero_output_for_mask(flag("zero_output_for_mask")?))
        }
    };
}
read!(one_axis, ConvLstm1d, time_size, 1);
read!(two_axes, ConvLstm2d, image_size, (1, 1));

fn elementwise(arguments: &Arguments, name: &str) -> Result<Activation> {
    let activation = arguments.activation(name)?;
    match activation.is_elementwise() {
        true => Ok(activation),
        false => {
            let reason = "it goes over a whole axis, and a ConvLSTM takes element-wise activations";
            arguments.unsupported(name, &activation.keras_name().into(), reason)
        }
    }
}
