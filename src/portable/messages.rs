//! What errors say of a file.

use crate::error::{Error, Result};

pub(super) fn malformed<T>(file: &str, reason: impl Into<String>) -> Result<T> {
    Err(Error::MalformedFile { file: file.to_string(), reason: reason.into() })
}

/// A text of the file's, for a message.
pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(100) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}
