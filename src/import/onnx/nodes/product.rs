//! Nodes that multiply matrices.

use crate::Result;
use crate::import::einsum::Equation;
use crate::import::onnx::importer::{Call, Handler};
use crate::import::operations::Operations;
use crate::program::{Binary, Operation, Value};

pub(super) const NODES: &[(&str, Handler)] =
    &[("Einsum", einsum), ("Gemm", gemm), ("MatMul", matmul)];

fn matmul(call: &mut Call) -> Result<()> {
    let inputs = [call.required(0)?, call.required(1)?];
    let product = call.op(Operation::Product, inputs)?;
    call.set(0, product)
}

fn gemm(call: &mut Call) -> Result<()> {
    let result = gemm_of_inputs(call)?;
    call.set(0, result)
}

/// `alpha · a · b + beta · c`
pub(super) fn gemm_of_inputs(call: &mut Call) -> Result<Value> {
    let (alpha, beta) = (call.float("alpha", 1.0)?, call.float("beta", 1.0)?);
    let (mut a, mut b) = (call.required(0)?, call.required(1)?);
    if call.flag("transA", false)? {
        a = call.transpose(a, &[1, 0])?;
    }
    if call.flag("transB", false)? {
        b = call.transpose(b, &[1, 0])?;
    }
    let mut result = call.op(Operation::Product, [a, b])?;
    if alpha != 1.0 {
        result = call.with_number(Binary::Multiply, result, alpha)?;
    }
    if let Some(mut c) = call.input(2)? {
        if beta != 1.0 {
            c = call.with_number(Binary::Multiply, c, beta)?;
        }
        result = call.binary(Binary::Add, result, c)?;
    }
    Ok(result)
}

impl Operations for Call<'_, '_, '_> {
    type Array = Value;

    fn add(&mut self, operation: Operation, operands: &[Value]) -> Result<Value> {
        self.op(operation, operands.iter().copied())
    }

    fn numbers(&mut self, numbers: Vec<i64>) -> Value {
        self.importer.integers(numbers)
    }

    fn constant_number(&mut self, number: f32) -> Value {
        self.importer.float(number)
    }
}

fn einsum(call: &mut Call) -> Result<()> {
    let equation = call.text("equation", "")?;
    let inputs = call.inputs()?;
    let equation = match Equation::read(equation, inputs.len()) {
        Ok(equation) => equation,
        Err(reason) => return call.unsupported(reason),
    };
    match equation.add(call, inputs)? {
        Some(result) => call.set(0, result),
        None => call.malformed("it has no inputs"),
    }
}
