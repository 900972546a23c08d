//! Nodes that compute with numbers of 8 bits and return such: what they stand for is computed, and
//! what comes out is made a number of 8 bits again.

use super::quantize::{Per, centred, centred_filters, dynamic_quantized, limited};
use super::shapes::scalar;
use super::windows;
use crate::import::onnx::importer::{Call, Handler};
use crate::program::{Binary, Kind, Operation, Unary, Value};
use crate::{Activation, Result};

pub(super) const NODES: &[(&str, Handler)] = &[
    ("QLinearConv", conv),
    ("QLinearMatMul", matmul),
    ("com.microsoft.DynamicQuantizeMatMul", dynamic_matmul),
    ("com.microsoft.MatMulIntegerToFloat", matmul_to_float),
    ("com.microsoft.QGemm", gemm),
    ("com.microsoft.QLinearAdd", |call| two(call, Binary::Add)),
    ("com.microsoft.QLinearConcat", concat),
    ("com.microsoft.QLinearLeakyRelu", leaky_relu),
    ("com.microsoft.QLinearMul", |call| two(call, Binary::Multiply)),
    ("com.microsoft.QLinearSigmoid", |call| activation(call, Activation::Sigmoid)),
];

/// Numbers of 8 bits with their scale and zero point.
struct Quantized {
    x: Value,
    scale: Value,
    zero_point: Option<Value>,
}

/// At these inputs.
fn quantized(call: &mut Call, [x, scale, zero_point]: [usize; 3]) -> Result<Quantized> {
    Ok(Quantized {
        x: call.required(x)?,
        scale: call.required(scale)?,
        zero_point: call.input(zero_point)?,
    })
}

impl Quantized {
    /// Without its zero point.
    fn centred(&self, call: &mut Call, per: Per) -> Result<Value> {
        centred(call, self.x, self.zero_point, per)
    }

    /// What it stands for.
    fn numbers(&self, call: &mut Call) -> Result<Value> {
        let x = self.centred(call, Per::Column)?;
        let scale = scalar(call, self.scale)?;
        call.binary(Binary::Multiply, x, scale)
    }

    /// Its scale, as it fits products of its rows or columns.
    fn scale(&self, call: &mut Call, per: Per) -> Result<Value> {
        per.fitting(call, self.scale)
    }
}

/// Numbers as those of 8 bits of a scale and a zero point, which output 0 returns.
fn set(call: &mut Call, x: Value, scale: Value, zero_point: Option<Value>) -> Result<()> {
    let data_type = zero_point.and_then(|value| call.importer.facts(value).data_type);
    let Some((data_type, (least, most))) = data_type.and_then(|one| Some((one, one.limits()?)))
    else {
        return call.unsupported("the type of its zero points isn't known");
    };
    let scale = scalar(call, scale)?;
    let mut result = call.binary(Binary::Divide, x, scale)?;
    result = call.unary(Unary::Round, result)?;
    if let Some(zero_point) = zero_point {
        let zero_point = scalar(call, zero_point)?;
        let zero_point = call.cast(zero_point, Kind::Float)?;
        result = call.binary(Binary::Add, result, zero_point)?;
    }
    result = limited(call, result, least, most)?;
    result = call.cast(result, Kind::Integer)?;
    call.importer.set_type(result, data_type);
    call.set(0, result)
}

/// Products of whole numbers, which are exact, times both scales.
fn product(call: &mut Call, a: &Quantized, b: &Quantized) -> Result<Value> {
    let operands = [a.centred(call, Per::Row)?, b.centred(call, Per::Column)?];
    let product = call.op(Operation::Product, operands)?;
    let (of_a, of_b) = (a.scale(call, Per::Row)?, b.scale(call, Per::Column)?);
    let scale = call.binary(Binary::Multiply, of_a, of_b)?;
    call.binary(Binary::Multiply, product, scale)
}

fn matmul(call: &mut Call) -> Result<()> {
    let (a, b) = (quantized(call, [0, 1, 2])?, quantized(call, [3, 4, 5])?);
    let (scale, zero_point) = (call.required(6)?, call.input(7)?);
    let result = product(call, &a, &b)?;
    set(call, result, scale, zero_point)
}

/// `alpha · a · b + c`, as numbers where no scale of them is given.
fn gemm(call: &mut Call) -> Result<()> {
    let alpha = call.float("alpha", 1.0)?;
    let (mut a, mut b) = (quantized(call, [0, 1, 2])?, quantized(call, [3, 4, 5])?);
    if call.flag("transA", false)? {
        a.x = call.transpose(a.x, &[1, 0])?;
    }
    if call.flag("transB", false)? {
        b.x = call.transpose(b.x, &[1, 0])?;
    }
    let mut result = product(call, &a, &b)?;
    result = call.with_number(Binary::Multiply, result, alpha)?;
    if let Some(c) = call.input(6)? {
        // Its scale is alpha times both.
        let (of_a, of_b) = (a.scale(call, Per::Row)?, b.scale(call, Per::Column)?);
        let scale = call.binary(Binary::Multiply, of_a, of_b)?;
        let scale = call.with_number(Binary::Multiply, scale, alpha)?;
        let c = call.cast(c, Kind::Float)?;
        let c = call.binary(Binary::Multiply, c, scale)?;
        result = call.binary(Binary::Add, result, c)?;
    }
    match (call.input(7)?, call.input(8)?) {
        (Some(scale), zero_point) => set(call, result, scale, zero_point),
        (None, _) => call.set(0, result),
    }
}

/// Of inputs a, b, their scales, their zero points, and a bias.
fn matmul_to_float(call: &mut Call) -> Result<()> {
    let (a, b) = (quantized(call, [0, 2, 4])?, quantized(call, [1, 3, 5])?);
    let mut result = product(call, &a, &b)?;
    if let Some(bias) = call.input(6)? {
        result = call.binary(Binary::Add, result, bias)?;
    }
    call.set(0, result)
}

/// The first input is made of 8 bits by its own range.
fn dynamic_matmul(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let [x, scale, zero_point] = dynamic_quantized(call, x)?;
    let a = Quantized { x, scale, zero_point: Some(zero_point) };
    let b = quantized(call, [1, 2, 3])?;
    let mut result = product(call, &a, &b)?;
    if let Some(bias) = call.input(4)? {
        result = call.binary(Binary::Add, result, bias)?;
    }
    call.set(0, result)
}

/// The bias has the scale of the products.
fn conv(call: &mut Call) -> Result<()> {
    let (x, kernel) = (quantized(call, [0, 1, 2])?, quantized(call, [3, 4, 5])?);
    let (scale, zero_point) = (call.required(6)?, call.input(7)?);
    let shape = call.importer.facts(kernel.x).shape;
    let of_x = x.centred(call, Per::Column)?;
    let of_kernel = centred_filters(call, kernel.x, kernel.zero_point)?;
    let bias = match call.input(8)? {
        Some(bias) => Some(call.cast(bias, Kind::Float)?),
        None => None,
    };
    let sums = windows::convolution(call, of_x, (of_kernel, shape), bias)?;
    let (own, each) = (scalar(call, x.scale)?, scalar(call, kernel.scale)?);
    let product = call.binary(Binary::Multiply, own, each)?;
    let last = call.channels_last(sums)?;
    let scaled = call.binary(Binary::Multiply, last, product)?;
    let result = call.channels_first(scaled)?;
    set(call, result, scale, zero_point)
}

fn two(call: &mut Call, function: Binary) -> Result<()> {
    let (a, b) = (quantized(call, [0, 1, 2])?, quantized(call, [3, 4, 5])?);
    let (scale, zero_point) = (call.required(6)?, call.input(7)?);
    let (a, b) = (a.numbers(call)?, b.numbers(call)?);
    let result = call.binary(function, a, b)?;
    set(call, result, scale, zero_point)
}

fn leaky_relu(call: &mut Call) -> Result<()> {
    let alpha = call.float("alpha", 0.01)?;
    activation(call, Activation::LeakyRelu(alpha.into()))
}

fn activation(call: &mut Call, activation: Activation) -> Result<()> {
    let x = quantized(call, [0, 1, 2])?.numbers(call)?;
    let (scale, zero_point) = (call.required(3)?, call.input(4)?);
    let result = call.op(Operation::Activate(activation), [x])?;
    set(call, result, scale, zero_point)
}

/// Of a scale and a zero point, and then arrays with theirs.
fn concat(call: &mut Call) -> Result<()> {
    let axis = call.required_int("axis")?;
    let (scale, zero_point) = (call.required(0)?, call.input(1)?);
    let mut parts = Vec::new();
    for first in (2..call.node.inputs.len()).step_by(3) {
        let part = quantized(call, [first, first + 1, first + 2])?;
        parts.push(part.numbers(call)?);
    }
    let joined = call.concat(axis, parts)?;
    set(call, joined, scale, zero_point)
}
