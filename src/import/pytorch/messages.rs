//! What errors say of a file.

use crate::{Error, Result};

pub(super) fn malformed<T>(file: &str, reason: impl Into<String>) -> Result<T> {
    Err(Error::MalformedFile { file: file.to_string(), reason: reason.into() })
}

/// The first names of a list, quoted, with commas between them.
pub(super) fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    const SHOWN: usize = 8;
    let mut names = names.into_iter();
    let first: Vec<String> =
        names.by_ref().take(SHOWN).map(|name| format!("{:?}", short(name))).collect();
    let more = if names.next().is_some() { ", …" } else { "" };
    first.join(", ") + more
}

/// A name for a message.
fn short(name: &str) -> String {
    match name.char_indices().nth(100) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_string(),
    }
}
