//! What becomes of an array often depends on its shape. The file says it of its constants and of
//! inputs of fixed lengths; of what other nodes return, such as a constant behind a Reshape, it is
//! known when the program is folded or when a call is prepared, and asked for there.

use crate::Result;
use crate::import::onnx::importer::Call;
use crate::program::{Binary, Operation, Reduction, Value, Values};

/// Whether a shape is one of a kind.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    /// The file says it.
    Now(bool),
    /// A truth value that is known when shapes are.
    Later(Value),
}

impl Answer {
    /// What one of both makes; what isn't taken isn't computed.
    pub fn choose(
        self,
        call: &mut Call,
        yes: impl FnOnce(&mut Call) -> Result<Value>,
        no: impl FnOnce(&mut Call) -> Result<Value>,
    ) -> Result<Value> {
        match self {
            Answer::Now(true) => yes(call),
            Answer::Now(false) => no(call),
            Answer::Later(condition) => {
                let (yes, no) = (yes(call)?, no(call)?);
                call.op(Operation::Choose, [condition, yes, no])
            }
        }
    }
}

/// Whether an array has one value, on however many axes.
pub(super) fn is_single(call: &mut Call, x: Value) -> Result<Answer> {
    match call.importer.facts(x).shape {
        Some(shape) => Ok(Answer::Now(shape.iter().all(|&length| length == 1))),
        None => {
            let count = count(call, x)?;
            is(call, count, 1)
        }
    }
}

/// Whether an array has no values.
pub(super) fn is_empty(call: &mut Call, x: Value) -> Result<Answer> {
    match call.importer.facts(x).shape {
        Some(shape) => Ok(Answer::Now(shape.contains(&0))),
        None => {
            let count = count(call, x)?;
            is(call, count, 0)
        }
    }
}

/// Whether an array has one axis.
pub(super) fn is_list(call: &mut Call, x: Value) -> Result<Answer> {
    match call.importer.facts(x).shape {
        Some(shape) => Ok(Answer::Now(shape.len() == 1)),
        None => {
            let rank = call.rank(x)?;
            is(call, rank, 1)
        }
    }
}

fn count(call: &mut Call, x: Value) -> Result<Value> {
    let shape = call.shape(x)?;
    call.reduce(Reduction::Product, shape, None, false)
}

fn is(call: &mut Call, number: Value, expected: i64) -> Result<Answer> {
    let expected = call.importer.constant(Values::integer(expected));
    call.binary(Binary::Equal, number, expected).map(Answer::Later)
}

/// A single number without its axes, so that it fits arrays without an axis, too; others as they
/// are.
pub(super) fn scalar(call: &mut Call, x: Value) -> Result<Value> {
    if call.importer.facts(x).shape.is_some_and(|shape| shape.is_empty()) {
        return Ok(x);
    }
    let single = is_single(call, x)?;
    let without_axes = |call: &mut Call| {
        let number = call.reshape(x, [])?;
        call.importer.set_shape(number, Vec::new());
        Ok(number)
    };
    single.choose(call, without_axes, |_| Ok(x))
}

/// Numbers along one axis, one for each row of a matrix, as a column; a single one without its
/// axes, and what has more axes as it is.
pub(super) fn column(call: &mut Call, x: Value) -> Result<Value> {
    let x = scalar(call, x)?;
    let list = is_list(call, x)?;
    list.choose(call, |call| call.unsqueeze(x, &[-1]), |_| Ok(x))
}
