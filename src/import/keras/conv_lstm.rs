//! From arguments to the layers `ConvLSTM1D` and `ConvLSTM2D`.

use super::arguments::Arguments;
use crate::layer::{ConvLstm1d, ConvLstm2d, Padding};
use crate::{Activation, Direction, Layer, Result};

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

/// A ConvLSTM of one axis or of two; `direction`: the one that it is of a `Bidirectional`.
pub(super) fn layer(
    arguments: &Arguments,
    axes: usize,
    direction: Option<Direction>,
) -> Result<Layer> {
    arguments.check_others(&READ)?;
    let filters = arguments.size("filters")?;
    let padding = arguments.text("padding").and_then(Padding::from_keras_name);
    let Some(padding) = padding.filter(|padding| *padding != Padding::Causal) else {
        return arguments.wrong("padding", "is neither \"valid\" nor \"same\"".into());
    };
    let channels_first = match arguments.text("data_format") {
        None | Some("channels_last") => false,
        Some("channels_first") => true,
        Some(other) => return arguments.wrong("data_format", format!("there is no {other:?}")),
    };
    let flag = |name| arguments.flag(name, false);
    let return_sequences = flag("return_sequences")?;
    // Of a Bidirectional both directions have the outputs in the order of time, and zeros at masked
    // timesteps.
    let in_order_of_time = direction == Some(Direction::Backward);
    let go_backwards = in_order_of_time || flag("go_backwards")?;
    let zero_output_for_mask = match direction {
        Some(_) => return_sequences,
        None => flag("zero_output_for_mask")?,
    };
    let (return_state, stateful) = (flag("return_state")?, flag("stateful")?);
    let use_bias = arguments.flag("use_bias", true)?;
    let activation = elementwise(arguments, "activation")?;
    let recurrent_activation = elementwise(arguments, "recurrent_activation")?;
    macro_rules! build {
        ($layer:ident, $along:ident, $one:expr) => {{
            let Some(kernel_size) = arguments.$along("kernel_size")? else {
                return arguments.wrong("kernel_size", "is missing".into());
            };
            $layer::new(filters, kernel_size)
                .strides(arguments.$along("strides")?.unwrap_or($one))
                .dilation_rate(arguments.$along("dilation_rate")?.unwrap_or($one))
                .padding(padding)
                .channels_first(channels_first)
                .activation(activation)
                .recurrent_activation(recurrent_activation)
                .use_bias(use_bias)
                .go_backwards(go_backwards)
                .in_order_of_time(in_order_of_time)
                .return_sequences(return_sequences)
                .return_state(return_state)
                .stateful(stateful)
                .zero_output_for_mask(zero_output_for_mask)
                .into()
        }};
    }
    Ok(match axes {
        1 => build!(ConvLstm1d, time_size, 1),
        _ => build!(ConvLstm2d, image_size, (1, 1)),
    })
}

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
