//! Nodes that compute value by value.

use crate::import::onnx::importer::{Call, Handler};
use crate::import::onnx::tensor::DataType;
use crate::program::{Binary, Kind, Operation, Unary, Value};
use crate::{Activation, Result};

pub(super) const NODES: &[(&str, Handler)] = &[
    ("Abs", |call| unary(call, Unary::Absolute)),
    ("Add", |call| binary(call, Binary::Add)),
    ("And", |call| binary(call, Binary::And)),
    ("BitShift", bit_shift),
    ("BitwiseNot", bitwise_not),
    ("Cast", cast),
    ("CastLike", cast_like),
    ("Ceil", |call| unary(call, Unary::Ceil)),
    ("Celu", celu),
    ("Clip", clip),
    ("Cos", |call| unary(call, Unary::Cos)),
    ("Div", |call| binary(call, Binary::Divide)),
    ("Dropout", dropout),
    ("Elu", |call| parametric(call, 1.0, Activation::Elu)),
    ("Equal", |call| binary(call, Binary::Equal)),
    ("Erf", |call| unary(call, Unary::Erf)),
    ("Exp", |call| unary(call, Unary::Exp)),
    ("Floor", |call| unary(call, Unary::Floor)),
    ("Gelu", gelu),
    ("Greater", |call| binary(call, Binary::Greater)),
    ("GreaterOrEqual", |call| binary(call, Binary::GreaterOrEqual)),
    ("HardSigmoid", hard_sigmoid),
    ("HardSwish", |call| activation(call, Activation::HardSilu)),
    ("Identity", identity),
    ("IsInf", is_infinite),
    ("IsNaN", |call| unary(call, Unary::IsNan)),
    ("LeakyRelu", |call| parametric(call, 0.01, Activation::LeakyRelu)),
    ("Less", |call| binary(call, Binary::Less)),
    ("LessOrEqual", |call| binary(call, Binary::LessOrEqual)),
    ("Log", |call| unary(call, Unary::Log)),
    ("Max", |call| variadic(call, Binary::Maximum)),
    ("Mean", mean),
    ("Min", |call| variadic(call, Binary::Minimum)),
    ("Mish", |call| activation(call, Activation::Mish)),
    ("Mod", modulo),
    ("Mul", |call| binary(call, Binary::Multiply)),
    ("Neg", |call| unary(call, Unary::Negate)),
    ("Not", |call| unary(call, Unary::Not)),
    ("Or", |call| binary(call, Binary::Or)),
    ("PRelu", p_relu),
    ("Pow", |call| binary(call, Binary::Power)),
    ("Reciprocal", |call| unary(call, Unary::Reciprocal)),
    ("Relu", relu),
    ("Round", |call| unary(call, Unary::Round)),
    ("Selu", selu),
    ("Shrink", shrink),
    ("Sigmoid", |call| activation(call, Activation::Sigmoid)),
    ("Sign", |call| unary(call, Unary::Sign)),
    ("Sin", |call| unary(call, Unary::Sin)),
    ("Softplus", |call| activation(call, Activation::Softplus)),
    ("Softsign", |call| activation(call, Activation::Softsign)),
    ("Sqrt", |call| unary(call, Unary::Sqrt)),
    ("Sub", |call| binary(call, Binary::Subtract)),
    ("Sum", |call| variadic(call, Binary::Add)),
    ("SwiGLU", swi_glu),
    ("Swish", swish),
    ("Tanh", |call| activation(call, Activation::Tanh)),
    ("ThresholdedRelu", |call| parametric(call, 1.0, Activation::ThresholdedRelu)),
    ("Where", select),
    ("Xor", |call| binary(call, Binary::Xor)),
];

fn unary(call: &mut Call, function: Unary) -> Result<()> {
    let x = call.required(0)?;
    let result = call.unary(function, x)?;
    call.set(0, result)
}

fn binary(call: &mut Call, function: Binary) -> Result<()> {
    if call.has("axis") || call.flag("broadcast", false)? {
        return call.unsupported("it broadcasts as before opset 7; convert the model to opset 13");
    }
    let (a, b) = (call.required(0)?, call.required(1)?);
    let result = call.binary(function, a, b)?;
    call.set(0, result)
}

fn variadic(call: &mut Call, function: Binary) -> Result<()> {
    let result = folded(call, function)?;
    call.set(0, result)
}

/// All inputs, one after another.
fn folded(call: &mut Call, function: Binary) -> Result<Value> {
    let inputs = call.inputs()?;
    let Some((&first, rest)) = inputs.split_first() else {
        return call.malformed("it has no inputs");
    };
    let mut result = first;
    for &input in rest {
        result = call.binary(function, result, input)?;
    }
    Ok(result)
}

fn mean(call: &mut Call) -> Result<()> {
    let sum = folded(call, Binary::Add)?;
    let count = call.node.inputs.len() as f32;
    let mean = call.with_number(Binary::Divide, sum, count)?;
    call.set(0, mean)
}

fn activation(call: &mut Call, activation: Activation) -> Result<()> {
    let x = call.required(0)?;
    let result = call.op(Operation::Activate(activation), [x])?;
    call.set(0, result)
}

fn parametric<P: From<f32>>(call: &mut Call, alpha: f32, of: fn(P) -> Activation) -> Result<()> {
    let alpha = call.float("alpha", alpha)?;
    activation(call, of(alpha.into()))
}

/// Of whole numbers, too.
fn relu(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let integer = call.importer.facts(x).data_type.is_some_and(|of| of.kind() == Kind::Integer);
    match integer {
        true => {
            let zero = call.importer.constant(crate::program::Values::integer(0));
            let result = call.binary(Binary::Maximum, x, zero)?;
            call.set(0, result)
        }
        false => activation(call, Activation::Relu),
    }
}

fn identity(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    call.set(0, x)
}

/// What is dropped in training is kept here; the mask is of true values.
fn dropout(call: &mut Call) -> Result<()> {
    let _ = (call.has("ratio"), call.has("seed"), call.has("is_test"));
    let x = call.required(0)?;
    if call.has_output(1) {
        let shape = call.shape(x)?;
        let kept =
            call.importer.constant(crate::program::Values::Bools(ndarray::arr0(true).into_dyn()));
        let mask = call.op(Operation::Fill, [shape, kept])?;
        call.set(1, mask)?;
    }
    call.set(0, x)
}

fn cast(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let to = call.required_int("to")?;
    let _ = call.has("saturate");
    match DataType::new(to) {
        Ok(data_type) => cast_to(call, x, data_type),
        Err(what) => call.unsupported(format!("it casts to {what}")),
    }
}

fn cast_to(call: &mut Call, x: Value, data_type: DataType) -> Result<()> {
    let result = call.cast(x, data_type.kind())?;
    call.importer.same_facts(x, result);
    call.importer.set_type(result, data_type);
    call.set(0, result)
}

fn cast_like(call: &mut Call) -> Result<()> {
    let (x, like) = (call.required(0)?, call.required(1)?);
    let _ = call.has("saturate");
    match call.importer.facts(like).data_type {
        Some(data_type) => cast_to(call, x, data_type),
        None => {
            let result = call.op(Operation::CastLike, [x, like])?;
            call.set(0, result)
        }
    }
}

fn clip(call: &mut Call) -> Result<()> {
    let mut x = call.required(0)?;
    let (min, max) = (call.optional_float("min")?, call.optional_float("max")?);
    let bound = |call: &mut Call, index: usize, attribute: Option<f32>| match attribute {
        Some(number) => Ok(Some(call.importer.float(number))),
        None => call.input(index),
    };
    if let Some(min) = bound(call, 1, min)? {
        x = call.binary(Binary::Maximum, x, min)?;
    }
    if let Some(max) = bound(call, 2, max)? {
        x = call.binary(Binary::Minimum, x, max)?;
    }
    call.set(0, x)
}

/// `max(0, min(1, alpha · x + beta))`
fn hard_sigmoid(call: &mut Call) -> Result<()> {
    let (alpha, beta) = (call.float("alpha", 0.2)?, call.float("beta", 0.5)?);
    activation(call, Activation::ClippedAffine(alpha.into(), beta.into()))
}

fn gelu(call: &mut Call) -> Result<()> {
    match call.text("approximate", "none")? {
        "none" => activation(call, Activation::Gelu),
        "tanh" => activation(call, Activation::GeluApproximate),
        other => call.malformed(format!("it is approximated by {other:?}")),
    }
}

fn swish(call: &mut Call) -> Result<()> {
    let result = swish_of_input(call)?;
    call.set(0, result)
}

/// `x · sigmoid(alpha · x)` of input 0.
fn swish_of_input(call: &mut Call) -> Result<Value> {
    let (x, alpha) = (call.required(0)?, call.float("alpha", 1.0)?);
    if alpha == 1.0 {
        return call.op(Operation::Activate(Activation::Silu), [x]);
    }
    let scaled = call.with_number(Binary::Multiply, x, alpha)?;
    let gate = call.op(Operation::Activate(Activation::Sigmoid), [scaled])?;
    call.binary(Binary::Multiply, x, gate)
}

fn swi_glu(call: &mut Call) -> Result<()> {
    let (gate, x) = (swish_of_input(call)?, call.required(1)?);
    let result = call.binary(Binary::Multiply, gate, x)?;
    call.set(0, result)
}

/// `gamma · x` above zero, `gamma · alpha · (exp(x) - 1)` below.
fn selu(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let alpha = call.float("alpha", 1.673_263_2)?;
    let gamma = call.float("gamma", 1.050_701)?;
    let elu = call.op(Operation::Activate(Activation::Elu(alpha.into())), [x])?;
    let result = call.with_number(Binary::Multiply, elu, gamma)?;
    call.set(0, result)
}

/// `max(0, x) + min(0, alpha · (exp(x / alpha) - 1))`
fn celu(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let alpha = call.float("alpha", 1.0)?;
    let scaled = call.with_number(Binary::Divide, x, alpha)?;
    let elu = call.op(Operation::Activate(Activation::ELU), [scaled])?;
    let result = call.with_number(Binary::Multiply, elu, alpha)?;
    call.set(0, result)
}

/// `x` above zero, `slope · x` below.
fn p_relu(call: &mut Call) -> Result<()> {
    let (x, slope) = (call.required(0)?, call.required(1)?);
    let above = call.with_number(Binary::Maximum, x, 0.0)?;
    let below = call.with_number(Binary::Minimum, x, 0.0)?;
    let scaled = call.binary(Binary::Multiply, below, slope)?;
    let result = call.binary(Binary::Add, above, scaled)?;
    call.set(0, result)
}

/// With `fmod` what is left has the sign of the first input.
fn modulo(call: &mut Call) -> Result<()> {
    let function = match call.flag("fmod", false)? {
        true => Binary::Remainder,
        false => Binary::Modulo,
    };
    binary(call, function)
}

fn select(call: &mut Call) -> Result<()> {
    let inputs = [call.required(0)?, call.required(1)?, call.required(2)?];
    let result = call.op(Operation::Select, inputs)?;
    call.set(0, result)
}

/// `x - bias` above lambd, `x + bias` below -lambd, otherwise 0.
fn shrink(call: &mut Call) -> Result<()> {
    let (x, bias, limit) = (call.required(0)?, call.float("bias", 0.0)?, call.float("lambd", 0.5)?);
    let (lower, higher) =
        (call.with_number(Binary::Subtract, x, bias)?, call.with_number(Binary::Add, x, bias)?);
    let above = call.with_number(Binary::Greater, x, limit)?;
    let below = call.with_number(Binary::Less, x, -limit)?;
    let zero = call.importer.float(0.0);
    let rest = call.op(Operation::Select, [below, higher, zero])?;
    let result = call.op(Operation::Select, [above, lower, rest])?;
    call.set(0, result)
}

fn is_infinite(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let signs = [
        (call.flag("detect_positive", true)?, f32::INFINITY),
        (call.flag("detect_negative", true)?, f32::NEG_INFINITY),
    ];
    // NaN is none of both.
    let mut result = call.with_number(Binary::Less, x, f32::NEG_INFINITY)?;
    for (_, infinite) in signs.into_iter().filter(|(counts, _)| *counts) {
        let equal = call.with_number(Binary::Equal, x, infinite)?;
        result = call.binary(Binary::Or, result, equal)?;
    }
    call.set(0, result)
}

/// x times 2^y, less what its type has no bits for, or x / 2^y without what is behind the point.
fn bit_shift(call: &mut Call) -> Result<()> {
    let (x, y) = (call.required(0)?, call.required(1)?);
    let data_type = call.importer.facts(x).data_type;
    let two = call.importer.constant(crate::program::Values::integer(2));
    let power = call.binary(Binary::Power, two, y)?;
    let power = call.unary(Unary::Round, power)?;
    let power = call.cast(power, Kind::Integer)?;
    let mut result = match call.text("direction", "")? {
        "LEFT" => call.binary(Binary::Multiply, x, power)?,
        "RIGHT" => {
            let rest = call.binary(Binary::Modulo, x, power)?;
            let whole = call.binary(Binary::Subtract, x, rest)?;
            call.binary(Binary::Divide, whole, power)?
        }
        other => return call.malformed(format!("its direction is {other:?}")),
    };
    // Numbers of more bits aren't exact in f32 beyond 2^24 anyway.
    if let Some((least, most)) = data_type.and_then(DataType::limits) {
        let shift = call.importer.constant(crate::program::Values::integer(least as i64));
        let count = (most - least) as i64 + 1;
        let count = call.importer.constant(crate::program::Values::integer(count));
        let above = call.binary(Binary::Subtract, result, shift)?;
        let inside = call.binary(Binary::Modulo, above, count)?;
        result = call.binary(Binary::Add, inside, shift)?;
    }
    call.set(0, result)
}

/// `-1 - x`, or of numbers without a sign `most - x`.
fn bitwise_not(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let most = match call.importer.facts(x).data_type {
        Some(DataType::Uint8) => 255,
        Some(DataType::Uint16) => 65535,
        Some(DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64) => -1,
        _ => return call.unsupported("only numbers of up to 16 bits or with a sign are supported"),
    };
    let most = call.importer.constant(crate::program::Values::integer(most));
    let result = call.binary(Binary::Subtract, most, x)?;
    call.set(0, result)
}
