//! LSTM, GRU and RNN.

use super::shapes::is_list;
use crate::import::onnx::importer::{Call, Handler};
use crate::layer::{Cell, CellOptions, Layer, Parameter, Recurrent, RecurrentBuilder};
use crate::program::{Binary, Kind, Operation, Value, Values};
use crate::{Activation, Bidirectional, Result};

pub(super) const NODES: &[(&str, Handler)] = &[
    ("GRU", gru),
    ("LSTM", lstm),
    ("RNN", rnn),
    ("com.microsoft.DynamicQuantizeLSTM", quantized_lstm),
];

/// What a node of this kind has.
struct Kinds {
    cell: Cell,
    /// The node's gates in the order of Keras's.
    gates: &'static [i64],
    /// The rows of the peepholes in the order of Keras's.
    peepholes: &'static [i64],
    /// The activations of each direction, if the node doesn't say.
    activations: &'static [&'static str],
}

const LSTM: Kinds = Kinds {
    cell: Cell::LSTM,
    gates: &[0, 2, 3, 1],  // i o f c
    peepholes: &[0, 2, 1], // i o f
    activations: &["Sigmoid", "Tanh", "Tanh"],
};
const GRU: Kinds = Kinds {
    cell: Cell::GRU_RESET_BEFORE,
    gates: &[0, 1, 2],
    peepholes: &[],
    activations: &["Sigmoid", "Tanh"],
};
const RNN: Kinds =
    Kinds { cell: Cell::SIMPLE_RNN, gates: &[0], peepholes: &[], activations: &["Tanh"] };

/// The arrays of a node.
struct Inputs {
    x: Value,
    /// `[directions, gates · units, features]`
    kernel: Value,
    /// `[directions, gates · units, units]`
    recurrent_kernel: Value,
    /// `[directions, 2 · gates · units]`
    bias: Option<Value>,
    lengths: Option<Value>,
    hidden: Option<Value>,
    cell: Option<Value>,
    /// `[directions, 3 · units]`
    peepholes: Option<Value>,
}

fn lstm(call: &mut Call) -> Result<()> {
    let inputs = Inputs { cell: call.input(6)?, peepholes: call.input(7)?, ..inputs(call)? };
    let coupled = call.flag("input_forget", false)?;
    recurrent(call, &LSTM, inputs, coupled)
}

fn gru(call: &mut Call) -> Result<()> {
    let inputs = inputs(call)?;
    match call.flag("linear_before_reset", false)? {
        true => recurrent(call, &Kinds { cell: Cell::GRU, ..GRU }, inputs, false),
        false => recurrent(call, &GRU, inputs, false),
    }
}

fn rnn(call: &mut Call) -> Result<()> {
    let inputs = inputs(call)?;
    recurrent(call, &RNN, inputs, false)
}

fn inputs(call: &mut Call) -> Result<Inputs> {
    Ok(Inputs {
        x: call.required(0)?,
        kernel: call.required(1)?,
        recurrent_kernel: call.required(2)?,
        bias: call.input(3)?,
        lengths: call.input(4)?,
        hidden: call.input(5)?,
        cell: None,
        peepholes: None,
    })
}

/// Its kernels are whole numbers, with the features first; they are made numbers when the model is
/// read, and the inputs stay as they are.
fn quantized_lstm(call: &mut Call) -> Result<()> {
    let kernel = dequantized(call, [1, 8, 9])?;
    let recurrent_kernel = dequantized(call, [2, 10, 11])?;
    let inputs = Inputs {
        x: call.required(0)?,
        kernel,
        recurrent_kernel,
        bias: call.input(3)?,
        lengths: call.input(4)?,
        hidden: call.input(5)?,
        cell: call.input(6)?,
        peepholes: call.input(7)?,
    };
    let coupled = call.flag("input_forget", false)?;
    recurrent(call, &LSTM, inputs, coupled)
}

/// A kernel `[directions, features, gates · units]` with its scale and zero point, which are
/// `[directions]` or `[directions, gates · units]`, as LSTM has it.
fn dequantized(call: &mut Call, [kernel, scale, zero_point]: [usize; 3]) -> Result<Value> {
    let kernel = call.required(kernel)?;
    let kernel = call.cast(kernel, Kind::Float)?;
    let along = |call: &mut Call, index: usize| -> Result<Value> {
        let numbers = call.required(index)?;
        let shape = call.importer.facts(numbers).shape;
        if let Some(shape) = shape.filter(|shape| !matches!(shape[..], [_] | [_, _])) {
            return call.malformed(format!("its input {index} is of shape {shape:?}"));
        }
        let list = is_list(call, numbers)?;
        let numbers = call.cast(numbers, Kind::Float)?;
        list.choose(
            call,
            |call| call.unsqueeze(numbers, &[1, 2]),
            |call| call.unsqueeze(numbers, &[1]),
        )
    };
    let zero_point = along(call, zero_point)?;
    let centred = call.binary(Binary::Subtract, kernel, zero_point)?;
    let scale = along(call, scale)?;
    let scaled = call.binary(Binary::Multiply, centred, scale)?;
    call.transpose(scaled, &[0, 2, 1])
}

fn recurrent(call: &mut Call, kinds: &Kinds, inputs: Inputs, coupled: bool) -> Result<()> {
    let units = units(call, kinds, &inputs)?;
    let directions: &[bool] = match call.text("direction", "forward")? {
        "forward" => &[false],
        "reverse" => &[true],
        "bidirectional" => &[false, true],
        other => return call.malformed(format!("its direction is {other:?}")),
    };
    let batch_first = match call.int("layout", 0)? {
        0 => false,
        1 => true,
        other => return call.malformed(format!("its layout is {other}")),
    };
    let options = CellOptions {
        clip: call.optional_float("clip")?.map(Into::into),
        peepholes: inputs.peepholes.is_some(),
        coupled,
        ..CellOptions::default()
    };
    let cell = kinds.cell.with(options);
    let _ = call.has("output_sequence");
    let layer = layer(call, kinds, cell, (units, directions), inputs.bias.is_some())?;
    let mut x = inputs.x;
    if !batch_first {
        x = call.transpose(x, &[1, 0, 2])?;
    }
    let mask = inputs.lengths.map(|lengths| mask(call, x, lengths)).transpose()?;
    let mut operands = vec![Some(x), mask];
    let axis = i64::from(batch_first);
    for direction in 0..directions.len() as i64 {
        operands.push(state(call, inputs.hidden, axis, direction)?);
        if cell.has_cell_state() {
            operands.push(state(call, inputs.cell, axis, direction)?);
        }
    }
    for direction in 0..directions.len() as i64 {
        operands.extend(weights(call, kinds, &inputs, (direction, units as i64))?.map(Some));
    }
    let operation = Operation::Recurrent { layer: layer.into(), in_order_of_time: true };
    let label = call.label.clone();
    let results = call.importer.program.add(&label, operation, operands)?;
    outputs(call, &results, (directions.len(), units, cell.states()), batch_first)
}

/// The node's `hidden_size`, which files of the first versions may leave out.
fn units(call: &mut Call, kinds: &Kinds, inputs: &Inputs) -> Result<usize> {
    let said = call.int("hidden_size", 0)?;
    let shape = call.importer.facts(inputs.recurrent_kernel).shape;
    let found = match (said, shape.as_deref()) {
        (0, Some([_, _, units])) => *units as i64,
        (0, _) => return call.malformed("its attribute \"hidden_size\" is missing"),
        (said, Some([_, columns, units]))
            if *units as i64 != said || *columns as i64 != said * kinds.gates.len() as i64 =>
        {
            return call.unsupported(format!(
                "its hidden_size is {said} and its recurrence weights are {shape:?}: a projection \
                 (PyTorch's proj_size) isn't written rightly into ONNX; load the PyTorch weights"
            ));
        }
        (said, _) => said,
    };
    match usize::try_from(found) {
        Ok(units @ 1..) if units < 1 << 24 => Ok(units),
        _ => call.malformed(format!("its hidden_size is {found}")),
    }
}

/// The layer: one direction, or two.
fn layer(
    call: &mut Call,
    kinds: &Kinds,
    cell: Cell,
    (units, directions): (usize, &[bool]),
    use_bias: bool,
) -> Result<Layer> {
    let activations = activations(call, kinds, directions.len())?;
    let mut readers = Vec::new();
    for (&backwards, of_direction) in directions.iter().zip(&activations) {
        let cell = cell.with(CellOptions { state_activation: of_direction.state, ..cell.options });
        let mut builder = RecurrentBuilder::of(cell, units)
            .use_bias(use_bias)
            .return_sequences(true)
            .zero_output_for_mask(true)
            .go_backwards(backwards)
            .activation(of_direction.candidate);
        if let Some(gates) = of_direction.gates {
            builder = builder.recurrent_activation(gates);
        }
        readers.push(Recurrent::from(builder));
    }
    let label = call.label.clone();
    let name = call.importer.layer_name(&label);
    Ok(match (readers.pop(), readers.pop()) {
        (Some(backward), Some(forward)) => {
            Layer::from(Bidirectional::new(forward).backward_layer(backward)).named(name)
        }
        (Some(only), None) => Layer::from(only).named(name),
        _ => return call.malformed("it has no direction"),
    })
}

/// The activations of a direction.
struct Activations {
    gates: Option<Activation>,
    candidate: Activation,
    /// Of an LSTM's cell state.
    state: Option<Activation>,
}

/// Those that the node names, each with the next alpha and beta that are left, if it has them.
fn activations(call: &mut Call, kinds: &Kinds, directions: usize) -> Result<Vec<Activations>> {
    let each = kinds.activations.len();
    let named = call.texts("activations")?;
    let names = match named {
        Some(names) if names.len() == each * directions => names,
        Some(names) if names.is_empty() => kinds.activations.repeat(directions),
        Some(names) => {
            return call.malformed(format!(
                "it has {} activations for {directions} directions",
                names.len()
            ));
        }
        None => kinds.activations.repeat(directions),
    };
    let mut alphas = call.floats("activation_alpha")?.unwrap_or_default().into_iter();
    let mut betas = call.floats("activation_beta")?.unwrap_or_default().into_iter();
    let mut found = Vec::new();
    for name in names {
        found.push(activation(call, name, &mut alphas, &mut betas)?);
    }
    let mut of_directions = Vec::new();
    for of_direction in found.chunks_exact(each) {
        of_directions.push(match *of_direction {
            [candidate] => Activations { gates: None, candidate, state: None },
            [gates, candidate] => Activations { gates: Some(gates), candidate, state: None },
            [gates, candidate, state] => Activations {
                gates: Some(gates),
                candidate,
                state: Some(state).filter(|state| *state != candidate),
            },
            _ => return call.malformed(format!("a direction has {each} activations")),
        });
    }
    Ok(of_directions)
}

fn activation(
    call: &Call,
    name: &str,
    alphas: &mut impl Iterator<Item = f32>,
    betas: &mut impl Iterator<Item = f32>,
) -> Result<Activation> {
    let lower = name.to_ascii_lowercase();
    let mut alpha = |default: f32| Parameter::from(alphas.next().unwrap_or(default));
    let mut beta = |default: f32| Parameter::from(betas.next().unwrap_or(default));
    Ok(match lower.as_str() {
        "tanh" => Activation::Tanh,
        "sigmoid" => Activation::Sigmoid,
        "relu" => Activation::Relu,
        "softsign" => Activation::Softsign,
        "softplus" => Activation::Softplus,
        "leakyrelu" => Activation::LeakyRelu(alpha(0.01)),
        "elu" => Activation::Elu(alpha(1.0)),
        "thresholdedrelu" => Activation::ThresholdedRelu(alpha(1.0)),
        "hardsigmoid" => Activation::ClippedAffine(alpha(0.2), beta(0.5)),
        "affine" => Activation::Affine(alpha(1.0), beta(0.0)),
        "scaledtanh" => Activation::ScaledTanh(alpha(1.0), beta(1.0)),
        _ => return call.malformed(format!("its activation {name:?} isn't known")),
    })
}

/// Which timesteps count: those below each row's length, `[batch, timesteps]`.
fn mask(call: &mut Call, x: Value, lengths: Value) -> Result<Value> {
    let shape = call.shape(x)?;
    let timesteps = call.slice(shape, 0, 1, 2)?;
    let timesteps = call.squeeze(timesteps, &[0])?;
    let zero = call.importer.constant(Values::integer(0));
    let one = call.importer.constant(Values::integer(1));
    let times = call.op(Operation::Range, [zero, timesteps, one])?;
    let lengths = call.op(Operation::Lengths, [lengths, timesteps])?;
    let column = call.unsqueeze(lengths, &[1])?;
    call.binary(Binary::Less, times, column)
}

/// A direction's initial state, `[batch, units]`; `axis` is that of the directions.
fn state(
    call: &mut Call,
    states: Option<Value>,
    axis: i64,
    direction: i64,
) -> Result<Option<Value>> {
    let Some(states) = states else { return Ok(None) };
    let own = call.slice(states, axis, direction, direction + 1)?;
    call.squeeze(own, &[axis]).map(Some)
}

/// A direction's weights in Keras's layout and order.
fn weights(
    call: &mut Call,
    kinds: &Kinds,
    inputs: &Inputs,
    (direction, units): (i64, i64),
) -> Result<impl Iterator<Item = Value> + use<>> {
    let mut weights = Vec::new();
    for kernel in [inputs.kernel, inputs.recurrent_kernel] {
        let rows = own_row(call, kernel, direction)?;
        let gates = in_order(call, rows, kinds.gates, units)?;
        weights.push(call.transpose(gates, &[1, 0])?);
    }
    if let Some(bias) = inputs.bias {
        let both = own_row(call, bias, direction)?;
        let count = kinds.gates.len() as i64 * units;
        let own = call.slice(both, 0, 0, count)?;
        let own = in_order(call, own, kinds.gates, units)?;
        let of_hidden = call.slice(both, 0, count, 2 * count)?;
        let of_hidden = in_order(call, of_hidden, kinds.gates, units)?;
        weights.push(match kinds.cell.bias_rows() {
            1 => call.binary(Binary::Add, own, of_hidden)?,
            _ => {
                let (own, of_hidden) =
                    (call.unsqueeze(own, &[0])?, call.unsqueeze(of_hidden, &[0])?);
                call.concat(0, vec![own, of_hidden])?
            }
        });
    }
    if let Some(peepholes) = inputs.peepholes {
        let own = own_row(call, peepholes, direction)?;
        let own = in_order(call, own, kinds.peepholes, units)?;
        weights.push(call.reshape(own, [kinds.peepholes.len() as i64, units])?);
    }
    Ok(weights.into_iter())
}

fn own_row(call: &mut Call, x: Value, direction: i64) -> Result<Value> {
    let own = call.slice(x, 0, direction, direction + 1)?;
    call.squeeze(own, &[0])
}

/// The parts of so many units in another order.
fn in_order(call: &mut Call, x: Value, order: &[i64], units: i64) -> Result<Value> {
    let mut parts = Vec::new();
    for &part in order {
        parts.push(call.slice(x, 0, part * units, (part + 1) * units)?);
    }
    call.concat(0, parts)
}

/// From the operation's results, `[batch, timesteps, directions · units]` and states
/// `[batch, units]`, to the node's.
fn outputs(
    call: &mut Call,
    results: &[Value],
    (directions, units, states): (usize, usize, usize),
    batch_first: bool,
) -> Result<()> {
    if call.has_output(0) {
        let split = call.reshape(results[0], [0, 0, directions as i64, units as i64])?;
        let y = if batch_first { split } else { call.transpose(split, &[1, 2, 0, 3])? };
        call.set(0, y)?;
    }
    let axis = i64::from(batch_first);
    for state in 0..states {
        if call.has_output(1 + state) {
            let mut parts = Vec::new();
            for direction in 0..directions {
                let own = results[1 + direction * states + state];
                parts.push(call.unsqueeze(own, &[axis])?);
            }
            let all = call.concat(axis, parts)?;
            call.set(1 + state, all)?;
        }
    }
    Ok(())
}
