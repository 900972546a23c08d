//! Shapes of arrays without the batch, as they are known before a call.

/// An array's shape without the batch; `None` is any length.
pub(crate) type Dims = Vec<Option<usize>>;

/// The features of an input: its last axis.
pub(super) fn features(dims: &Dims) -> Result<usize, String> {
    dims.last()
        .copied()
        .flatten()
        .ok_or_else(|| "the last axis of its input has no fixed length".to_string())
}

/// An axis in Keras's count (0 is the batch, negative from the end) as an index of [`Dims`].
pub(crate) fn axis_of(axis: isize, dims: usize) -> Result<usize, String> {
    let rank = dims as isize + 1;
    let index = if axis < 0 { axis + rank } else { axis };
    match index {
        0 => Err("its axis is the batch".to_string()),
        index if (1..rank).contains(&index) => Ok(index as usize - 1),
        _ => Err(format!("its axis {axis} isn't one of an array of {rank} axes")),
    }
}

/// That the input is `[batch, timesteps, features]`.
pub(super) fn sequence(dims: &Dims) -> Result<(Option<usize>, Option<usize>), String> {
    match dims[..] {
        [timesteps, features] => Ok((timesteps, features)),
        _ => Err(format!(
            "it reads [batch, timesteps, features], and its input is {}",
            describe(dims)
        )),
    }
}

/// A shape for a message: `[batch, ?, 3]`.
pub(crate) fn describe(dims: &Dims) -> String {
    let axes = dims.iter().map(|axis| axis.map_or("?".to_string(), |n| n.to_string()));
    format!("[{}]", std::iter::once("batch".to_string()).chain(axes).collect::<Vec<_>>().join(", "))
}
