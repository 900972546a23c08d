//! The names of Rust's that texts tell to use, such as `TorchOptions::prefix`.

use crate::tokens::{Token, tokens, without_tests};

/// Types of the standard library's and serde's, which texts for derives name.
const NOT_TOLD: [&str; 3] = ["Option", "Vec", "Error"];

/// The names in the texts of a source.
pub fn told(source: &str) -> Vec<String> {
    let tokens = without_tests(&tokens(source));
    let mut names = Vec::new();
    for token in &tokens {
        if let Token::Text(text) = token {
            names.extend(names_of(text));
        }
    }
    names
}

/// Each `Type::name` and `module::Type` of a text; of `KerasLimits::{limit}` what stands before the
/// brace.
fn names_of(text: &str) -> Vec<String> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let name = |(at, _): (usize, &str)| {
        let start = text[..at].rfind(|c| !is_name(c)).map_or(0, |before| before + 1);
        let rest = &text[at + 2..];
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let (owner, item) = (&text[start..at], &rest[..end]);
        let is_type = |word: &str| word.starts_with(char::is_uppercase);
        let is_told = (is_type(owner) && !is_type(item)) || (owner == "torch" && is_type(item));
        (is_told && !NOT_TOLD.contains(&owner)).then(|| format!("{owner}::{item}"))
    };
    text.match_indices("::").filter_map(name).collect()
}

/// The texts of a source.
pub fn texts(source: &str) -> Vec<String> {
    let text = |token| match token {
        Token::Text(text) => Some(text),
        _ => None,
    };
    tokens(source).into_iter().filter_map(text).collect()
}
