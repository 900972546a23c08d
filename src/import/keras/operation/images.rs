//! Operations on images, `[batch, rows, columns, features]`.

use super::call::Call;
use super::computed::Id;
use crate::Result;
use crate::program::{
    Coordinates, Interpolation, Operation, PadMode, Ratio, Resizing, Rounding, Values, Windows,
};

/// Images with the features last, and their rows and columns.
fn images(call: &mut Call) -> Result<(Id, [Option<usize>; 2])> {
    let x = call.array("x")?;
    let format = call.text("data_format")?.unwrap_or("channels_last");
    if !["channels_last", "NHWC"].contains(&format) {
        return call.unsupported("data_format", "only channels_last is supported");
    }
    match call.axes(x)?[..] {
        [_, rows, columns, _] => Ok((x, [rows, columns])),
        _ => call.wrong("x", "isn't [batch, rows, columns, features]"),
    }
}

pub(super) fn resized(call: &mut Call) -> Result<Id> {
    for name in ["antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio"] {
        if call.flag(name)? {
            return call.unsupported(name, "only images that fill the size are supported");
        }
    }
    let _ = (call.get("fill_mode"), call.get("fill_value")); // of what is padded
    let (x, _) = images(call)?;
    let Some(size) = call.ints("size")?.filter(|size| size.len() == 2) else {
        return call.wrong("size", "isn't rows and columns");
    };
    if size.iter().any(|n| !(1..1 << 15).contains(n)) {
        return call.wrong("size", format!("{size:?}"));
    }
    let interpolation = match call.text("interpolation")?.unwrap_or("bilinear") {
        "bilinear" => Interpolation::Linear,
        "nearest" => Interpolation::Nearest(Rounding::HalfUp),
        "bicubic" => Interpolation::Cubic(-0.5),
        _ => {
            let reason = "bilinear, nearest and bicubic are supported";
            return call.unsupported("interpolation", reason);
        }
    };
    let resizing = Resizing {
        interpolation,
        coordinates: Coordinates::HalfPixel,
        smooth: false,
        only_inside: matches!(interpolation, Interpolation::Cubic(_)),
        outside: 0.0,
        axes: Some(vec![1, 2]),
        ratio: Ratio::Free,
    };
    let size = call.integers(size);
    call.op(Operation::Resize(resizing), [Some(x), None, None, Some(size)])
}

/// The weights of red, green and blue.
pub(super) fn grayscale(call: &mut Call) -> Result<Id> {
    let (x, _) = images(call)?;
    let weights = ndarray::arr2(&[[0.2989f32], [0.587], [0.114]]);
    let weights = call.computed.constant(Values::Floats(weights.into_dyn()));
    call.op(Operation::Product, [x, weights])
}

/// What lies before, in and behind a size of which two are given.
fn around(
    call: &Call,
    names: [&'static str; 3],
    (length, grows): (Option<usize>, bool),
) -> Result<(i64, i64)> {
    let [before, behind, target] = names;
    let (first, last) = (call.int(before)?, call.int(behind)?);
    let given = call.int(target)?;
    let all = |known: &str| match length {
        Some(length) => Ok(length as i64),
        None => call.unsupported(known, "rows and columns need fixed lengths"),
    };
    let all_around = |target: i64| -> Result<i64> {
        let length = all("target_height")?;
        Ok(if grows { target.saturating_sub(length) } else { length.saturating_sub(target) })
    };
    let sides = match (first, last, given) {
        (Some(first), Some(last), None) => (first, last),
        (Some(first), None, Some(target)) => (first, all_around(target)?.saturating_sub(first)),
        (None, Some(last), Some(target)) => (all_around(target)?.saturating_sub(last), last),
        _ => return call.wrong(target, "two of the three have to be given"),
    };
    if [sides.0, sides.1].iter().any(|n| !(0..1 << 15).contains(n)) {
        return call.wrong(target, format!("leaves {sides:?} around"));
    }
    Ok(sides)
}

pub(super) fn padded(call: &mut Call) -> Result<Id> {
    let (x, [rows, columns]) = images(call)?;
    let (top, bottom) =
        around(call, ["top_padding", "bottom_padding", "target_height"], (rows, true))?;
    let (left, right) =
        around(call, ["left_padding", "right_padding", "target_width"], (columns, true))?;
    let sides = call.integers([0, top, left, 0, 0, bottom, right, 0]);
    call.op(Operation::Pad(PadMode::Constant), [x, sides])
}

pub(super) fn cropped(call: &mut Call) -> Result<Id> {
    let (x, [rows, columns]) = images(call)?;
    let names = ["top_cropping", "bottom_cropping", "target_height"];
    let (top, bottom) = around(call, names, (rows, false))?;
    let names = ["left_cropping", "right_cropping", "target_width"];
    let (left, right) = around(call, names, (columns, false))?;
    let end = |behind: i64| if behind == 0 { i64::MAX } else { -behind };
    let x = call.slice(x, 1, (top, end(bottom)))?;
    call.slice(x, 2, (left, end(right)))
}

/// Windows of an image, each as the features of one place: a convolution of which each filter
/// picks a value.
pub(super) fn patches(call: &mut Call) -> Result<Id> {
    const MOST: usize = 1 << 11;
    let (x, [rows, columns]) = images(call)?;
    let pair = |call: &Call, name: &str| -> Result<Option<[usize; 2]>> {
        let Some(listed) = call.ints(name)? else { return Ok(None) };
        let listed: Vec<usize> =
            listed.into_iter().filter_map(|n| usize::try_from(n).ok().filter(|&n| n > 0)).collect();
        match listed[..] {
            [both] => Ok(Some([both, both])),
            [rows, columns] => Ok(Some([rows, columns])),
            _ => call.wrong(name, "isn't one of rows and columns"),
        }
    };
    let Some(size) = pair(call, "size")? else { return call.wrong("size", "is missing") };
    let strides = pair(call, "strides")?.unwrap_or(size);
    let dilation = pair(call, "dilation_rate")?.unwrap_or([1, 1]);
    let Some(features) = call.axes(x)?[3] else {
        return call.unsupported("x", "its features need a fixed length");
    };
    let values = size[0].saturating_mul(size[1]).saturating_mul(features);
    if values > MOST {
        return call
            .wrong("size", format!("a patch of {values} values; at most {MOST} are supported"));
    }
    let mut padding = vec![(0, 0); 2];
    match call.text("padding")?.unwrap_or("valid") {
        "valid" => {}
        "same" => {
            for (axis, length) in [rows, columns].into_iter().enumerate() {
                let Some(length) = length else {
                    return call.unsupported("padding", "rows and columns need fixed lengths");
                };
                let (length, stride) = (length as i64, strides[axis] as i64);
                let span = (size[axis] as i64 - 1) * dilation[axis] as i64 + 1;
                let windows = (length + stride - 1) / stride;
                let all = ((windows - 1) * stride + span - length).max(0);
                padding[axis] = (all / 2, all - all / 2);
            }
        }
        _ => return call.unsupported("padding", "valid and same are supported"),
    }
    let kernel = ndarray::Array2::<f32>::eye(values);
    let kernel = kernel.into_shape_with_order((size[0], size[1], features, values));
    let Ok(kernel) = kernel else { return call.wrong("size", "can't be") };
    let kernel = call.computed.constant(Values::Floats(kernel.into_dyn()));
    let windows = Windows {
        strides: strides.to_vec(),
        dilations: dilation.to_vec(),
        spread: vec![1; 2],
        padding,
    };
    call.op(Operation::Convolution { windows, groups: 1 }, [x, kernel])
}

/// Blocks of places as features, or the other way round.
pub(super) fn blocks(call: &mut Call, to_features: bool) -> Result<Id> {
    let block = call.required_int("block")?;
    let (x, [rows, columns]) = images(call)?;
    let features = call.axes(x)?[3];
    let (Some(rows), Some(columns), Some(features)) = (rows, columns, features) else {
        return call.unsupported("block", "rows, columns and features need fixed lengths");
    };
    let [rows, columns, features] = [rows, columns, features].map(|n| n as i64);
    let fits = match to_features {
        true => block > 0 && rows % block == 0 && columns % block == 0,
        false => block > 0 && block < 1 << 15 && features % (block * block) == 0,
    };
    if !fits {
        return call
            .wrong("block", format!("{block} doesn't fit {rows}, {columns} and {features}"));
    }
    let (split, joined, order) = match to_features {
        true => (
            [-1, rows / block, block, columns / block, block, features],
            [-1, rows / block, columns / block, block * block * features],
            vec![0, 1, 3, 2, 4, 5],
        ),
        false => {
            let left = features / (block * block);
            (
                [-1, rows, columns, block, block, left],
                [-1, rows * block, columns * block, left],
                vec![0, 1, 3, 2, 4, 5],
            )
        }
    };
    let split = call.integers(split);
    let x = call.reshape(x, split)?;
    let x = call.op(Operation::Transpose { order }, [x])?;
    let joined = call.integers(joined);
    call.reshape(x, joined)
}
