//! Nodes on lists of arrays, as PyTorch's exporter writes them for `unbind`, `split` and `stack`.
//! Which array stands where is known when the file is read, so that no list is left in the program.

use crate::Result;
use crate::import::onnx::importer::{Call, Handler, Sequence};
use crate::program::{Operation, Value};

pub(super) const NODES: &[(&str, Handler)] = &[
    ("ConcatFromSequence", concat),
    ("SequenceAt", at),
    ("SequenceConstruct", construct),
    ("SequenceEmpty", empty),
    ("SequenceErase", erase),
    ("SequenceInsert", insert),
    ("SequenceLength", length),
    ("SplitToSequence", split),
];

const NOT_LISTED: &str = "how many arrays it has isn't known when the file is read: fix the \
     lengths of the model's inputs, and export it again";

fn construct(call: &mut Call) -> Result<()> {
    let arrays = call.inputs()?;
    call.set_sequence(Sequence::Arrays(arrays))
}

fn empty(call: &mut Call) -> Result<()> {
    let _ = call.has("dtype");
    call.set_sequence(Sequence::Arrays(Vec::new()))
}

/// The arrays of the first input, one by one.
fn arrays(call: &mut Call) -> Result<Vec<Value>> {
    match call.sequence(0)? {
        Sequence::Arrays(arrays) => Ok(arrays),
        Sequence::Parts { .. } => call.unsupported(NOT_LISTED),
    }
}

/// A place in a list so long, which counts from its end below zero; of the end itself, too.
fn place(call: &Call, position: Value, length: usize) -> Result<usize> {
    let Some(number) = call.importer.facts(position).number else {
        return call.unsupported("its position has to be a constant");
    };
    let counted = if number < 0 { number.saturating_add(length as i64) } else { number };
    match usize::try_from(counted) {
        Ok(place) if place <= length => Ok(place),
        _ => call.malformed(format!("its position is {number}, in a list of {length} arrays")),
    }
}

fn insert(call: &mut Call) -> Result<()> {
    let (mut arrays, array) = (arrays(call)?, call.required(1)?);
    let place = match call.input(2)? {
        Some(position) => place(call, position, arrays.len())?,
        None => arrays.len(),
    };
    arrays.insert(place, array);
    call.set_sequence(Sequence::Arrays(arrays))
}

fn erase(call: &mut Call) -> Result<()> {
    let mut arrays = arrays(call)?;
    let place = match call.input(1)? {
        Some(position) => place(call, position, arrays.len())?,
        None => arrays.len().saturating_sub(1),
    };
    if place >= arrays.len() {
        return call.malformed(format!("it has no array {place}"));
    }
    arrays.remove(place);
    call.set_sequence(Sequence::Arrays(arrays))
}

fn at(call: &mut Call) -> Result<()> {
    let position = call.required(1)?;
    let array = match call.sequence(0)? {
        Sequence::Arrays(arrays) => {
            let place = place(call, position, arrays.len())?;
            match arrays.get(place) {
                Some(array) => *array,
                None => return call.malformed(format!("it has no array {place}")),
            }
        }
        Sequence::Parts { x, axis, each, keep } => {
            let Some(number) = call.importer.facts(position).number else {
                return call.unsupported("its position has to be a constant");
            };
            if number < 0 && each != 1 {
                return call.unsupported(NOT_LISTED);
            }
            let (from, to) = (number.saturating_mul(each), number.saturating_add(1));
            let to = if number == -1 { i64::MAX } else { to.saturating_mul(each) };
            let part = call.slice(x, axis, from, to)?;
            if keep { part } else { call.squeeze(part, &[axis])? }
        }
    };
    call.set(0, array)
}

/// How many arrays it has.
fn length(call: &mut Call) -> Result<()> {
    let count = arrays(call)?.len();
    let count = call.importer.integers([count as i64]);
    let count = call.squeeze(count, &[0])?;
    call.set(0, count)
}

fn concat(call: &mut Call) -> Result<()> {
    let (axis, is_new) = (call.required_int("axis")?, call.flag("new_axis", false)?);
    let parts = match call.sequence(0)? {
        Sequence::Arrays(parts) if parts.is_empty() => return call.malformed("it has no array"),
        Sequence::Arrays(parts) => parts,
        // Put together as it was.
        Sequence::Parts { x, axis: of_parts, keep: true, .. } if !is_new && of_parts == axis => {
            return call.set(0, x);
        }
        Sequence::Parts { .. } => return call.unsupported(NOT_LISTED),
    };
    let mut longer = Vec::with_capacity(parts.len());
    for part in parts {
        longer.push(if is_new { call.unsqueeze(part, &[axis])? } else { part });
    }
    let result = call.concat(axis, longer)?;
    call.set(0, result)
}

fn split(call: &mut Call) -> Result<()> {
    let (axis, keep) = (call.int("axis", 0)?, call.flag("keepdims", true)?);
    let x = call.required(0)?;
    let Some(lengths) = call.input(1)? else {
        return call.set_sequence(Sequence::Parts { x, axis, each: 1, keep });
    };
    let facts = call.importer.facts(lengths);
    match (facts.shape.as_deref(), facts.number) {
        (Some([]), Some(each)) if each > 0 => {
            call.set_sequence(Sequence::Parts { x, axis, each, keep: true })
        }
        (Some(&[parts]), _) => {
            call.importer.list(parts)?;
            let label = call.label.clone();
            let split = Operation::Split { axis, parts };
            let arrays = call.importer.program.add(&label, split, [x, lengths])?;
            call.set_sequence(Sequence::Arrays(arrays))
        }
        _ => call.unsupported(NOT_LISTED),
    }
}
