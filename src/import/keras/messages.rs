//! What errors say of a file.

use crate::{Error, Result};
use serde_json::Value;

/// A configuration without a file, in messages.
pub(super) const CONFIG: &str = "the model's configuration";

pub(super) fn malformed<T>(file: &str, reason: impl Into<String>) -> Result<T> {
    Err(Error::MalformedFile { file: file.to_string(), reason: reason.into() })
}

/// A value of the file for a message: JSON, cut where it is long.
pub(super) fn excerpt(value: &Value) -> String {
    let mut text = value.to_string();
    if let Some((end, _)) = text.char_indices().nth(80) {
        text.truncate(end);
        text.push('…');
    }
    text
}
