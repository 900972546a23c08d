//! Nodes that onnxruntime's optimizer puts in the place of several: of the domain com.microsoft.

use super::{normalize, product, windows};
use crate::import::onnx::importer::{Call, Handler};
use crate::program::{Binary, Operation, Value};
use crate::{Activation, Result};

pub(super) const NODES: &[(&str, Handler)] = &[
    // Of no domain, as onnxruntime writes it.
    ("SimplifiedLayerNormalization", normalize::root_mean_square),
    ("com.microsoft.BiasGelu", |call| gelu(call, Activation::Gelu)),
    ("com.microsoft.FastGelu", |call| gelu(call, Activation::GeluApproximate)),
    ("com.microsoft.FusedConv", fused_conv),
    ("com.microsoft.FusedGemm", fused_gemm),
    ("com.microsoft.FusedMatMul", fused_matmul),
    ("com.microsoft.Gelu", |call| gelu(call, Activation::Gelu)),
    ("com.microsoft.QuickGelu", quick_gelu),
    ("com.microsoft.SkipLayerNormalization", skip_layer),
    ("com.microsoft.SkipSimplifiedLayerNormalization", skip_root_mean_square),
];

/// Of the sum of both inputs, where there are two.
fn gelu(call: &mut Call, activation: Activation) -> Result<()> {
    let mut x = call.required(0)?;
    if let Some(bias) = call.input(1)? {
        x = call.binary(Binary::Add, x, bias)?;
    }
    let result = call.op(Operation::Activate(activation), [x])?;
    call.set(0, result)
}

/// `x · sigmoid(alpha · x)`
fn quick_gelu(call: &mut Call) -> Result<()> {
    let (x, alpha) = (call.required(0)?, call.float("alpha", 1.702)?);
    let scaled = call.with_number(Binary::Multiply, x, alpha)?;
    let gate = call.op(Operation::Activate(Activation::Sigmoid), [scaled])?;
    let result = call.binary(Binary::Multiply, x, gate)?;
    call.set(0, result)
}

/// `alpha · a · b`, with the last two axes of each turned where the node says so.
fn fused_matmul(call: &mut Call) -> Result<()> {
    if call.flag("transBatchA", false)? || call.flag("transBatchB", false)? {
        return call.unsupported("transBatchA and transBatchB aren't supported");
    }
    let mut operands = [call.required(0)?, call.required(1)?];
    let turned = [call.flag("transA", false)?, call.flag("transB", false)?];
    for (operand, _) in operands.iter_mut().zip(turned).filter(|(_, turned)| *turned) {
        *operand = call.op(Operation::MoveAxis { from: -1, to: -2 }, [*operand])?;
    }
    let alpha = call.float("alpha", 1.0)?;
    let mut result = call.op(Operation::Product, operands)?;
    if alpha != 1.0 {
        result = call.with_number(Binary::Multiply, result, alpha)?;
    }
    call.set(0, result)
}

fn fused_gemm(call: &mut Call) -> Result<()> {
    let product = product::gemm_of_inputs(call)?;
    let parameters = [
        call.optional_float("activation_alpha")?,
        call.optional_float("activation_beta")?,
        call.optional_float("activation_gamma")?,
    ];
    let parameters: Vec<f32> = parameters.into_iter().flatten().collect();
    let result = activated(call, product, &parameters)?;
    call.set(0, result)
}

/// A convolution, the sum with input 3, and an activation.
fn fused_conv(call: &mut Call) -> Result<()> {
    let (x, kernel, bias) = (call.required(0)?, call.required(1)?, call.input(2)?);
    let shape = call.importer.facts(kernel).shape;
    let mut result = windows::convolution(call, x, (kernel, shape), bias)?;
    if let Some(other) = call.input(3)? {
        result = call.binary(Binary::Add, result, other)?;
    }
    let parameters = call.floats("activation_params")?.unwrap_or_default();
    let result = activated(call, result, &parameters)?;
    call.set(0, result)
}

/// The activation that the node names, with its parameters.
fn activated(call: &mut Call, x: Value, parameters: &[f32]) -> Result<Value> {
    let parameter = |index: usize, default: f32| parameters.get(index).copied().unwrap_or(default);
    let activation = match call.text("activation", "")? {
        "" => return Ok(x),
        "Relu" => Activation::Relu,
        "Tanh" => Activation::Tanh,
        "Sigmoid" => Activation::Sigmoid,
        "LeakyRelu" => Activation::LeakyRelu(parameter(0, 0.01).into()),
        "HardSigmoid" => {
            Activation::ClippedAffine(parameter(0, 0.2).into(), parameter(1, 0.5).into())
        }
        "Clip" => {
            let (least, most) = (parameter(0, f32::MIN), parameter(1, f32::MAX));
            let above = call.with_number(Binary::Maximum, x, least)?;
            return call.with_number(Binary::Minimum, above, most);
        }
        other => return call.unsupported(format!("its activation {other:?} isn't supported")),
    };
    call.op(Operation::Activate(activation), [x])
}

/// The sum of the first two inputs and a bias, which output 3 returns.
fn skipped(call: &mut Call, bias: Option<Value>) -> Result<Value> {
    let (x, skip) = (call.required(0)?, call.required(1)?);
    let mut sum = call.binary(Binary::Add, x, skip)?;
    if let Some(bias) = bias {
        sum = call.binary(Binary::Add, sum, bias)?;
    }
    call.set(3, sum)?;
    Ok(sum)
}

fn skip_layer(call: &mut Call) -> Result<()> {
    let epsilon = call.float("epsilon", 1e-12)?;
    let (scale, shift, bias) = (call.required(2)?, call.input(3)?, call.input(4)?);
    let sum = skipped(call, bias)?;
    normalize::layer_of(call, sum, (scale, shift), (-1, epsilon))
}

fn skip_root_mean_square(call: &mut Call) -> Result<()> {
    let epsilon = call.float("epsilon", 1e-12)?;
    let (scale, bias) = (call.required(2)?, call.input(3)?);
    let sum = skipped(call, bias)?;
    normalize::root_mean_square_of(call, sum, scale, (-1, epsilon))
}
