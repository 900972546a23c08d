//! Nodes that make axes longer or shorter.

use crate::Result;
use crate::import::onnx::importer::{Call, Handler};
use crate::program::{Coordinates, Interpolation, Operation, Ratio, Resizing, Rounding, Value};

pub(super) const NODES: &[(&str, Handler)] = &[("Resize", resize), ("Upsample", upsample)];

fn resize(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    // In opset 10 the scales are the second and last input.
    let operands = match call.importer.opset {
        ..11 => [Some(x), None, Some(call.required(1)?), None],
        _ => [Some(x), call.input(1)?, call.input(2)?, call.input(3)?],
    };
    let asymmetric = call.importer.opset < 11;
    let coordinates = match call.text("coordinate_transformation_mode", "half_pixel")? {
        "half_pixel" if asymmetric => Coordinates::Asymmetric,
        "half_pixel" => Coordinates::HalfPixel,
        "half_pixel_symmetric" => Coordinates::HalfPixelSymmetric,
        "pytorch_half_pixel" => Coordinates::HalfPixelOfMore,
        "align_corners" => Coordinates::AlignCorners,
        "asymmetric" => Coordinates::Asymmetric,
        "tf_crop_and_resize" => Coordinates::Crop,
        other => {
            let reason = format!("its coordinate_transformation_mode is {other:?}");
            return call.unsupported(reason);
        }
    };
    let rounding = match call.text("nearest_mode", "round_prefer_floor")? {
        "round_prefer_floor" if asymmetric => Rounding::Down,
        "round_prefer_floor" => Rounding::HalfDown,
        "round_prefer_ceil" => Rounding::HalfUp,
        "floor" => Rounding::Down,
        "ceil" => Rounding::Up,
        other => return call.malformed(format!("its nearest_mode is {other:?}")),
    };
    let a = call.float("cubic_coeff_a", -0.75)?;
    let interpolation = match call.text("mode", "nearest")? {
        "nearest" => Interpolation::Nearest(rounding),
        "linear" => Interpolation::Linear,
        "cubic" => Interpolation::Cubic(a),
        other => return call.malformed(format!("its mode is {other:?}")),
    };
    let ratio = match call.text("keep_aspect_ratio_policy", "stretch")? {
        "stretch" => Ratio::Free,
        "not_larger" => Ratio::NotLarger,
        "not_smaller" => Ratio::NotSmaller,
        other => return call.malformed(format!("its keep_aspect_ratio_policy is {other:?}")),
    };
    let resizing = Resizing {
        interpolation,
        coordinates,
        smooth: call.flag("antialias", false)?,
        only_inside: call.flag("exclude_outside", false)?,
        outside: call.float("extrapolation_value", 0.0)?,
        axes: call.ints("axes")?,
        ratio,
    };
    resized(call, resizing, operands)
}

/// The operator of opsets 7 to 9.
fn upsample(call: &mut Call) -> Result<()> {
    let x = call.required(0)?;
    let scales = match call.floats("scales")? {
        Some(scales) => {
            let scales = ndarray::Array1::from(scales).into_dyn();
            call.importer.constant(crate::program::Values::Floats(scales))
        }
        None => call.required(1)?,
    };
    let interpolation = match call.text("mode", "nearest")? {
        "nearest" => Interpolation::Nearest(Rounding::Down),
        "linear" | "bilinear" => Interpolation::Linear,
        other => return call.malformed(format!("its mode is {other:?}")),
    };
    let resizing = Resizing {
        interpolation,
        coordinates: Coordinates::Asymmetric,
        smooth: false,
        only_inside: false,
        outside: 0.0,
        axes: None,
        ratio: Ratio::Free,
    };
    resized(call, resizing, [Some(x), None, Some(scales), None])
}

fn resized(call: &mut Call, resizing: Resizing, operands: [Option<Value>; 4]) -> Result<()> {
    let result = call.op(Operation::Resize(resizing), operands)?;
    call.set(0, result)
}
