//! Nodes of angles, and hyperbolic ones.

use crate::Result;
use crate::import::angles;
use crate::import::onnx::importer::{Call, Handler};
use crate::program::Value;

pub(super) const NODES: &[(&str, Handler)] = &[
    ("Acos", |call| function(call, |call, x| angles::arc_cosine(call, x))),
    ("Acosh", |call| function(call, |call, x| angles::arc_hyperbolic_cosine(call, x))),
    ("Asin", |call| function(call, |call, x| angles::arc_sine(call, x))),
    ("Asinh", |call| function(call, |call, x| angles::arc_hyperbolic_sine(call, x))),
    ("Atan", |call| function(call, |call, x| angles::arc_tangent(call, x))),
    ("Atanh", |call| function(call, |call, x| angles::arc_hyperbolic_tangent(call, x))),
    ("Cosh", |call| function(call, |call, x| angles::hyperbolic_cosine(call, x))),
    ("Sinh", |call| function(call, |call, x| angles::hyperbolic_sine(call, x))),
    ("Tan", |call| function(call, |call, x| angles::tangent(call, x))),
];

fn function(call: &mut Call, of: fn(&mut Call, Value) -> Result<Value>) -> Result<()> {
    let x = call.required(0)?;
    let result = of(call, x)?;
    call.set(0, result)
}
