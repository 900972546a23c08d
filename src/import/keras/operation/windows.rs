//! Operations over windows: convolutions and pooling.

use super::call::Call;
use super::computed::Id;
use crate::Result;
use crate::program::{Binary, Operation, PadMode, Pooling, Values, Windows};

/// The names of data formats that have the features last and first, in Keras and TensorFlow.
const FEATURES_LAST: [&str; 4] = ["channels_last", "NWC", "NHWC", "NDHWC"];
const FEATURES_FIRST: [&str; 4] = ["channels_first", "NCW", "NCHW", "NCDHW"];

/// How a window lies along each axis between the batch and the features.
struct Sliding {
    size: Vec<usize>,
    strides: Vec<usize>,
    dilation: Vec<usize>,
    /// Whether padding is `same`; otherwise it is `valid`.
    same: bool,
}

impl Sliding {
    /// That of a call, for windows of this size.
    fn of(call: &Call, size: Vec<usize>, strides: Vec<usize>) -> Result<Sliding> {
        let axes = size.len();
        let dilation = lengths(call, "dilation_rate", axes)?.unwrap_or(vec![1; axes]);
        let same = match call.text("padding")?.map(str::to_ascii_lowercase).as_deref() {
            None | Some("valid") => false,
            Some("same") => true,
            Some(_) => return call.unsupported("padding", "valid and same are supported"),
        };
        Ok(Sliding { size, strides, dilation, same })
    }

    /// The indices that a window spans.
    fn span(&self, axis: usize) -> i64 {
        (self.size[axis] as i64 - 1).saturating_mul(self.dilation[axis] as i64).saturating_add(1)
    }

    /// Without padding.
    fn windows(&self) -> Windows {
        let axes = self.size.len();
        Windows {
            strides: self.strides.clone(),
            dilations: self.dilation.clone(),
            spread: vec![1; axes],
            padding: vec![(0, 0); axes],
        }
    }

    /// As many indices around an axis of this length as `same` asks for, the odd one behind; `None`
    /// where that depends on a length that isn't known.
    fn sides(&self, axis: usize, length: Option<usize>) -> Option<(i64, i64)> {
        let (span, strides) = (self.span(axis), self.strides[axis] as i64);
        let all = match (self.same, length) {
            (false, _) => 0,
            (true, _) if strides == 1 => span - 1,
            (true, None) => return None,
            (true, Some(length)) => {
                let length = length as i64;
                let windows = length.saturating_add(strides - 1) / strides;
                ((windows - 1).max(0) * strides).saturating_add(span).saturating_sub(length).max(0)
            }
        };
        Some((all / 2, all - all / 2))
    }
}

/// A number for each axis between the batch and the features, or one for all of them; TensorFlow
/// writes ones for the batch and the features, too.
fn lengths(call: &Call, name: &str, axes: usize) -> Result<Option<Vec<usize>>> {
    let Some(listed) = call.ints(name)? else { return Ok(None) };
    let first = call.text("data_format")?.is_some_and(|format| FEATURES_FIRST.contains(&format));
    let listed = match (listed.len() == axes + 2, first) {
        (true, true) => &listed[2..],
        (true, false) => &listed[1..=axes],
        _ => &listed[..],
    };
    let lengths: Option<Vec<usize>> = listed
        .iter()
        .map(|&length| usize::try_from(length).ok().filter(|n| (1..1 << 24).contains(n)))
        .collect();
    match lengths {
        Some(lengths) if lengths.len() == axes => Ok(Some(lengths)),
        Some(lengths) if lengths.len() == 1 => Ok(Some(vec![lengths[0]; axes])),
        _ => call.wrong(name, format!("isn't one of an array with {axes} such axes")),
    }
}

/// `x` with the features as its last axis, and whether they were its axis 1.
fn features_last(call: &mut Call) -> Result<(Id, bool)> {
    let x = call.array("x")?;
    match call.text("data_format")?.unwrap_or("channels_last") {
        format if FEATURES_LAST.contains(&format) => Ok((x, false)),
        format if FEATURES_FIRST.contains(&format) => {
            Ok((call.op(Operation::MoveAxis { from: 1, to: -1 }, [x])?, true))
        }
        _ => call.unsupported("data_format", "channels_last and channels_first are supported"),
    }
}

/// The features as axis 1 again.
fn features_back(call: &mut Call, x: Id, were_first: bool) -> Result<Id> {
    if were_first { call.op(Operation::MoveAxis { from: -1, to: 1 }, [x]) } else { Ok(x) }
}

/// `x` and windows over it, padded as the call says: by the windows, or, where how much it is
/// depends on a length that isn't known before a call, with this value around `x` itself.
fn padded(call: &mut Call, x: Id, sliding: &Sliding, value: f32) -> Result<(Id, Windows)> {
    let mut windows = sliding.windows();
    let known = call.axes(x)?;
    let axes = sliding.size.len();
    let sides = (0..axes).map(|axis| sliding.sides(axis, known.get(axis + 1).copied().flatten()));
    if let Some(sides) = sides.collect() {
        windows.padding = sides;
        return Ok((x, windows));
    }
    // (⌈n / strides⌉ - 1) · strides + span - n, of which the odd one is behind.
    let shape = call.shape(x)?;
    let lengths = call.slice(shape, 0, (1, axes as i64 + 1))?;
    let strides = call.integers(sliding.strides.iter().map(|&n| n as i64));
    let less = call.integers(sliding.strides.iter().map(|&n| n as i64 - 1));
    let spans = call.integers((0..axes).map(|axis| sliding.span(axis)));
    let [zero, one, two] = [0, 1, 2].map(|n| call.computed.constant(Values::integer(n)));
    let up = call.binary(Binary::Add, lengths, less)?;
    let count = call.binary(Binary::Divide, up, strides)?;
    let count = call.binary(Binary::Subtract, count, one)?;
    let reach = call.binary(Binary::Multiply, count, strides)?;
    let reach = call.binary(Binary::Add, reach, spans)?;
    let all = call.binary(Binary::Subtract, reach, lengths)?;
    let all = call.binary(Binary::Maximum, all, zero)?;
    let before = call.binary(Binary::Divide, all, two)?;
    let behind = call.binary(Binary::Subtract, all, before)?;
    let around = call.concat(0, vec![before, behind])?;
    let value = call.float(value);
    let along = call.integers(1..=axes as i64);
    Ok((call.op(Operation::Pad(PadMode::Constant), [x, around, value, along])?, windows))
}

/// The largest value or the mean of windows along the axes between the batch and the features.
pub(super) fn pool(call: &mut Call, pooling: Pooling) -> Result<Id> {
    let (x, were_first) = features_last(call)?;
    let axes = call.rank(x)?.saturating_sub(2);
    let Some(size) = lengths(call, "size", axes)? else {
        return call.wrong("size", "is missing");
    };
    let strides = lengths(call, "strides", axes)?.unwrap_or_else(|| size.clone());
    let sliding = Sliding::of(call, size, strides)?;
    let pooled = |call: &mut Call, x: Id, outside: f32| {
        let (x, windows) = padded(call, x, &sliding, outside)?;
        let size = sliding.size.clone();
        call.op(Operation::Pool { windows, size, pooling, partial: false }, [x])
    };
    let known = call.axes(x)?;
    let is_known = |axis: usize| sliding.sides(axis, known.get(axis + 1).copied().flatten());
    let result = match pooling {
        Pooling::Maximum => pooled(call, x, f32::NEG_INFINITY)?,
        _ if (0..axes).all(|axis| is_known(axis).is_some()) => pooled(call, x, 0.0)?,
        // The zeros around x don't count: the mean with them, divided by that of ones.
        _ => {
            let (shape, one) = (call.shape(x)?, call.float(1.0));
            let ones = call.op(Operation::Fill, [shape, one])?;
            let (means, there) = (pooled(call, x, 0.0)?, pooled(call, ones, 0.0)?);
            call.binary(Binary::Divide, means, there)?
        }
    };
    features_back(call, result, were_first)
}

/// A kernel of the call: it, and the known lengths of its axes.
fn kernel(call: &mut Call, name: &str, axes: usize) -> Result<(Id, Vec<usize>)> {
    let kernel = call.array(name)?;
    match call.axes(kernel)?.into_iter().collect::<Option<Vec<_>>>() {
        Some(shape) if shape.len() == axes + 2 && axes > 0 && !shape.contains(&0) => {
            Ok((kernel, shape))
        }
        Some(shape) => {
            call.wrong(name, format!("{shape:?} is no kernel for an array of {} axes", axes + 2))
        }
        None => call.unsupported(name, "the shape of a kernel can't depend on the call's"),
    }
}

/// What is known of the features of an array that a convolution reads.
fn features(call: &mut Call, x: Id) -> Result<usize> {
    match call.axes(x)?.last().copied().flatten() {
        Some(features) => Ok(features),
        None => call.wrong("x", "has no known number of features"),
    }
}

/// `[batch, …, features]` with a kernel `[…, features / groups, filters]`.
pub(super) fn convolution(call: &mut Call) -> Result<Id> {
    let (x, were_first) = features_last(call)?;
    let axes = call.rank(x)?.saturating_sub(2);
    let (kernel, shape) = kernel(call, "kernel", axes)?;
    let (features, of_group) = (features(call, x)?, shape[axes]);
    if features % of_group != 0 {
        return call.wrong("kernel", format!("{shape:?} doesn't fit {features} features"));
    }
    let strides = lengths(call, "strides", axes)?.unwrap_or(vec![1; axes]);
    let sliding = Sliding::of(call, shape[..axes].to_vec(), strides)?;
    let (x, windows) = padded(call, x, &sliding, 0.0)?;
    let groups = features / of_group;
    let result = call.op(Operation::Convolution { windows, groups }, [x, kernel])?;
    features_back(call, result, were_first)
}

/// Each feature by itself, with a kernel `[…, features, depth multiplier]`.
fn of_each_feature(call: &mut Call, name: &str) -> Result<(Id, bool)> {
    let (x, were_first) = features_last(call)?;
    let axes = call.rank(x)?.saturating_sub(2);
    let (kernel, shape) = kernel(call, name, axes)?;
    let groups = features(call, x)?;
    if shape[axes] != groups {
        return call.wrong(name, format!("{shape:?} doesn't fit {groups} features"));
    }
    let sizes = shape[..axes].iter().map(|&n| n as i64);
    let flat = call.integers(sizes.chain([1, -1]));
    let kernel = call.reshape(kernel, flat)?;
    let strides = lengths(call, "strides", axes)?.unwrap_or(vec![1; axes]);
    let sliding = Sliding::of(call, shape[..axes].to_vec(), strides)?;
    let (x, windows) = padded(call, x, &sliding, 0.0)?;
    Ok((call.op(Operation::Convolution { windows, groups }, [x, kernel])?, were_first))
}

pub(super) fn depthwise(call: &mut Call) -> Result<Id> {
    let (result, were_first) = of_each_feature(call, "kernel")?;
    features_back(call, result, were_first)
}

/// Each feature by itself, and then the product of each place with a kernel
/// `[1, …, features · depth multiplier, filters]`.
pub(super) fn separable(call: &mut Call) -> Result<Id> {
    let (x, were_first) = of_each_feature(call, "kernel")?;
    let axes = call.rank(x)?.saturating_sub(2);
    let (pointwise, shape) = kernel(call, "pointwise", axes)?;
    if shape[..axes].iter().any(|&size| size != 1) {
        return call.wrong("pointwise", format!("{shape:?} has windows of more than one place"));
    }
    let matrix = call.integers([shape[axes] as i64, shape[axes + 1] as i64]);
    let matrix = call.reshape(pointwise, matrix)?;
    let result = call.op(Operation::Product, [x, matrix])?;
    features_back(call, result, were_first)
}

/// Each place times a kernel `[…, filters, features]` is added to a window of what it returns: the
/// convolution of values that stand apart, with the kernel turned round.
pub(super) fn transposed(call: &mut Call) -> Result<Id> {
    let (x, were_first) = features_last(call)?;
    let axes = call.rank(x)?.saturating_sub(2);
    let (kernel, shape) = kernel(call, "kernel", axes)?;
    let features = features(call, x)?;
    if shape[axes + 1] != features {
        return call.wrong("kernel", format!("{shape:?} doesn't fit {features} features"));
    }
    let strides = lengths(call, "strides", axes)?.unwrap_or(vec![1; axes]);
    let sliding = Sliding::of(call, shape[..axes].to_vec(), strides)?;
    let more = call.ints("output_padding")?;
    let more = match more.as_deref() {
        None => vec![None; axes],
        Some(&[all]) => vec![Some(all); axes],
        Some(listed) if listed.len() == axes => listed.iter().copied().map(Some).collect(),
        Some(_) => return call.wrong("output_padding", "isn't one number for each axis"),
    };
    let mut padding = Vec::with_capacity(axes);
    for (axis, more) in more.into_iter().enumerate() {
        let (span, strides) = (sliding.span(axis), sliding.strides[axis] as i64);
        if more.is_some_and(|more| !(0..strides).contains(&more)) {
            return call.wrong("output_padding", "isn't below the strides");
        }
        // What the last value's window adds to the output.
        let last = match (sliding.same, more) {
            (true, None) => strides,
            (true, Some(more)) => span % 2 + more,
            (false, None) => span.max(strides),
            (false, Some(more)) => span.saturating_add(more),
        };
        let cut = if sliding.same { (span - last).max(0) / 2 } else { 0 };
        padding.push((span - 1 - cut, last - 1 + cut));
    }
    let windows = Windows {
        strides: vec![1; axes],
        dilations: sliding.dilation.clone(),
        spread: sliding.strides.clone(),
        padding,
    };
    let order = (0..axes).chain([axes + 1, axes]).collect();
    let kernel = call.op(Operation::Transpose { order }, [kernel])?;
    let starts = call.integers(vec![-1; axes]);
    let ends = call.integers(vec![i64::MIN; axes]);
    let along = call.integers(0..axes as i64);
    let steps = call.integers(vec![-1; axes]);
    let kernel = call.op(Operation::Slice, [kernel, starts, ends, along, steps])?;
    let result = call.op(Operation::Convolution { windows, groups: 1 }, [x, kernel])?;
    features_back(call, result, were_first)
}

/// Along each axis so many windows of nearly equal lengths, of which each has a largest value or a
/// mean: window `i` of `n` over a length goes from `⌊i · length / n⌋` to `⌈(i + 1) · length / n⌉`.
pub(super) fn adaptive(call: &mut Call, pooling: Pooling) -> Result<Id> {
    let (mut x, were_first) = features_last(call)?;
    let axes = call.rank(x)?.saturating_sub(2);
    let Some(sizes) = lengths(call, "size", axes)? else {
        return call.wrong("size", "is missing");
    };
    let known = call.axes(x)?;
    for (axis, &count) in sizes.iter().enumerate() {
        let Some(length) = known[axis + 1].filter(|&length| length > 0) else {
            return call.unsupported("size", "the axes that are pooled need fixed lengths");
        };
        if count.saturating_mul(length) > 1 << 22 {
            return call.wrong("size", format!("{count} windows of {length}"));
        }
        let axis = axis as i64 + 1;
        let mut parts = Vec::with_capacity(count);
        for window in 0..count {
            let (start, end) = (window * length / count, ((window + 1) * length).div_ceil(count));
            let part = call.slice(x, axis, (start as i64, end as i64))?;
            let reduction = match pooling {
                Pooling::Maximum => crate::program::Reduction::Maximum,
                _ => crate::program::Reduction::Mean,
            };
            parts.push(call.reduce(reduction, part, Some(&[axis]), true)?);
        }
        x = call.concat(axis, parts)?;
    }
    features_back(call, x, were_first)
}
