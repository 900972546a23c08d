//! The JSON in a file's metadata.

use super::messages::{malformed, short};
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::model::Parts;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;

/// The version that is written, and the only one that there is. It changes where what a file says
/// gets another meaning; layers, operations and arguments are added without.
pub(super) const VERSION: u64 = 1;

/// What wrote a file, or reads it.
const THIS: &str = concat!("birnn ", env!("CARGO_PKG_VERSION"));

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    version: u64,
    written_by: String,
    model: Parts,
}

/// What every version has.
#[derive(Deserialize)]
struct Head {
    version: u64,
    written_by: String,
}

/// # Errors
/// [`Error::Graph`] where a number isn't finite, for which JSON has no word.
pub(super) fn write(model: Parts) -> Result<String> {
    let description = Description { version: VERSION, written_by: THIS.to_string(), model };
    let text = serde_json::to_string(&description).map_err(|error| cannot("the model", &error))?;
    match serde_json::from_str::<Description>(&text) {
        Ok(read) if are_same(&read, &description) => Ok(text),
        _ => Err(at_fault(&description.model)),
    }
}

fn cannot(what: &str, reason: &dyn std::fmt::Display) -> Error {
    Error::Graph(format!("{what} can't be saved: {reason}"))
}

/// Which layer or operation isn't read as it was written.
fn at_fault(model: &Parts) -> Error {
    let reason = "one of its arguments is NaN or infinite, for which JSON has no word";
    match model.layers().find(|layer| !is_read_as_written(layer)) {
        Some(layer) => cannot(&format!("layer {:?}", layer.name()), &reason),
        None => cannot("the model", &reason),
    }
}

/// By way of text as the model itself: by another way all layers would be compiled for that, too,
/// which a web page would load.
fn is_read_as_written(layer: &Layer) -> bool {
    let read = serde_json::to_string(layer).and_then(|text| serde_json::from_str::<Layer>(&text));
    read.is_ok_and(|read| are_same(&read, layer))
}

/// Whether they hold the same; NaN is the same as NaN.
fn are_same<T: Debug>(one: &T, other: &T) -> bool {
    format!("{one:?}") == format!("{other:?}")
}

pub(super) fn read(file: &str, text: &str) -> Result<Parts> {
    let head: Head = match serde_json::from_str(text) {
        Ok(head) => head,
        Err(error) => return malformed(file, format!("its description is damaged: {error}")),
    };
    let (version, writer) = (head.version, short(&head.written_by));
    if version != VERSION {
        return malformed(
            file,
            format!(
                "is of version {version} of birnn's form, written by {writer}, and this {THIS} \
                 reads version {VERSION}: read it with the birnn that wrote it or a newer one, or \
                 convert the original model again with this one"
            ),
        );
    }
    match serde_json::from_str::<Description>(text) {
        Ok(description) => Ok(description.model),
        Err(error) => malformed(
            file,
            format!(
                "holds what this {THIS} doesn't know in version {VERSION}, written by {writer}: \
                 {error}; where a newer birnn wrote it, read it with that one"
            ),
        ),
    }
}
