//! What `--json` prints: arrays, devices and numbers as JSON.

use crate::words;
use birnn::{DeviceInfo, Output};
use ndarray::{ArrayD, ArrayViewD, Axis};
use serde_json::{Map, Value, json};
use std::io::{self, Write};

/// Prints a value as a line.
pub fn print(out: &mut impl Write, value: &Value) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    writeln!(out)
}

/// An array as lists of lists. JSON has no numbers that aren't finite: they are "NaN", "Infinity"
/// and "-Infinity", which Python's float takes.
pub fn array(array: &ArrayViewD<f32>) -> Value {
    match array.ndim() {
        0 => array.iter().next().map_or(Value::Null, |&value| number(value)),
        1 => array.iter().map(|&value| number(value)).collect(),
        _ => array.axis_iter(Axis(0)).map(|part| self::array(&part)).collect(),
    }
}

/// A float32 in the fewest digits that no other one has.
fn number(value: f32) -> Value {
    match value {
        _ if value.is_finite() => value.to_string().parse().map_or(Value::Null, float),
        _ => float(value.into()),
    }
}

pub fn float(value: f64) -> Value {
    match serde_json::Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => "NaN".into(),
        None if value > 0.0 => "Infinity".into(),
        None => "-Infinity".into(),
    }
}

pub fn device(info: &DeviceInfo) -> Value {
    json!({
        "name": info.name,
        "kind": info.kind.to_string(),
        "backend": info.backend,
        "driver": info.driver,
        "reason": words::told(&info.reason),
    })
}

/// What an output is, without its values.
pub fn output<F>(output: &Output<F>) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("layer".into(), output.layer.as_str().into());
    object.insert("role".into(), output.role.to_string().into());
    object.insert("shape".into(), output.array.shape().into());
    object
}

/// The difference of an output from the exact one.
pub fn difference(found: &ArrayD<f32>, exact: &ArrayD<f64>) -> Value {
    float(crate::show::difference(found, exact).value)
}
